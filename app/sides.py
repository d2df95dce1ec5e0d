"""Which leg is the left one: a pose network that sees a person from the side often lays both legs on one of them, or exchanges them.

It also says where else each joint may be. Over time only one reading goes on smoothly: the hypotheses are followed through the video by Kalman
filters of constant velocity for every joint of a limb, the likeliest few are kept. Reid, "An algorithm for tracking multiple targets", 1979.
"""

import itertools
from collections import deque
from typing import NamedTuple

import numpy as np

from app.smooth import stretches

LIMBS = (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))  # from the trunk outwards
KEPT, READ = 8, 12  # hypotheses of a limb; readings of one frame that are tried
NOISE, MERGED = 0.02, 0.08  # standard deviation of a joint's place, and of two that are read at one place, in sizes of the person
UNKNOWN = 1e3  # the same of a joint that is missing
ACCELERATION, PACE = 8.0, 2.0  # sizes/s^2 by which velocities change; sizes/s at the beginning
TAIL = 6.0  # squared deviations beyond which an error hardly counts more
CREDIT = 0.15  # weight of the network's word in a single frame: its errors last
TOGETHER, NEAR = 5.0, 0.04  # cost of a pair that is read at one place, and how near that is in sizes
LEAST = 0.1  # share of a second place that is considered
LONG, REACH, ROOM, MOST = 4.0, 1.1, 0.15, 6.0  # cost of bones that are longer than 1.1 x their usual length by 0.15 of it, and how often at most
USUAL, LATEST = 0.8, 80  # quantile of so many frames
ALIKE = 0.05  # sizes, and sizes in 0.1 s: hypotheses nearer than this to a likelier one are that one
PAUSE = 1.0  # s out of sight after which everything begins anew
SETTLING = 0.1  # share of the newest box in the size of the person
NEVER = 1e6
_PAIRS = len(LIMBS[0])
_READINGS = np.array(list(itertools.product((0, 1), repeat=2 * _PAIRS)))  # which of its two places each joint is at: (64, 6)


class _State(NamedTuple):
    """Hypotheses of both limbs: place and velocity (2, K, 6, 2), their variances and covariance (2, K, 6), cost (2, K)."""

    place: np.ndarray
    velocity: np.ndarray
    spread: np.ndarray
    tilt: np.ndarray
    pace: np.ndarray
    cost: np.ndarray


