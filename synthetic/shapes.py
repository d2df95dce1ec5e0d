"""Body proportions, and the key points that carry a body: body21 with heels, toes and finger tips.

Mean segment lengths as shares of the stature follow Drillis and Contini, "Body segment parameters", 1966 (as printed in Winter,
"Biomechanics and Motor Control of Human Movement", figure 4.1); the trunk is split at the joints that Human3.6M calls spine and thorax.
"""

from dataclasses import dataclass

import numpy as np

from core.skeletons import BODY21

EXTRA = ("left_heel", "right_heel", "left_toe", "right_toe", "left_hand", "right_hand")
KEYPOINTS = BODY21.joints + EXTRA
KEY = {name: index for index, name in enumerate(KEYPOINTS)}
CONTACTS = tuple(KEY[name] for name in EXTRA[:4])

# Metres in head axes (forward, left, up) from the middle of the ears, for a mean head.
FACE = {"nose": (0.100, 0, -0.010), "left_eye": (0.085, 0.032, 0.025), "right_eye": (0.085, -0.032, 0.025),
        "left_ear": (0, 0.073, 0), "right_ear": (0, -0.073, 0), "head_top": (0, 0, 0.110)}


@dataclass(frozen=True)
class Shape:
    """Lengths in metres of one body, and how stout it is.

    `girth` scales the thickness of limbs and trunk, `waist` and `hips` that of their places, `head` the size of the head. `foot` is the
    length of the sole, `ankle` the height of the ankle joint above it; `hip` and `shoulder` are half widths between joints.
    """

    thigh: float
    shank: float
    ankle: float
    foot: float
    hip: float
    lumbar: float
    chest: float
    shoulder: float
    upper_arm: float
    forearm: float
    hand: float
    neck: float
    head: float = 1.0
    girth: float = 1.0
    waist: float = 1.0
    hips: float = 1.0

    @property
    def stature(self):
        """Height of the crown over the sole, standing upright."""
        return self.ankle + self.thigh + self.shank + self.lumbar + self.chest + self.neck + 0.110 * self.head


MEAN = {"thigh": 0.245, "shank": 0.246, "ankle": 0.040, "foot": 0.152, "hip": 0.060, "lumbar": 0.133, "chest": 0.145, "shoulder": 0.103,
        "upper_arm": 0.177, "forearm": 0.148, "hand": 0.100, "neck": 0.128}


def mean_shape(stature=1.72):
    """The mean body of a stature in metres."""
    return Shape(**{name: share * stature for name, share in MEAN.items()}, head=stature / 1.75)


def random_shape(rng):
    """A body drawn from an adult (sometimes a child's) range of statures, proportions and builds; `rng` is a numpy Generator."""
    stature = rng.uniform(1.15, 1.5) if rng.random() < 0.08 else np.clip(rng.normal(1.70, 0.09), 1.48, 1.98)
    lengths = {name: share * stature * np.clip(rng.normal(1, 0.035), 0.9, 1.1) for name, share in MEAN.items()}
    curve, girth = rng.random(), np.clip(np.exp(rng.normal(0.02, 0.14)), 0.78, 1.45)
    lengths["shoulder"] *= 1.06 - 0.12 * curve
    lengths["hip"] *= 0.96 + 0.10 * curve
    waist = (1.04 - 0.14 * curve) * np.clip(rng.normal(1, 0.07), 0.85, 1.3) * girth ** 0.5
    return Shape(**lengths, head=(stature / 1.75) ** 0.5 * rng.uniform(0.96, 1.05), girth=girth * (stature / 1.75), waist=waist,
                 hips=0.97 + 0.12 * curve)
