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
KEPT = 12  # hypotheses of a limb
NOISE, MERGED = 0.02, 0.08  # standard deviation of a joint's place, and of two that are read at one place, in sizes of the person
UNKNOWN = 1e3  # the same of a joint that is missing
ACCELERATION, PACE = 8.0, 2.0  # sizes/s^2 by which velocities change; sizes/s at the beginning
TAIL = 6.0  # squared deviations beyond which an error hardly counts more
CREDIT = 0.15  # weight of the network's word in a single frame: its errors last
TOGETHER, NEAR = 10.0, 0.04  # cost of a pair that is read at one place, and how near that is in sizes
LEAST, OWN = 0.1, 0.02  # share of a rival that is considered; chance that a joint keeps against a rival whatever its network says
EXCHANGED = 0.02  # chance of a joint to be where its network saw that of the other side
BROKEN = 2.0  # cost of a bone of which one end is taken to be at its other place and one is not: a network mostly exchanges whole limbs
LONG, REACH, ROOM, MOST = 4.0, 1.1, 0.15, 6.0  # cost of bones that are longer than 1.1 x their usual length by 0.15 of it, and how often at most
USUAL, LATEST = 0.8, 80  # quantile of so many frames
ALIKE = 0.05  # sizes, and sizes in 0.1 s: hypotheses nearer than this to a likelier one are that one
PAUSE = 1.0  # s out of sight after which everything begins anew
SETTLING = 0.1  # share of the newest box in the size of the person
NEVER = 1e6
_PAIRS = len(LIMBS[0])
_PAIR = ((0, 0), (0, 1), (1, 0), (1, 1), (2, 2))  # which of their `Places` two joints of a pair are at: exchanged only together
_READINGS = np.array([sum(pairs, ()) for pairs in itertools.product(_PAIR, repeat=_PAIRS)])  # (125, 6)
_BREAKS = np.diff((_READINGS > 0).reshape(-1, _PAIRS, 2), axis=1).sum((1, 2))  # bones of which one end is at its own place and one is not (125,)
_PARTNERS = np.arange(2 * _PAIRS) ^ 1  # the same joint of the other side


class Places(NamedTuple):
    """Where each joint of legs and arms may be: place (..., 2, 6, 3, xy) px, the chance (..., 2, 6, 3) of each, and known (..., 2, 6)."""

    place: np.ndarray
    chance: np.ndarray
    known: np.ndarray


class _State(NamedTuple):
    """Hypotheses of both limbs: place and velocity (2, K, 6, 2), their variances and covariance (2, K, 6), cost (2, K)."""

    place: np.ndarray
    velocity: np.ndarray
    spread: np.ndarray
    tilt: np.ndarray
    pace: np.ndarray
    cost: np.ndarray


