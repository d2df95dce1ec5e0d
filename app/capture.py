"""Live pictures: cameras, network streams and files played in real time, of which the newest one wins.

Whoever takes pictures slower than they come passes over the older ones, so nothing ever queues up. A camera that is unplugged or a stream that is
cut is opened again and again, with growing pauses, until patience ends.
"""

import sys
import threading
import time
from fractions import Fraction
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from app import containers, pixels
from app.video import camera_number
from core.errors import BrokenVideo, InputError
from core.records import Frame

IDLE = 0.2  # s without a picture after which the consumer is told so
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 4.0  # s between attempts to open a lost source
SILENCE = 5.0  # s after which a stream that sends nothing counts as cut
INTRA = {"mjpeg", "mjpegb", "png", "rawvideo"}  # every packet is a whole picture: only those that are used are decoded


class Shot(NamedTuple):
    """A picture that came: index of the source from 0, time s since the first, the clock's reading when it came, load() -> (H, W, 3) RGB or None."""

    index: int
    time: float
    captured: float
    load: object


class Capture:
    """The newest Shots of a camera number or stream address, drawn by a thread; iterate inside a `with`.

    Yields None when nothing came for IDLE seconds. `trouble` says what is wrong while the source is lost, else "". `rate` is the source's own
    word, pictures a second. Raises InputError where the source cannot be opened at first, BrokenVideo when it stayed away for `patience` seconds.
    """

    def __init__(self, source, patience=30.0, say=lambda words: print(f"viz.py: {words}", file=sys.stderr), clock=time):
        self.source, self.patience, self.say, self.clock = source, patience, say, clock
        self.rate, self.trouble = Fraction(30), ""
        self._news, self._stop = threading.Condition(), threading.Event()
        self._shot = self._ending = None
        self._thread = threading.Thread(target=self._draw, name="capture", daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(2.0)  # a driver may hang in its read for longer: the thread ends with the process then

    def __iter__(self):
        while True:
            with self._news:
                self._news.wait_for(lambda: self._shot or self._ending, IDLE)
                shot, self._shot = self._shot, None
                if shot is None and self._ending:
                    raise self._ending
            yield shot

    def _draw(self):
        try:
            for shot in self._shots():
                with self._news:
                    self._shot = shot
                    self._news.notify()
                if self._stop.is_set():
                    return
        except BaseException as error:
            with self._news:
                self._ending = error
                self._news.notify()

    def _shots(self):
        """Every Shot of the source, over all times that it is opened."""
        index, began, last, pause = 0, None, None, FIRST_PAUSE
        while not self._stop.is_set():
            try:
                for load in self._open():
                    last = self.clock.monotonic()
                    began = last if began is None else began
                    if self.trouble:
                        self.say(f"{self._name()} is back")
                    self.trouble, pause = "", FIRST_PAUSE
                    yield Shot(index, last - began, last, load)
                    index += 1
                reason = "it ended"
            except (BrokenVideo, InputError) as error:
                if not index:
                    raise
                reason = getattr(error, "reason", None) or str(error)
            self._missing(index, last, reason)
            self._stop.wait(min(pause, max(0.0, last + self.patience - self.clock.monotonic())))
            pause = min(2 * pause, LONGEST_PAUSE)

    def _missing(self, index, last, reason):
        """Say once that the source is lost; raise when that lasts too long."""
        if last is None:
            raise InputError(f"{self.source}: no readable picture")
        if self.clock.monotonic() - last >= self.patience:
            raise BrokenVideo(index, f"{self._name()} gave no more pictures for {self.patience:g} s ({reason})")
        if not self.trouble:
            self.say(f"{self._name()} is lost ({reason}); trying again for {self.patience:g} s")
        self.trouble = f"lost: {reason}; trying again"

    def _name(self):
        number = camera_number(self.source)
        return f"the stream {self.source}" if number is None else f"camera {number}"

    def _open(self):
        number = camera_number(self.source)
        return self._stream() if number is None else self._camera(number)

    def _camera(self, number):
        device = cv2.VideoCapture(number)
        try:
            if not device.isOpened():
                raise InputError(f"camera {number}: cannot be opened")
            device.set(cv2.CAP_PROP_BUFFERSIZE, 1)
            self.rate = _rate(device.get(cv2.CAP_PROP_FPS))
            while True:
                good, image = device.read()
                if not good:
                    raise BrokenVideo(0, "it gives no more pictures")
                yield lambda image=image: np.ascontiguousarray(image[..., ::-1])
        finally:
            device.release()

    def _stream(self):
        """Loaders of a stream's pictures. Damaged ones are left out; where every packet is a picture, decoding waits until somebody wants it."""
        container, stream = containers.opened(self.source, min(SILENCE, self.patience))
        stream.thread_type = "SLICE"  # decoding on several frames at once would hold each back
        with container:
            self.rate = _rate(stream.average_rate or stream.guessed_rate)
            converter, lazy, ratio = VideoReformatter(), stream.codec_context.name in INTRA, stream.sample_aspect_ratio
            try:
                for packet in container.demux(stream):
                    for shown in [packet] if lazy and packet.size else _decoded(packet):
                        yield lambda shown=shown: _picture(shown, converter, ratio)
            except (av.FFmpegError, OSError) as error:
                raise BrokenVideo(0, error.strerror or str(error)) from error


def _decoded(packet):
    try:
        return packet.decode()
    except av.error.InvalidDataError:
        return []


def _picture(shown, converter, ratio):
    """The RGB picture of a decoded frame, or of a packet that holds a whole one; None where it is damaged."""
    frame = shown if isinstance(shown, av.VideoFrame) else next(iter(_decoded(shown)), None)
    return None if frame is None else pixels.rgb(frame, pixels.square(frame, ratio), converter)


def _rate(value):
    return Fraction(value).limit_denominator(1001) if value and 1 <= value <= 480 else Fraction(30)


def in_real_time(frames, clock=time):
    """The Shots of an iterator of Frames at the pace of their times: a frame that is late when the next one is due already is passed over."""
    frames = iter(frames)
    current = next(frames, None)
    began = clock.monotonic() - current.time if current else 0.0
    while current:
        clock.sleep(max(0.0, began + current.time - clock.monotonic()))
        now, following = clock.monotonic(), next(frames, None)
        while following and began + following.time <= now:
            current, following = following, next(frames, None)
        yield Shot(current.index, current.time, began + current.time, lambda image=current.image: image)
        current = following


def loaded(shot, info):
    """The Frame of a Shot, None where it is damaged; a picture of another size than the first one's is scaled to that."""
    image = shot.load()
    if image is None:
        return None
    if image.shape[:2] != (info.height, info.width):
        image = cv2.resize(image, (info.width, info.height), interpolation=cv2.INTER_AREA)
    return Frame(shot.index, shot.time, image)
