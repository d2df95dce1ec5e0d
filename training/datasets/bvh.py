"""BVH files of whatever program: where the joints are, and Human3.6M's joints of the body that they stand for.

What a rig calls its joints, how long its unit is and which axis is up differ: limbs are found from hands and feet upwards, the unit by the legs, the
axis and the way that the head looks by most of the frames.
"""

import re
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from core.errors import InputError
from core.skeletons import H36M17

LEG = 0.86  # m from hip to ankle of a grown-up
UNITS = (1.0, 0.1, 0.01, 0.001, 0.0254, 0.056444)  # m: the last is that of Acclaim's files
ENDS = {"foot": r"foot|ankle", "wrist": r"hand|wrist"}
LIMBS = {"foot": ("foot", "knee", "hip"), "wrist": ("wrist", "elbow", "shoulder")}  # from the end inwards
SPINE = 0.48  # of the way from the hips to the base of the neck
NOSE, FOREHEAD = ((0.06, -0.005), (0.01, 0.125))  # m ahead of and above the head's joint


class Moving(NamedTuple):
    """Joints by name, their parents (-1: root), and in every frame where they are (T, J, 3) and how they are turned (T, J, 3, 3); frames a second."""

    names: list
    parents: list
    places: np.ndarray
    turns: np.ndarray
    fps: float


def read(path):
    """The Moving of a file. Raises InputError for one that is damaged or none."""
    try:
        head, _, tail = path.read_text(errors="replace").partition("MOTION")
        names, parents, offsets, channels = _tree(head.split())
        words = tail.split()
        count, step = int(words[1]), float(words[4])
        width = sum(len(kinds) for kinds in channels)
        values = np.array(words[5 : 5 + count * width], float).reshape(count, width)
        if not count:
            raise ValueError("no frames")
        return Moving(names, parents, *_moved(parents, offsets, channels, values), 1 / step)
    except (OSError, ValueError, IndexError, ZeroDivisionError, StopIteration) as error:
        raise InputError(f"{path}: no readable BVH ({error or type(error).__name__})") from error


def _tree(words):
    """Names, parents, offsets (J, 3) and channels of the joints; the ends of bones are none."""
    names, parents, offsets, channels, stack, words = [], [], [], [], [], iter(words)
    for word in words:
        if word in ("ROOT", "JOINT"):
            parents.append(stack[-1] if stack else -1)
            names.append(next(words))
        elif word == "End":
            stack.append(None)
        elif word == "OFFSET" and (not stack or stack[-1] is not None):
            offsets.append([float(next(words)) for _ in range(3)])
            stack.append(len(names) - 1)
        elif word == "CHANNELS":
            channels.append([next(words) for _ in range(int(next(words)))])
        elif word == "}":
            stack.pop()
    return names, parents, np.array(offsets), channels


def _moved(parents, offsets, channels, values):
    """Places (T, J, 3) and turns (T, J, 3, 3) of the joints in the file's axes."""
    places, turns, column = np.zeros((len(values), len(parents), 3)), np.zeros((len(values), len(parents), 3, 3)), 0
    for joint, (parent, kinds) in enumerate(zip(parents, channels, strict=True)):
        here, own = np.tile(offsets[joint], (len(values), 1)), values[:, column : column + len(kinds)]
        column += len(kinds)
        shifts = [i for i, kind in enumerate(kinds) if kind.endswith("position")]
        angles = [i for i, kind in enumerate(kinds) if kind.endswith("rotation")]
        here[:, ["XYZ".index(kinds[i][0]) for i in shifts]] = own[:, shifts]  # in place of the offset
        turn = Rotation.from_euler("".join(kinds[i][0] for i in angles), own[:, angles], degrees=True).as_matrix() if angles else np.eye(3)
        if parent < 0:
            places[:, joint], turns[:, joint] = here, turn
        else:
            places[:, joint] = places[:, parent] + (turns[:, parent] @ here[..., None])[..., 0]
            turns[:, joint] = turns[:, parent] @ turn
    return places, turns


class Rig(NamedTuple):
    """What files of one maker share: numbers of the joints by name, m of a unit, the rotation (3, 3) after which z is up, and where the face and the
    crown are (2, 3) in the axes of the head's joint."""

    limbs: dict
    unit: float
    axes: np.ndarray
    gaze: np.ndarray


