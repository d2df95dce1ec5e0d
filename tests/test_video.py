"""Reading: every kind of source, exact indices and times, upright pictures, damage."""

import itertools
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from app import video
from core.errors import BrokenVideo, InputError
from tests import media

KINDS = {
    "h264.mp4": {"options": {"g": "12", "bf": "3"}},
    "open.mp4": {"options": {"g": "12", "bf": "3", "x264-params": "open-gop=1"}},
    "h264.mov": {},
    "hevc.mkv": {"codec": "libx265", "options": {"x265-params": "keyint=12:open-gop=1:bframes=4:log-level=none"}},
    "vp9.webm": {"options": {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "5"}},
    "vp8.webm": {"codec": "libvpx", "options": {"g": "12"}},
    "mpeg4.avi": {},
    "h264.ts": {"options": {"g": "12"}},
    "plain.gif": {"fps": 10},
    "broadcast.mxf": {"codec": "mpeg2video", "fps": 25},
    "bare.h264": {"codec": "libx264", "fps": 25},
    "bare.mjpeg": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "fps": 25},
}
COUNT = 40


def numbers(frames):
    return [media.number(frame.image) for frame in frames]


@pytest.mark.parametrize("name", KINDS)
def test_every_container(tmp_path, name):
    options = {"fps": 30} | KINDS[name]
    path = media.video(tmp_path / name, COUNT, **options)
    info, frames = video.probe(path), list(video.frames(path))
    assert (info.width, info.height, info.fps, info.rotation, info.has_audio) == (96, 64, options["fps"], 0, False)
    assert info.frames in (COUNT, None)
    assert [frame.index for frame in frames] == numbers(frames) == list(range(COUNT))
    assert np.allclose([frame.time for frame in frames], np.arange(COUNT) / options["fps"], atol=6e-4)  # half a tick of matroska
    assert all(media.corners(frame.image) == list(media.CORNERS) for frame in frames)


@pytest.mark.parametrize("name", KINDS)
def test_beginning_in_the_middle_changes_no_index_and_no_time(tmp_path, name):
    path = media.video(tmp_path / name, COUNT, **KINDS[name])
    whole = list(video.frames(path))
    for start in [frame.time for frame in whole[::5]] + [whole[20].time + 0.001, 99]:
        part, expected = list(itertools.islice(video.frames(path, start=start), 4)), [f for f in whole if f.time >= start][:4]
        assert [(f.index, f.time) for f in part] == [(f.index, f.time) for f in expected]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(part, expected, strict=True))
    for skip in range(0, COUNT + 4, 4):
        assert numbers(video.frames(path, skip=skip, limit=2)) == list(range(COUNT))[skip : skip + 2]


def test_range_skip_stride_and_limit(tmp_path):
    path = media.video(tmp_path / "a.mp4", 60, fps=30)
    assert [f.index for f in video.frames(path, start=0.5, end=1.0)] == list(range(15, 30))
    assert [f.index for f in video.frames(path, start=0.5, end=1.0, skip=3, stride=4, limit=2)] == [18, 22]
    assert [f.index for f in video.frames(path, skip=50, stride=4)] == [50, 54, 58]
    assert not list(video.frames(path, limit=0)) + list(video.frames(path, start=1.0, end=1.0))
    with pytest.raises(InputError, match="stride"):
        next(video.frames(path, stride=0))


