"""Procedural motion: joint angles over time for walking, running, turning, crouching, jumping, waving and more.

Body axes are x forward, y left, z up; positive angles flex, abduct, turn inwards (limbs), lean forward, to the right, to the left (trunk).
Gait curves are mean joint angles of adult level walking as tabulated in Winter, "Biomechanics and Motor Control of Human Movement".
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

SIDES = {"left": 1, "right": -1}
TRUNK = ("heading", "pelvis_pitch", "pelvis_roll", "pelvis_twist", "spine_pitch", "spine_roll", "spine_twist", "head_pitch", "head_roll",
         "head_twist",
         "lift", "support")
LIMBS = ("hip_flex", "hip_abduct", "hip_turn", "knee", "ankle", "shoulder_flex", "shoulder_abduct", "shoulder_turn", "elbow", "wrist")
ANGLES = TRUNK + tuple(f"{side}_{name}" for side in SIDES for name in LIMBS)
COLUMN = {name: index for index, name in enumerate(ANGLES)}


def _periodic(*knots):
    """A smooth periodic curve over the gait cycle from (percent, degrees) knots."""
    percent, degrees = zip(*knots, strict=True)
    return CubicSpline(np.array(percent) / 100, np.radians(degrees), bc_type="periodic")


HIP = _periodic((0, 21), (15, 14), (30, 0), (50, -18), (62, -10), (75, 14), (87, 23), (100, 21))
KNEE = _periodic((0, 4), (14, 16), (28, 9), (40, 5), (50, 13), (60, 40), (71, 66), (82, 50), (94, 9), (100, 4))
ANKLE = _periodic((0, 1), (7, -6), (20, 3), (44, 10), (52, 0), (61, -18), (72, 4), (85, 7), (100, 1))


# ---- actions: times (T,), a Style -> {angle: (T,) radians}


@dataclass(frozen=True)
class Style:
    """How somebody moves: seconds of a gait cycle, amplitudes, which hand waves, phase offsets; all drawn once for a person."""

    cycle: float = 1.08
    stride: float = 1.0
    swing: float = 1.0
    lean: float = 0.03
    side: str = "right"
    phase: float = 0.0
    depth: float = 1.0
    hold: float = 0.2


def random_style(rng):
    return Style(rng.uniform(0.95, 1.25), rng.uniform(0.8, 1.12), rng.uniform(0.5, 1.6), rng.normal(0.03, 0.04), str(rng.choice(list(SIDES))),
                 rng.random(), rng.uniform(0.6, 1.1), rng.uniform(0, 0.6))


def _gait(time, style, stride, swing, cycle):
    angles = {}
    for side, sign in SIDES.items():
        phase = (time / cycle + style.phase + (0.5 if sign < 0 else 0)) % 1
        swung = -np.cos(2 * np.pi * (phase + 0.02))
        angles |= {f"{side}_hip_flex": stride * HIP(phase), f"{side}_knee": (0.35 + 0.65 * stride) * KNEE(phase),
                   f"{side}_ankle": stride * ANKLE(phase),
                   f"{side}_shoulder_flex": 0.33 * swing * swung - 0.05, f"{side}_elbow": 0.25 + style.hold + 0.16 * swing * swung,
                   f"{side}_shoulder_abduct": 0.13 + 0 * time, f"{side}_shoulder_turn": 0.15 + 0 * time}
    turn = 2 * np.pi * (time / cycle + style.phase)
    return angles | {"support": np.tanh(3 * np.sin(turn)), "pelvis_twist": -0.08 * stride * np.cos(turn),
                     "spine_twist": 0.15 * swing * np.cos(turn), "pelvis_roll": 0.03 * np.sin(turn + 0.4),
                     "spine_roll": -0.04 * np.sin(turn + 0.4), "pelvis_pitch": style.lean + 0.02 * np.cos(2 * turn),
                     "spine_pitch": style.lean + 0 * time}


def walk(time, style):
    return _gait(time, style, style.stride, style.swing, style.cycle)


def run(time, style):
    """Faster and longer strides, high knees, arms bent, a short flight twice a cycle."""
    cycle = 0.68 * style.cycle
    angles = _gait(time, style, 1.35, 2.2, cycle)
    for side in SIDES:
        angles[f"{side}_hip_flex"] = angles[f"{side}_hip_flex"] + 0.15
        angles[f"{side}_knee"] = 1.3 * angles[f"{side}_knee"] + 0.15
        angles[f"{side}_elbow"] = angles[f"{side}_elbow"] + 1.1
    flight = np.clip(np.cos(4 * np.pi * (time / cycle + style.phase) - 0.4), 0, None)
    return angles | {"lift": 0.045 * flight**2, "pelvis_pitch": 0.12 + 0 * time, "spine_pitch": 0.08 + 0 * time}


def stand(time, style):
    """Idle: weight from leg to leg, breathing, small looks around."""
    slow = 2 * np.pi * (0.17 * time + style.phase)
    angles = {"pelvis_roll": 0.05 * np.sin(slow), "spine_roll": -0.06 * np.sin(slow), "head_twist": 0.35 * np.sin(0.6 * slow + 1),
              "spine_twist": 0.08 * np.sin(slow / 2),
              "head_pitch": 0.08 * np.sin(1.3 * slow), "spine_pitch": style.lean + 0.015 * np.sin(1.6 * time)}
    for side, sign in SIDES.items():
        weight = 0.5 - 0.5 * sign * np.sin(slow)
        angles |= {f"{side}_hip_flex": 0.05 + 0.16 * weight, f"{side}_knee": 0.06 + 0.30 * weight, f"{side}_ankle": 0.02 + 0.12 * weight,
                   f"{side}_hip_abduct": 0.07 - 0.05 * sign * np.sin(slow),
                   f"{side}_hip_turn": -0.15 + 0 * time, f"{side}_shoulder_abduct": 0.12 + 0 * time,
                   f"{side}_shoulder_flex": 0.04 * np.sin(slow + sign),
                   f"{side}_elbow": 0.2 + style.hold + 0.05 * np.sin(slow + sign), f"{side}_shoulder_turn": 0.25 + 0 * time}
    return angles


def _hump(time, period, phase):
    """A smooth rise and fall from 0 to 1, once a period."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * (time / period + phase))


