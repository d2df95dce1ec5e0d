"""The live run: the same answers as a file run by the live rules, newest frame wins, nothing grows, lost sources, recordings."""

import os
import re
import signal
import sys
import time
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import psutil
import pytest
from safetensors.torch import save_file

from app import analyse, export, video, window
from app.capture import Capture, Shot, in_real_time, loaded
from app.cli import main
from app.figures import Meter
from app.live import Live, Show, watch
from app.livepicture import LivePicture
from app.perceive import Parts, build_parts
from app.recorder import Recorder
from app.rhythm import Rhythm
from app.server import Page
from app.settings import Settings
from core import parts
from core.errors import BrokenVideo, InputError
from core.records import Camera, Detections, Frame, Poses, Track, VideoInfo
from core.skeletons import BODY21
from lifters._tcn import TemporalModel
from lifters.none import build as no_lifter
from tests import media
from tests.conftest import hear_ctrl_c, person
from tests.motions import walking
from tests.streams import MjpegCamera, Run, ToldClock, device

LIFTERS = ["tcn:weights=lifter-tcn27-causal", "tcn:weights=lifter-tcn81", "official"]


@pytest.fixture(scope="module")
def made():
    return build_parts(Settings(device="cpu", causal=True))


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """A checkpoint of VideoPose3D's shapes with random weights."""
    import torch

    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file(TemporalModel((3, 3, 3), 64).state_dict(), path)
    return f"tcn:weights={path},causal=true"


class SlowDetector:
    """A detector during whose every look the told clock goes on."""

    def __init__(self, detector, clock, seconds):
        self.detector, self.clock, self.seconds = detector, clock, seconds

    def __call__(self, images):
        self.clock.now += self.seconds
        return self.detector(images)


