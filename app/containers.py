"""Decoding video containers and network streams with PyAV: exact frame numbers and times, damage found."""

import heapq
import os
from fractions import Fraction
from functools import partial

import av
from av.format import Flags
from av.video.reformatter import VideoReformatter

from app import pixels
from app.clock import Clock, adrift, begin
from core.errors import BrokenVideo, InputError
from core.records import VideoInfo

SUFFIXES = {".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".gif", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ogv",
            ".mxf", ".vob", ".dv", ".asf", ".f4v", ".divx", ".m2v", ".mjpeg", ".mjpg", ".h264", ".264", ".h265", ".265", ".hevc", ".y4m", ".apng",
            ".nut", ".3g2"}
# Codecs of which every packet is one shown frame, in containers that give every packet its time: there frames can be counted without decoding.
COUNTABLE = {"h264", "hevc", "vp9", "av1", "libdav1d", "mjpeg", "prores"}
REORDERED = 16  # no codec shows a frame more than this many places away from where it is stored
LONGEST_HOLD = 1000  # packets kept while looking for a place to begin decoding


def opened(source, silence=15.0):
    """(container, video stream) of a file or URL; a network that is silent for `silence` seconds counts as gone.

    Raises InputError with one line where that cannot be.
    """
    live = "://" in str(source)
    try:
        options = {"rtsp_transport": "tcp"} if str(source).startswith("rtsp") else {}
        container = av.open(_address(source), timeout=(silence, silence) if live else None, options=options, metadata_errors="ignore")
    except (av.FFmpegError, OSError) as error:
        hint = ", not a video or cut off before its index" if isinstance(error, av.error.InvalidDataError) else ""
        raise InputError(f"{source}: cannot be read ({error.strerror or error}){hint}") from error
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams or streams[0].codec_context is None:
        container.close()
        raise InputError(f"{source}: no video in it that can be decoded")
    streams[0].thread_type = "AUTO"
    return container, streams[0]


def _address(source):
    """A path as libav takes it: "12:30.mp4" is not a protocol called 12."""
    return str(source) if "://" in str(source) else os.path.abspath(source)


def probe(source):
    """VideoInfo of a container. Raises InputError when there is no frame to be had."""
    container, stream = opened(source)
    with container:
        try:
            first = next(container.decode(stream), None)
        except av.FFmpegError as error:
            raise InputError(f"{source}: no readable frame ({error.strerror})") from error
        if first is None:
            raise InputError(f"{source}: no readable frame")
        turn = pixels.turn(first)
        size = pixels.square(first, stream.sample_aspect_ratio)
        size = size[::-1] if turn[0, 0] == 0 else size
        return VideoInfo(*size, _rate(stream), _count(container, stream), pixels.degrees(turn), bool(_sounds(container)))


def endless(source):
    """Whether a URL gives pictures without end: neither a duration nor a size is known."""
    container, _ = opened(source)
    with container:
        return container.duration is None and container.size <= 0


def _rate(stream):
    """Exact rate. Streamed webm files claim the 1000 ticks a second of their clock: nothing is known of those, 30 is the usual."""
    rate = stream.average_rate or stream.guessed_rate
    return Fraction(30) if not rate or (rate >= 1000 and not stream.frames) else Fraction(rate)


def _count(container, stream):
    """Number of frames as the container says it, or its duration times its rate (one off now and then), or None."""
    if stream.frames:
        return stream.frames
    length = _length(container, stream)
    return None if length is None else max(1, round(length[0] * _rate(stream)))


def _length(container, stream):
    """(seconds, is it the video stream's own) from the headers, or None."""
    if stream.duration or stream.frames:
        return max((stream.duration or 0) * stream.time_base, Fraction(stream.frames) / _rate(stream)), True
    own = stream.metadata.get("DURATION", "").split(":")
    start = (stream.start_time or 0) * stream.time_base
    if len(own) == 3:
        return int(own[0]) * 3600 + int(own[1]) * 60 + Fraction(own[2]) - start, True
    return (Fraction(container.duration, av.time_base) - start, not container.streams.audio) if container.duration else None


def _sounds(container):
    """The numbers among its sounds of those that can be decoded: phones add spatial ones of their own make."""
    return [number for number, stream in enumerate(container.streams.audio) if stream.codec_context is not None]


def sound_of(source):
    """(number, codec, seconds) of a source's first sound: which of its sounds, its codec's name and when the container begins on the clock of its
    frames. None without sound that can be decoded.
    """
    try:
        with av.open(_address(source)) as container:
            numbers = _sounds(container)
            if not numbers or not container.streams.video:
                return None
            codec = container.streams.audio[numbers[0]].codec_context.name
            return numbers[0], codec, 0.0 if adrift(container) else float(begin(container))
    except (av.FFmpegError, OSError):
        return None


