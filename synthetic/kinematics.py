"""Forward kinematics: joint angles to key points, the pelvis placed by ground contact, and plans of actions joined into one motion."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from synthetic import motions
from synthetic.motions import ANGLES, COLUMN, SIDES
from synthetic.shapes import CONTACTS, FACE, KEY, KEYPOINTS


@dataclass(frozen=True)
class Step:
    """One piece of a plan: an action for some seconds while the heading turns by `turn` degrees (left positive)."""

    action: str
    seconds: float
    turn: float = 0.0


def _turn(axis, angle):
    """Rotations (T, 3, 3) about a body axis (0 x, 1 y, 2 z) by angles (T,), right-handed."""
    matrix = np.zeros((len(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[:, axis, axis] = 1
    matrix[:, i, i] = matrix[:, j, j] = np.cos(angle)
    matrix[:, j, i] = np.sin(angle)
    matrix[:, i, j] = -matrix[:, j, i]
    return matrix


def _frame(pitch, roll, twist):
    """A trunk segment: turned about the vertical, leant forward, then to its right."""
    return _turn(2, twist) @ _turn(1, pitch) @ _turn(0, roll)


def forward(table, shape):
    """Key points (T, 27, 3) in metres of angles (T, A), the pelvis at the origin, heading along x."""
    angle = {name: table[:, column] for name, column in COLUMN.items()}
    points = np.zeros((len(table), len(KEYPOINTS), 3))

    def put(name, base, turn, offset):
        points[:, KEY[name]] = base + turn @ np.asarray(offset, float)
        return points[:, KEY[name]]

    pelvis = _turn(2, angle["heading"]) @ _frame(angle["pelvis_pitch"], angle["pelvis_roll"], angle["pelvis_twist"])
    half = _frame(angle["spine_pitch"] / 2, angle["spine_roll"] / 2, angle["spine_twist"] / 2)
    lumbar, chest = pelvis @ half, pelvis @ half @ half
    head = chest @ _frame(angle["head_pitch"], angle["head_roll"], angle["head_twist"])
    spine = put("spine", 0, lumbar, (0, 0, shape.lumbar))
    thorax = put("thorax", spine, chest, (0, 0, shape.chest))
    ears = thorax + head @ np.array([0.025 * shape.head, 0, shape.neck])
    for name, offset in FACE.items():
        put(name, ears, head, np.multiply(offset, shape.head))
    for side, sign in SIDES.items():
        _leg(put, shape, {name: angle[f"{side}_{name}"] for name in motions.LIMBS}, pelvis, side, sign)
        _arm(put, shape, {name: angle[f"{side}_{name}"] for name in motions.LIMBS}, chest, thorax, side, sign)
    return points


def _leg(put, shape, angle, pelvis, side, sign):
    hip = put(f"{side}_hip", 0, pelvis, (0, sign * shape.hip, 0))
    thigh = pelvis @ _turn(0, sign * angle["hip_abduct"]) @ _turn(1, -angle["hip_flex"]) @ _turn(2, -sign * angle["hip_turn"])
    knee = put(f"{side}_knee", hip, thigh, (0, 0, -shape.thigh))
    shank = thigh @ _turn(1, angle["knee"])
    ankle = put(f"{side}_ankle", knee, shank, (0, 0, -shape.shank))
    foot = shank @ _turn(1, -angle["ankle"])
    put(f"{side}_heel", ankle, foot, (-0.25 * shape.foot, 0, -shape.ankle))
    put(f"{side}_toe", ankle, foot, (0.75 * shape.foot, sign * 0.1 * shape.foot, -shape.ankle))


def _arm(put, shape, angle, chest, thorax, side, sign):
    shoulder = put(f"{side}_shoulder", thorax, chest, (-0.01, sign * shape.shoulder, -0.09 * shape.chest))
    upper = chest @ _turn(0, sign * angle["shoulder_abduct"]) @ _turn(1, -angle["shoulder_flex"]) @ _turn(2, -sign * angle["shoulder_turn"])
    elbow = put(f"{side}_elbow", shoulder, upper, (0, 0, -shape.upper_arm))
    lower = upper @ _turn(1, -angle["elbow"])
    wrist = put(f"{side}_wrist", elbow, lower, (0, 0, -shape.forearm))
    put(f"{side}_hand", wrist, lower @ _turn(1, -angle["wrist"]), (0, 0, -shape.hand))


def grounded(points, lift, support, rate):
    """Key points (T, 27, 3) moved so that the lowest sole point stands on z = `lift` and, on the ground, does not slide.

    `lift` (T,) is in metres, `support` (T,) from 1 (the left foot bears) to -1 (the right foot), `rate` in frames a second. The path
    starts at the origin.
    """
    soles = points[:, CONTACTS]
    free = np.clip(support[:, None] * [-1, 1, -1, 1], 0, 1)
    height = soles[..., 2] + 0.03 * free
    low = height.min(1)
    weight = np.exp(-(height - low[:, None]) / 0.008)
    weight = weight[1:] + weight[:-1]
    weight /= weight.sum(1, keepdims=True)
    step = -(weight[..., None] * np.diff(soles[..., :2], axis=0)).sum(1)
    step[lift[1:] > 0.06] = 0
    path = np.concatenate([np.zeros((1, 2)), gaussian_filter1d(step, 0.04 * rate, axis=0).cumsum(0)])
    return points + np.column_stack([path, lift - gaussian_filter1d(low, 0.02 * rate)])[:, None]


def perform(shape, plan, rate, style, fade=0.45):
    """Key points (T, 27, 3) in metres, z up, of a body that does the steps of `plan` one after the other; it starts at the origin, facing x.

    Steps melt into each other over `fade` seconds. Raises KeyError for an unknown action.
    """
    ends = np.cumsum([step.seconds for step in plan])
    time = np.arange(max(1, round(ends[-1] * rate))) / rate
    total, table, heading = np.zeros(len(time)), np.zeros((len(time), len(ANGLES))), np.zeros(len(time))
    for step, end in zip(plan, ends, strict=True):
        start = end - step.seconds
        rise = 1 / (1 + np.exp(-np.clip((time - start) / fade * 8, -40, 40))) if start > 0 else np.ones(len(time))
        fall = 1 / (1 + np.exp(np.clip((time - end) / fade * 8, -40, 40))) if step is not plan[-1] else np.ones(len(time))
        weight = rise * fall
        table += weight[:, None] * motions.table(step.action, time - start, style)
        total += weight
        done = np.clip((time - start) / step.seconds, 0, 1)
        heading += np.radians(step.turn) * done * done * (3 - 2 * done)
    table /= total[:, None]
    table[:, COLUMN["heading"]] += heading
    table[:, COLUMN["head_twist"]] += 0.35 * np.clip(np.gradient(heading, 1 / rate) if len(time) > 1 else heading, -1.5, 1.5)
    return grounded(forward(table, shape), table[:, COLUMN["lift"]], table[:, COLUMN["support"]], rate)
