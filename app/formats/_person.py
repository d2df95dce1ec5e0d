"""What the formats of one person share: where the body is, by name and Y up, and at which times of an even rate it is written."""

import numpy as np

from app.people import to_world
from core.errors import InputError
from core.skeletons import BODY21, conversion

Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])  # from the world, Z up
LIMBS = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist"))
NAMES = {"pelvis": ("hip",), "thorax": ("neck",), "spine": ("torso",), "head": ("neck_nose", "head_top")}  # joints that have other names, too


def placed(motion, track):
    """(times (T,), joints (T, J, 3) m, Y up) of the frames of a track whose 3D is known; around the root where its path is not."""
    joints = track.joints3d.astype(np.float64) + np.where(np.isfinite(track.root), track.root, 0)[:, None]
    known = np.isfinite(joints).all((1, 2))
    world = [motion.world_at(frame) for frame in track.frames[known]]
    return track.times[known], np.array([to_world(pose, matrix) @ Y_UP.T for pose, matrix in zip(joints[known], world, strict=True)])


def body(motion, track):
    """{name: (T, 3) m} of pelvis, spine, thorax, head, both sides' hip to ankle and shoulder to wrist, the face where known; `times` (T,).

    Empty where no 3D is known. Raises InputError for a skeleton that is no such body.
    """
    times, joints = placed(motion, track)
    skeleton = motion.skeleton3d
    if not len(times):
        return {}
    if skeleton.name.startswith("coco"):
        joints, skeleton = conversion(skeleton, BODY21) @ joints, BODY21
    places = {name: joints[:, i] for i, name in enumerate(skeleton.joints)}
    places |= {f"{side}_ankle": places[f"{side}_foot"] for side in ("left", "right") if f"{side}_foot" in places}
    if "left_ear" in places:
        places["head"] = (places["left_ear"] + places["right_ear"]) / 2
    for name, others in NAMES.items():
        found = [places[other] for other in (name, *others) if other in places]
        places |= {name: found[0]} if found else {}
    missing = {"pelvis", "thorax", "head", *LIMBS} - set(places)
    if missing:
        raise InputError(f"the skeleton '{skeleton.name}' has no {', '.join(sorted(missing))}: it cannot be written as a body of bones")
    places.setdefault("spine", 0.535 * places["pelvis"] + 0.465 * places["thorax"])
    return places | {"times": times}


def timeline(motion, track):
    """The times (N,) s at which a track is written: every frame at the video's rate, from when anybody is first seen to when they are last."""
    if track is None or not len(track):
        return np.zeros(0)
    first = min(each.times[0] for each in motion.tracks.values())
    return first + np.arange(round((track.times[-1] - first) * float(motion.info.fps)) + 1) / float(motion.info.fps)
