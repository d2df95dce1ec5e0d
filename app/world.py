"""An upright world from the people: which way is up, where the floor is, where to put the origin.

Evidence comes in windows of half a second of one person: the axis of an upright body, and the place of the lower foot. Up is the direction
that fits both the axes and a floor through the feet, each weighed by what it is worth, starting from "the camera is held level".
"""

from typing import NamedTuple

import numpy as np

from app.body import ANKLE_HEIGHT
from core.skeletons import Skeleton

WINDOW = 0.5  # s
CAMERA_UP = np.array([0.0, -1.0, 0.0])
ROLL, PITCH = np.radians(3), np.radians(25)  # how far a camera is usually from level
AXIS, AXIS_TOGETHER = np.radians(7), np.radians(3)  # error of one window's body axis, and the part that more windows do not remove
FOOT, FOOT_BY_DEPTH = 0.03, 0.03  # m, and share of the depth: error of a foot's place
STRAIGHT_KNEE, LEAN = np.radians(150), np.radians(30)  # a standing body: one knee at least so open, legs and trunk at most so far from one line
TRUNK = 0.1  # what the trunk of a body that does not stand says about up, relative to a standing body
LEVEL = 25  # percent of the windows have their foot below the level that counts as floor


class Evidence(NamedTuple):
    """One window: axis (3,) of the body and foot (3,) m in camera space, each with what it is worth (1: a standing body, all joints well seen)."""

    axis: np.ndarray
    foot: np.ndarray
    axis_weight: float
    foot_weight: float


def evidence(joints, root, times, trust, skeleton: Skeleton):
    """The Evidence of a track: joints (T, J, 3) m root-relative, root (T, 3), times (T,), trust (T, J) the scores of the joints' 2D.

    Frames without 3D are left out.
    """
    good = np.isfinite(joints).all((1, 2)) & np.isfinite(root).all(1)
    placed, number = (joints + root[:, None])[good], np.floor(np.asarray(times)[good] / WINDOW)
    if not len(placed):
        return []
    standing, axes, trunks = body_axes(placed, skeleton)
    feet = lower_feet(placed, skeleton)
    legs, trunk = (np.nan_to_num(trust[good][:, skeleton.indices(*_pair(skeleton, part))]).mean(1) for part in ("ankle", "hip"))
    parts = np.split(np.arange(len(placed)), np.flatnonzero(np.diff(number)) + 1)
    most = max(len(part) for part in parts)
    return [_summary(standing[p], axes[p], trunks[p], feet[p], legs[p].mean(), trunk[p].mean(), len(p) / most) for p in parts]


def _summary(standing, axes, trunks, feet, legs, trunk, share):
    foot = np.median(feet, axis=0)
    if standing.mean() >= 0.3:
        return Evidence(axes[standing].mean(0), foot, share * legs * trunk, share * legs**2)
    return Evidence(trunks.mean(0), foot, share * TRUNK * trunk**2, share * legs**2)


def body_axes(placed, skeleton):
    """Whether the bodies (T, J, 3) stand upright (T,), and unit vectors (T, 3) to between the shoulders from between the ankles and the hips."""
    ankle, knee, hip, shoulder = (placed[:, skeleton.indices(*_pair(skeleton, part))] for part in ("ankle", "knee", "hip", "shoulder"))
    bend = _angle(hip - knee, ankle - knee).max(1)
    legs, trunk, axis = hip.mean(1) - ankle.mean(1), shoulder.mean(1) - hip.mean(1), shoulder.mean(1) - ankle.mean(1)
    standing = (bend > STRAIGHT_KNEE) & (_angle(legs, trunk) < LEAN) & (_angle(axis, CAMERA_UP) < np.radians(60))
    return standing, *(v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9) for v in (axis, trunk))


def lower_feet(placed, skeleton):
    """The ankle (T, 3) of each frame that is further from the shoulders, along the line from them to between the ankles."""
    ankle, shoulder = (placed[:, skeleton.indices(*_pair(skeleton, part))] for part in ("ankle", "shoulder"))
    down = ankle.mean(1) - shoulder.mean(1)
    lower = ((ankle - shoulder.mean(1, keepdims=True)) * down[:, None]).sum(-1).argmax(1)
    return ankle[np.arange(len(placed)), lower]


