"""Who is in a frame: the rows of a motion's tracks at one time, ready to be drawn."""

from typing import NamedTuple

import numpy as np


class Person(NamedTuple):
    """One person at one time.

    points (J2, 2) px, scores (J2,), joints (J3, 3) m in camera axes (root added; NaN where unknown), observed False where filled in,
    trail (K, 3) m: where the root was lately, in camera axes, oldest first.
    """

    id: int
    points: np.ndarray
    scores: np.ndarray
    joints: np.ndarray
    observed: bool = True
    trail: np.ndarray = np.zeros((0, 3))


def people_at(motion, frame, select=None, trail=2.0):
    """The people of source frame `frame`, those of `select` (ids) only when it is given; `trail` seconds of their way."""
    found = []
    for track in motion.tracks.values():
        row = int(np.searchsorted(track.frames, frame))
        if row == len(track) or track.frames[row] != frame or (select is not None and track.id not in select):
            continue
        first = int(np.searchsorted(track.times, track.times[row] - trail))
        found.append(Person(track.id, track.points[row], track.scores[row], track.joints3d[row] + track.root[row],
                            bool(track.observed[row]), track.root[first : row + 1]))
    return found


def to_world(points, world_from_camera):
    """Camera-space points (..., 3) in the display world (z up, floor at 0)."""
    return points @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]
