"""DeepSORT: constant-velocity Kalman filter on centre, aspect and height, boxes matched by appearance first and by overlap then.

Wojke et al., "Simple online and realtime tracking with a deep association metric", ICIP 2017, with the constants of the published program. Time runs
in frames. Each coordinate's noises are independent, so the filter of eight numbers is four filters of two (trackers/_kalman.py).
"""

import numpy as np

from core.geometry import area, iou
from core.records import Tracks
from trackers._assign import assign
from trackers._boxes import centred, corners, valid
from trackers._gallery import Gallery, unit
from trackers._kalman import correct, distances, predict
from trackers._rows import Rows

POSITION, VELOCITY = 1 / 20, 1 / 160  # standard deviations in heights of the box
GATE = 9.4877  # chi-squared, 95%, four numbers
NEVER = 1e5


def build(embedder="appearance-embednet", max_age=30, n_init=3, max_cosine=0.2, max_iou_distance=0.7, budget=100, min_confidence=0.3, min_height=0,
          nms=1.0):
    """A tracker for one video.

    A person is shown after `n_init` boxes in a row, and lost after more than `max_age` frames without one. `max_cosine` is the largest distance of
    appearance to the nearest of the last `budget` looks of a person (None: all), `max_iou_distance` the largest 1 - IoU where appearance does not
    decide. Boxes scored below `min_confidence`, lower than `min_height` px, or covered by a better one by more than `nms` of their area are left
    out. `embedder` names the network that describes the looks (trackers/_appearance.py); with none, the distance of motion takes their place.
    """
    return DeepSort(embedder, max_age, n_init, max_cosine, max_iou_distance, budget, (min_confidence, min_height, nms))


class DeepSort:
    """The people of one video. `dropped` counts the detections that were no boxes: not finite, or without an area."""

    def __init__(self, embedder, max_age, n_init, max_cosine, max_iou_distance, budget, limits):
        self.embedder, self.max_age, self.n_init, self.budget, self.limits = embedder, max_age, n_init, budget, limits
        self.max_cosine, self.max_iou_distance = max_cosine, max_iou_distance
        none = np.zeros(0, np.int64)
        self.people = Rows(ids=none, mean=(0, 4, 2), covariance=(0, 4, 3), scores=(0,), hits=none, misses=none, confirmed=np.zeros(0, bool))
        self.looks, self.created, self.dropped = {}, 0, 0  # looks: id -> Gallery

    def update(self, time, detections, image=None):
        """The people seen in this frame or the one before as Tracks: the filtered boxes, each with the score of its latest detection.

        Detections None = nobody looked: the people shown last are moved on by prediction, and nobody ages.
        """
        people = self.people
        height = people.mean[:, 3, 0]
        people.mean, people.covariance = predict(people.mean, people.covariance, 1.0, 1.0, _process_noise(height))
        if detections is not None:
            detections, faulty = valid(detections)
            self.dropped += faulty
            self._look(detections[_wanted(detections, *self.limits)])
        shown = self.people.confirmed & (self.people.misses <= 1) & (self.people.mean[:, 2:, 0] > 0).all(1)
        return Tracks(self.people.ids[shown], _boxes(self.people.mean[shown]), self.people.scores[shown], self._latest(shown))

    def _look(self, detections):
        """One step of the method: match, correct, miss, begin."""
        people, measured = self.people, _measured(detections.boxes)
        people.misses += 1  # frames since the last box, this one included
        features = None if detections.features is None else unit(detections.features)
        pairs, new = self._match(detections.boxes, measured, features)
        rows, columns = pairs.T
        mean, noise = people.mean[rows], _measurement_noise(people.mean[rows, 3, 0])
        people.mean[rows], people.covariance[rows] = correct(mean, people.covariance[rows], measured[columns], noise)
        people.scores[rows], people.misses[rows] = detections.scores[columns], 0
        people.hits[rows] += 1
        people.confirmed |= people.hits >= self.n_init
        self._remember(people.ids[rows], columns, features)
        people.keep(np.where(people.confirmed, people.misses <= self.max_age, people.misses == 0))
        self._begin(new, measured, detections.scores, features)
        here = set(people.ids.tolist())
        self.looks = {number: looks for number, looks in self.looks.items() if number in here}

    def _match(self, boxes, measured, features):
        """Pairs (K, 2) of people and detections, and the detections left over in the order in which they become people.

        Section 2.3: the confirmed by appearance, those seen last first; then by overlap the unconfirmed and those missed just now.
        """
        people, left, pairs = self.people, np.arange(len(boxes)), []
        cost, free = self._appearance(measured, features), np.ones(len(people), bool)
        for age in sorted(set(people.misses[people.confirmed & (people.misses <= self.max_age)].tolist())):
            rows = np.flatnonzero(people.confirmed & (people.misses == age))
            found, left = _assigned(cost[rows[:, None], left], rows, left, self.max_cosine)
            free[found[:, 0]] = False
            pairs.append(found)
        rows = np.concatenate([np.flatnonzero(~people.confirmed), np.flatnonzero(people.confirmed & free & (people.misses == 1))])
        found, left = _assigned(1 - iou(_boxes(people.mean[rows]), boxes[left]), rows, left, self.max_iou_distance)
        return np.concatenate([*pairs, found]), left

    def _appearance(self, measured, features):
        """The cost (N, M) of the cascade: least cosine distance to a person's looks, or else the distance of motion; NEVER outside the gate."""
        people = self.people
        motion = distances(people.mean, people.covariance, measured, _measurement_noise(people.mean[:, 3, 0]))
        if features is None:
            return np.where(motion > GATE, NEVER, motion / GATE * self.max_cosine)
        cost, near = np.full(motion.shape, NEVER), motion <= GATE
        for row in np.flatnonzero(people.confirmed & near.any(1)):
            if (looks := self.looks.get(int(people.ids[row]))) is not None:
                cost[row, near[row]] = looks.distance(features[near[row]])
        return cost

    def _remember(self, ids, columns, features):
        """Add the looks of matched people."""
        if features is not None:
            for number, column in zip(ids.tolist(), columns.tolist(), strict=True):
                self.looks.setdefault(number, Gallery(self.budget)).add(features[column])

    def _begin(self, new, measured, scores, features):
        """Unconfirmed people from the detections `new`."""
        ids = self.created + 1 + np.arange(len(new))
        self.created += len(new)
        if not len(new):
            return
        height = measured[new, 3]
        spread = np.stack([2 * POSITION * height] * 2 + [np.full(len(new), 1e-2), 2 * POSITION * height], 1) ** 2
        drift = np.stack([10 * VELOCITY * height] * 2 + [np.full(len(new), 1e-5), 10 * VELOCITY * height], 1) ** 2
        still = np.zeros_like(spread)
        self.people.add(ids=ids, mean=np.stack([measured[new], still], -1), covariance=np.stack([spread, still, drift], -1), scores=scores[new],
                        hits=1, misses=0, confirmed=self.n_init <= 1)
        self._remember(ids, new, features)

    def _latest(self, shown):
        """The latest looks (N, D) of people, None where there are none."""
        known = [self.looks.get(number) for number in self.people.ids[shown].tolist()]
        return np.stack([looks.latest for looks in known]) if known and all(looks is not None for looks in known) else None


