"""Reading: video files, pictures, folders of pictures, cameras and network streams, all as frames with their index and time.

Times are those of the container, in seconds, exact to its tick. They are strictly increasing; where a container starts below 0 its first frame is
at 0. Clocks without a meaningful zero (mpeg-ts, rtsp) count from the container's start. Transparency is laid on white.
"""

import itertools
import math
import os
import time
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from app import containers, pictures
from core.errors import BrokenVideo, InputError
from core.records import Frame, VideoInfo

__all__ = ["BrokenVideo", "frames", "is_live", "probe"]


def is_live(source):
    """Whether a source can only be read once, as it happens: a camera number, a stream by rtsp, rtmp, udp or the like, or one by http without end.

    Raises InputError for an http address that cannot be read.
    """
    if str(source).startswith(("http://", "https://")):
        return containers.endless(source)
    return camera_number(source) is not None or ("://" in str(source) and not str(source).startswith("file://"))


def camera_number(source):
    """The device index that a source names (2 or "2"), None for anything else."""
    return int(source) if isinstance(source, int) or (str(source).isdigit() and not os.path.exists(source)) else None


def probe(source, fps=None):
    """VideoInfo of a source: a path, a folder or glob of pictures, a URL or a camera number.

    fps: rate of a folder of pictures (number or text, 25 when None); a video's own times always win. `frames` is what the container says (or its
    duration times its rate) and can be one off; `rotation` is in degrees clockwise. Raises InputError when there is no frame to be had.
    """
    number = camera_number(source)
    if number is not None:
        with _Camera(number) as camera:
            return camera.info(fps)
    if "://" in str(source):
        return containers.probe(source)
    paths = _checked(source)
    return pictures.probe(paths, fps) if paths else containers.probe(source)


def frames(source, fps=None, start=None, end=None, skip=0, limit=None, stride=1):
    """Yield the Frames of a source with start <= time < end (seconds), without the first `skip` of them, every `stride`-th, at most `limit`.

    `Frame.index` counts the frames of the source from 0, whatever is left out. Raises InputError as `probe`, BrokenVideo after the last good frame.
    """
    if skip < 0 or stride < 1 or (limit is not None and limit < 0):
        raise InputError(f"skip {skip}, limit {limit}, stride {stride}: expected skip and limit from 0, stride from 1")
    for index, when, load in itertools.islice(_wanted(_shots(source, fps, start, skip), start, end, skip, stride), limit):
        yield Frame(index, when, load())


def _wanted(shots, start, end, skip, stride):
    first = None
    for index, when, load in shots:
        if when >= (math.inf if end is None else end):
            return
        if when < (start or 0):
            continue
        if first is None:
            first = index + skip if start else skip
        if index >= first and (index - first) % stride == 0:
            yield index, when, load


def _shots(source, fps, start, skip):
    """(index, time, load) of every frame from the first wanted on, perhaps of earlier ones too."""
    number = camera_number(source)
    if number is not None:
        return _Camera(number).shots()
    paths = None if "://" in str(source) else _checked(source)
    return pictures.shots(paths, pictures.probe(paths, fps)) if paths else containers.shots(source, start, skip)


def _checked(source):
    """The pictures that a path names, None for a video file. Raises InputError for what cannot be either."""
    paths = pictures.listed(source)
    if paths is None and not os.path.exists(source):
        raise InputError(f"{source}: no such file or folder")
    for path in paths or [Path(source)]:
        if not os.access(path, os.R_OK):
            raise InputError(f"{path}: no permission to read it")
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty")
    if paths is None and Path(source).suffix.lower() not in containers.SUFFIXES:
        known = " ".join(sorted(s[1:] for s in containers.SUFFIXES | pictures.SUFFIXES))
        raise InputError(f"{source}: not a kind of video or picture that is known ({known})")
    return paths


class _Camera:
    """A local camera. Times are seconds since its first frame."""

    def __init__(self, number):
        self.number = number
        self.capture = cv2.VideoCapture(number)
        if not self.capture.isOpened():
            raise InputError(f"camera {number}: cannot be opened")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.capture.release()

    def info(self, fps=None):
        size = (int(self.capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(self.capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        rate = Fraction(self.capture.get(cv2.CAP_PROP_FPS) or 30).limit_denominator(1001) if fps is None else pictures.rate(fps)
        return VideoInfo(*size, rate if rate > 0 else Fraction(30))

    def shots(self):
        with self:
            index, began = 0, None
            while True:
                good, image = self.capture.read()
                now = time.monotonic()
                if not good:
                    raise BrokenVideo(index, f"camera {self.number} gives no more pictures")
                began = now if began is None else began
                yield index, now - began, partial(np.ascontiguousarray, image[..., ::-1])
                index += 1
