"""Human3.6M in VideoPose3D's files: `data_3d_h36m.npz` and `data_2d_h36m_{kind}.npz`. 50 frames a second, four cameras."""

import pathlib

import numpy as np

from core.errors import InputError
from core.skeletons import H36M17
from training.datasets import keypoints
from training.datasets.lifting import fitted
from training.datasets.pickles import load_npz
from training.datasets.rigs import FACTS, rig

KINDS = ("gt", "cpn_ft_h36m_dbb", "detectron_ft_h36m", "detectron_pt_coco", "sh_ft_h36m", "sh_pt_mpii")
RECORDED = 32  # joints of the motion capture, of which FACTS["h36m"]["kept"] are used
TO_HAVE = ("Human3.6M is given to researchers who ask at vision.imar.ro/human3.6m; make the file with `python -m training.prepare h36m`, "
           "or a stand-in with `python -m training.prepare written`")
TO_HAVE_2D = "VideoPose3D's authors give detections of Human3.6M at dl.fbaipublicfiles.com/video-pose-3d; exact 2D comes from `training.prepare h36m`"


def load(folder, kind):
    """The LiftingSet of a folder with the 2D of a kind. Raises InputError for what is missing, damaged or does not fit."""
    folder = pathlib.Path(folder)
    joints = read_joints(folder / "data_3d_h36m.npz", TO_HAVE, (RECORDED, len(H36M17)))
    for actions in joints.values():
        for action, world in actions.items():
            actions[action] = kept(world)
    path = folder / f"data_2d_h36m_{kind}.npz"
    points, layout, _ = keypoints.read(path, TO_HAVE_2D)
    return fitted("h36m", kind, H36M17, layout, FACTS["h36m"]["fps"], rig("h36m"), joints, points, path)


def kept(world):
    """The 17 joints that are used, of 32 recorded ones (T, 32, 3) or of 17."""
    return world[:, FACTS["h36m"]["kept"]] if world.shape[1] == RECORDED else world


def read_joints(path, where, sizes):
    """{subject: {action: (T, K, 3) float32 m}} of a file of 3D joints whose number K is one of `sizes`."""
    if not path.is_file():
        raise InputError(f"no 3D motion {path}; {where}")
    found = load_npz(path, "positions_3d")["positions_3d"]
    if not isinstance(found, dict) or not found:
        raise InputError(f"{path}: 'positions_3d' holds no subjects")
    for subject, actions in found.items():
        for action, world in actions.items():
            shape = np.shape(world)
            if len(shape) != 3 or shape[1] not in sizes or shape[2] != 3:
                raise InputError(f"{path}: {subject} {action}: joints of shape {shape}, expected (frames, {' or '.join(map(str, sizes))}, 3)")
    return {subject: {action: np.asarray(world, np.float32) for action, world in actions.items()} for subject, actions in found.items()}