def rig(files):
    """The Rig of a list of Movings whose joints are the same: their people mostly stand, look where the body does, and hold their heads level.

    Raises InputError where the joints' names do not tell a person's limbs.
    """
    limbs = _limbs(files[0])
    places, head = (np.concatenate(parts) for parts in zip(*((moving.places, moving.turns[:, limbs["head"]]) for moving in files), strict=True))
    axes, unit = _axes(places, limbs)
    return Rig(limbs, unit, axes, _gaze(places @ axes.T, axes @ head, limbs))


def _axes(places, limbs):
    """The rotation (3, 3) after which z is up where people mostly stand, and m of a unit of places (T, J, 3)."""
    axis = int(np.abs((places[:, limbs["head"]] - places[:, limbs["left_foot"]]).mean(0)).argmax())
    hip, knee, foot = (places[:, limbs[f"left_{name}"]] for name in ("hip", "knee", "foot"))
    leg = (np.linalg.norm(hip - knee, axis=-1) + np.linalg.norm(knee - foot, axis=-1)).mean()
    return np.roll(np.eye(3), 2 - axis, 0), min(UNITS, key=lambda unit: abs(np.log(unit * leg / LEG)))


def _gaze(places, turns, limbs):
    """Ahead and up (2, 3) in the axes of a head that turns (T, 3, 3), of places (T, J, 3), z up: mostly it looks with the body, and is level."""
    across = sum(places[:, limbs[f"right_{end}"]] - places[:, limbs[f"left_{end}"]] for end in ("hip", "shoulder"))
    body = np.cross(places[:, limbs["neck"]] - (places[:, limbs["left_hip"]] + places[:, limbs["right_hip"]]) / 2, across)
    body = body / np.maximum(np.linalg.norm(body, axis=1, keepdims=True), 1e-9)
    ahead, up = (np.swapaxes(turns, 1, 2) @ body[..., None]).mean(0)[:, 0], turns[:, 2].mean(0)
    ahead = ahead / np.linalg.norm(ahead)
    up = up - (up @ ahead) * ahead
    return np.stack([ahead, up / np.linalg.norm(up)])


def human(moving, rig):
    """Human3.6M's joints (T, 17, 3) m in world axes, z up, the floor at 0, and the unit vector out of the face (T, 3), of a Moving.

    The head's two are as far from the joint of the head as a grown-up has them.
    """
    found = {name: moving.places[:, joint] @ rig.axes.T * rig.unit for name, joint in rig.limbs.items()}
    found["thorax"] = found["neck"] / 2 + (found["left_collar"] + found["right_collar"]) / 4
    forward, up = np.moveaxis(rig.axes @ moving.turns[:, rig.limbs["head"]] @ rig.gaze.T, 2, 0)
    skull = found["head"]
    found |= {name: skull + ahead * forward + above * up for name, (ahead, above) in zip(("neck_nose", "head"), (NOSE, FOREHEAD), strict=True)}
    joints = body(found)
    joints[..., 2] -= np.percentile(joints[..., 2].min(1), 10)
    return joints, forward


def body(places):
    """Human3.6M's joints (T, 17, 3) of {name: (T, 3)} of all but two: the pelvis is the middle of the hips, the spine between it and the neck."""
    hip = (places["left_hip"] + places["right_hip"]) / 2
    places = places | {"hip": hip, "spine": hip + SPINE * (places["thorax"] - hip)}
    return np.stack([places[name] for name in H36M17.joints], 1)


def _limbs(moving):
    """{name: number of the joint}: limbs, collars (where an arm begins), neck and head."""
    names = [re.sub(r"^.*:", "", name).lower() for name in moving.names]
    found = {}
    for side in ("left", "right"):
        own = [i for i, name in enumerate(names) if re.match(rf"{side[0]}[a-z_]", name) or re.search(rf"[._]{side[0]}$", name)]
        for end, limb in LIMBS.items():
            joint = next((i for i in own if re.search(ENDS[end], names[i]) and not re.search(r"thumb|finger|index|end|toe", names[i])), -1)
            for part in limb:
                found[f"{side}_{part}"] = joint
                joint = moving.parents[joint] if joint >= 0 else -1
        found[f"{side}_collar"] = joint
    found["head"] = next((i for i, name in enumerate(names) if name.endswith("head")), -1)
    found["neck"] = moving.parents[found["head"]] if found["head"] >= 0 else -1
    if missing := [name for name, joint in found.items() if joint < 0]:
        raise InputError(f"the joints {', '.join(moving.names)} do not tell: {', '.join(missing)}")
    return found
