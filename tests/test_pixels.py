"""From stored to shown pictures: pixels that are not square, lines of two moments, HDR."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorTrc

from app import pixels, video

WIDTH, HEIGHT = 320, 192
RAMP = np.tile(np.linspace(0, 65535, WIDTH).astype(np.uint16)[None, :, None], (HEIGHT, 1, 3))


def write(path, images, codec="libx264", pix_fmt="yuv420p", options=None, ratio=None, colours=None, turned=0):
    """A video file; `ratio` of a pixel's sides, `colours` (transfer function, primaries)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = images[0].shape[1], images[0].shape[0], pix_fmt
        if ratio:
            stream.codec_context.sample_aspect_ratio = ratio
        if turned:
            stream.set_display_rotation(-turned)
        for target in [stream.codec_context] if colours else []:
            target.color_trc, target.color_primaries = colours
        for index, image in enumerate(images):
            form = "rgb24" if image.dtype == np.uint8 else "rgb48le"
            frame = av.VideoFrame.from_ndarray(image, format=form).reformat(format=pix_fmt)
            if colours:
                frame.color_trc, frame.color_primaries = colours
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


@pytest.mark.parametrize(("ratio", "turned", "size"), [
    (Fraction(4, 3), 0, (427, 192)), (Fraction(8, 9), 0, (320, 216)), (Fraction(4, 3), 90, (192, 427)), (Fraction(1000, 999), 0, (320, 192))])
def test_pixels_that_are_not_square_are_made_so(tmp_path, ratio, turned, size):
    path = write(tmp_path / "wide.mp4", [(RAMP >> 8).astype(np.uint8)] * 2, ratio=ratio, turned=turned)
    info = video.probe(path)
    assert (info.width, info.height) == size
    for frame in video.frames(path):
        assert frame.image.shape[1::-1] == size


def test_a_senseless_ratio_of_sides_is_none():
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    assert [pixels.square(frame, ratio) for ratio in (None, 0, Fraction(1, 50), 50)] == [(WIDTH, HEIGHT)] * 4


def moving(x):
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    image[40:150, x : x + 40] = 220
    image[10:30:2, 100:220] = 90  # fine lines at rest
    return image


@pytest.mark.parametrize(("suffix", "codec", "options"), [
    (".mpg", "mpeg2video", {"flags": "+ildct+ilme", "qscale": "2"}), (".mp4", "libx264", {"x264-params": "interlaced=1:tff=1", "crf": "4"})])
def test_lines_of_another_moment_are_mended(tmp_path, suffix, codec, options):
    first, second = ([moving(20 + late + 20 * i) for i in range(4)] for late in (0, 10))
    torn = [image.copy() for image in first]
    for image, later in zip(torn, second, strict=True):
        image[1::2] = later[1::2]
    seen = [frame.image for frame in video.frames(write(tmp_path / f"torn{suffix}", torn, codec, options=options))]
    moved = np.s_[35:155]
    for image, before, whole in zip(seen, torn, first, strict=True):
        assert np.abs(image[moved].astype(int) - whole[moved]).mean() < 0.3 * np.abs(before[moved].astype(int) - whole[moved]).mean()


def test_whole_pictures_are_not_touched(tmp_path):
    path = write(tmp_path / "whole.mkv", [moving(20), moving(60)], "ffv1", "bgr0")
    for frame, x in zip(video.frames(path), (20, 60), strict=True):
        np.testing.assert_array_equal(frame.image, moving(x))


@pytest.mark.parametrize(("transfer", "white"), [(ColorTrc.ARIB_STD_B67, 0.75), (ColorTrc.SMPTE2084, 0.581)])
def test_hdr_comes_in_ordinary_brightness(tmp_path, transfer, white):
    path = write(tmp_path / "hdr.mkv", [RAMP] * 2, "ffv1", "yuv444p10le", colours=(transfer, ColorPrimaries.BT2020))
    line = next(iter(video.frames(path))).image[HEIGHT // 2].astype(int)
    assert np.ptp(line, axis=1).max() <= 1  # grey stays grey
    assert np.diff(line[:, 0]).min() >= 0 and line[0, 0] == 0 and line[-1, 0] >= 253
    assert line[round(white * WIDTH), 0] == pytest.approx(232, abs=3)  # white of 203 cd/m2


def test_strong_colours_of_hdr_are_as_strong_in_bt709(tmp_path):
    sky = np.broadcast_to(np.array([0.3, 0.4, 0.6]) * 65535, (HEIGHT, WIDTH, 3)).astype(np.uint16)
    shown = [next(iter(video.frames(write(tmp_path / f"{name}.mkv", [sky], "ffv1", "yuv444p10le", colours=(ColorTrc.ARIB_STD_B67, name)))))
             .image[9, 9].astype(int) for name in (ColorPrimaries.BT709, ColorPrimaries.BT2020)]
    assert np.ptp(shown[1]) > 1.2 * np.ptp(shown[0])
