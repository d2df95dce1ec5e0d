"""Videos of one's own in `data_2d_custom_{kind}.npz` of VideoPose3D: a subject is a video, its one action "custom", its one camera the picture."""

import pathlib

from core.errors import InputError
from core.skeletons import H36M17
from training.datasets import keypoints
from training.datasets.lifting import fitted
from training.datasets.rigs import video_camera

ACTION = "custom"
TO_HAVE = "make it from detections or from our own poses with `python -m training.prepare custom_2d`"


def load(folder, kind):
    """The LiftingSet of a folder with the 2D of a kind; it has no 3D. Raises InputError for what is missing, damaged or does not fit."""
    path = pathlib.Path(folder) / f"data_2d_custom_{kind}.npz"
    points, layout, sizes = keypoints.read(path, TO_HAVE)
    if missing := sorted(set(points) - set(sizes)):
        raise InputError(f"{path}: the metadata does not say how large video '{missing[0]}' is")
    cameras = {name: (video_camera(name, *sizes[name]),) for name in points}
    return fitted("custom", kind, H36M17, layout, None, cameras, {}, points, path)
