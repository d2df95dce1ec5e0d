"""A table in long form: one line per frame, person and joint. Missing numbers are empty."""

import numpy as np

from app.people import to_world

HEADER = ("frame", "time_s", "track_id", "observed", "joint", "x_px", "y_px", "score",
          "x_cam_m", "y_cam_m", "z_cam_m", "x_world_m", "y_world_m", "z_world_m")
_CELLS = ",%.3f" * 3 + ",%.4f" * 6 + "\n"


def write(motion, path):
    """Write the joints of both skeletons by name, in the order of frames."""
    names = [*motion.skeleton2d.joints, *(name for name in motion.skeleton3d.joints if name not in motion.skeleton2d.joints)]
    rows = sorted((int(frame), number, row) for number, track in motion.tracks.items() for row, frame in enumerate(track.frames))
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(HEADER) + "\n")
        for frame, number, row in rows:
            track = motion.tracks[number]
            head = f"{frame},{track.times[row]:.6f},{number},{int(track.observed[row])},"
            cells = _cells(motion, track, row, names)
            file.writelines(head + name + _text(numbers) for name, numbers in zip(names, cells.tolist(), strict=True))


def _cells(motion, track, row, names):
    """The numbers (J, 9) of every joint, NaN where one of the skeletons lacks it."""
    cells = np.full((len(names), 9), np.nan)
    cells[: len(motion.skeleton2d), :3] = np.column_stack([track.points[row], track.scores[row]])
    camera = track.joints3d[row].astype(np.float64) + track.root[row]
    rows = [names.index(name) for name in motion.skeleton3d.joints]
    cells[rows, 3:] = np.concatenate([camera, to_world(camera, motion.world_at(track.frames[row]))], 1)
    return cells


def _text(numbers):
    text = _CELLS % tuple(numbers)
    return text.replace("nan", "") if "nan" in text else text
