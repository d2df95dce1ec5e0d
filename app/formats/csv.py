"""A table in long form: one line per frame, person and joint. Missing numbers are empty."""

import csv

import numpy as np

from app.people import to_world

HEADER = ("frame", "time_s", "track_id", "observed", "joint", "x_px", "y_px", "score",
          "x_cam_m", "y_cam_m", "z_cam_m", "x_world_m", "y_world_m", "z_world_m")


def write(motion, path):
    """Write the joints of both skeletons by name, in the order of frames."""
    names = [*motion.skeleton2d.joints, *(name for name in motion.skeleton3d.joints if name not in motion.skeleton2d.joints)]
    rows = sorted((int(frame), number, row) for number, track in motion.tracks.items() for row, frame in enumerate(track.frames))
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(HEADER)
        for frame, number, row in rows:
            track = motion.tracks[number]
            head = [frame, f"{track.times[row]:.6f}", number, int(track.observed[row])]
            table.writerows([*head, name, *cells] for name, cells in zip(names, _cells(motion, track, row, names), strict=True))


def _cells(motion, track, row, names):
    """The numbers of every joint as text."""
    flat = {name: (*point, score) for name, point, score in zip(motion.skeleton2d.joints, track.points[row], track.scores[row], strict=True)}
    camera = track.joints3d[row] + track.root[row]
    solid = np.concatenate([camera, to_world(camera, motion.world_from_camera)], 1)
    deep = dict(zip(motion.skeleton3d.joints, solid, strict=True))
    for name in names:
        pixels, metres = flat.get(name, (np.nan, np.nan, np.nan)), deep.get(name, np.full(6, np.nan))
        yield [_text(value, 3) for value in pixels] + [_text(value, 4) for value in metres]


def _text(value, digits):
    return f"{value:.{digits}f}" if np.isfinite(value) else ""