def _assigned(cost, rows, columns, limit):
    """Pairs (K, 2) of `rows` and `columns` by least sum of their cost, less those above the limit, and the columns left over (of such pairs last)."""
    found = assign(np.where(cost > limit, limit + 1e-5, cost))
    good = cost[found[:, 0], found[:, 1]] <= limit
    pairs, left = np.stack([rows[found[good, 0]], columns[found[good, 1]]], 1), np.ones(len(columns), bool)
    left[found[:, 1]] = False
    return pairs, np.concatenate([columns[left], columns[found[~good, 1]]])


def _wanted(detections, min_confidence, min_height, nms):
    """The rows that are tracked, best first, where one covered by a better one is left out (areas count whole pixels, as published)."""
    boxes = detections.boxes.astype(np.float64)
    rows = np.flatnonzero((detections.scores >= min_confidence) & (boxes[:, 3] - boxes[:, 1] >= min_height))
    rows = rows[np.argsort(detections.scores[rows])][::-1]
    if nms >= 1:
        return rows
    kept = []
    for row in rows:
        shared = area(np.concatenate([np.maximum(boxes[kept, :2], boxes[row, :2]), np.minimum(boxes[kept, 2:], boxes[row, 2:]) + 1], 1))
        if not (shared > nms * (boxes[row, 2:] - boxes[row, :2] + 1).prod()).any():
            kept.append(row)
    return np.array(kept, np.int64)


def _measured(boxes):
    """(cx, cy, aspect, height) of boxes (N, 4) xyxy."""
    values = centred(boxes)
    values[:, 2] /= values[:, 3]
    return values


def _boxes(mean):
    """The boxes (N, 4) xyxy of states (N, 4, 2)."""
    values = mean[:, :, 0].copy()
    values[:, 2] *= values[:, 3]
    return corners(values)


def _process_noise(height):
    """Variances (N, 4, 2) of values and velocities that a frame adds."""
    noise = np.empty((len(height), 4, 2))
    noise[...] = (np.stack([POSITION * height, VELOCITY * height], -1) ** 2)[:, None]
    noise[:, 2] = 1e-4, 1e-10
    return noise


def _measurement_noise(height):
    """Variances (N, 4) of a measurement."""
    noise = np.repeat((POSITION * height[:, None]) ** 2, 4, 1)
    noise[:, 2] = 1e-2
    return noise
