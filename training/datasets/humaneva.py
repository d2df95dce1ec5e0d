"""HumanEva-I in VideoPose3D's files: `data_3d_humaneva15.npz` and `data_2d_humaneva15_{kind}.npz`. 60 frames a second, three cameras.

Subjects are "Train/S1" and "Validate/S1"; 2D without 3D is under "Unlabeled/". Actions are chunks of frames whose motion capture is whole.
"""

import pathlib

from core.skeletons import HUMANEVA15
from training.datasets import keypoints
from training.datasets.human36m import read_joints
from training.datasets.lifting import fitted
from training.datasets.rigs import FACTS, RigCamera, rig

PREFIXES = ("Train/", "Validate/", "Unlabeled/Train/", "Unlabeled/Validate/", "Unlabeled/")
TO_HAVE = ("HumanEva-I is given to researchers who register at humaneva.is.tue.mpg.de; make the file with `python -m training.prepare humaneva`, "
           "or a stand-in with `python -m training.prepare written`")
TO_HAVE_2D = "VideoPose3D's authors give detections of HumanEva-I at dl.fbaipublicfiles.com/video-pose-3d"


def load(folder, kind):
    """The LiftingSet of a folder with the 2D of a kind. Raises InputError for what is missing, damaged or does not fit."""
    folder = pathlib.Path(folder)
    joints = read_joints(folder / "data_3d_humaneva15.npz", TO_HAVE, (len(HUMANEVA15),))
    path = folder / f"data_2d_humaneva15_{kind}.npz"
    points, layout, _ = keypoints.read(path, TO_HAVE_2D)
    return fitted("humaneva15", kind, HUMANEVA15, layout, FACTS["humaneva15"]["fps"], cameras(), joints, points, path)


def cameras():
    """{subject: three cameras}, under every prefix; S4 has no known places, only pictures."""
    blank = tuple(RigCamera(name, *row["size"], row["azimuth"]) for name, row in FACTS["humaneva15"]["cameras"].items())
    known = rig("humaneva15") | {"S4": blank}
    return {prefix + subject: views for prefix in PREFIXES for subject, views in known.items()}
