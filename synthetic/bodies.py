"""Bodies with volume: key points -> a mesh of small quads, lofted around the bones, with clothes, face and hair.

A body is a fixed list of quads with colours; a pose only moves its vertices.
"""

from typing import NamedTuple

import numpy as np

from synthetic import profiles
from synthetic.clothes import paint
from synthetic.kinematics import Step, perform
from synthetic.motions import Style
from synthetic.shapes import KEY

SIDES = ("left", "right")


class Tube(NamedTuple):
    """A lofted part: vertices (rings * around, 3), ring positions `at` (rings,), and vertices around."""

    part: str
    vertices: np.ndarray
    at: np.ndarray
    around: int


class Body:
    """A shape in a look.

    `quads` (F, 4) index the vertices, `colours` (F, 3) are albedos from 0 to 1, `bias` (F,) metres by which a quad is drawn in front of
    its place (eyes on a face, a skirt over the thighs), `hulls` slices of vertices that make convex pieces (for shadows).
    """

    def __init__(self, shape, look):
        self.shape, self.look = shape, look
        tubes, decals = self._build(perform(shape, [Step("stand", 0.04)], 25, Style())[0])
        quads, colours, bias, self.hulls, first = [], [], [], [], 0
        for tube in tubes:
            grid, keep, colour = _grid(len(tube.at), tube.around), *paint(tube.part, tube.at, tube.around, look)
            quads.append(grid[keep] + first)
            colours.append(colour[keep])
            bias.append(np.full(keep.sum(), 0.06 if tube.part == "skirt" else 0.0))
            for ring in range(0, len(tube.at) - 1, 4):
                self.hulls.append(slice(first + ring * tube.around, first + min(ring + 5, len(tube.at)) * tube.around))
            first += len(tube.vertices)
        quads.append(np.arange(4 * len(decals)).reshape(-1, 4) + first)
        colours.append(profiles.decal_colours(look))
        self.quads, self.colours = np.concatenate(quads), np.concatenate(colours).astype(np.float32)
        self.bias = np.concatenate([*bias, profiles.decal_bias(look)]).astype(np.float32)

    def vertices(self, points):
        """Vertices (V, 3) of key points (27, 3), in the axes and metres of the points."""
        tubes, decals = self._build(np.asarray(points, np.float64))
        return np.concatenate([tube.vertices for tube in tubes] + [decals.reshape(-1, 3)])

    def _build(self, points):
        joint = {name: points[index] for name, index in KEY.items()}
        left = _unit(joint["left_hip"] - joint["right_hip"])
        head = _head_axes(joint)
        tubes = [self._torso(joint), self._neck(joint, head)]
        for side in SIDES:
            tubes += self._arm(joint, side) + [self._leg(joint, side, left), self._foot(joint, side)]
        tubes += self._skirt(joint, left) + self._head(head)
        origin, axes = head
        return tubes, origin + profiles.decals(self.look) * self.shape.head @ axes

    def _torso(self, joint):
        at = profiles.TORSO[:, 0]
        low, high = joint["spine"] - joint["pelvis"], joint["thorax"] - joint["spine"]
        share = np.clip(at - 0.5, 0, 1)[:, None]
        up = _unit(_unit(low) * (1 - share) + _unit(high) * share)
        centres = joint["pelvis"] + np.clip(at, None, 1)[:, None] * low + np.clip(at - 1, 0, None)[:, None] * high
        turn = np.clip(at / 1.6, 0, 1)[:, None]
        side = _unit(joint["left_hip"] - joint["right_hip"]) * (1 - turn) + _unit(joint["left_shoulder"] - joint["right_shoulder"]) * turn
        side = _unit(side - up * (side * up).sum(1, keepdims=True))
        hips, shoulders = (np.linalg.norm(joint[f"left_{name}"] - joint[f"right_{name}"]) / 2 for name in ("hip", "shoulder"))
        wide, deep = profiles.torso(at, hips, shoulders, self.shape, self.look)
        return Tube("torso", _loft(centres, side, np.cross(up, side), wide, deep, 24, 0.85), at, 24)

    def _neck(self, joint, head):
        at, (origin, axes) = np.linspace(0, 1, 5), head
        start, end = joint["thorax"] - 0.03 * axes[2], origin - axes[2] * 0.05 * self.shape.head - 0.012 * axes[0]
        up = _unit(end - start)
        side = np.broadcast_to(_unit(axes[1] - up * (up @ axes[1])), (5, 3))
        radius = 0.054 * self.shape.head * self.shape.girth**0.5 * (1.15 - 0.2 * at)
        return Tube("neck", _loft(start + at[:, None] * (end - start), side, np.cross(up, side), radius, radius * 1.05, 12), at, 12)

    def _arm(self, joint, side):
        at, radius = profiles.ARM.T
        shoulder, elbow, wrist, hand = (joint[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist", "hand"))
        across = joint["right_shoulder"] - joint["left_shoulder"]
        centres, axis, front = _limb(shoulder, elbow, wrist, _unit(across), at)
        radius = profiles.dressed(radius, at, 2 * self.look.sleeves, self.shape.girth, self.look.loose)
        arm = Tube("arm", _loft(centres, axis, front, radius, radius, 12), at, 12)
        place, width, thick = profiles.HAND.T
        down = _unit(hand - wrist)
        flat = np.broadcast_to(_unit(axis[-1] - down * (axis[-1] @ down)), (len(place), 3))
        size = np.linalg.norm(hand - wrist) / 0.175
        palm = _loft(wrist + place[:, None] * (hand - wrist), flat, np.cross(down, flat), thick * size, width * size, 10)
        return [arm, Tube("hand", palm, place, 10)]

    def _leg(self, joint, side, left):
        at, radius = profiles.LEG.T
        hip, knee, ankle = (joint[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        inward = -left if side == "left" else left
        centres, axis, front = _limb(hip, knee, ankle, left, at)
        centres = centres + 0.022 * self.shape.girth * np.clip(1 - np.clip(at, 0, None) / 0.8, 0, 1)[:, None] * inward
        radius = profiles.dressed(radius, at, 2 * self.look.legs, self.shape.girth, self.look.loose) * np.where(at < 0.5, self.shape.hips**0.5, 1)
        return Tube("leg", _loft(centres, axis, front, radius, radius * 1.03, 14), at, 14)

    def _foot(self, joint, side):
        place, width, height = profiles.FOOT.T
        heel, toe, ankle = (joint[f"{side}_{name}"] for name in ("heel", "toe", "ankle"))
        size = np.linalg.norm(toe - heel) / 0.265
        along = _unit(toe - heel)
        up = ankle - heel
        up = _unit(up - along * (up @ along))
        centres = heel + place[:, None] * (toe - heel) + up * (height * size / 2)[:, None]
        across = np.broadcast_to(np.cross(up, along), centres.shape)
        return Tube("foot", _loft(centres, across, np.cross(along, across), width * size, height * size / 2, 10, 0.75), place, 10)

    def _skirt(self, joint, left):
        if not self.look.skirt:
            return []
        at = np.linspace(0, 1, 10)
        knees = (joint["left_knee"] + joint["right_knee"]) / 2
        down = _unit(knees - joint["pelvis"] + 1e-6)
        front = _unit(np.cross(down, left))
        apart = joint["left_knee"] - joint["right_knee"]
        start = joint["pelvis"] + 0.25 * (joint["spine"] - joint["pelvis"])
        reach = start + at[:, None] * ((knees - joint["pelvis"]) * self.look.skirt * 1.9 + joint["pelvis"] - start)
        grow, waist = np.clip(at * self.look.skirt * 1.9, 0, 1.2) ** 0.7, 0.158 * self.shape.girth * self.shape.waist
        wide = waist + at**0.6 * 0.03 + grow * np.maximum(abs(apart @ left) / 2 + 0.09 * self.shape.girth - waist, 0.02)
        deep = 0.72 * waist + at**0.6 * 0.05 + grow * np.maximum(abs(apart @ front) / 2 + 0.11 * self.shape.girth - 0.72 * waist, 0.02)
        side = np.broadcast_to(_unit(left - down * (down @ left)), (10, 3))
        return [Tube("skirt", _loft(reach, side, np.cross(down, side), wide, deep, 22), at, 22)]

    def _head(self, head):
        (origin, axes), size = head, self.shape.head
        forward, left, up = axes
        tubes = []
        for part, height, wide, deep, shift, around in profiles.head_parts(self.look):
            centres = origin + size * (height[:, None] * up + shift[:, None] * forward)
            side = np.broadcast_to(left, centres.shape)
            tubes.append(Tube(part, _loft(centres, side, np.cross(up, side), wide * size, deep * size, around), height, around))
        for sign in (1, -1):
            height = np.array([-0.032, -0.02, 0.0, 0.02, 0.03])
            centres = origin + size * (height[:, None] * up + sign * 0.074 * left - 0.006 * forward)
            side = np.broadcast_to(left, centres.shape)
            ear = _loft(centres, side, np.cross(up, side), size * 0.010 * np.array([0.3, 1, 1, 1, 0.3]), size * 0.018 * np.array([0.3, 0.8, 1, 1,
                                                                                                                                  0.4]), 6)
            tubes.append(Tube("ear", ear, height, 6))
        return tubes


def _unit(vector):
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)


def _head_axes(joint):
    """Where the middle of the ears is and the head's axes as rows: forward, left, up."""
    ears = (joint["left_ear"] + joint["right_ear"]) / 2
    left = _unit(joint["left_ear"] - joint["right_ear"])
    up = joint["head_top"] - ears
    up = _unit(up - left * (up @ left))
    return ears, np.stack([np.cross(left, up), left, up])


def _grid(rings, around):
    """Quads (F, 4) of a tube, turning outwards where the section's second axis is (along the tube) x (its first axis)."""
    ring, turn = np.meshgrid(np.arange(rings - 1), np.arange(around), indexing="ij")
    here, beside = ring * around + turn, ring * around + (turn + 1) % around
    return np.stack([here, beside, beside + around, here + around], -1).reshape(-1, 4)


def _loft(centres, side, front, wide, deep, around, square=1.0):
    """Vertices (rings * around, 3) of a tube with elliptic sections; angle 0 lies along `side` (rings, 3), a quarter turn along `front`.

    `wide` and `deep` (rings,) are half axes; `square` below 1 makes the section boxy.
    """
    angle = np.arange(around) * 2 * np.pi / around
    x, y = (np.sign(v) * np.abs(v) ** square for v in (np.cos(angle), np.sin(angle)))
    across = x[None, :, None] * side[:, None] * np.asarray(wide)[:, None, None]
    along = y[None, :, None] * front[:, None] * np.asarray(deep)[:, None, None]
    return (centres[:, None] + across + along).reshape(-1, 3)


def _limb(start, middle, end, hint, at):
    """Ring centres, sides and fronts (n, 3) of a limb with one hinge; `at` (n,) runs from 0 (start) over 1 (hinge) to 2 (end).

    The side is the hinge's axis, near `hint` where the limb is straight.
    """
    upper, lower = _unit(middle - start), _unit(end - middle)
    axis = np.cross(upper, lower) + 0.15 * (hint - upper * (hint @ upper))
    share = np.clip((at - 0.8) / 0.4, 0, 1)[:, None]
    down = _unit(upper * (1 - share) + lower * share)
    side = _unit(axis - down * (down @ axis)[:, None])
    centres = start + np.clip(at, None, 1)[:, None] * (middle - start) + np.clip(at - 1, 0, None)[:, None] * (end - middle)
    return centres, side, np.cross(down, side)