def _squat(depth):
    """Leg angles of a balanced squat of depth 0 to 1 (T,), and the trunk's lean that goes with it."""
    angles = {"pelvis_pitch": 0.55 * depth, "spine_pitch": 0.25 * depth, "head_pitch": -0.5 * depth}
    for side in SIDES:
        angles |= {f"{side}_hip_flex": 2.0 * depth, f"{side}_knee": 2.1 * depth + 0.05, f"{side}_ankle": 0.62 * depth + 0.03,
                   f"{side}_hip_abduct": 0.10 + 0.25 * depth, f"{side}_hip_turn": -0.15 - 0.25 * depth}
    return angles


def crouch(time, style):
    depth = style.depth * _hump(time, 2.6, 0) ** 0.7
    angles = _squat(np.clip(depth, 0, 1))
    for side in SIDES:
        angles |= {f"{side}_shoulder_flex": 1.1 * depth, f"{side}_shoulder_abduct": 0.15 + 0 * time, f"{side}_elbow": 0.4 + 0.8 * depth,
                   f"{side}_shoulder_turn": 0.4 * depth}
    return angles


def jump(time, style):
    """Dip, take off, fly and land, once in 1.5 seconds."""
    period, gravity, speed = 1.5, 9.81, 2.0 + 0.8 * style.depth
    phase = time % period
    flown = phase - 0.62
    flight = 2 * speed / gravity
    lift = np.clip(speed * flown - gravity * flown**2 / 2, 0, None)
    bump = lambda centre, width: np.exp(-(((phase - centre) / width) ** 2))  # noqa: E731
    dip = 0.55 * bump(0.42, 0.13) + 0.45 * bump(0.62 + flight + 0.10, 0.12)
    air = bump(0.62 + flight / 2, 0.16)
    angles = _squat(dip) | {"lift": lift}
    for side in SIDES:
        angles[f"{side}_ankle"] = angles[f"{side}_ankle"] - 0.6 * air
        angles[f"{side}_knee"] = angles[f"{side}_knee"] + 0.25 * air
        angles[f"{side}_hip_flex"] = angles[f"{side}_hip_flex"] + 0.15 * air
        angles |= {f"{side}_shoulder_flex": -0.9 * bump(0.40, 0.14) + 2.3 * air, f"{side}_shoulder_abduct": 0.2 + 0.3 * air,
                   f"{side}_elbow": 0.5 + 0 * time}
    return angles


def wave(time, style):
    angles, side = stand(time, style), style.side
    beat = np.sin(2 * np.pi * 1.6 * time)
    return angles | {f"{side}_shoulder_abduct": 1.75 + 0.1 * beat, f"{side}_shoulder_flex": 0.25 + 0 * time,
                     f"{side}_shoulder_turn": -1.5 + 0 * time, f"{side}_elbow": 1.2 + 0.45 * beat}