class _Damage(Exception):  # noqa: N818 - not an error of the program
    """Decoding cannot go on, and why."""


def shots(source, start=None, skip=0):
    """Yield (index, time, load) of the frames in shown order, from the first one wanted or an earlier one; load() gives the upright RGB picture.

    Where the size changes in the middle of a stream, pictures are scaled to the first one's. start, skip: nobody wants frames before `start` seconds,
    or (without start) before index `skip`. Raises InputError as `probe`, BrokenVideo at the first frame lost to damage or a premature end.
    """
    container, stream = opened(source)
    with container:
        clock, converter, index, shown = Clock(container, stream, _rate(stream)), VideoReformatter(), 0, []
        packets = container.demux(stream)
        if (start or skip) and stream.codec_context.name in COUNTABLE and container.format.name.startswith(("mov", "matroska")):
            packets = _near(packets, shown, start, skip, stream.time_base)
        tolerant = bool(container.format.flags & Flags.ts_discont.value)
        frame = size = None
        try:
            for frame in _decoded(packets, stream, tolerant):
                if shown:
                    index = sum(pts < frame.pts for pts in shown)
                    clock.begin(min(shown))
                    shown.clear()
                time = clock(frame)
                size = size or pixels.square(frame, stream.sample_aspect_ratio)
                yield index, float(time), partial(pixels.rgb, frame, size, converter)
                index += 1
        except _Damage as damage:
            if not index and not shown:
                raise InputError(f"{source}: no readable frame ({damage})") from damage
            raise BrokenVideo(index or len(shown), str(damage)) from damage
        if frame is None:
            raise InputError(f"{source}: no readable frame")
        _check_end(source, container, stream, clock, frame, index)


def _near(packets, shown, start, skip, tick):
    """The packets from the last place before the first wanted frame where decoding may begin. `shown` gets the ticks of all up to there."""
    held = []
    for packet in packets:
        near = packet.pts is not None and (packet.pts * tick <= start if start else len(shown) + REORDERED <= skip)
        if packet.is_keyframe and near:
            held.clear()
        held.append(packet)
        if packet.size and not packet.is_discard:
            shown.append(packet.pts)
        past = packet.dts is None or (packet.dts * tick > start if start else len(shown) > skip)
        if past or len(held) > LONGEST_HOLD:
            break
    yield from held
    for packet in packets:
        if shown and packet.size and not packet.is_discard:
            shown.append(packet.pts)
        yield packet


def _decoded(packets, stream, tolerant):
    """The frames of packets in shown order. At damage the frames before it, then BrokenVideo; `tolerant` streams pass over it (broadcasts)."""
    waiting = []
    try:
        for packet in packets:
            if packet.size and packet.pts is not None and not tolerant:
                heapq.heappush(waiting, packet.pts)
            if packet.is_corrupt and not tolerant:
                raise _Damage("the file is cut off")
            for frame in _attempt(packet, tolerant):
                while waiting and frame.pts is not None and waiting[0] <= frame.pts:
                    heapq.heappop(waiting)
                yield frame
    except (av.FFmpegError, _Damage) as error:
        for frame in _left(stream):
            if not waiting or frame.pts != heapq.heappop(waiting):
                break
            yield frame
        raise _Damage(_reason(error)) from error


def _reason(error):
    if isinstance(error, av.error.InvalidDataError):
        return "damaged data"
    return getattr(error, "strerror", None) or str(error)


def _attempt(packet, tolerant):
    try:
        return packet.decode()
    except av.error.InvalidDataError:
        if not tolerant:
            raise
        return []


def _left(stream):
    """The frames that the decoder still holds."""
    try:
        return stream.codec_context.decode(None)
    except av.FFmpegError:
        return []


def _check_end(source, container, stream, clock, frame, index):
    """Raise BrokenVideo when the stream ends well before its headers say. A frame or two less than announced is common and no damage."""
    if "://" in str(source):
        return
    if container.format.name == "gif":
        with open(source, "rb") as file:
            whole = file.read().rstrip(b"\0\r\n").endswith(b";")
        if not whole:
            raise BrokenVideo(index, "the file is cut off")
    length = _length(container, stream)
    if length is None or frame.pts is None:
        return
    first = (stream.start_time or 0) * stream.time_base
    missing = first + length[0] - (frame.pts + (frame.duration or 0)) * stream.time_base
    slack = max(3 * clock.step, length[0] / 200) if length[1] else max(1, length[0] / 50)
    if missing > slack:
        raise BrokenVideo(index, f"it ends {float(missing):.1f} s before its announced {float(length[0]):.1f} s")
