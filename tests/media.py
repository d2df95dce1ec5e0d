"""Videos and pictures made for the tests: every frame says which it is, every corner has its colour.

Corners of the shown picture: top left red, top right green, bottom left blue, bottom right white. The middle is a row of eight black or white
bars that spell the frame's number in binary, most significant first, so that it survives lossy coding.
"""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

CORNERS = {"top left": (230, 20, 20), "top right": (20, 200, 20), "bottom left": (20, 20, 230), "bottom right": (240, 240, 240)}
CODECS = {".webm": "libvpx-vp9", ".gif": "gif", ".avi": "mpeg4"}


def picture(number, width=96, height=64):
    """The test picture (height, width, 3) uint8 RGB of frame `number` (0 to 255)."""
    image = np.full((height, width, 3), 128, np.uint8)
    bars = np.linspace(0, width, 9).astype(int)
    for bit in range(8):
        image[height // 3 : 2 * height // 3, bars[bit] : bars[bit + 1]] = 255 * (number >> (7 - bit) & 1)
    for name, colour in CORNERS.items():
        rows = slice(0, height // 4) if "top" in name else slice(height - height // 4, height)
        columns = slice(0, width // 4) if "left" in name else slice(width - width // 4, width)
        image[rows, columns] = colour
    return image


def number(image):
    """The frame number that `picture` wrote, read back from a decoded image of any size."""
    height, width = image.shape[:2]
    columns = ((np.arange(8) + 0.5) * width / 8).astype(int)
    return int("".join("1" if image[height // 2, c].mean() > 127 else "0" for c in columns), 2)


def corners(image):
    """Which corner colour is found in each corner: the name of the nearest of CORNERS, in the order of CORNERS."""
    height, width = image.shape[:2]
    places = [(height // 10, width // 10), (height // 10, -width // 10), (-height // 10, width // 10), (-height // 10, -width // 10)]
    pixels = [image[y, x].astype(int) for y, x in places]
    return [min(CORNERS, key=lambda name: np.abs(pixel - CORNERS[name]).sum()) for pixel in pixels]


def video(path, count=30, size=(96, 64), fps=30, times=None, codec=None, pix_fmt="yuv420p", sound=None, turned=0, mirrored=False, options=None,
          tick=None):
    """Write a video and return its path as str.

    times: seconds of each frame, None = constant rate. sound: seconds of a tone with a click each whole second. turned: degrees clockwise by which a
    player turns the stored picture; mirrored: left-right flip after that. The stored pictures are those of `picture`. tick: seconds (Fraction).
    """
    path = str(path)
    codec = codec or CODECS.get(Path(path).suffix, "libx264")
    tick = tick or (Fraction(1, 100) if codec == "gif" else Fraction(1, 90000) if times is not None else 1 / Fraction(fps))
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps), options=options or {})
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.time_base = *size, "rgb8" if codec == "gif" else pix_fmt, tick
        if turned or mirrored:
            stream.set_display_rotation(-turned, hflip=mirrored)
        tone = container.add_stream("libopus" if path.endswith("webm") else "aac", rate=48000) if sound else None
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(picture(index % 256, *size), format="rgb24").reformat(format=stream.pix_fmt)
            time = Fraction(index) / Fraction(fps) if times is None else Fraction(times[index])
            frame.pts, frame.time_base = round(time / tick), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone:
            _sing(container, tone, sound)
    return path


def _sing(container, stream, seconds, rate=48000):
    time = np.arange(int(seconds * rate)) / rate
    wave = 0.05 * np.sin(2 * np.pi * 220 * time) + 0.9 * (time % 1 < 0.01) * np.sin(2 * np.pi * 1000 * time)
    for start in range(0, len(wave), 960):
        frame = av.AudioFrame.from_ndarray(np.tile(wave[start : start + 960].astype(np.float32), (2, 1)), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def clicks(path):
    """Times in seconds at which the clicks of a tone begin, on the container's clock."""
    with av.open(str(path)) as container:
        found, quiet = [], -1.0
        for frame in container.decode(audio=0):
            wave = frame.to_ndarray()
            wave = (wave if frame.format.is_planar else wave.reshape(-1, frame.layout.nb_channels).T)[0]
            for sample in np.flatnonzero(np.abs(wave) > 0.4):
                time = float(frame.pts * frame.time_base) + sample / frame.sample_rate
                if time > quiet:
                    found.append(time)
                quiet = time + 0.2
        return found


def spatial(path, source, known):
    """Write the video of `source` with a sound of a codec that nobody knows, and after it `known` times its own, as phones do; return the path."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        streams = [new.add_stream_from_template(stream) for stream in [*old.streams.video, *[old.streams.audio[0]] * (1 + known)]]
        for packet in old.demux():
            for stream in [] if packet.dts is None else streams[:1] if packet.stream.type == "video" else streams[1:]:
                copy = av.Packet(bytes(packet))
                copy.pts, copy.dts, copy.duration, copy.time_base, copy.stream = packet.pts, packet.dts, packet.duration, packet.time_base, stream
                copy.is_keyframe = packet.is_keyframe
                new.mux(copy)
    data = Path(path).read_bytes()
    for own, strange in ((b"mp4a", b"apac"), (b"esds", b"dapa")):
        data = data.replace(own, strange, 1)
    Path(path).write_bytes(data)
    return str(path)


def folder(path, count=10, size=(96, 64), suffix=".png", first=0, digits=0):
    """Write `count` numbered pictures into the folder `path`, made when missing, and return it as str."""
    Path(path).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.fromarray(picture(index, *size)).save(Path(path) / f"shot{index + first:0{digits}d}{suffix}")
    return str(path)


def cut(path, share=0.6):
    """Cut a file down to its first `share` of bytes, as a broken download leaves it, and return its path."""
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: int(len(data) * share)])
    return str(path)


def packets(path, kind="video"):
    """(times, end) of the first stream of that kind: the sorted times of its packets and the end of the last, seconds, as exact fractions."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        shown = sorted((p.pts, p.duration) for p in container.demux(stream) if p.pts is not None and p.size and not p.is_discard)
        return [pts * stream.time_base for pts, _ in shown], (shown[-1][0] + shown[-1][1]) * stream.time_base
