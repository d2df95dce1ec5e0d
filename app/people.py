"""Who is in a frame: the rows of a motion's tracks at one time, ready to be drawn."""

from typing import NamedTuple

import numpy as np


class Person(NamedTuple):
    """One person at one time.

    points (J2, 2) px, scores (J2,), joints (J3, 3) m in the display world (NaN where unknown), depth: metres from the camera (NaN where
    unknown), observed False where filled in, trail (K, 3) m in the world: where the root was lately, oldest first.
    """

    id: int
    points: np.ndarray
    scores: np.ndarray
    joints: np.ndarray
    depth: float = np.nan
    observed: bool = True
    trail: np.ndarray = np.zeros((0, 3))


def people_at(motion, frame, select=None, trail=2.0):
    """The people of source frame `frame`, those of `select` (ids) only when it is given; `trail` seconds of their way."""
    world, found = motion.world_at(frame), []
    for track in motion.tracks.values():
        row = int(np.searchsorted(track.frames, frame))
        if row == len(track) or track.frames[row] != frame or (select is not None and track.id not in select):
            continue
        first = int(np.searchsorted(track.times, track.times[row] - trail))
        joints, way = track.joints3d[row].astype(np.float64) + track.root[row], track.root[first : row + 1].astype(np.float64)
        found.append(Person(track.id, track.points[row], track.scores[row], to_world(joints, world), float(track.root[row, 2]),
                            bool(track.observed[row]), to_world(way, world)))
    return found


def to_world(points, world_from_camera):
    """Camera-space points (..., 3) in the display world (z up, floor at 0)."""
    return points @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]
