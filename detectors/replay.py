"""Boxes from a file instead of a network: MOTChallenge's det.txt (frame, id, left, top, width, height, score, ...), frames from 1."""

import pathlib

import numpy as np

from core import mot
from core.errors import InputError
from core.records import Detections


def build(file=None, threshold=0.0):
    """A detector that repeats the boxes of `file` whose score is at least `threshold`; a missing score counts as 1.

    Raises InputError for a file that is not there or is not in that format.
    """
    if file is None:
        raise InputError("replay: which boxes? --detector replay:file=det.txt")
    return Replay(read(pathlib.Path(file)), threshold)


class Replay:
    """Detections by frame number; `rows` are (frame from 1, left, top, width, height, score)."""

    def __init__(self, rows, threshold=0.0):
        rows = rows[rows[:, 5] >= threshold]
        boxes = np.concatenate([rows[:, 1:3], rows[:, 1:3] + rows[:, 3:5]], 1)
        self.frames = {int(n): Detections(boxes[rows[:, 0] == n], rows[rows[:, 0] == n, 5]) for n in np.unique(rows[:, 0])}

    def at(self, indices):
        """The Detections of the frames of these source indices (from 0); a frame that the file does not name has nobody in it."""
        return [self.frames.get(index + 1, Detections.empty()) for index in indices]

    def __call__(self, images):
        """Raises TypeError: a picture does not tell which frame it is; whoever has the frame numbers asks `at`."""
        raise TypeError("replay knows frames by number: ask at(indices)")


def read(path):
    """The rows (N, 6) of a det.txt: frame, left, top, width, height, score. Raises InputError that names the file and the line."""
    rows = mot.read(path, "replay", finite=True)
    return np.concatenate([rows[:, :1], rows[:, 2:4], rows[:, 4:6] - rows[:, 2:4], rows[:, 6:]], 1)
