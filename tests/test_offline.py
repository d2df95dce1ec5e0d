"""The file run from end to end, with the bundled weights."""

import functools
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import av
import numpy as np
import pytest

from app import analyse, export, render
from app.cli import main
from app.perceive import build_parts, chunks
from app.settings import Settings
from app.video import BrokenVideo, frames
from core.geometry import iou
from core.records import Motion
from tests import media
from tests.conftest import hear_ctrl_c, person, write_clip

TRACK = ("frames", "times", "boxes", "points", "scores", "joints3d", "root", "observed")


@pytest.fixture(scope="module")
def made():
    """The bundled parts, loaded once: networks hold no state, so all videos of this module may share them."""
    return build_parts(Settings(device="cpu"))


def pictures(path):
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def times(path):
    with av.open(str(path)) as file:
        return [float(frame.pts * frame.time_base) for frame in file.decode(video=0)]


def assert_equal(a: Motion, b: Motion, pixels=0.0, metres=0.0):
    """The same people at the same places."""
    assert list(a.tracks) == list(b.tracks)
    for number, track in a.tracks.items():
        for name in TRACK:
            tolerance = metres if name in ("joints3d", "root") else pixels
            np.testing.assert_allclose(getattr(track, name), getattr(b.tracks[number], name), atol=tolerance, rtol=0, err_msg=f"{number} {name}")


def test_one_command(walkers, tmp_path, capsys):
    """A GIF with the people in it, and the motion in every format."""
    out, motion_file = tmp_path / "new" / "out.gif", tmp_path / "motion.npz"
    call = ["--viz_video", walkers, "--viz_output", out, "--export", motion_file, "--export", tmp_path / "m.json", "--export", tmp_path / "m.csv",
            "--export", tmp_path / "m.txt", "--quiet", "--stats"]
    assert main([str(word) for word in call]) == 0
    assert "peak memory" in capsys.readouterr().err
    motion, shown = export.load(motion_file), pictures(out)
    assert len(motion.tracks) >= 2
    assert abs(len(shown) - 50) <= 1
    with av.open(str(walkers)) as source, av.open(str(out)) as result:
        assert abs(float(result.duration - source.duration)) <= 0.01 * source.duration
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.csv", "m.json", "m.txt", "motion.npz", "new"]
    for track in motion.tracks.values():
        assert np.isfinite(track.joints3d).all() and (track.root[:, 2] > 0.5).all()


def test_batching_changes_nothing(walkers):
    one, five = (analyse(walkers, device="cpu", batch=batch) for batch in (1, 5))
    assert_equal(one, five, pixels=2e-3, metres=2e-4)


def test_two_videos_never_share_state(walkers, passer_by, made):
    first = analyse(walkers, made=made)
    other = analyse(passer_by, made=made)
    assert_equal(first, analyse(walkers, made=made))
    assert min(other.tracks) == min(first.tracks) == 1


def test_a_real_person_is_followed_and_the_skeleton_sits_on_her(passer_by, made):
    motion = analyse(passer_by, made=made)
    assert list(motion.tracks) == [1]
    track = motion.tracks[1]
    assert len(track) >= 25 and track.frames.max() < 45
    shift = np.interp(track.frames, [0, 39], [-250, 660])
    nose = track.points[:, motion.skeleton2d.index("nose")]
    inside = (shift > 0) & (shift < 400)
    expected = np.stack([shift + (222 - 40) * 320 / 512, np.full(len(shift), 160 + 112 * 320 / 512)], 1)  # her nose in the photograph: (222, 112)
    assert np.median(np.linalg.norm(nose - expected, axis=1)[inside]) < 12
    left, right = (track.points[inside, motion.skeleton2d.index(f"{side}_shoulder"), 0] for side in ("left", "right"))
    assert (left > right).all()  # she faces us