def test_ntsc_rate_is_exact(tmp_path):
    path = media.video(tmp_path / "a.mp4", 5, fps="30000/1001")
    assert video.probe(path).fps == Fraction(30000, 1001)
    assert [f.time for f in video.frames(path)] == [float(Fraction(1001 * k, 30000)) for k in range(5)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_variable_rate_is_kept(tmp_path, suffix):
    times = [0, Fraction(1, 10), Fraction(3, 20), Fraction(1, 2), Fraction(13, 25), 2]
    path = media.video(tmp_path / f"a{suffix}", 6, times=times)
    assert [f.time for f in video.frames(path)] == pytest.approx([float(t) for t in times], abs=1e-9)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_turned_and_mirrored(tmp_path, turned, mirrored):
    path = media.video(tmp_path / "a.mp4", 2, turned=turned, mirrored=mirrored)
    expected = np.rot90(media.picture(0), -turned // 90)
    expected = expected[:, ::-1] if mirrored else expected
    info, frame = video.probe(path), next(video.frames(path))
    assert (info.height, info.width) == frame.image.shape[:2] == expected.shape[:2]
    assert info.rotation == (turned if not mirrored else -turned % 360)
    assert media.corners(frame.image) == media.corners(expected)
    assert np.abs(frame.image.astype(int) - expected).mean() < 3


@pytest.mark.parametrize(("name", "options", "tolerance"), [
    ("ten.mp4", {"pix_fmt": "yuv420p10le"}, 4),
    ("odd.mp4", {"pix_fmt": "yuv444p", "size": (97, 65)}, 3),
    ("odd.webm", {"size": (97, 65)}, 3),
    ("full.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}, 3),
    ("alpha.mov", {"codec": "prores_ks", "pix_fmt": "yuva444p10le"}, 1),
    ("rgba.mkv", {"codec": "ffv1", "pix_fmt": "bgra"}, 0.01),
])
def test_pixel_formats_and_odd_sizes(tmp_path, name, options, tolerance):
    path = media.video(tmp_path / name, 2, **options)
    image, expected = next(video.frames(path)).image, media.picture(0, *options.get("size", (96, 64)))
    assert image.shape == expected.shape and image.flags.c_contiguous
    assert np.abs(image.astype(int) - expected).mean() < tolerance


@pytest.mark.parametrize("pix_fmt", ["gray", "gray16le"])
def test_grey(tmp_path, pix_fmt):
    image = next(video.frames(media.video(tmp_path / "a.mkv", 2, codec="ffv1", pix_fmt=pix_fmt))).image
    assert (image == image[..., :1]).all()
    assert np.abs(image[..., 0] - media.picture(0) @ [0.299, 0.587, 0.114]).mean() < 1


def test_clear_pixels_are_white(tmp_path):
    path = str(tmp_path / "a.mkv")
    clear = np.dstack([media.picture(0), np.full((64, 96), 255, np.uint8)])
    clear[:, :48, 3], clear[:32, :48, 3] = 0, 128
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "bgra"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(clear, format="rgba")))
        container.mux(stream.encode(None))
    Image.fromarray(clear).save(tmp_path / "a.png")
    for source in (path, tmp_path / "a.png"):
        image = next(video.frames(source)).image.astype(int)
        assert (image[40:, :40] == 255).all()
        assert np.abs(image[5, 5] - (np.array(media.CORNERS["top left"]) + 255) / 2).max() <= 2
        assert (image[5, 90] == media.CORNERS["top right"]).all()


def test_size_and_clock_may_change_in_the_middle(tmp_path):
    """Two recordings in one file, as broadcasts and browsers make them: pictures keep the first size, times go on."""
    parts = [media.video(tmp_path / f"{k}.ts", 10, size, fps=30) for k, size in enumerate([(96, 64), (192, 128)])]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(Path(part).read_bytes() for part in parts))
    frames = list(video.frames(both))
    assert {frame.image.shape for frame in frames} == {(64, 96, 3)}
    assert numbers(frames) == [*range(10), *range(10)]
    assert np.allclose(np.diff([frame.time for frame in frames]), 1 / 30, atol=1e-4)


