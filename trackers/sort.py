"""SORT: constant-velocity Kalman filter on centre, area and aspect, boxes matched by overlap. Boxes alone, no appearance.

Bewley et al., "Simple online and realtime tracking", ICIP 2016, with the constants of the published program. A state is
(cx, cy, area, aspect, and the velocities of the first three) in pixels and frames.
"""

import math

import numpy as np
from filterpy.kalman import KalmanFilter

from core.geometry import iou as overlap
from core.records import Tracks
from trackers._assign import assign

_TRANSITION = np.eye(7) + np.eye(7, k=4)
_PROCESS_NOISE = np.diag([1, 1, 1, 1, 0.01, 0.01, 1e-4])
_MEASUREMENT_NOISE = np.diag([1.0, 1, 10, 10])
_FIRST_COVARIANCE = np.diag([10, 10, 10, 10, 1e4, 1e4, 1e4])


def build(max_age=1, min_hits=3, iou=0.3):
    """A tracker for one video.

    A person is shown after `min_hits` matches in a row that follow the first detection (at once in the first `min_hits` frames; with 0 always at
    once), is lost after more than `max_age` frames without a match, and matches a box that overlaps its prediction by at least `iou`.
    """
    return Sort(max_age, min_hits, iou)


class Sort:
    """The people of one video. `dropped` counts the detections that were no boxes: not finite, or without an area."""

    def __init__(self, max_age, min_hits, iou):
        self.max_age, self.min_hits, self.iou = max_age, min_hits, iou
        self.people, self.frames, self.created, self.dropped = [], 0, 0, 0

    def update(self, time, detections, image=None):
        """The people seen in this frame as Tracks: the filtered boxes, each with the score of its latest detection.

        Detections None = nobody looked: the people shown last are moved on by prediction, and nobody ages.
        """
        for person in self.people:
            person.predict()
        self.people = [person for person in self.people if np.isfinite(person.box()).all()]
        if detections is not None:
            self._look(self._valid(detections))
        shown = [person for person in reversed(self.people) if person.shown]
        self.people = [person for person in self.people if person.misses <= self.max_age]
        return _tracks(shown)

    def _look(self, detections):
        """One step of the method: match, correct, miss, begin, show."""
        self.frames += 1
        pairs, new = _match(overlap(detections.boxes, [person.box() for person in self.people]), self.iou)
        for column in np.setdiff1d(np.arange(len(self.people)), pairs[:, 1]):
            self.people[column].miss()
        for row, column in pairs:
            self.people[column].correct(detections.boxes[row], detections.scores[row])
        for row in new:
            self.created += 1
            self.people.append(Person(self.created, detections.boxes[row], detections.scores[row]))
        for person in self.people:
            person.shown = person.misses == 0 and (person.streak >= self.min_hits or self.frames <= self.min_hits)

    def _valid(self, detections):
        good = np.isfinite(detections.boxes).all(1) & (detections.boxes[:, 2:] > detections.boxes[:, :2]).all(1)
        self.dropped += int((~good).sum())
        return detections if good.all() else detections[good]


class Person:
    """One identity: its filter, the length of its run of matches, the frames since the last one, and whether it is shown."""

    def __init__(self, number, box, score):
        self.id, self.score, self.streak, self.misses, self.shown = number, score, 0, 0, False
        self.filter = KalmanFilter(dim_x=7, dim_z=4)
        self.filter.F, self.filter.H = _TRANSITION, np.eye(4, 7)
        self.filter.Q, self.filter.R, self.filter.P = _PROCESS_NOISE, _MEASUREMENT_NOISE, _FIRST_COVARIANCE
        self.filter.x[:4, 0] = _measurement(box)

    def predict(self):
        """One frame on. A shrinking area stops shrinking before it would vanish."""
        if self.filter.x[6, 0] + self.filter.x[2, 0] <= 0:
            self.filter.x[6, 0] = 0
        self.filter.predict()

    def correct(self, box, score):
        self.filter.update(_measurement(box))
        self.score, self.streak, self.misses = score, self.streak + 1, 0

    def miss(self):
        self.streak, self.misses = 0, self.misses + 1

    def box(self):
        """The state's box (4,) xyxy px, NaN when its area or aspect is negative."""
        x, y, size, aspect = self.filter.x[:4, 0].tolist()
        if not size * aspect > 0:
            return np.full(4, np.nan)
        width = math.sqrt(size * aspect)
        height = size / width
        return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


def _measurement(box):
    """(cx, cy, area, aspect) of a box (4,) xyxy."""
    x0, y0, x1, y1 = box.tolist()
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) * (y1 - y0), (x1 - x0) / (y1 - y0)])


def _match(overlaps, threshold):
    """Pairs (K, 2) of detections and people, and the detections left over in the order in which they become people.

    Overlaps above the threshold decide alone where they are one to one; otherwise the best assignment does, cut at the threshold afterwards.
    """
    above = overlaps > threshold
    one_to_one = overlaps.size and above.sum(0).max() == 1 and above.sum(1).max() == 1
    pairs = np.argwhere(above) if one_to_one else assign(-overlaps)
    new = np.setdiff1d(np.arange(len(overlaps)), pairs[:, 0])
    kept = overlaps[pairs[:, 0], pairs[:, 1]] >= threshold
    return pairs[kept], np.concatenate([new, pairs[~kept, 0]])


def _tracks(people):
    if not people:
        return Tracks.empty()
    return Tracks([person.id for person in people], [person.box() for person in people], [person.score for person in people])

