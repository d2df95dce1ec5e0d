"""What the formats of one person share: where the body is, by name and Y up, and at which times of an even rate it is written."""

import numpy as np

from app.people import to_world
from core.errors import InputError
from core.skeletons import H36M17, conversion

Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])  # from the world, Z up
FACE = ("nose", "left_ear", "right_ear")


def placed(motion, track):
    """(times (T,), joints (T, J, 3) m, Y up) of the frames of a track whose 3D is known; around the root where its path is not."""
    joints = track.joints3d.astype(np.float64) + np.where(np.isfinite(track.root), track.root, 0)[:, None]
    known = np.isfinite(joints).all((1, 2))
    world = [motion.world_at(frame) for frame in track.frames[known]]
    return track.times[known], np.array([to_world(pose, matrix) @ Y_UP.T for pose, matrix in zip(joints[known], world, strict=True)])


def body(motion, track):
    """{name: (T, 3) m} of the joints of Human3.6M, of nose and ears where the skeleton has them, and `times` (T,). Empty where no 3D is known.

    Raises InputError for a skeleton that is no such body.
    """
    times, joints = placed(motion, track)
    skeleton = motion.skeleton3d
    if not len(times):
        return {}
    try:
        matrix = conversion(skeleton, H36M17)
    except ValueError as error:
        raise InputError(f"the skeleton '{skeleton.name}' has not the joints of a whole person: it cannot be written as a body of bones") from error
    own = {name: joints[:, skeleton.index(name)] for name in FACE if name in skeleton.joints}
    return own | dict(zip(H36M17.joints, np.moveaxis(matrix @ joints, 1, 0), strict=True)) | {"times": times}


def timeline(motion, track):
    """The times (N,) s at which a track is written: every frame at the video's rate, from when anybody is first seen to when they are last."""
    if track is None or not len(track):
        return np.zeros(0)
    first = min(each.times[0] for each in motion.tracks.values())
    return first + np.arange(round((track.times[-1] - first) * float(motion.info.fps)) + 1) / float(motion.info.fps)