def reach(time, style):
    """One arm reaches forward and up while the trunk follows."""
    angles, side, sign = stand(time, style), style.side, SIDES[style.side]
    out = _hump(time, 2.8, style.phase)
    return angles | {f"{side}_shoulder_flex": 0.2 + 2.2 * style.depth * out, f"{side}_elbow": 1.0 - 0.85 * out,
                     f"{side}_shoulder_turn": 0.2 + 0 * time, "spine_twist": -0.3 * sign * out,
                     "head_twist": 0.25 * sign * out, "head_pitch": -0.35 * out}


def bend(time, style):
    """The trunk bends to the floor with nearly straight legs."""
    down = style.depth * _hump(time, 3.2, 0)
    angles = stand(time, style) | {"pelvis_pitch": 0.75 * down, "spine_pitch": 0.7 * down, "head_pitch": 0.15 * down}
    for side in SIDES:
        angles[f"{side}_hip_flex"] = angles[f"{side}_hip_flex"] + 0.95 * down
        angles[f"{side}_knee"] = angles[f"{side}_knee"] + 0.35 * down
        angles |= {f"{side}_shoulder_flex": 1.3 * down, f"{side}_elbow": 0.25 + 0 * time}
    return angles


def sit(time, style):
    """Seated as on a stool, hands towards the lap."""
    angles = stand(time, style) | {"pelvis_pitch": 0.02 + 0 * time, "spine_pitch": 0.15 + 0 * time, "pelvis_roll": 0 * time}
    for side in SIDES:
        angles |= {f"{side}_hip_flex": 1.52 + 0 * time, f"{side}_knee": 1.5 + 0 * time, f"{side}_ankle": 0 * time,
                   f"{side}_hip_abduct": 0.1 + 0.2 * style.hold + 0 * time,
                   f"{side}_shoulder_flex": 0.45 + 0.05 * np.sin(time), f"{side}_elbow": 0.9 + 0 * time, f"{side}_shoulder_turn": 0.4 + 0 * time}
    return angles


def lunge(time, style):
    down, front = style.depth * _hump(time, 2.4, 0), style.side
    back = "left" if front == "right" else "right"
    angles = stand(time, style) | {"pelvis_roll": 0 * time, "spine_pitch": 0.1 * down}
    angles |= {f"{front}_hip_flex": 1.35 * down, f"{front}_knee": 1.35 * down + 0.05, f"{front}_ankle": 0.05 * down,
               f"{back}_hip_flex": -0.25 * down, f"{back}_knee": 1.1 * down + 0.05,
               f"{back}_ankle": 0.5 * down}
    for side in SIDES:
        angles |= {f"{side}_shoulder_abduct": 0.3 + 0.6 * down, f"{side}_elbow": 0.9 + 0 * time}
    return angles


def kick(time, style):
    out, side = _hump(time, 1.4, 0) ** 2, style.side
    angles = stand(time, style)
    angles |= {f"{side}_hip_flex": 1.3 * style.depth * out + 0.05, f"{side}_knee": 0.9 * out * (1 - out) * 3 + 0.1, f"{side}_ankle": -0.4 * out,
               "spine_pitch": -0.2 * out}
    for other in SIDES:
        angles |= {f"{other}_shoulder_abduct": 0.3 + 0.8 * out, f"{other}_elbow": 0.6 + 0 * time}
    return angles


def cheer(time, style):
    """Both arms up, with a bounce."""
    beat = np.sin(2 * np.pi * 0.8 * time)
    angles = stand(time, style)
    for side in SIDES:
        angles |= {f"{side}_shoulder_abduct": 2.3 + 0.4 * beat, f"{side}_elbow": 0.6 - 0.35 * beat, f"{side}_shoulder_turn": -0.6 + 0 * time,
                   f"{side}_shoulder_flex": 0 * time}
    return angles


def sidestep(time, style):
    """Steps to the side, feet apart and together."""
    turn = 2 * np.pi * (time / style.cycle + style.phase)
    angles = stand(time, style) | {"pelvis_roll": 0 * time}
    for side, sign in SIDES.items():
        lifted = np.clip(np.cos(turn - (0 if sign > 0 else np.pi)), 0, None)
        angles |= {f"{side}_hip_abduct": 0.14 + 0.14 * np.sin(turn), f"{side}_knee": 0.2 + 0.7 * lifted, f"{side}_hip_flex": 0.12 + 0.4 * lifted,
                   f"{side}_ankle": 0.08 - 0.1 * lifted}
    return angles


ACTIONS = {action.__name__: action for action in (walk, run, stand, crouch, jump, wave, reach, bend, sit, lunge, kick, cheer, sidestep)}


def table(action, time, style):
    """Joint angles (T, A) in radians of an action by name at times (T,) s; what the action does not name is 0. Raises KeyError for an unknown one."""
    values = np.zeros((len(time), len(ANGLES)))
    for name, curve in ACTIONS[action](time, style).items():
        values[:, COLUMN[name]] = curve
    return values
