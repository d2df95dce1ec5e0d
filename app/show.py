"""A window with the 3D view of one frame, to be turned with the mouse."""

import os
import sys

from core.errors import InputError


def show_motion(motion, frame_index=None):
    """Open the window and wait until it is closed. Without `frame_index` the middle one of the frames with the most people is shown.

    Raises InputError where there is no display or no window toolkit.
    """
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise InputError("--show needs a display, and there is none here; --output writes the picture to a file")
    import matplotlib.pyplot as plt

    if plt.get_backend().lower() == "agg":
        raise InputError("--show needs a window toolkit that matplotlib can use, such as tkinter or PyQt6")
    _fill(plt.figure(figsize=(8, 8)), motion, busiest_frame(motion) if frame_index is None else frame_index)
    plt.show()


def busiest_frame(motion):
    """The middle one of the frames with the most people, 0 when there is nobody."""
    counts = {}
    for track in motion.tracks.values():
        for frame in track.frames.tolist():
            counts[frame] = counts.get(frame, 0) + 1
    most = sorted(frame for frame, count in counts.items() if count == max(counts.values()))
    return most[len(most) // 2] if most else 0


def _fill(figure, motion, frame_index):
    from app.people import people_at
    from app.plot import draw_people, paper_axes
    from app.view3d import frame_motion

    axes = paper_axes(figure, frame_motion(motion, 800, 800))
    draw_people(axes, people_at(motion, frame_index), motion.skeleton3d, 1.6)
    figure.suptitle(f"frame {frame_index}")
