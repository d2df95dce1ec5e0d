"""Joint names, bones, mirror pairs and roots, and the one place where joint order changes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Skeleton:
    """A named set of joints. `parents` holds an index for each joint, -1 for the root; left/right are seen from the person."""

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]

    def __len__(self):
        return len(self.joints)

    def index(self, joint):
        """The position of a joint by name. Raises ValueError for an unknown one."""
        return self.joints.index(joint)

    def indices(self, *joints):
        return [self.joints.index(joint) for joint in joints]

    @cached_property
    def root(self):
        return self.parents.index(-1)

    @cached_property
    def bones(self):
        """(parent, child) pairs, parents before their children."""
        return tuple((self.parents[child], child) for child in self.order if self.parents[child] >= 0)

    @cached_property
    def order(self):
        """All joints from the root outwards."""
        return tuple(self.outwards(self.root))

    def outwards(self, joint):
        """The number of a joint and those of all that hang on it, outwards."""
        found = [joint]
        for link in found:
            found += [child for child, parent in enumerate(self.parents) if parent == link]
        return found

    @cached_property
    def left(self):
        return tuple(i for i, joint in enumerate(self.joints) if joint.startswith("left_"))

    @cached_property
    def right(self):
        """The partners of `left`, in the same order."""
        return tuple(self.index("right_" + self.joints[i].removeprefix("left_")) for i in self.left)

    @cached_property
    def mirror(self):
        """For each joint the one on the other side (itself on the midline)."""
        partner = list(range(len(self)))
        for a, b in zip(self.left, self.right, strict=True):
            partner[a], partner[b] = b, a
        return tuple(partner)


def _skeleton(name, tree):
    """A skeleton from "joint<parent" words; the root names itself."""
    pairs = [word.split("<") for word in tree.split()]
    joints = tuple(joint for joint, _ in pairs)
    parents = tuple(-1 if joint == parent else joints.index(parent) for joint, parent in pairs)
    return Skeleton(name, joints, parents)


_COCO = """nose<{neck} left_eye<nose right_eye<nose left_ear<left_eye right_ear<right_eye left_shoulder<{neck} right_shoulder<{neck}
    left_elbow<left_shoulder right_elbow<right_shoulder left_wrist<left_elbow right_wrist<right_elbow
    left_hip<{hips} right_hip<{hips} left_knee<left_hip right_knee<right_hip left_ankle<left_knee right_ankle<right_knee"""

BODY21 = _skeleton("body21", _COCO.format(neck="thorax", hips="pelvis") + " pelvis<pelvis spine<pelvis thorax<spine head_top<nose")

H36M17 = _skeleton("h36m17", """hip<hip right_hip<hip right_knee<right_hip right_foot<right_knee left_hip<hip left_knee<left_hip left_foot<left_knee
    spine<hip thorax<spine neck_nose<thorax head<neck_nose left_shoulder<thorax left_elbow<left_shoulder left_wrist<left_elbow
    right_shoulder<thorax right_elbow<right_shoulder right_wrist<right_elbow""")

# H36M17 without the joint between neck and nose, as SemGCN and others have it.
H36M16 = _skeleton("h36m16", """hip<hip right_hip<hip right_knee<right_hip right_foot<right_knee left_hip<hip left_knee<left_hip left_foot<left_knee
    spine<hip thorax<spine head<thorax left_shoulder<thorax left_elbow<left_shoulder left_wrist<left_elbow
    right_shoulder<thorax right_elbow<right_shoulder right_wrist<right_elbow""")

HUMANEVA15 = _skeleton("humaneva15", """pelvis<pelvis thorax<pelvis left_shoulder<thorax left_elbow<left_shoulder left_wrist<left_elbow
    right_shoulder<thorax right_elbow<right_shoulder right_wrist<right_elbow left_hip<pelvis left_knee<left_hip left_ankle<left_knee
    right_hip<pelvis right_knee<right_hip right_ankle<right_knee head<thorax""")

COCO17 = Skeleton("coco17", BODY21.joints[:17], (-1, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 5, 6, 11, 12, 13, 14))

# How far apart people mark each joint of COCO17, over the square root of the person's area: the sigmas of COCO's object keypoint similarity.
COCO_SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000

# MPII's joints in the order of EfficientPose.
EFFICIENTPOSE16 = _skeleton("efficientpose16", """head_top<upper_neck upper_neck<thorax right_shoulder<thorax right_elbow<right_shoulder
    right_wrist<right_elbow thorax<pelvis left_shoulder<thorax left_elbow<left_shoulder left_wrist<left_elbow pelvis<pelvis
    right_hip<pelvis right_knee<right_hip right_ankle<right_knee left_hip<pelvis left_knee<left_hip left_ankle<left_knee""")

# The joint sets of 3DMPPE (Moon et al. 2019), under its authors' names, in their order
H36M18 = _skeleton("h36m18", """pelvis<pelvis right_hip<pelvis right_knee<right_hip right_ankle<right_knee left_hip<pelvis left_knee<left_hip
    left_ankle<left_knee torso<pelvis neck<torso nose<neck head<nose left_shoulder<neck left_elbow<left_shoulder left_wrist<left_elbow
    right_shoulder<neck right_elbow<right_shoulder right_wrist<right_elbow thorax<neck""")

_MUPOTS = """head_top<head thorax<spine right_shoulder<thorax right_elbow<right_shoulder right_wrist<right_elbow left_shoulder<thorax
    left_elbow<left_shoulder left_wrist<left_elbow right_hip<pelvis right_knee<right_hip right_ankle<right_knee left_hip<pelvis left_knee<left_hip
    left_ankle<left_knee pelvis<pelvis spine<pelvis head<thorax"""
MUPOTS17 = _skeleton("mupots17", _MUPOTS)
MUCO21 = _skeleton("muco21", _MUPOTS + " right_hand<right_wrist left_hand<left_wrist right_toe<right_ankle left_toe<left_ankle")

COCO19 = _skeleton("coco19", _COCO.format(neck="thorax", hips="pelvis") + " thorax<pelvis pelvis<pelvis")

MPII16 = _skeleton("mpii16", """right_ankle<right_knee right_knee<right_hip right_hip<pelvis left_hip<pelvis left_knee<left_hip left_ankle<left_knee
    pelvis<pelvis thorax<pelvis neck<thorax head<neck right_wrist<right_elbow right_elbow<right_shoulder right_shoulder<thorax
    left_shoulder<thorax left_elbow<left_shoulder left_wrist<left_elbow""")

SKELETONS = {skeleton.name: skeleton for skeleton in (BODY21, H36M17, H36M16, HUMANEVA15, COCO17, EFFICIENTPOSE16, H36M18, MUPOTS17, MUCO21, COCO19,
                                                      MPII16)}


# Joints that a skeleton gets as affine combinations of another's: "joint xWeight" words, weights of a row sum to 1, so the same numbers
# hold in 2D and 3D. "ears" and the like stand for both sides, half each. Fitted by least squares on 40,000 poses of CMU and HDM05 motion
# with the face points of a mean head. Mean errors: body21 to Human3.6M head 0 mm, neck_nose 4 mm; COCO to Human3.6M hip 0 mm,
# spine 42 mm, thorax 37 mm, neck_nose 22 mm, head 26 mm; COCO to body21 the same, head top 26 mm.
_SPINE = "shoulders*.438 hips*.562"
_THORAX = "shoulders*.691 hips*.139 ears*.154 nose*.016"
_H36M_FROM_BODY = {"hip": "pelvis*1", "neck_nose": "nose*.496 ears*1.267 head_top*-.789 thorax*.026", "head": "head_top*.318 ears*.682"}
_H36M_FROM_COCO = {"hip": "hips*1", "spine": _SPINE, "thorax": _THORAX, "neck_nose": "nose*.488 ears*.071 shoulders*.441",
                   "head": "ears*1.162 shoulders*-.166 nose*.004"}
_BODY_FROM_COCO = {"pelvis": "hips*1", "spine": _SPINE, "thorax": _THORAX, "head_top": "ears*1.510 shoulders*-.524 nose*.014"}
# MPII has no face: what has no rule is missing, NaN with score 0. The spine is where it is on average between pelvis and thorax.
_BODY_FROM_MPII = {"spine": "thorax*.465 pelvis*.535"} | dict.fromkeys(("nose", "left_eye", "right_eye", "left_ear", "right_ear"), "")
_FEET = {"left_foot": "left_ankle*1", "right_foot": "right_ankle*1"}
_ANKLES = {"pelvis": "hip*1", "left_ankle": "left_foot*1", "right_ankle": "right_foot*1"}
# HumanEva's head is taken to be Human3.6M's. From 16 joints or HumanEva's back to Human3.6M's 17: neck_nose 54 mm, spine 49 mm.
_NECK = {"neck_nose": "head*.5 thorax*.5"}
_H36M_FROM_MUCO = _NECK | _FEET | {"hip": "pelvis*1"}
_H36M_FROM_HUMANEVA = _H36M_FROM_MUCO | {"spine": "thorax*.465 pelvis*.535"}
_H36M_FROM_MPPE = {"hip": "pelvis*1", "spine": "torso*1", "thorax": "neck*1", "neck_nose": "nose*1"} | _FEET  # the same joints by other names
_RULES = {("body21", "h36m17"): _H36M_FROM_BODY | _FEET, ("coco17", "h36m17"): _H36M_FROM_COCO | _FEET,
          ("body21", "h36m16"): _H36M_FROM_BODY | _FEET, ("coco17", "h36m16"): _H36M_FROM_COCO | _FEET,
          ("h36m17", "h36m16"): {}, ("h36m16", "h36m17"): _NECK,
          ("body21", "humaneva15"): {"head": _H36M_FROM_BODY["head"]}, ("coco17", "humaneva15"): _BODY_FROM_COCO | {"head": _H36M_FROM_COCO["head"]},
          ("h36m17", "humaneva15"): _ANKLES, ("h36m16", "humaneva15"): _ANKLES,
          ("humaneva15", "h36m17"): _H36M_FROM_HUMANEVA, ("humaneva15", "h36m16"): _H36M_FROM_HUMANEVA,
          ("coco17", "body21"): _BODY_FROM_COCO, ("body21", "coco17"): {}, ("efficientpose16", "body21"): _BODY_FROM_MPII,
          ("h36m18", "h36m17"): _H36M_FROM_MPPE, ("muco21", "h36m17"): _H36M_FROM_MUCO, ("mupots17", "h36m17"): _H36M_FROM_MUCO,
          ("mpii16", "h36m17"): _H36M_FROM_HUMANEVA | {"neck_nose": "neck*1"},
          ("muco21", "mupots17"): {}, ("coco19", "coco17"): {}, ("coco19", "body21"): _BODY_FROM_COCO,
          ("coco19", "h36m17"): _H36M_FROM_COCO | _FEET}


def conversion(source, target):
    """The matrix (J_target, J_source) that turns joints of one skeleton into another's. Raises ValueError where no rule is known."""
    if source == target:
        return np.eye(len(source))
    if (source.name, target.name) not in _RULES:
        raise ValueError(f"no conversion from {source.name} to {target.name}; there are: {', '.join(f'{a} to {b}' for a, b in _RULES)}")
    rules, matrix = _RULES[source.name, target.name], np.zeros((len(target), len(source)))
    for row, joint in enumerate(target.joints):
        for word in rules.get(joint, f"{joint}*1").split():
            name, weight = word.split("*")
            group = [name] if name in source.joints else [f"{side}_{name.removesuffix('s')}" for side in ("left", "right")]
            for member in group:
                matrix[row, source.index(member)] += float(weight) / len(group)
    return matrix


def convert(points, scores, source, target):
    """Points (..., J, D) and scores (..., J) in another skeleton; a joint is scored by the weakest of those it is made of.

    A joint that is made of none is missing: NaN with score 0.
    """
    if source == target:
        return np.asarray(points, np.float32), np.asarray(scores, np.float32)
    matrix = conversion(source, target)
    used = matrix != 0
    moved = np.stack([np.tensordot(points[..., row, :], matrix[i, row], ([-2], [0])) for i, row in enumerate(used)], -2)
    moved[..., ~used.any(1), :] = np.nan
    weakest = np.stack([scores[..., row].min(-1, initial=np.inf) for row in used], -1)
    return moved.astype(np.float32), np.where(used.any(1), weakest, 0).astype(np.float32)