class Sides:
    """One person's limbs over a time without long pauses. `joints` (2, 6) are the columns of legs and arms in the skeleton, see `columns`.

    `remember`: keep what `path` needs.
    """

    def __init__(self, joints, remember=False):
        self.joints, self.state, self.time, self.size, self.lengths = joints, None, 0.0, None, deque(maxlen=LATEST)
        self.trail = [] if remember else None

    def update(self, time, points, rivals, box):
        """Which place each joint (2, 6) is at by what is known now, 0 or 1: of its point (J, 2) px or its rival (J, 3), see core.records.Poses."""
        size = max(float(np.linalg.norm(box[2:] - box[:2])), 1.0)
        self.size = size if self.size is None else self.size + SETTLING * (size - self.size)
        places = np.stack([points[self.joints], rivals[self.joints, :2]], 2) / self.size  # (2, 6, place, xy)
        known = np.isfinite(places[:, :, 0]).all(-1)
        share = np.where(known & np.isfinite(places[:, :, 1]).all(-1), np.nan_to_num(rivals[self.joints, 2]), 0)
        places[:, :, 1] = np.where(share[..., None] > 0, places[:, :, 1], places[:, :, 0])
        readings, costs, seen, noise = self._readings(np.nan_to_num(places), share, known)
        before, self.state = self._begin(seen, noise, costs) if self.state is None else self._go_on(time - self.time, seen, noise, costs)
        self.time = time
        readings = np.take_along_axis(readings, before[0], 1)
        if self.trail is not None:
            self.trail.append(np.stack([readings, before[1]]).astype(np.uint8))  # of hours of video
        return _READINGS[readings[np.arange(2), self.state.cost.argmin(1)]]

    def path(self):
        """Which place each joint is at in every frame, by all that was seen before and after it: (T, 2, 6) of 0 or 1."""
        found = np.zeros((len(self.trail), 2, 2 * _PAIRS), np.int64)
        at, limbs = self.state.cost.argmin(1), np.arange(2)
        for i in reversed(range(len(self.trail))):
            reading, parent = self.trail[i]
            found[i], at = _READINGS[reading[limbs, at]], parent[limbs, at]
        return found

    def _readings(self, places, share, known):
        """The likeliest ways to read a frame: rows of _READINGS (2, M), costs (2, M), places (2, M, 6, 2) and noise (2, M, 6)."""
        chance = -CREDIT * np.log(np.clip(np.stack([1 - share, share], -1), 0.02, 1))
        chance[..., 1] = np.where(share < LEAST, NEVER, chance[..., 1])
        joints = np.arange(2 * _PAIRS)
        seen = places[:, joints, _READINGS]
        pairs = seen.reshape(2, len(_READINGS), _PAIRS, 2, 2)
        there = known.reshape(2, 1, _PAIRS, 2)
        together = (np.linalg.norm(pairs[:, :, :, 0] - pairs[:, :, :, 1], axis=-1) < NEAR) & there.all(3)
        lengths = np.linalg.norm(np.diff(pairs, axis=2), axis=-1) * (there[:, :, 1:] & there[:, :, :-1])
        stretched = np.clip(lengths / (REACH * self._usual(lengths[:, 0]))[:, None, :, None] - 1, 0, None) / ROOM
        costs = chance[:, joints, _READINGS].sum(-1) + CREDIT * (TOGETHER * together.sum(-1) + LONG * np.minimum(stretched**2, MOST).sum((2, 3)))
        best = np.argsort(costs, axis=1, kind="stable")[:, :READ]
        noise = np.where(known[:, None], np.where(np.repeat(together, 2, axis=2), MERGED, NOISE), UNKNOWN)
        limbs = np.arange(2)[:, None]
        return best, costs[limbs, best], seen[limbs, best], noise[limbs, best]

    def _usual(self, lengths):
        """The usual lengths (2, 2) of the bones of both limbs, with those of this frame (2, 2, side)."""
        self.lengths.append(lengths.max(-1))
        rank = int(USUAL * (len(self.lengths) - 1))
        return np.maximum(np.partition(np.stack(self.lengths), rank, 0)[rank], 0.02)

    @staticmethod
    def _begin(seen, noise, costs):
        shape = noise[:, :KEPT].shape
        state = _State(seen[:, :KEPT], np.zeros((*shape, 2)), noise[:, :KEPT] ** 2, np.zeros(shape), np.full(shape, PACE**2), costs[:, :KEPT])
        rows = np.tile(np.arange(KEPT), (2, 1))
        return (rows, rows), state

    def _go_on(self, step, seen, noise, costs):
        """((row of the reading, row of the hypothesis before) (2, K) each, the new state)."""
        old, jerk = self.state, ACCELERATION**2
        place = old.place + step * old.velocity
        spread = old.spread + 2 * step * old.tilt + step**2 * old.pace + jerk * step**4 / 4
        tilt, pace = old.tilt + step * old.pace + jerk * step**3 / 2, old.pace + jerk * step**2
        miss = seen[:, :, None] - place[:, None]  # (2, M, K, 6, 2)
        total = spread[:, None] + noise[:, :, None] ** 2
        far = np.square(miss).sum(-1) / total
        cost = old.cost[:, None] + costs[:, :, None] + (TAIL / 2 * np.log1p(far / TAIL)).sum(-1)
        kept = np.argsort(cost.reshape(2, -1), axis=1, kind="stable")[:, : 3 * KEPT]
        reading, parent = np.divmod(kept, KEPT)
        limbs = np.arange(2)[:, None]
        trust = 1 / ((1 + far[limbs, reading, parent] / TAIL) * total[limbs, reading, parent])
        miss = miss[limbs, reading, parent]
        spread, tilt, pace = (value[limbs, parent] for value in (spread, tilt, pace))
        state = _State(
            place[limbs, parent] + (spread * trust)[..., None] * miss, old.velocity[limbs, parent] + (tilt * trust)[..., None] * miss,
            spread * (1 - spread * trust), tilt * (1 - spread * trust), pace - tilt**2 * trust, cost.reshape(2, -1)[limbs, kept])
        rows = _different(state)
        state = _State(*(value[limbs, rows] for value in state))
        return (reading[limbs, rows], parent[limbs, rows]), state._replace(cost=state.cost - state.cost.min(1, keepdims=True))


def _different(state):
    """The first KEPT rows (2, K) of a state in the order of their costs that are not like a likelier one; those that are come last."""
    here = np.concatenate([state.place, 0.1 * state.velocity], -1)
    like = (np.abs(here[:, :, None] - here[:, None]).max((3, 4)) < ALIKE) & np.tri(here.shape[1], k=-1, dtype=bool)
    state.cost[like.any(2)] += NEVER
    return np.argsort(state.cost, axis=1, kind="stable")[:, :KEPT]


def columns(skeleton):
    """The columns (2, 6) of legs and arms in a skeleton, None where it lacks one."""
    names = [[f"{side}_{joint}" for joint in limb for side in ("left", "right")] for limb in LIMBS]
    known = all(name in skeleton.joints for limb in names for name in limb)
    return np.array([skeleton.indices(*limb) for limb in names]) if known else None


def settled(times, boxes, points, rivals, skeleton, causal=False):
    """The points (T, J, 2) of one person, those of arms and legs at the places that go on smoothly; with `causal` as far as each frame can know.

    `rivals` (T, J, 3) are those of core.records.Poses; where there are none, points stay.
    """
    joints = columns(skeleton)
    if joints is None or not np.isfinite(rivals).any():
        return points
    reading, rows = np.zeros((len(points), *joints.shape), np.int64), np.flatnonzero(np.isfinite(rivals).any((1, 2)))
    for part in stretches(times[rows], PAUSE):
        sides = Sides(joints, remember=not causal)
        now = [sides.update(times[i], points[i], rivals[i], boxes[i]) for i in rows[part]]
        reading[rows[part]] = now if causal else sides.path()
    return chosen(points, rivals, joints, reading)


def chosen(points, rivals, joints, reading):
    """Points (..., J, 2), the columns `joints` (2, 6) at the places of their rivals (..., J, 3) where their reading (..., 2, 6) is 1."""
    moved = np.zeros(points.shape[:-1], bool)
    moved[..., joints] = reading
    return np.where(moved[..., None], rivals[..., :2], points)