def _pair(skeleton, part):
    name = "foot" if part == "ankle" and "left_ankle" not in skeleton.joints else part
    return f"left_{name}", f"right_{name}"


def _angle(a, b):
    cosine = (a * b).sum(-1) / np.maximum(np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1), 1e-9)
    return np.arccos(np.clip(cosine, -1, 1))


def up_direction(windows, rounds=8):
    """The unit vector (3,) that points up in camera axes, by Gauss-Newton over its two angles and the floor's height, with Cauchy weights."""
    up, floor = CAMERA_UP, 0.0
    axis_weight, weight = (np.array([getattr(w, name) for w in windows]) for name in ("axis_weight", "foot_weight"))
    axes = np.array([w.axis for w in windows]).reshape(-1, 3)
    feet = np.array([w.foot for w in windows]).reshape(-1, 3)
    scale = FOOT + FOOT_BY_DEPTH * np.abs(feet[:, 2])
    for _ in range(rounds):
        across = np.cross(up, (0.0, 0.0, 1.0))
        across /= np.linalg.norm(across)
        turn = np.stack([across, np.cross(across, up)])  # roll and pitch: the directions in which up can move
        normal, target = _level_camera(up, turn)
        for extra in (_from_axes(up, turn, axes, axis_weight), _from_feet(up, turn, floor, feet, scale, weight)):
            normal, target = normal + extra[0], target + extra[1]
        step = np.linalg.solve(normal + 1e-9 * np.eye(3), target)
        up, floor = up + step[:2] @ turn, floor + step[2]
        up = up / np.linalg.norm(up)
    return up


def _level_camera(up, turn):
    precision = np.diag([1 / ROLL**2, 1 / PITCH**2, 0.0])
    return precision, precision @ np.append(turn @ (CAMERA_UP - up), 0.0)


def _from_axes(up, turn, axes, weight):
    """The normal equations of the bodies' axes; their common error bounds what many of them are worth."""
    miss = axes - up
    used = weight / (1 + (np.linalg.norm(miss, axis=1) / (2 * AXIS)) ** 2)
    total = used.sum()
    if total <= 0:
        return np.zeros((3, 3)), np.zeros(3)
    precision = np.diag([1.0, 1.0, 0.0]) / (AXIS**2 / total + AXIS_TOGETHER**2)
    return precision, precision @ np.append(turn @ (used @ miss / total), 0.0)


def _from_feet(up, turn, floor, feet, scale, weight):
    """The normal equations of feet on one plane: up . foot = floor."""
    miss = floor - feet @ up
    used = weight / scale**2 / (1 + (miss / (2 * scale)) ** 2) if floor else weight / scale**2
    rows = np.column_stack([feet @ turn.T, -np.ones(len(feet))])
    return (rows * used[:, None]).T @ rows, (rows * used[:, None]).T @ miss


def world_matrix(windows, centre):
    """world_from_camera (4, 4): z up, floor at 0, y away from the camera, the origin under `centre` (3,), a point in camera space.

    Without any evidence the camera is level and the floor passes through the centre.
    """
    up = up_direction(windows)
    ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
    ahead /= np.linalg.norm(ahead)
    rotation = np.stack([np.cross(ahead, up), ahead, up])
    floor = floor_level(windows, up) if any(w.foot_weight > 0 for w in windows) else centre @ up
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = -np.array([rotation[0] @ centre, rotation[1] @ centre, floor])
    return matrix


def floor_level(windows, up):
    """The height of the floor along `up`, below LEVEL percent of the feet by weight."""
    levels, weights = np.array([w.foot @ up for w in windows]), np.array([w.foot_weight for w in windows])
    order = np.argsort(levels)
    reached = np.cumsum(weights[order]) / weights.sum()
    return levels[order][np.searchsorted(reached, LEVEL / 100)] - ANKLE_HEIGHT