def test_somebody_who_leaves_and_returns(tmp_path, made):
    at = person()
    stay, gone = [at(150 + i) for i in range(15)], [at(2000)] * 10
    motion = analyse(write_clip(tmp_path / "returns.mp4", stay + gone + stay), made=made)
    frames = np.concatenate([track.frames for track in motion.tracks.values()])
    observed = np.concatenate([track.observed for track in motion.tracks.values()])
    assert len(motion.tracks) in (1, 2) and not np.isin(frames[observed], np.arange(17, 25)).any()
    boxes = {f: box for track in motion.tracks.values() for f, box in zip(track.frames.tolist(), track.boxes, strict=True)}
    assert iou(boxes[10][None], boxes[35][None])[0, 0] > 0.7


def test_nobody_there(empty_room, tmp_path):
    out = tmp_path / "out.mp4"
    assert main(["--video", str(empty_room), "--output", str(out), "--export", str(tmp_path / "m.json"), "--quiet"]) == 0
    assert len(pictures(out)) == 12


def test_one_frame_and_one_picture(tmp_path):
    image = person()(200)
    clip = write_clip(tmp_path / "one.mp4", [image])
    assert main(["--video", str(clip), "--output", str(tmp_path / "one.gif"), "--quiet"]) == 0
    write_clip(tmp_path / "one.png", [image])
    call = ["--video", tmp_path / "one.png", "--output", tmp_path / "drawn.png", "--export", tmp_path / "one.npz", "--quiet"]
    assert main([str(word) for word in call]) == 0
    assert len(pictures(tmp_path / "drawn.png")) == 1 and len(export.load(tmp_path / "one.npz").tracks) == 1


def test_saved_motion_renders_the_same_picture(passer_by, tmp_path, made):
    motion = analyse(passer_by, made=made)
    render(motion, passer_by, tmp_path / "first.mp4", quiet=True)
    export.save(motion, tmp_path / "saved.npz")
    call = ["--poses", tmp_path / "saved.npz", "--video", passer_by, "--output", tmp_path / "again.mp4", "--quiet"]
    assert main([str(word) for word in call]) == 0
    for a, b in zip(pictures(tmp_path / "first.mp4"), pictures(tmp_path / "again.mp4"), strict=True):
        assert (a == b).all()


def test_poses_alone_draw_the_3d_view(passer_by, tmp_path, made):
    export.save(analyse(passer_by, made=made), tmp_path / "saved.npz")
    call = ["--poses", tmp_path / "saved.npz", "--layout", "3d", "--turn", "30", "--output", tmp_path / "3d.gif", "--quiet"]
    assert main([str(word) for word in call]) == 0
    assert len(pictures(tmp_path / "3d.gif")) > 20


def test_variable_frame_times_survive(tmp_path):
    at = person()
    when = np.cumsum([0, 0.04, 0.04, 0.1, 0.02, 0.04, 0.25, 0.04, 0.04, 0.03])
    clip = write_clip(tmp_path / "vfr.mp4", [at(150 + 3 * i) for i in range(len(when))], times=when)
    assert main(["--video", str(clip), "--output", str(tmp_path / "out.mp4"), "--quiet"]) == 0
    np.testing.assert_allclose(times(tmp_path / "out.mp4"), times(clip), atol=1e-3)


def test_a_truncated_file_gives_everything_before_the_break(tmp_path, capsys, passer_by):
    shutil.copy(passer_by, tmp_path / "whole.mp4")
    with (tmp_path / "whole.mp4").open("rb") as whole:
        data = whole.read()
    (tmp_path / "cut.mp4").write_bytes(data[: int(len(data) * 0.6)])
    out = tmp_path / "out.mp4"
    assert main(["--video", str(tmp_path / "cut.mp4"), "--output", str(out), "--quiet"]) == 1
    assert "frame" in capsys.readouterr().err
    readable = 0
    with pytest.raises(BrokenVideo):
        for _ in frames(str(tmp_path / "cut.mp4")):
            readable += 1
    assert 5 < len(pictures(out)) == readable < 50


def test_a_break_inside_a_batch_loses_nothing():
    def breaking():
        yield from range(5)
        raise BrokenVideo(5, "cut")

    seen = []
    with pytest.raises(BrokenVideo):
        for chunk in chunks(breaking(), 3):
            seen.append(chunk)
    assert seen == [[0, 1, 2], [3, 4]]


