"""A folder of videos: what is bad stops nothing, what dies is done again, what is done is not done twice, and batches may be shared."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import psutil
import pytest

from app import analyse, export, folder, together, workers
from app.cli import main
from app.perceive import build_parts
from app.settings import Settings
from tests import media
from tests.conftest import person, write_clip
from tests.test_offline import assert_equal, wait_for

WHOLE, BAD = 16, ("cut.mp4", "text.mp4", "zero.mp4")


@pytest.fixture(scope="module")
def made():
    return build_parts(Settings(device="cpu"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """20 clips: 16 are whole, in three folders; one breaks in the middle; of three nothing can be read."""
    path, at = tmp_path_factory.mktemp("clips"), person(320, 240, 200)
    for i in range(WHOLE + 1):
        place = path / ("", "sub", "sub/deep")[i % 3] / f"clip{i:02d}.mp4"
        place.parent.mkdir(exist_ok=True)
        write_clip(place, [at(20 + 8 * i + 4 * k) for k in range(9 + i % 4 if i < WHOLE else 60)])
    media.cut(path / "sub" / f"clip{WHOLE}.mp4", 0.85)
    media.cut(media.video(path / BAD[0], 30), 0.5)
    (path / BAD[1]).write_text("no video at all\n" * 50)
    (path / BAD[2]).touch()
    return path


def command(clips, out, *more):
    return [str(word) for word in ("--folder", clips, "--output-dir", out, "--format", "npz", "--device", "cpu", "--quiet", *more)]


def begin(clips, out, *more):
    return subprocess.Popen([sys.executable, "viz.py", *command(clips, out, *more)], stderr=subprocess.PIPE, text=True, start_new_session=True)


def results(out):
    return {str(path.relative_to(out)): export.load(path) for path in sorted(out.glob("**/*.npz"))}


def files(out):
    return sorted(str(path.relative_to(out)) for path in out.glob("**/*") if path.is_file())


def records(out):
    return list((out / ".records").glob("**/*.json"))


@pytest.fixture(scope="module")
def whole_run(clips, tmp_path_factory):
    """(output folder, exit code, lines on stderr) of an undisturbed run."""
    out = tmp_path_factory.mktemp("whole")
    job = begin(clips, out)
    _, error = job.communicate(timeout=600)
    return out, job.returncode, error.strip().splitlines()


def test_what_is_bad_stops_nothing(whole_run):
    out, code, lines = whole_run
    assert code == 1 and len(results(out)) == 17
    assert len(lines) == 4 and all(line.startswith("viz.py: ") for line in lines)
    said = {line.split(": ")[1]: line for line in lines}
    assert "cut off before its index" in said["cut.mp4"] and "empty" in said["zero.mp4"] and "not a video" in said["text.mp4"]
    assert "broken at frame" in said[f"sub/clip{WHOLE}.mp4"] and "frames before it were processed" in said[f"sub/clip{WHOLE}.mp4"]


def test_the_summary_tells_what_became_of_each(whole_run):
    summary = json.loads((whole_run[0] / "summary.json").read_text())
    assert (summary["videos"], summary["whole"], summary["partial"], summary["failed"], summary["waiting"]) == (20, 16, 1, 3, 0)
    by_name = {row["video"]: row for row in summary["results"]}
    row = by_name["sub/clip01.mp4"]
    assert row["state"] == "whole" and row["people"] == 1 and row["frames"] == 10 and row["seconds"] > 0 and row["fps"] > 0 and row["error"] is None
    assert row["outputs"] == {"sub/clip01.npz": (whole_run[0] / "sub/clip01.npz").stat().st_size}
    partial = by_name[f"sub/clip{WHOLE}.mp4"]
    assert partial["state"] == "partial" and 5 < partial["frames"] < 60
    assert by_name["cut.mp4"]["outputs"] == {} and summary["frames"] == sum(row["frames"] for row in summary["results"])


def test_a_video_of_a_folder_is_a_video_by_itself(clips, whole_run, made):
    assert_equal(results(whole_run[0])["sub/clip04.npz"], analyse(clips / "sub" / "clip04.mp4", made=made, device="cpu"), pixels=1e-3, metres=1e-4)


def test_killed_in_the_middle_and_resumed(clips, whole_run, tmp_path):
    """SIGKILL of everything; the same files and motion afterwards, and what was done is not done again."""
    job = begin(clips, tmp_path, "--workers", "2")
    wait_for(lambda: len(records(tmp_path)) >= 4, 300)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    assert not (tmp_path / "summary.json").exists()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("**/*.npz") if not path.name.endswith(".partial.npz")}
    known = {path for path in before if (tmp_path / ".records" / path.relative_to(tmp_path).with_suffix(".mp4.json")).exists()}
    assert 4 <= len(known) < 17
    assert main(command(clips, tmp_path, "--resume")) == 1
    assert all(path.stat().st_mtime_ns == before[path] for path in known)
    assert files(tmp_path) == files(whole_run[0])
    for name, motion in results(whole_run[0]).items():
        assert_equal(motion, results(tmp_path)[name])


def test_a_finished_run_is_not_done_again_unless_the_wish_is_another(clips, tmp_path, capsys):
    pattern = ("--pattern", "sub/*0[14].mp4")
    assert main(command(clips, tmp_path, *pattern)) == 0
    first = {path: path.stat().st_mtime_ns for path in tmp_path.glob("sub/*.npz")}
    assert len(first) == 2 and main(command(clips, tmp_path, *pattern, "--resume")) == 0
    assert {path: path.stat().st_mtime_ns for path in first} == first
    (tmp_path / "sub/clip01.npz").unlink()
    assert main(command(clips, tmp_path, *pattern, "--resume")) == 0
    again = {path: path.stat().st_mtime_ns for path in first}
    assert [path.name for path in first if again[path] != first[path]] == ["clip01.npz"]
    assert main(command(clips, tmp_path, *pattern, "--resume", "--fov", "70")) == 0
    assert all(path.stat().st_mtime_ns != again[path] for path in again)
    assert capsys.readouterr().err == ""


def test_a_killed_worker_loses_nothing(clips, whole_run, tmp_path):
    job = begin(clips, tmp_path, "--workers", "2")
    wait_for(lambda: len(records(tmp_path)) >= 2, 300)
    children = [child for child in psutil.Process(job.pid).children() if "spawn_main" in " ".join(child.cmdline())]
    assert len(children) == 2
    children[0].kill()
    _, error = job.communicate(timeout=600)
    assert job.returncode == 1 and len(error.strip().splitlines()) == 4, error
    assert files(tmp_path) == files(whole_run[0])
    for name, motion in results(whole_run[0]).items():
        assert_equal(motion, results(tmp_path)[name])


def test_a_video_that_kills_its_process_twice_is_given_up(clips, tmp_path):
    """The worker is killed whenever frames of its first video were seen; the others still come."""
    request = folder.Request(str(clips), str(tmp_path), pattern="sub/clip0[14].mp4", formats=("npz",))
    settings, deaths, done = Settings(device="cpu", quiet=True), [], []

    def kill(_):
        if len(deaths) < 2:
            worker = multiprocessing.active_children()[0]
            deaths.append(worker.pid)
            worker.kill()

    for result in workers.run(folder.jobs(request, settings), settings, request, kill):
        done.append(result)
    assert [(result.video, result.state) for result in done] == [("sub/clip01.mp4", "failed"), ("sub/clip04.mp4", "whole")]
    assert "SIGKILL" in done[0].error and "twice" in done[0].error and len(set(deaths)) == 2


def test_networks_that_cannot_be_had_are_a_fault_of_the_request(clips, tmp_path, capsys):
    assert main(command(clips, tmp_path, "--detector", "centernet:weights=nowhere.safetensors")) == 2
    line = capsys.readouterr().err.strip()
    assert "nowhere.safetensors" in line and "\n" not in line


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(clips, tmp_path):
    job = subprocess.Popen([sys.executable, "viz.py", *command(clips, tmp_path)], stderr=subprocess.PIPE, text=True,
                           preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    wait_for(lambda: records(tmp_path), 300)
    job.send_signal(signal.SIGINT)
    _, error = job.communicate(timeout=300)
    assert job.returncode == 130 and "--resume goes on" in error and "Traceback" not in error
    assert json.loads((tmp_path / "summary.json").read_text())["waiting"] > 0


def test_pictures_of_a_broken_video_and_results_on_a_store(clips, tmp_path, capsys):
    """From an archive to a URL: what breaks is drawn up to there, the table tells of it."""
    with zipfile.ZipFile(tmp_path / "clips.zip", "w") as archive:
        archive.write(clips / "sub" / f"clip{WHOLE}.mp4", "a/broken.mp4")
        archive.write(clips / "zero.mp4", "zero.mp4")
    call = ["--folder", f"zip://::file://{tmp_path}/clips.zip", "--output-dir", f"file://{tmp_path}/out", "--format", "gif,mp4,npz", "--fov", "60"]
    assert main([*call, "--device", "cpu"]) == 1
    assert files(tmp_path / "out") == [".records/a/broken.mp4.json", "a/broken.gif", "a/broken.mp4", "a/broken.npz", "summary.json"]
    shown = capsys.readouterr().out
    assert "1 partial, 1 failed" in shown and "broken at frame" in shown
    time.sleep(0.01)
    assert main([*call, "--device", "cpu", "--resume", "--quiet"]) == 1
    assert [line.split(": ")[1] for line in capsys.readouterr().err.strip().splitlines()] == ["a/broken.mp4", "zero.mp4"]


class Counting:
    """A detector that notes the mean brightness of the pictures of each batch, and fails at those in `poison`."""

    def __init__(self, real, poison=None):
        self.real, self.poison, self.batches = real, poison, []

    def __call__(self, images):
        self.batches.append(len(images))
        if self.poison is not None and any(image[0, 0].mean() > self.poison for image in images):
            raise RuntimeError("a kernel failed\nand a long story")
        return self.real(images)


def many(tmp_path, clips, made, at_once, **options):
    """(Results, detector) of three short clips on one process."""
    request = folder.Request(str(clips), str(tmp_path), pattern="sub/clip0[147].mp4", formats=("npz",), **options)
    settings = Settings(device="cpu", quiet=True)
    detector = Counting(made.detector)
    done = list(together.work(folder.jobs(request, settings), settings, made._replace(detector=detector, batch=8), at_once))
    return done, detector


def test_videos_that_share_batches_are_what_they_are_alone(clips, made, tmp_path):
    alone, apart = many(tmp_path / "alone", clips, made, 1)
    shared, detector = many(tmp_path / "shared", clips, made, 3)
    assert sorted(r.video for r in alone) == sorted(r.video for r in shared) and {r.state for r in alone + shared} == {"whole"}
    assert len(detector.batches) < len(apart.batches) and sum(detector.batches) == sum(apart.batches)
    for name, motion in results(tmp_path / "alone").items():
        assert_equal(motion, results(tmp_path / "shared")[name], pixels=2e-3, metres=2e-4)


def test_an_error_in_a_shared_batch_stays_with_the_video_that_has_it(clips, made, tmp_path, capsys):
    source = tmp_path / "in"
    source.mkdir()
    for name in ("sub/clip01.mp4", "sub/clip04.mp4"):
        (source / name[4:]).symlink_to(clips / name)
    write_clip(source / "white.mp4", [np.full((240, 320, 3), 250, np.uint8)] * 10)
    settings = Settings(device="cpu", quiet=True)
    jobs = folder.jobs(folder.Request(str(source), str(tmp_path / "out"), formats=("npz",)), settings)
    done = {r.video: r for r in together.work(jobs, settings, made._replace(detector=Counting(made.detector, 200)), 3)}
    assert {name: r.state for name, r in done.items()} == {"clip01.mp4": "whole", "clip04.mp4": "whole", "white.mp4": "failed"}
    assert done["white.mp4"].error == "RuntimeError: a kernel failed" and "Traceback" in capsys.readouterr().err
