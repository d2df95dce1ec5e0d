"""Writing: exact frame times, sound in step, files that are whole or playable, one clear line for what goes wrong."""

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from app import encoder, video
from app.writer import WriteError, check_output, open_writer
from core.errors import BrokenVideo, InputError
from core.records import VideoInfo
from tests import media
from tests.conftest import hear_ctrl_c

NTSC = Fraction(30000, 1001)
CONSTANT = [k / NTSC for k in range(20)]
VARIABLE = [Fraction(1, 30), Fraction(1, 10), Fraction(3, 20), Fraction(1, 2), Fraction(14, 25), 2]
INFO = VideoInfo(96, 64, Fraction(25))


def write(path, times, shape=(96, 64), fps=25, **options):
    with open_writer(path, VideoInfo(*shape, Fraction(fps)), **options) as writer:
        for index, when in enumerate(times):
            writer.write(media.picture(index, *shape), float(when))
    return str(path)


def shown(path):
    return [media.number(frame.image) for frame in video.frames(path)]


def alone(folder):
    """The names in a folder: nothing partial may be left there."""
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("times", [CONSTANT, VARIABLE, [0]], ids=["ntsc", "variable", "one"])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_times_are_those_given_to_a_tick(tmp_path, suffix, times):
    path = write(tmp_path / f"a{suffix}", times, fps=NTSC)
    written, end = media.packets(path)
    with av.open(path) as container:
        stream = container.streams.video[0]
        tick = stream.time_base
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ({".mp4": "h264", ".webm": "vp9"}[suffix], "yuv420p")
    assert all(abs(a - b) <= tick / 2 for a, b in zip(written, times, strict=True))
    assert abs(end - times[-1] - 1 / NTSC) <= 2 * tick
    assert shown(path) == list(range(len(times)))
    assert alone(tmp_path) == [f"a{suffix}"]


@pytest.mark.parametrize("fps", [10, 12.5, 16.67, 24, 25])
def test_gif_times_are_honest(tmp_path, fps):
    times = [k / fps for k in range(40)]
    written, end = media.packets(write(tmp_path / "a.gif", times, fps=fps))
    assert np.abs(np.array(written, float) - times).max() <= 0.005 + 1e-9  # a GIF counts in hundredths; no error adds up
    assert float(end) == pytest.approx(40 / fps, abs=0.01)


@pytest.mark.parametrize("fps", [29.97, 30, 50, 60, 120])
def test_gif_is_at_most_25_a_second_and_keeps_its_length(tmp_path, fps):
    path = write(tmp_path / "a.gif", [k / fps for k in range(61)], fps=fps)
    written, end = media.packets(path)
    assert min(np.diff(written)) >= Fraction(4, 100)
    assert all(min(abs(float(t) - k / fps) for k in range(61)) <= 0.005 + 1e-9 for t in written)
    assert float(end) == pytest.approx(61 / fps, abs=0.01)
    assert b"NETSCAPE2.0\x03\x01\x00\x00" in Path(path).read_bytes()  # for ever


def test_gif_of_variable_rate(tmp_path):
    written, end = media.packets(write(tmp_path / "a.gif", VARIABLE, fps=10))
    assert np.allclose(np.array(written, float), np.array(VARIABLE, float) - 1 / 30, atol=0.0051)
    assert float(end) == pytest.approx(2 - 1 / 30 + 0.1, abs=0.01)


def test_gif_colours_come_from_the_samples(tmp_path):
    """A colour that only comes late is there when the samples have it."""
    late = np.full((64, 96, 3), (250, 10, 200), np.uint8)
    pictures = [media.picture(k % 3) for k in range(60)] + [late]
    for samples in (None, pictures[::20]):
        with open_writer(tmp_path / "a.gif", INFO, palette_frames=samples and iter(samples)) as writer:
            for index, picture in enumerate(pictures):
                writer.write(picture, index / 25)
        frames = list(video.frames(tmp_path / "a.gif"))
        assert len(frames) == 61
        wrong = np.abs(frames[-1].image.astype(int) - late).max()
        assert wrong <= 8 if samples else wrong > 8


def test_memory_of_a_gif_does_not_grow(tmp_path):
    import psutil

    def used(frames):
        writer = open_writer(tmp_path / "a.gif", VideoInfo(320, 240, Fraction(25)))
        with writer:
            for index in range(frames):
                writer.write(media.picture(index % 256, 320, 240), index / 25)
            return psutil.Process(writer.encoder.process.pid).memory_info().rss

    assert used(400) < used(100) + 20e6  # 300 pictures would be 69 MB


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_odd_sizes_and_scaling(tmp_path, suffix):
    even = (97, 65) if suffix == ".gif" else (98, 66)
    for options, size in (({}, even), ({"size": (50, 40)}, (50, 40))):
        info = video.probe(write(tmp_path / f"a{suffix}", [0, 0.1], (97, 65), **options))
        assert (info.width, info.height) == size
        assert shown(tmp_path / f"a{suffix}") == [0, 1]


