"""A body for a skeleton: limbs with thickness, a head where the face joints are. Sizes are those of a person of 1.7 m."""

from typing import NamedTuple

import numpy as np

from core.skeletons import BODY21, conversion

_RADIUS = {"hip": 0.072, "knee": 0.054, "ankle": 0.036, "foot": 0.036, "shoulder": 0.052, "elbow": 0.040, "wrist": 0.029, "pelvis": 0.085,
           "spine": 0.088, "torso": 0.088, "thorax": 0.080, "neck_nose": 0.058, "head": 0.085, "neck": 0.045, "skull": 0.094,
           "crown": 0.088, "nose": 0.016, "head_top": 0.07}
_FACE = {"nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_top"}


class Mannequin(NamedTuple):
    """matrix (K, J) makes the K drawn joints of the skeleton's J; bones (B, 2) index them; radii (B, 2) m; sides (B,); source (K,) for scores."""

    matrix: np.ndarray
    bones: np.ndarray
    radii: np.ndarray
    sides: tuple[str, ...]


def mannequin(skeleton):
    """The body of any skeleton: COCO's joints get body21's midline, face joints become a head with a nose."""
    if skeleton.name in ("coco17", "coco19"):
        body = mannequin(BODY21)
        return body._replace(matrix=body.matrix @ conversion(skeleton, BODY21))
    names, matrix = list(skeleton.joints), list(np.eye(len(skeleton)))
    pairs = [(names[a], names[b]) for a, b in skeleton.bones]
    if set(names) >= _FACE and "thorax" in names:
        pairs = [pair for pair in pairs if not _FACE & set(pair)]
        ears = (matrix[names.index("left_ear")] + matrix[names.index("right_ear")]) / 2
        nose, top, thorax = (matrix[names.index(name)] for name in ("nose", "head_top", "thorax"))
        names += ["skull", "crown", "neck"]
        matrix += [0.9 * ears + 0.1 * nose, 0.5 * ears + 0.5 * top, 0.75 * ears + 0.25 * thorax]
        pairs += [("thorax", "neck"), ("skull", "crown"), ("skull", "nose")]
    bones = np.array([(names.index(a), names.index(b)) for a, b in pairs], int).reshape(-1, 2)
    radii = np.array([(_radius(a, b), _radius(b, a)) for a, b in pairs]).reshape(-1, 2)
    return Mannequin(np.array(matrix), bones, radii, tuple(_side(b) for _, b in pairs))


def _radius(name, other):
    part = name.split("_", 1)[1] if _side(name) else name
    if name == "thorax" and _side(other):
        return _RADIUS["shoulder"]
    if name == "nose" and other != "skull":
        return _RADIUS["neck_nose"]
    if name == "skull" and other == "nose":
        return 0.05
    if name == "thorax" and other == "neck":
        return 0.05
    return _RADIUS.get(part, 0.035)


def _side(name):
    return name.split("_")[0] if name.startswith(("left_", "right_")) else ""


def body_size(joints, skeleton):
    """How large a body is beside a person of 1.7 m, by its legs; 1 where there are none. joints (J, 3) m."""
    lengths = []
    for side in ("left", "right"):
        names = [f"{side}_{part}" for part in ("hip", "knee", "ankle" if f"{side}_ankle" in skeleton.joints else "foot")]
        if set(names) <= set(skeleton.joints):
            leg = joints[skeleton.indices(*names)]
            lengths.append(np.linalg.norm(np.diff(leg, axis=0), axis=1).sum())
    return float(np.clip(np.mean(lengths) / 0.82, 0.4, 1.4)) if lengths else 1.0