def test_camera(monkeypatch):
    class Camera:
        def __init__(self, number):
            self.left = 3

        def isOpened(self):  # noqa: N802 - OpenCV's name
            return True

        def get(self, what):
            return {video.cv2.CAP_PROP_FRAME_WIDTH: 96.0, video.cv2.CAP_PROP_FRAME_HEIGHT: 64.0}.get(what, 29.97)

        def read(self):
            self.left -= 1
            return self.left >= 0, np.ascontiguousarray(media.picture(7)[..., ::-1])

        def release(self):
            released.append(True)

    released = []
    monkeypatch.setattr(video.cv2, "VideoCapture", Camera)
    info = video.probe("0")
    assert (info.width, info.height, info.fps, info.frames) == (96, 64, Fraction(2997, 100), None)
    assert numbers(video.frames(0, limit=2)) == [7, 7]
    seen = []
    with pytest.raises(BrokenVideo, match="camera"):
        for frame in video.frames(0):
            seen.append(frame)
    assert [frame.index for frame in seen] == [0, 1, 2] and seen[0].time == 0 and len(released) == 3


def test_sound_is_seen(tmp_path):
    assert video.probe(media.video(tmp_path / "a.mp4", sound=1.0)).has_audio


def test_folder_glob_pattern_and_single_picture(tmp_path):
    folder = media.folder(tmp_path / "shots", 12)
    (tmp_path / "shots" / "notes.txt").write_text("not a picture")
    for source in (folder, f"{folder}/*.png", f"{folder}/shot%d.png"):
        info, frames = video.probe(source), list(video.frames(source))
        assert (info.width, info.height, info.fps, info.frames) == (96, 64, 25, 12)
        assert numbers(frames) == [f.index for f in frames] == list(range(12))  # shot9 before shot10
        assert [f.time for f in frames] == [k / 25 for k in range(12)]
    assert video.probe(folder, "30000/1001").fps == Fraction(30000, 1001)
    assert [f.time for f in video.frames(folder, fps=10, start=0.5, limit=2)] == [0.5, 0.6]
    assert video.probe(f"{folder}/shot3.png").frames == 1
    assert numbers(video.frames(f"{folder}/shot3.png")) == [3]
    for rate in (0, -1, "fast"):
        with pytest.raises(InputError, match="frame rate"):
            video.probe(folder, rate)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    stored = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.swapaxes(0, 1), 6: np.rot90,
              7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: lambda a: np.rot90(a, -1)}[orientation](media.picture(0))
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    image = next(video.frames(tmp_path / "a.jpg")).image
    assert image.shape == (64, 96, 3)
    assert media.corners(image) == list(media.CORNERS)


@pytest.mark.parametrize("mode", ["L", "P", "LA", "CMYK", "1", "I;16"])
def test_kinds_of_stills(tmp_path, mode):
    grey = media.picture(5)[..., 0]
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(media.picture(5)).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    assert numbers(video.frames(path)) == [5]
    if mode == "I;16":
        assert (next(video.frames(path)).image[..., 0] == grey).all()


def cut_short(path, share):
    """A video of 90 frames cut off; mp4 has its index in front, as a broken download does."""
    whole = media.video(path.with_name("whole" + path.suffix), 90, (320, 240), options={"g": "15"})
    if path.suffix != ".mp4":
        return media.cut(whole, share)
    with av.open(whole) as source, av.open(str(path), "w", options={"movflags": "+faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return media.cut(path, share)


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".webm", ".gif"])
def test_a_cut_file_gives_what_it_has_and_says_where_it_breaks(tmp_path, suffix, share):
    path, seen = cut_short(tmp_path / f"a{suffix}", share), []
    with pytest.raises(BrokenVideo) as caught:
        for frame in video.frames(path):
            seen.append(frame)
    assert numbers(seen) == [f.index for f in seen] == list(range(caught.value.frame))
    assert 10 < len(seen) < 90
    assert str(len(seen)) in str(caught.value) and "\n" not in str(caught.value)


def test_damage_in_the_middle(tmp_path):
    path, seen = tmp_path / "a.mp4", []
    media.video(path, 90, (320, 240), options={"g": "15"})
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half : half + len(data) // 20] = b"\xa5" * (len(data) // 20)
    path.write_bytes(data)
    with pytest.raises(BrokenVideo) as caught:
        for frame in video.frames(path):
            seen.append(frame)
    assert numbers(seen) == list(range(caught.value.frame)) and 10 < len(seen) < 80
    assert len(list(video.frames(path, limit=10))) == 10  # what is not read cannot break