def lossless(path, frames):
    """A video that holds exactly these Frames, at their times (whole milliseconds)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = frames[0].image.shape[1], frames[0].image.shape[0], "bgr0"
        stream.codec_context.time_base = Fraction(1, 1000)
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame.image, format="rgb24").reformat(format="bgr0")
            picture.pts, picture.time_base = round(frame.time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("spec", LIFTERS)
def test_live_is_what_a_causal_file_run_gives_for_the_same_frames(walkers, tmp_path, made, official, spec):
    """A clock that is told how long the detector takes drops frames; a file of those that were kept is analysed with --causal, cut at two places."""
    spec = official if spec == "official" else spec
    settings = Settings(device="cpu", lifter=spec, causal=True, detect_every=2, quiet=True)
    made = made._replace(lifter=parts.make("lifter", spec, device="cpu"))
    clock, info, kept, shown = ToldClock(), video.probe(walkers), [], []
    live = Live(info, settings, made._replace(detector=SlowDetector(made.detector, clock, 0.11)))
    for shot in in_real_time(video.frames(walkers), clock):
        kept.append(loaded(shot, info))
        shown.append(live.see(kept[-1]))
    assert 20 < len(kept) < 40 and len({b.index - a.index for a, b in zip(kept, kept[1:], strict=False)}) > 1
    for cut in (len(kept) // 2, len(kept)):
        motion = analyse(lossless(tmp_path / f"{cut}.mkv", kept[:cut]), settings, made=made)
        assert sorted(motion.tracks) == sorted({n for now in shown[:cut] for n in now.tracks}) and len(motion.tracks) >= 2
        for number, track in motion.tracks.items():
            there = [i for i in range(cut) if number in shown[i].tracks]
            assert track.frames.tolist() == there
            for name, atol in (("joints3d", 1e-3), ("root", 1e-3), ("points", 1e-2), ("boxes", 1e-2)):
                now = np.array([getattr(shown[i].tracks[number], name)[0] for i in there])
                np.testing.assert_allclose(getattr(track, name), now, atol=atol, rtol=0, err_msg=f"{number} {name}")
            assert np.isfinite(track.joints3d).all()
        np.testing.assert_allclose(motion.world_at(cut - 1), shown[cut - 1].world_from_camera, atol=1e-3)


def test_a_file_in_real_time_passes_over_what_is_late():
    clock, seen = ToldClock(), []
    frames = (Frame(i, i / 10, np.zeros((2, 2, 3), np.uint8)) for i in range(40))
    for shot in in_real_time(frames, clock):
        assert 0 <= clock.now - shot.captured <= 0.1 + 1e-6
        seen.append(shot.index)
        clock.now += 0.25 if 10 <= shot.index < 20 else 0.02
    assert seen[:11] == list(range(11)) and seen[-1] == 39
    assert 2 <= max(np.diff(seen)) <= 3 and len(seen) < 36


def test_the_newest_picture_wins(monkeypatch):
    images = [media.picture(i) for i in range(256)]
    monkeypatch.setattr("cv2.VideoCapture", device(images, [250]))
    meter, late = Meter(), []
    with Capture(0, patience=0.0) as capture, pytest.raises(BrokenVideo):
        for shot in filter(None, capture):
            late.append(time.monotonic() - shot.captured)
            time.sleep(0.05)
            meter.count(shot.index, shot.captured, time.monotonic())
    assert 10 < meter.frames < 40 and meter.frames + meter.skipped in range(245, 251)
    assert np.median(late) < 0.02


def test_a_camera_comes_back(monkeypatch):
    monkeypatch.setattr("cv2.VideoCapture", fake := device([media.picture(1)], [5, None, 4], fps=50.0))
    monkeypatch.setattr("app.capture.FIRST_PAUSE", 0.05)
    said, seen = [], []
    with Capture("0", patience=1.0, say=said.append) as capture, pytest.raises(BrokenVideo, match="camera 0 gave no more pictures for 1 s"):
        for shot in filter(None, capture):
            seen.append(shot)
    assert [shot.index for shot in seen] == list(range(9)) and fake.opened >= 4
    assert (np.diff([shot.time for shot in seen]) > 0).all() and seen[5].time - seen[4].time > 0.05
    assert "camera 0 is lost" in said[0] and said[1] == "camera 0 is back" and "is lost" in said[2] and len(said) == 3


def test_a_camera_that_is_not_there_is_the_users_fault(monkeypatch, capsys):
    monkeypatch.setattr("cv2.VideoCapture", device([], []))
    assert main(["--webcam", "7", "--serve", "0"]) == 2
    assert "camera 7: cannot be opened" in capsys.readouterr().err


def test_an_unplugged_camera_leaves_its_recording(monkeypatch, tmp_path, capsys):
    at = person(320, 240, 200)
    monkeypatch.setattr("cv2.VideoCapture", device([at(60)], [240], fps=20.0))
    out, motion_file = tmp_path / "out.mp4", tmp_path / "all.npz"
    call = ["--webcam", "0", "--serve", "0", "--record", out, "--export", motion_file, "--reconnect", "0.5", "--device", "cpu"]
    assert main([str(word) for word in call]) == 1
    error = capsys.readouterr().err
    assert "trying again for 0.5 s" in error and "gave no more pictures" in error and "Traceback" not in error
    with av.open(str(out)) as file:
        shown = sum(1 for _ in file.decode(video=0))
    recorded, whole = export.load(tmp_path / "out.npz"), export.load(motion_file)
    assert shown > 1 and recorded.info.frames == shown and set(recorded.tracks) == set(whole.tracks) == {1}
    np.testing.assert_array_equal(recorded.tracks[1].joints3d, whole.tracks[1].joints3d)
    assert sorted(os.listdir(tmp_path)) == ["all.npz", "out.mp4", "out.npz"]


def test_a_stream_over_the_network_until_ctrl_c(tmp_path):
    at = person(320, 240, 200)
    camera = MjpegCamera([at(40 + i) for i in range(40)], fps=25)
    run = Run(sys.executable, "--video", camera.url, "--serve", "0", "--output", tmp_path / "out.mp4", "--reconnect", "20", prepare=hear_ctrl_c)
    try:
        assert video.is_live(camera.url) and run.url.startswith("http://127.0.0.1:")
        time.sleep(6)
        camera.cut()
        run.heard("is lost")
        camera.plugged = True
        run.heard("is back")
        time.sleep(2)
        run.process.send_signal(signal.SIGINT)
        code, said = run.end()
    finally:
        run.kill()
        camera.close()
    assert code == 130 and "what was recorded is kept" in said and "Traceback" not in said
    with av.open(str(tmp_path / "out.mp4")) as file:
        times = [float(frame.pts * frame.time_base) for frame in file.decode(video=0)]
    assert len(times) > 2 and max(np.diff(times)) > 0.2 and export.load(tmp_path / "out.npz").tracks


class TwoPeople:
    def __call__(self, images):
        return [Detections([[20, 20, 60, 160], [100, 30, 140, 110]], [0.9, 0.8]) for _ in images]


class StickPeople:
    """Poses whose joints are somewhere, with relative 3D, so that all of the live rules are at work."""

    skeleton = BODY21
    body = np.random.default_rng(0).normal(0, 0.3, (21, 3)).astype(np.float32)

    def __call__(self, images, boxes, cameras):
        return [Poses(BODY21, np.repeat((rows[:, None, :2] + rows[:, None, 2:]) / 2, 21, 1) + 60 * self.body[:, :2], np.full((len(rows), 21), 0.9),
                      np.repeat(self.body[None], len(rows), 0)) for rows in boxes]


def used_mb():
    return psutil.Process(os.getpid()).memory_info().rss / 1e6


@pytest.mark.slow
def test_memory_is_flat_over_an_hour(tmp_path):
    """An hour of pictures by a clock that runs as fast as they are worked on, shown on a page; people leave and come back under new numbers."""
    info, clock, used = VideoInfo(160, 120, Fraction(2)), ToldClock(), []
    picture = np.full((120, 160, 3), 90, np.uint8)

    class Passing(TwoPeople):
        def __call__(self, images):
            return [Detections.empty()] if int(clock.now) % 60 < 3 else super().__call__(images)

    def shots():
        for i in range(2 * 3600):
            clock.now += 0.5
            if i % 200 == 0:
                used.append(used_mb())
            yield Shot(2 * i, i / 2, clock.now, lambda: picture)

    made = Parts(Passing(), "sort:max_age=2,min_hits=0", StickPeople(), no_lifter(), 1)
    settings = Settings(quiet=True)
    with Page() as page:
        show = Show(settings, page, recorder=Recorder(tmp_path, None, info), skeleton={})
        ending = watch(shots(), info, Live(info, settings, made), show, clock=clock)
    assert ending.frames == 7200 and show.meter.skipped == 7199 and show.people[0].id > 60
    settled, end = np.mean(used[8:12]), np.mean(used[-4:])
    assert end - settled < 4, f"{settled:.1f} MB after a quarter of an hour, {end:.1f} MB after the hour"


def test_the_detector_looks_as_often_as_time_allows():
    made = Parts(None, "sort", None, None, 1)
    camera = Camera.from_fov(160, 120)

    def settled(look, rest, interval, fixed=None):
        rhythm = Rhythm(made, camera, fixed)
        looks = []
        for _ in range(200):
            looks.append(len(rhythm.looked([None])))
            rhythm.seen += 1
            rhythm.spent(look, rest, interval)
        return np.mean(looks[100:])

    assert settled(0.010, 0.010, 1 / 30) == 1
    assert settled(0.035, 0.015, 1 / 30) == pytest.approx(1 / 3, abs=0.02)
    assert settled(0.010, 0.002, 1 / 60) == pytest.approx(1 / 3, abs=0.02)
    assert settled(0.200, 0.050, 1 / 30) == pytest.approx(1 / 4, abs=0.02)
    assert settled(0.200, 0.050, 1 / 30, fixed=2) == 0.5


def test_figures():
    meter = Meter()
    assert meter.figures()["p50_ms"] is None and meter.line() == "no frame was shown"
    for i in range(100):
        meter.count(10 + 3 * i, i / 10, i / 10 + (0.04 if i % 10 else 0.09))
    figures = meter.figures()
    assert figures["skipped"] == 198 and figures["p50_ms"] == pytest.approx(40) and figures["p95_ms"] == pytest.approx(90)
    assert figures["fps"] == pytest.approx(10, abs=0.2)


def test_the_3d_view_is_framed_anew_when_people_leave_it():
    """Nobody at first; then somebody who walks out of the first framing: she stays in the 3D view."""
    motion, picture, framings = walking(people=1, frames=100), LivePicture(Settings()), 0
    [track] = motion.tracks.values()
    for i in range(100):
        moved = track.root[[i]] + np.float32([0.06 * max(0, i - 30), 0, 0])
        row = Track(1, [i], *(getattr(track, name)[[i]] for name in ("times", "boxes", "points", "scores", "joints3d")), moved, [True])
        now, before = replace(motion, tracks={1: row} if i >= 10 else {}), picture.full
        people = picture.people(now, i / 25)
        image = picture.whole(np.zeros((480, 640, 3), np.uint8), now, people, i / 25)
        framings += picture.full is not before
        if people:
            place, _ = picture.full._scene.view.project(people[0].joints, 0.0)
            width, height = picture.full._panel
            inside = ((place > 0) & (place < (width, height))).all(1)
            assert inside.all() if picture.framed == i / 25 else inside.mean() > 0.8
            assert image.shape[1] > 640
    assert 3 <= framings <= 6 and len(people[0].trail) > 40


def test_a_window_where_there_is_a_display(monkeypatch, walkers, made):
    """With a GUI build of OpenCV and a display the picture goes into a window until q, Esc or closing it; here both are stand-ins."""
    shown, keys, visible = [], [255, 255, ord("q")], [1.0]
    monkeypatch.setattr("cv2.imshow", lambda title, image: shown.append(image), raising=False)
    monkeypatch.setattr("cv2.waitKey", lambda wait: keys.pop(0) if keys else 255, raising=False)
    monkeypatch.setattr("cv2.getWindowProperty", lambda title, what: visible[0], raising=False)
    monkeypatch.setattr("cv2.getBuildInformation", lambda: "  GUI:                           NONE\n")
    monkeypatch.setenv("DISPLAY", ":0")
    assert not window.available()
    monkeypatch.setattr("cv2.getBuildInformation", lambda: "  GUI:                           QT5\n")
    assert window.available()
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert window.available() == (not sys.platform.startswith("linux"))
    settings, info = Settings(device="cpu", causal=True), video.probe(walkers)
    show = Show(settings, win=window.Window())
    ending = watch(in_real_time(video.frames(walkers), ToldClock()), info, Live(info, settings, made), show, clock=ToldClock())
    assert (ending.code, ending.frames, len(shown)) == (0, 3, 3)
    assert shown[0].shape[0] > info.height or shown[0].shape[1] > info.width
    keys[:] = [27]
    assert not show.window.show(None)
    visible[0] = 0.0
    assert not show.window.show(None)


def refused(capsys, *words):
    assert main([str(word) for word in words]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    return line


def test_faults_are_one_line(capsys, tmp_path, walkers):
    assert "--serve is for live sources" in refused(capsys, "--video", walkers, "--serve", "--output", tmp_path / "o.mp4")
    assert "--token" in refused(capsys, "--video", walkers, "--realtime", "--serve", "0", "--host", "0.0.0.0")
    assert "--downsample is for files" in refused(capsys, "--webcam", "0", "--downsample", "2")
    assert "--start, --end" in refused(capsys, "--webcam", "0", "--start", "2")
    assert "--show is for files" in refused(capsys, "--webcam", "0", "--show")
    assert "say the same" in refused(capsys, "--webcam", "0", "--record", "a.mp4", "--output", "b.mp4")
    assert "port from 0" in refused(capsys, "--webcam", "0", "--serve", "70000")
    assert "seconds from 0" in refused(capsys, "--webcam", "0", "--reconnect", "-1")
    assert "no tracker 'nobody'" in refused(capsys, "--webcam", "0", "--tracker", "nobody")
    assert "avi" in refused(capsys, "--webcam", "0", "--record", tmp_path / "out.avi")
    assert "cannot be read" in refused(capsys, "--webcam", "http://127.0.0.1:9/none.mjpg", "--serve", "0")


def test_a_file_played_live_to_its_end(walkers, tmp_path, capsys):
    call = ["--video", walkers, "--realtime", "--serve", "0", "--record", tmp_path / "out.gif", "--layout", "overlay"]
    assert main([str(word) for word in call]) == 0
    said = capsys.readouterr()
    shown, skipped = (int(number) for number in re.search(r"(\d+) frames shown, (\d+) skipped", said.err).groups())
    assert 0 < shown <= 50 and shown + skipped in (49, 50) and "out.gif" in said.out
    assert export.load(tmp_path / "out.npz").info.frames == shown
    assert main([*(str(word) for word in call), "--limit", "2"]) == 0
    assert "2 frames shown" in capsys.readouterr().err


def test_a_full_disk_stops_the_recording_and_not_the_view(walkers, tmp_path, monkeypatch, capsys):
    from app.writer import WriteError

    def full(self, image, when):
        raise WriteError("out.mp4: no space left on the disk")

    monkeypatch.setattr("app.writer._Video.write", full)
    call = ["--video", walkers, "--realtime", "--serve", "0", "--record", tmp_path / "out.mp4", "--limit", "2", "--device", "cpu"]
    assert main([str(word) for word in call]) == 1
    said = capsys.readouterr()
    assert "no space left" in said.err and "2 frames shown" in said.err and "Traceback" not in said.err


def test_a_port_that_is_taken(walkers, capsys):
    with Page() as page:
        line = refused(capsys, "--video", walkers, "--realtime", "--serve", page.port)
        assert f"port {page.port}" in line
    with pytest.raises(InputError, match="token"), Page("0.0.0.0"):
        pass