class Sides:
    """One person's legs and arms over a time without long pauses. `remember`: keep what `path` needs."""

    def __init__(self, remember=False):
        self.state, self.time, self.size, self.lengths = None, 0.0, None, deque(maxlen=LATEST)
        self.trail = [] if remember else None

    def update(self, time, box, place, chance, known):
        """Which of its three `Places` in this frame each joint (2, 6) is at by what is known now."""
        size = max(float(np.linalg.norm(box[2:] - box[:2])), 1.0)
        self.size = size if self.size is None else self.size + SETTLING * (size - self.size)
        costs, seen, noise = self._readings(place / self.size, chance, known)
        before, self.state = self._begin(seen, noise, costs) if self.state is None else self._go_on(time - self.time, seen, noise, costs)
        self.time = time
        if self.trail is not None:
            self.trail.append(np.stack(before).astype(np.uint8))  # of hours of video
        return _READINGS[before[0][np.arange(2), self.state.cost.argmin(1)]]

    def path(self):
        """Which place each joint is at in every frame, by all that was seen before and after it: (T, 2, 6) of 0 to 2."""
        found = np.zeros((len(self.trail), 2, 2 * _PAIRS), np.int64)
        at, limbs = self.state.cost.argmin(1), np.arange(2)
        for i in reversed(range(len(self.trail))):
            reading, parent = self.trail[i]
            found[i], at = _READINGS[reading[limbs, at]], parent[limbs, at]
        return found

    def _readings(self, place, chance, known):
        """What each of the 125 _READINGS of a frame costs (2, 125), its places (2, 125, 6, 2) and their noise (2, 125, 6)."""
        doubt = np.where(chance > 0, -CREDIT * np.log(np.where(chance > 0, chance, 1)), NEVER)
        joints = np.arange(2 * _PAIRS)
        seen = place[:, joints, _READINGS]
        pairs = seen.reshape(2, len(_READINGS), _PAIRS, 2, 2)
        there = known.reshape(2, 1, _PAIRS, 2)
        together = (np.linalg.norm(pairs[:, :, :, 0] - pairs[:, :, :, 1], axis=-1) < NEAR) & there.all(3)
        lengths = np.linalg.norm(np.diff(pairs, axis=2), axis=-1) * (there[:, :, 1:] & there[:, :, :-1])
        stretched = np.clip(lengths / (REACH * self._usual(lengths[:, 0]))[:, None, :, None] - 1, 0, None) / ROOM
        odd = BROKEN * _BREAKS + TOGETHER * together.sum(-1) + LONG * np.minimum(stretched**2, MOST).sum((2, 3))
        costs = doubt[:, joints, _READINGS].sum(-1) + CREDIT * odd
        return costs, seen, np.where(known[:, None], np.where(np.repeat(together, 2, axis=2), MERGED, NOISE), UNKNOWN)

    def _usual(self, lengths):
        """The usual lengths (2, 2) of the bones of both limbs, with those of this frame (2, 2, side)."""
        self.lengths.append(lengths.max(-1))
        rank = int(USUAL * (len(self.lengths) - 1))
        return np.maximum(np.partition(np.stack(self.lengths), rank, 0)[rank], 0.02)

    @staticmethod
    def _begin(seen, noise, costs):
        best, limbs = np.argsort(costs, axis=1, kind="stable")[:, :KEPT], np.arange(2)[:, None]
        costs, seen, noise = (value[limbs, best] for value in (costs, seen, noise))
        state = _State(seen, np.zeros_like(seen), noise**2, np.zeros_like(noise), np.full_like(noise, PACE**2), costs)
        return (best, np.tile(np.arange(KEPT), (2, 1))), state

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
        kept = np.argsort(cost.reshape(2, -1), axis=1, kind="stable")[:, : 2 * KEPT]
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
    joints, rows = columns(skeleton), np.flatnonzero(np.isfinite(rivals).any((1, 2)))
    if joints is None or not len(rows):
        return points
    times, boxes, found = times[rows], boxes[rows], points.copy()
    places = places_of(points[rows], rivals[rows], joints)
    reading = np.zeros((len(rows), *joints.shape), np.int64)
    for part in stretches(times, PAUSE):
        sides = Sides(remember=not causal)
        now = [sides.update(*row) for row in zip(times[part], boxes[part], *(value[part] for value in places), strict=True)]
        reading[part] = now if causal else sides.path()
    found[rows] = chosen(points[rows], joints, places, reading)
    return found


def chosen(points, joints, places, reading):
    """Points (..., J, 2), the columns `joints` (2, 6) at those of their Places that the reading (..., 2, 6) tells."""
    found, now = points.copy(), points[..., joints, :]
    other = np.take_along_axis(places.place, reading[..., None, None], -2)[..., 0, :]
    found[..., joints, :] = np.where(reading[..., None] > 0, other, now)
    return found


def places_of(points, rivals, joints):
    """The Places of the columns `joints` (2, 6) by points (..., J, 2) px and their rivals (..., J, 3).

    The first is the network's, the second its rival, the third that of the joint of the other side: a network may exchange both and be sure.
    Where there is no rival worth it the third is the second, too.
    """
    first, rival, share = points[..., joints, :], rivals[..., joints, :2], np.nan_to_num(rivals[..., joints, 2])
    known = np.isfinite(first).all(-1)
    rivalled = known & np.isfinite(rival).all(-1) & (share >= LEAST)
    paired = known & known[..., _PARTNERS]
    partner = first[..., _PARTNERS, :]
    chances = [np.where(rivalled, np.maximum(1 - share, OWN), 1), np.where(rivalled, share, EXCHANGED * paired),
               EXCHANGED * (paired & (rivalled | rivalled[..., _PARTNERS]))]
    places = np.stack([first, np.where(rivalled[..., None], rival, partner), partner], -2)
    return Places(np.nan_to_num(places), np.stack(chances, -1), known)