def test_causal_of_a_cut_is_the_cut_of_causal(passer_by):
    whole, cut = (analyse(passer_by, causal=True, limit=limit, device="cpu", batch=4) for limit in (30, 20))
    for number, track in cut.tracks.items():
        longer = whole.tracks[number]
        rows = np.isin(longer.frames, track.frames)
        np.testing.assert_allclose(longer.joints3d[rows], track.joints3d, atol=1e-3)
        np.testing.assert_allclose(longer.root[rows], track.root, atol=1e-3)


def test_downsample_averages_frames_and_divides_the_rate(passer_by, tmp_path):
    out = tmp_path / "out.mp4"
    assert main(["--video", str(passer_by), "--output", str(out), "--viz-downsample", "5", "--viz-limit", "30", "--quiet"]) == 0
    np.testing.assert_allclose(np.diff(times(out)), 0.2, atol=1e-3)
    assert len(pictures(out)) == 6


def start(clip, out, *more):
    call = [sys.executable, "viz.py", "--video", clip, "--output", out, "--quiet", *more]
    return subprocess.Popen([str(word) for word in call], stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c)


def wait_for(condition, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not come about"
        time.sleep(0.05)


def halfway(clip, out):
    """A run that has seen some frames, and its log."""
    job, log = start(clip, out), out.with_name(out.name + ".observations")
    wait_for(lambda: log.exists() and log.stat().st_size > 20000)
    return job, log


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory):
    at = person(320, 240, 200)
    return write_clip(tmp_path_factory.mktemp("clips") / "long.mp4", [at(60 + 30 * np.sin(i / 20)) for i in range(300)])


def test_ctrl_c_keeps_what_was_done(long_clip, tmp_path):
    out = tmp_path / "out.mp4"
    job, _ = halfway(long_clip, out)
    job.send_signal(signal.SIGINT)
    _, error = job.communicate(timeout=120)
    assert job.returncode == 130 and "stopped after" in error and "Traceback" not in error
    assert 0 < len(pictures(out)) < 300


def test_resume_goes_on(long_clip, tmp_path):
    out = tmp_path / "out.mp4"
    job, log = halfway(long_clip, out)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert not out.exists() and log.exists()
    job = start(long_clip, out, "--resume", "--stats")
    _, error = job.communicate(timeout=300)
    assert job.returncode == 0, error
    assert len(pictures(out)) == 300 and not log.exists()
    assert os.listdir(tmp_path) == ["out.mp4"]


def test_sound_is_kept(tmp_path):
    clip = media.video(tmp_path / "sound.mp4", 60, (160, 120), sound=2)
    out = tmp_path / "out.mp4"
    assert main(["--video", str(clip), "--output", str(out), "--start", "0.5", "--quiet"]) == 0
    with av.open(str(out)) as file:
        assert file.streams.audio and file.streams.video[0].frames == 45
        assert abs(float(file.streams.audio[0].duration * file.streams.audio[0].time_base) - 1.5) < 0.1


def test_a_portrait_phone_clip_stays_upright(tmp_path):
    clip = media.video(tmp_path / "phone.mp4", 5, (160, 120), turned=90)
    out = tmp_path / "out.mp4"
    assert main(["--video", str(clip), "--output", str(out), "--layout", "overlay", "--quiet"]) == 0
    assert pictures(out)[0].shape == (160, 120, 3)
    assert abs(pictures(out)[0].astype(int) - next(frames(str(clip))).image).mean() < 6


def test_a_stream_is_recorded_while_it_is_analysed(passer_by, tmp_path):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=passer_by.parent))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    out = tmp_path / "out.mp4"
    call = ["--video", f"http://127.0.0.1:{server.server_port}/{passer_by.name}", "--limit", "10", "--output", out, "--layout", "overlay", "--quiet"]
    try:
        assert main([str(word) for word in call]) == 0
    finally:
        server.shutdown()
    assert len(pictures(out)) == 10 and os.listdir(tmp_path) == ["out.mp4"]