def test_a_broken_or_odd_picture_in_a_folder(tmp_path):
    folder = media.folder(tmp_path / "a", 4)
    media.cut(f"{folder}/shot2.png", 0.5)
    with pytest.raises(BrokenVideo, match="shot2.png") as caught:
        list(video.frames(folder))
    assert caught.value.frame == 2
    media.folder(folder, 1, (50, 40), first=2)
    with pytest.raises(BrokenVideo, match="50x40"):
        list(video.frames(folder))


def test_what_cannot_be_read_is_told_in_one_line(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video " * 1000)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "notes.xyz").write_text("hello")
    (tmp_path / "folder").mkdir()
    media.cut(media.video(tmp_path / "cut.mp4", 60, (320, 240)), 0.5)  # its index was at the end
    media.cut(media.video(tmp_path / "header.mkv", 60), 0.01)
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        media._sing(container, container.add_stream("aac", rate=48000), 1)
    cases = {"empty.mp4": "empty", "text.mp4": "cannot be read", "text.png": "not a picture", "notes.xyz": "not a kind", "folder": "no pictures",
             "cut.mp4": ":", "header.mkv": ":", "sound.mp4": "no video", "missing.mp4": "no such file", "*.jpg": "no pictures"}
    for name, reason in cases.items():
        with pytest.raises(InputError, match=reason) as caught:
            video.probe(str(tmp_path / name))
        assert "\n" not in str(caught.value) and name.split("*")[0] in str(caught.value)
    for source in ("rtsp://127.0.0.1:9/none", "http://127.0.0.1:9/none.mp4", 99):
        with pytest.raises(InputError):
            video.probe(source)


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    path = media.video(tmp_path / "a.mp4", 2)
    os.chmod(path, 0)
    with pytest.raises(InputError, match="permission"):
        video.probe(path)


def test_live_sources_are_known():
    assert video.is_live(0) and video.is_live("1") and video.is_live("rtsp://camera/stream")
    assert not video.is_live("a.mp4") and not video.is_live("file:///a.mp4")


def test_http(tmp_path):
    import functools
    import http.server
    import threading

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    media.video(tmp_path / "a.webm", 10)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        assert numbers(video.frames(address + "a.webm")) == list(range(10))
        with pytest.raises(InputError):
            video.probe(address + "b.webm")
        server.shutdown()


SHARED = os.path.join(os.path.dirname(__file__), "..", "..", "shared", "video")
CLIPS = {"sports2d_demo.mp4": (230, 1768, 994, 30),
         "pose2sim_single_cam01.mp4": (100, 1080, 1920, 60), "pose2sim_multi_cam01.mp4": (100, 1088, 1920, 60),
         "intel_one_by_one_person.mp4": (1394, 768, 432, 10), "intel_worker_zone.gif": (71, 480, 270, Fraction(50, 3)),
         "intel_two_people_walking.gif": (35, 480, 270, Fraction(25, 2)), "intel_asl_walk.mkv": (89, 640, 480, 30),
         "intel_asl_again.mkv": (77, 640, 480, 30), "intel_asl_sister.mkv": (87, 640, 480, 30)}


@pytest.mark.shared
@pytest.mark.skipif(not os.path.isdir(SHARED), reason="the folder with real clips is not beside the repository")
@pytest.mark.parametrize("name", CLIPS)
def test_real_clips(name):
    path, (count, width, height, fps) = os.path.join(SHARED, name), CLIPS[name]
    info = video.probe(path)
    times = [frame.time for frame in video.frames(path) if frame.image.shape == (height, width, 3)]
    assert (info.width, info.height, info.fps, len(times)) == (width, height, fps, count)
    assert (np.diff(times) > 0).all()