def test_colours_survive(tmp_path):
    for suffix in (".mp4", ".webm"):
        path = str(tmp_path / f"a{suffix}")
        with open_writer(path, INFO) as writer:
            for value in (20, 128, 235):
                writer.write(np.full((480, 640, 3), value, np.uint8), value / 10)
        assert [abs(int(f.image[9, 9, 1]) - v) <= 2 for f, v in zip(video.frames(path), (20, 128, 235), strict=True)] == [True] * 3
        with av.open(path) as container:
            frame = next(container.decode(video=0))
            assert (frame.colorspace, frame.color_range) == (1, 1)  # BT.709, limited
        assert np.abs(next(video.frames(write(path, [0], (640, 480)))).image[9, 9].astype(int) - media.CORNERS["top left"]).max() <= 6


def test_mp4_is_ready_for_the_web(tmp_path):
    data = Path(write(tmp_path / "a.mp4", CONSTANT, bitrate=500)).read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")
    assert b"moof" not in data


@pytest.mark.parametrize(("source", "suffix", "codec"), [("a.mp4", ".mp4", "aac"), ("a.webm", ".mp4", "aac"), ("a.mkv", ".mp4", "aac"),
                                                         ("a.mp4", ".webm", "opus"), ("a.ts", ".mp4", "aac")])
@pytest.mark.parametrize("start", [None, 1.3])
def test_sound_is_in_step(tmp_path, source, suffix, codec, start):
    """The tone's clicks at whole seconds of the source are heard with the frames of that second."""
    source = media.video(tmp_path / source, 90, fps=30, sound=3)
    clicks = media.clicks(source)
    assert len(clicks) == 3
    path, info = tmp_path / f"out{suffix}", video.probe(source)
    with av.open(source) as container:
        zero = container.start_time / 1e6 if source.endswith(".ts") else 0.0
    with open_writer(path, info, audio_from=source, audio_range=(start, 2.5)) as writer:
        for frame in video.frames(source, start=start, end=2.5):
            writer.write(frame.image, frame.time)
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.name == codec
    heard, begin = media.clicks(path), start or 0.0
    expected = [click - zero - begin for click in clicks if begin < click - zero < 2.5]
    assert np.allclose(heard, expected, atol=0.01)
    assert media.packets(path)[0][0] < 0.04
    assert media.packets(path, "audio")[1] == pytest.approx(2.5 - begin, abs=0.06)


def test_sound_after_skipped_frames(tmp_path):
    source = media.video(tmp_path / "a.mp4", 90, fps=30, sound=3)
    with open_writer(tmp_path / "b.mp4", INFO, audio_from=source) as writer:
        for frame in video.frames(source, skip=45):
            writer.write(frame.image, frame.time)
    assert media.clicks(tmp_path / "b.mp4") == pytest.approx([0.5], abs=0.01)


def test_sound_of_a_broken_source(tmp_path):
    source = media.cut(media.video(tmp_path / "a.mkv", 90, (320, 240), sound=3), 0.6)
    with pytest.raises(BrokenVideo), open_writer(tmp_path / "b.mp4", INFO, audio_from=source) as writer:
        for frame in video.frames(source):
            writer.write(frame.image, frame.time)
    assert media.clicks(tmp_path / "b.mp4") == pytest.approx([0, 1], abs=0.03)
    assert media.packets(tmp_path / "b.mp4", "audio")[1] == pytest.approx(media.packets(tmp_path / "b.mp4")[1], abs=0.3)


def test_no_sound_to_take_over(tmp_path):
    folder = media.folder(tmp_path / "shots", 3)
    for source in (folder, media.video(tmp_path / "a.mp4", 3), f"{folder}/shot0.png"):
        with av.open(write(tmp_path / "b.mp4", [0, 0.1], audio_from=source)) as container:
            assert not container.streams.audio


@pytest.mark.parametrize("known", [0, 1])
def test_a_sound_of_unknown_make_is_passed_over(tmp_path, known):
    made = media.spatial(tmp_path / "phone.mp4", media.video(tmp_path / "a.mp4", 60, sound=2), known)
    assert video.probe(made).has_audio == bool(known)
    write(tmp_path / "b.mp4", [0, 1.5], audio_from=made)
    with av.open(tmp_path / "b.mp4") as container:
        assert len(container.streams.audio) == known
    assert not known or media.clicks(tmp_path / "b.mp4") == pytest.approx([0, 1], abs=0.03)


def test_sound_that_cannot_be_decoded_does_not_cost_the_picture(tmp_path, monkeypatch):
    source = media.video(tmp_path / "a.mp4", 30, sound=1)
    monkeypatch.setitem(encoder.NEW_SOUND, ".webm", {"acodec": "nonesuch"})
    with pytest.warns(UserWarning, match="sound"):
        write(tmp_path / "b.webm", [0, 0.1], audio_from=source)
    assert shown(tmp_path / "b.webm") == [0, 1]
    assert alone(tmp_path) == ["a.mp4", "b.webm"]


def test_awkward_names(tmp_path):
    for name in ("12:30 50%d.mp4", "-y.gif", "ä'b\"c.webm"):
        assert shown(write(tmp_path / name, [0, 0.1])) == [0, 1]


