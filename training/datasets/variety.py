"""Other people and postures than were recorded: limbs opened and turned, people mirrored and turned over, other bone lengths.

Windows of joints (B, R, 21, 3) m around the pelvis, z up, all of a batch at once; `draw` (training.looks.Draw) holds the random numbers.
"""

import torch

from core.skeletons import BODY21
from training.datasets.rigs import inverse, turned

GROUPS = (("pelvis", "left_hip", "right_hip"), ("left_knee", "right_knee"), ("left_ankle", "right_ankle"), ("spine",), ("thorax",), ("nose",),
          ("left_shoulder", "right_shoulder"), ("left_elbow", "right_elbow"), ("left_wrist", "right_wrist"),
          ("left_eye", "right_eye", "left_ear", "right_ear", "head_top"))  # bones of one length factor, named by where they end
SPREAD = (0.15, 0.07, 0.07, 0.07, 0.07, 0.10, 0.10, 0.07, 0.07, 0.06)  # standard deviation of the logarithm of each factor
# Its median: pictures are marked with wider and lower hips, higher ankles and longer necks than the bodies of motion capture have.
MARKED = (1.15, 0.95, 0.95, 1.05, 1.0, 1.10, 0.95, 1.0, 1.0, 1.0)
CHAIN = ("left_knee", "left_ankle", "spine", "thorax", "nose")  # the bones whose lengths add up to most of the stature
TUMBLED = 0.1  # share of windows in which the person is turned any way up: on the floor, in the air
HINGES = {"knee": ("hip", "ankle", 30), "elbow": ("shoulder", "wrist", 25)}  # limbs with two bones; by how many degrees they are opened at most
OPENED = 0.7  # share of windows in which they are
BENT, LIVELY, KNOT = 0.6, 0.6, 12  # share of windows in which limbs are turned; how much of it changes, and over how many frames
BENDS = {"spine": 8, "nose": 10, "left_knee": 10, "right_knee": 10, "left_ankle": 8, "right_ankle": 8, "left_elbow": 15, "right_elbow": 15,
         "left_wrist": 15, "right_wrist": 15}  # by how many degrees, at most about: all from this joint outwards, around its parent


def varied(joints, root, target, draw):
    """Joints and the pelvis' path (B, R, 3) of other people in other postures; the bones of frame `target` give the stature."""
    for hinge, (_, _, most) in HINGES.items():
        joints = opened(joints, hinge, torch.where(draw.chance(OPENED, len(joints)), draw.rand(len(joints), high=most), 0)[:, None])
    return _other_body(*_tumbled(*_mirrored(_bent(joints, draw), root, draw), draw), target, draw)


def opened(joints, hinge, degrees):
    """Joints (..., 21, 3) with both knees or elbows opened by `degrees` (...), or as far as they go.

    Of most who stand upright, motion capture has the knees bent by 15 degrees and more.
    """
    joints, (start, end, _) = joints.clone(), HINGES[hinge]
    less = torch.as_tensor(degrees, device=joints.device).deg2rad()[..., None]
    for side in ("left", "right"):
        a, b, c = BODY21.indices(*(f"{side}_{name}" for name in (start, hinge, end)))
        upper, lower = joints[..., b, :] - joints[..., a, :], joints[..., c, :] - joints[..., b, :]
        axis = torch.linalg.cross(upper, lower)
        sine = axis.norm(dim=-1, keepdim=True)
        half = torch.minimum(torch.atan2(sine, (upper * lower).sum(-1, keepdim=True)), less) / 2
        turn = _quaternion(half * axis / sine.clamp(min=1e-9))
        joints[..., b, :] = joints[..., a, :] + turned(turn, upper)
        joints[..., c, :] = joints[..., b, :] + turned(inverse(turn), lower)
    return joints


def _bent(joints, draw):
    """Limbs turned a little, each in its own way and some of it slowly changing: postures that nobody recorded took."""
    count, field = joints.shape[:2]
    joints, scale = joints.clone(), torch.where(draw.chance(BENT, count), draw.rand(count), 0).deg2rad()[:, None, None]
    for name, most in BENDS.items():
        knots = torch.nn.functional.interpolate(draw.randn(count, 3, field // KNOT + 2), size=field, mode="linear", align_corners=True)
        angle = most * scale * ((1 - LIVELY**2) ** 0.5 * draw.randn(count, 1, 3) + LIVELY * knots.transpose(1, 2))
        turn = _quaternion(angle)[:, :, None]
        part = BODY21.outwards(BODY21.index(name))
        place = joints[:, :, BODY21.parents[part[0]], None]
        joints[:, :, part] = place + turned(turn, joints[:, :, part] - place)
    return joints


def _quaternion(angle):
    """Unit quaternions (..., 4) of rotation vectors (..., 3), radians about their own direction."""
    size = angle.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    return torch.cat([(size / 2).cos(), (size / 2).sin() / size * angle], -1)


def _mirrored(joints, root, draw):
    flip = draw.chance(0.5, len(joints))
    sign = torch.where(flip, -1.0, 1.0)[:, None, None]
    mirror = torch.tensor(BODY21.mirror, device=joints.device)
    joints = torch.where(flip[:, None, None, None], joints[:, :, mirror], joints)
    axis = torch.tensor([1.0, 0, 0], device=joints.device)
    return joints * (1 + axis * (sign - 1))[:, None], root * (1 + axis * (sign - 1))


def _tumbled(joints, root, draw):
    """A share of the windows turned as a whole by any rotation: few people were recorded lying or upside down."""
    turn = torch.nn.functional.normalize(draw.randn(len(joints), 4), dim=1)
    still = torch.tensor([1.0, 0, 0, 0], device=joints.device)
    turn = torch.where(draw.chance(TUMBLED, len(joints), 1), turn, still)[:, None]
    return turned(turn[:, None], joints), turned(turn, root)


def _other_body(joints, root, target, draw):
    """Other bone lengths, chained anew from the pelvis, at the same stature."""
    parents = torch.tensor([max(p, 0) for p in BODY21.parents], device=joints.device)
    factor = torch.ones(len(joints), len(BODY21), device=joints.device)
    for names, median, spread in zip(GROUPS, MARKED, SPREAD, strict=True):
        factor[:, BODY21.indices(*names)] = median * (spread * draw.randn(len(joints), 1)).exp()
    bones = joints - joints[:, :, parents]
    chain = BODY21.indices(*CHAIN)
    lengths = bones[:, target, chain].norm(dim=-1)
    factor = factor * (lengths.sum(1) / (lengths * factor[:, chain]).sum(1))[:, None]
    return _chained(bones * factor[:, None, :, None]), root


def _chained(bones):
    """Joints from bones (..., 21, 3), each added to its parent."""
    joints = [None] * len(BODY21)
    for child in BODY21.order:
        joints[child] = torch.zeros_like(bones[..., 0, :]) if child == BODY21.root else joints[BODY21.parents[child]] + bones[..., child, :]
    return torch.stack(joints, -2)
