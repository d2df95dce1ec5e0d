"""Writing: .mp4, .webm, .gif, a folder of pictures (frames/*.png, frames/%06d.jpg or a folder's name), or one picture.

A file is written as name.partial.ext and gets its name when it is whole, also when Ctrl-C or a source that breaks ends it early. After any other
error the partial file is finished as far as possible and keeps its name.
"""

import math
import warnings
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from app import containers, encoder
from app.encoder import WriteError
from app.targets import PICTURES, check_output, pattern_of, target_of
from core.errors import BrokenVideo, InputError
from core.files import partial_of

__all__ = ["WriteError", "check_output", "open_writer"]

GIF_STEP = 0.04  # seconds: at most 25 pictures a second
PALETTE_FRAMES = 64
HELD_FRAMES = 24  # that many are held back for the colours when nobody gave samples
LATE_START = 0.5  # seconds: streams seldom start together; a first frame later than that is the start of a cut


def open_writer(path, info, *, size=None, audio_from=None, audio_range=None, bitrate=None, fps=None, palette_frames=None):
    """A context manager with write(image, time): pictures (H, W, 3) uint8 RGB, times in seconds of the source, increasing.

    info: VideoInfo of the source; fps: rate of what is written where that is another, it only decides how long the last picture is shown.
    size: (width, height) to scale to, None = that of the first picture (mp4 and webm: one more where that is odd). audio_from: the file whose sound
    is taken over; audio_range: (start, end) seconds of the source, None = open; the output begins at start, or at the first frame where it comes
    late. bitrate: kbit/s. palette_frames: up to 64 pictures from all over the video that decide a GIF's colours, else its first pictures do.
    Raises InputError where the path cannot be written; WriteError, in write or at the end, for a full disk or a dead encoder.
    """
    check_output(path)
    rate = Fraction(fps or info.fps)
    if target_of(path).suffix.lower() in PICTURES:
        return _Pictures(path, size)
    return _Video(target_of(path), rate, size, audio_from, audio_range, bitrate, palette_frames)


class _Pictures:
    """Every picture a file, numbered from 0; or one file for one picture."""

    def __init__(self, path, size):
        self.path, self.pattern, self.size, self.count = path, pattern_of(path), size, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def write(self, image, time):
        if self.count and not self.pattern:
            raise InputError(f"{self.path}: one picture only; several go into a folder: {Path(self.path).stem}/*.png")
        target = Path(self.pattern % self.count if self.pattern else self.path)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 95] if target.suffix.lower() in (".jpg", ".jpeg") else []
        _, data = cv2.imencode(target.suffix, _scaled(image, self.size)[..., ::-1], quality)
        try:
            partial_of(target).write_bytes(data)
            partial_of(target).replace(target)
        except OSError as error:
            raise WriteError(f"{target}: {error.strerror}") from error
        self.count += 1


class _Video:
    """One video file: a running encoder into the partial file, then a copy of that under the final name."""

    def __init__(self, target, rate, size, audio_from, audio_range, bitrate, palette_frames):
        self.target, self.partial, self.rate, self.size, self.bitrate = target, partial_of(target), rate, size, bitrate
        self.audio_from, (self.start, _) = audio_from, audio_range or (None, None)
        self.gif = target.suffix.lower() == ".gif"
        self.ticks = 100 if self.gif else _ticks(rate)
        self.samples, self.held, self.encoder = palette_frames, [], None
        self.origin = self.first = self.last = self.shown = self.time = None
        self.count = 0

    def __enter__(self):
        return self

    def write(self, image, time):
        """Write one picture (H, W, 3) uint8 RGB that is shown from `time` seconds on."""
        if self.origin is None:
            self.origin = self.start if self.start else 0.0 if time <= LATE_START and not self.gif else time
        self.time = max(0.0, float(time - self.origin))
        if self.gif and self.shown is not None and self.time - self.shown < GIF_STEP - 1e-6:
            return
        self.shown = self.time
        tick = round(self.time * self.ticks)
        self.last = tick if self.last is None else max(tick, self.last + 1)
        self.first = self.last if self.first is None else self.first
        self._send(self._fitted(image), self.last)

    def _fitted(self, image):
        """The picture in the size that is written, which the first one decides."""
        if self.size is None:
            self.size = image.shape[1::-1]
        image = _scaled(image, self.size)
        odd = (0, 0) if self.gif else (image.shape[0] % 2, image.shape[1] % 2)
        return cv2.copyMakeBorder(image, 0, odd[0], 0, odd[1], cv2.BORDER_REPLICATE) if any(odd) else image

    def _send(self, image, tick):
        self.count += 1
        if self.encoder is None:
            self.held.append((image.copy() if self.gif else image, tick))
            if not self.gif or self.samples is not None or len(self.held) == HELD_FRAMES:
                self._begin()
            return
        self.encoder.send(image, tick)

    def _begin(self):
        """Start the encoder and send it what was held back."""
        palette = None
        if self.gif:
            samples = (_scaled(image, self.size) for _, image in zip(range(PALETTE_FRAMES), self.samples or (), strict=False))
            palette = encoder.palette(list(chain(samples, [] if self.samples else (image for image, _ in self.held))))
        height, width = self.held[0][0].shape[:2]
        self.encoder = encoder.Encoder(self.partial, (width, height), self.rate, self.ticks, self.bitrate, palette)
        for image, tick in self.held:
            self.encoder.send(image, tick)
        self.held = []

    def __exit__(self, kind, error, trace):
        if self.encoder is None and self.held and not isinstance(error, WriteError):
            self._begin()
        if self.encoder is None:
            if error is None:
                raise WriteError(f"{self.target}: not written, there was no picture to write")
            return False
        try:
            self.encoder.close()
        except WriteError:
            if error is None:
                raise
            return False
        if error is None or isinstance(error, (KeyboardInterrupt, BrokenVideo)):
            self._name(broken=isinstance(error, BrokenVideo))
        return False

    def _name(self, broken):
        """Give the whole file its name. The sound of a broken source is coded anew, which leaves its damaged parts out."""
        end = self.time + 1 / float(self.rate)
        last = max(1, round(end * self.ticks) - self.last)
        whole = self.partial.with_name(f"{self.target.stem}.whole.partial{self.target.suffix}")
        sound = containers.sound_of(self.audio_from) if self.audio_from is not None and not self.gif else None
        if sound:
            number, codec, begins = sound
            sound = (self.audio_from, number, self.origin - begins, None if broken else codec)
        finish = partial(encoder.finish, self.partial, whole, self.count, self.first, end, last, self.ticks)
        try:
            finish(sound)
        except WriteError as error:
            if not sound:
                raise
            finish()
            warnings.warn(f"the sound of {self.audio_from} is left out: {error}", stacklevel=2)
        whole.replace(self.target)
        self.partial.unlink()


def _scaled(image, size):
    if size is None or image.shape[1::-1] == tuple(size):
        return image
    smaller = size[0] < image.shape[1]
    return np.ascontiguousarray(cv2.resize(image, tuple(size), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC))


def _ticks(rate):
    """A clock of at least 90 kHz in which the rate is exact, where there is one."""
    ticks = math.lcm(rate.numerator, 90000)
    return ticks if ticks < 1 << 24 else 90000