def test_pictures(tmp_path, capfd):
    cases = {"p/*.png": "000000.png", "j/%04d.jpg": "0000.jpg", "slash/": "000000.png", "pre/shot_*.jpeg": "shot_000000.jpeg"}
    for path, first in cases.items():
        write(f"{tmp_path}/{path}", [0, 0.1, 0.2])
        folder = tmp_path / path.split("/")[0]
        assert len(alone(folder)) == 3 and alone(folder)[0] == first
        assert shown(folder) == [0, 1, 2]
    assert np.array_equal(next(video.frames(tmp_path / "p")).image, media.picture(0))
    assert shown(write(tmp_path / "new" / "one.png", [0])) == [0]
    with pytest.raises(InputError, match="one picture"):
        write(tmp_path / "two.png", [0, 1])
    assert shown(write(tmp_path / "still.mp4", [0])) == [0]
    assert not capfd.readouterr().err  # OpenCV complains of settings that a format does not have


def test_outputs_that_cannot_be_are_told_at_once(tmp_path):
    source = media.video(tmp_path / "in.mp4", 2)
    (tmp_path / "file").touch()
    for path, reason in {"a.xyz": "not a kind", "a": "not a kind", "file/a.mp4": "cannot be written"}.items():
        for check in (check_output, lambda p: open_writer(p, INFO)):
            with pytest.raises(InputError, match=reason) as caught:
                check(tmp_path / path)
            assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="overwrite"):
        check_output(source, source)
    check_output(tmp_path / "deep" / "er" / "a.mp4")
    assert not alone(tmp_path / "deep" / "er")


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
@pytest.mark.parametrize(("error", "name"), [(KeyboardInterrupt(), "a"), (BrokenVideo(10, "cut"), "a"), (RuntimeError(), "a.partial")])
def test_an_early_end_leaves_a_playable_file(tmp_path, suffix, error, name):
    with pytest.raises(type(error)), open_writer(tmp_path / f"a{suffix}", INFO) as writer:
        for index in range(30):
            writer.write(media.picture(index), index / 25)
        raise error
    assert alone(tmp_path) == [name + suffix]
    assert shown(tmp_path / (name + suffix)) == list(range(30))


def test_nothing_written_is_an_error(tmp_path):
    with pytest.raises(WriteError, match="no picture"):
        write(tmp_path / "a.mp4", [])
    assert not alone(tmp_path)


WORKER = """
import sys, time
from fractions import Fraction
from app.writer import open_writer
from core.records import VideoInfo
from tests import media
with open_writer(sys.argv[1], VideoInfo(320, 240, Fraction(25))) as writer:
    for index in range(100000):
        writer.write(media.picture(index % 256, 320, 240), index / 25)
        if index == 400:
            print("ready", flush=True)
        time.sleep(0.0005)
"""


def worker(path):
    process = subprocess.Popen([sys.executable, "-c", WORKER, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               cwd=Path(__file__).parent.parent, start_new_session=True, env=os.environ | {"PYTHONPATH": "."},
                               preexec_fn=hear_ctrl_c)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_ctrl_c_reaches_the_whole_group_and_the_file_is_whole(tmp_path, suffix):
    process = worker(tmp_path / f"a{suffix}")
    os.killpg(process.pid, signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=60)[1]
    assert alone(tmp_path) == [f"a{suffix}"]
    numbers = shown(tmp_path / f"a{suffix}")
    assert len(numbers) > 400 and numbers == [k % 256 for k in range(len(numbers))]


def test_a_killed_run_leaves_a_playable_partial(tmp_path):
    process = worker(tmp_path / "a.mp4")
    process.kill()
    process.communicate(timeout=60)
    time.sleep(0.5)  # the encoder sees the end of its pipe and finishes by itself
    assert alone(tmp_path) == ["a.partial.mp4"]
    assert len(shown(tmp_path / "a.partial.mp4")) > 150


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_a_dead_encoder_is_one_line(tmp_path, suffix):
    with pytest.raises(WriteError) as caught, open_writer(tmp_path / f"a{suffix}", INFO) as writer:  # noqa: PT012
        for index in range(100000):
            writer.write(media.picture(index % 256, 320, 240), index / 25)
            if index == 100:
                writer.encoder.process.kill()
    assert "\n" not in str(caught.value) and f"a.partial{suffix}" in str(caught.value)
    assert alone(tmp_path) in ([f"a.partial{suffix}"], [])


def test_an_encoder_that_will_not_start(tmp_path, monkeypatch):
    monkeypatch.setitem(encoder.CODECS, ".mp4", {"vcodec": "nonesuch"})
    with pytest.raises(WriteError, match="nonesuch") as caught:
        write(tmp_path / "a.mp4", CONSTANT * 50)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_a_full_disk_is_one_line(tmp_path, suffix):
    (tmp_path / f"a.partial{suffix}").symlink_to("/dev/full")
    with pytest.raises(WriteError, match="no space left") as caught:
        write(tmp_path / f"a{suffix}", [k / 25 for k in range(2000)], (320, 240))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / f"a{suffix}").exists()
