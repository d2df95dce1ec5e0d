"""Steady: ours. Keeps identities by motion, overlap, direction and looks, follows people in weak boxes, and shows whom it trusts.

Published ideas it stands on: weak boxes only continue people (ByteTrack, Zhang et al. 2022); who is found again is filtered anew along the straight
way since last seen, and the direction of the way counts (OC-SORT, Cao et al. 2023); boxes are widened before they are compared, more for those unseen
for longer (C-BIoU, Yang et al. 2023); the camera's own motion is taken out (BoT-SORT, Aharon et al. 2022); unsure boxes count less in the filter
(GIAOTracker, Du et al. 2021). Its own: scores are read as probabilities, and a person is shown while the running mean of theirs says that there is
one; whoever was certain once may be doubted for a while. Time is in seconds, lengths in heights of the person.
"""

import numpy as np

from core.geometry import iou
from core.records import Tracks
from trackers._boxes import centred, corners, valid
from trackers._camera import CameraMotion, moved
from trackers._gallery import unit
from trackers._kalman import correct, predict
from trackers._pairing import Rounds, claimed, heading, own, unlike, wider
from trackers._rows import Rows

BEGINS, STRONG, WEAK = 0.57, 0.25, 0.1  # probabilities: of a box that begins a person, that finds one anywhere, and the least of use
SHOWN, CERTAIN, DOUBTED = 0.55, 0.9, 0.2  # least trust; trust of somebody certain, and from then on their least: in mid-air, upside down
NEAR, FAR, SURE = (0.1, 0.35), (0.4, 0.25), (0.0, 0.5)  # widening and least overlap: for those just seen, for the others, for weak boxes
CLOSE = 0.2  # overlap with the box of somebody from which on a box is taken for a second one of theirs, and begins nobody
THEIRS = 0.2  # how much better a box fits somebody just seen, whose best it is, before nobody else may have it
HEED = 0.2  # weight of the direction beside the overlap
FAST, WENT = 0.3, 0.1  # heights a second, heights: from where on the direction counts in full
ERROR, UNSURE = 0.03, 3.0  # of a box that is surely somebody, and how many times that more of one that surely is not
PUSH, SWELL = 0.35, 0.2  # change of the velocity and of the growth in a second
GLIDE = np.array([2.0, 2.0, 0.5, 0.5])  # s in which velocity and growth fade
FIRST = np.array([0.5, 0.5, 0.1, 0.1])  # speed and growth of people not known yet, heights a second
LEARNING = 0.25  # share of the newest score in the trust
LOOKS, LEARNED, ALONE = 1.0, 0.05, 0.3  # weight beside the overlap; share of the newest look; overlap with others up to which a look is learned
CLEARLY, NEIGHBOUR = 0.15, 0.2  # how much more a box looks like somebody it overlaps by so much, before nobody else may have it
ALIKE, REACH = 0.65, (0.5, 1.0)  # least likeness that finds somebody without overlap, and how far: heights, and heights a second


def build(even=0.87, memory=2.0, recall=8.0, camera=True, embedder=None):
    """A tracker for one video.

    `even` is the score at which a box is as likely somebody as nobody: 0.5 for a detector whose scores are probabilities, more for one that is too
    sure of itself. Who is unseen for `memory` seconds is lost; where looks are known (`embedder` names a network, trackers/_appearance.py) they bring
    people back for `recall` seconds. `camera` False leaves the picture out.
    """
    return Steady(even, memory, recall, CameraMotion() if camera else None, embedder)


class Steady:
    """The people of one video. `lowest` is the least score of use to it; `dropped` counts the detections that were no boxes."""

    def __init__(self, even, memory, recall, camera, embedder):
        self.odds, self.memory, self.recall, self.camera, self.embedder = _logit(even), memory, max(memory, recall), camera, embedder
        self.lowest = float(_probability(self.odds + _logit(WEAK)))
        self.time, self.numbers, self.dropped = None, 0, 0
        count, flag = np.zeros(0, np.int64), np.zeros(0, bool)
        # `seen` (cx, cy, w, h) was measured last, `then` and `then_spread` are the state after it; `away` s and `misses` looks ago;
        # `boxes` counts the measurements; `best` is the highest trust so far; a number is given when a person is shown first; `fresh` are the
        # looks in this frame, NaN where covered
        self.people = Rows(ids=count, mean=(0, 4, 2), spread=(0, 4, 3), then=(0, 4, 2), then_spread=(0, 4, 3), seen=(0, 4), away=(0,), misses=count,
                           boxes=count, scores=(0,), trust=(0,), best=(0,), shown=flag, looks=(0, 0), fresh=(0, 0))

    def update(self, time, detections, image=None):
        """The people seen in this frame whom it trusts, as Tracks: the filtered boxes, each with the score of its latest detection.

        Detections None = nobody looked: the people shown last are moved on by prediction, and nobody ages.
        """
        people, step = self.people, 0.0 if self.time is None else max(time - self.time, 0.0)
        self.time = time
        motion = self.camera(image, corners(people.mean[:, :, 0])) if self.camera and image is not None else None
        if motion is not None:
            people.mean, people.then = moved(motion, people.mean), moved(motion, people.then)
            people.seen = moved(motion, people.seen[..., None])[..., 0]
        people.mean, people.spread = _predict(people.mean, people.spread, step)
        people.away += step
        if detections is not None:
            detections, faulty = valid(detections)
            self.dropped += faulty
            self._look(detections)
        else:
            people.fresh = np.full_like(people.looks, np.nan)
        shown = people.shown
        return Tracks(people.ids[shown], corners(people.mean[shown, :, 0]), people.scores[shown], self._looks(shown))

    def _look(self, detections):
        """One step of the method: pair, correct, forget, begin, show."""
        people, measured = self.people, centred(detections.boxes)
        belief = _probability(_logit(detections.scores) - self.odds)
        features = self._features(detections)
        people.fresh = np.full_like(people.looks, np.nan)
        rows, columns, left = self._pair(detections.boxes, measured, belief, features)
        again = people.misses[rows] > 0
        self._refilter(rows[again], measured[columns[again]], belief[columns[again]])
        self._correct(rows, measured[columns], belief[columns], detections.scores[columns])
        self._learn(rows, columns, detections.boxes, features)
        people.misses += 1
        people.misses[rows], people.away[rows] = 0, 0.0
        people.keep(people.away <= np.where(people.looks.any(1), self.recall, self.memory))
        new = left & (belief >= BEGINS)
        new[new] = iou(detections.boxes[new], detections.boxes[~left]).max(1, initial=0) < CLOSE
        new = np.flatnonzero(new)
        if len(new):
            self._begin(measured[new], belief[new], detections.scores[new], features[new])
        people.best = np.maximum(people.best, people.trust)
        people.shown = (people.misses == 0) & (people.trust >= np.where(people.best >= CERTAIN, DOUBTED, SHOWN))
        first = np.flatnonzero(people.shown & (people.ids == 0))
        people.ids[first] = self.numbers + 1 + np.arange(len(first))
        self.numbers += len(first)

    def _pair(self, boxes, measured, belief, features):
        """(rows of people, columns of their boxes, (M,) bool the boxes left over)."""
        people, predicted = self.people, corners(self.people.mean[:, :, 0])
        alike = people.looks @ features.T  # 0 where looks are unknown
        straight = heading(people.seen[:, :2], people.mean[:, :2, 1], people.mean[:, 3, 0], measured[:, :2], FAST, WENT)
        bonus = HEED * straight + LOOKS * alike
        overlaps = iou(predicted, boxes)
        strangers = unlike(alike, people.looks.any(1), overlaps >= NEIGHBOUR, CLEARLY)
        taken = claimed(np.where(strangers, 0, overlaps), people.misses == 0) - THEIRS
        holds = None if features.any() else own(overlaps, iou(boxes, boxes), CLOSE)  # looks tell a second box better
        rounds, strong, recent = Rounds(len(people), len(boxes)), belief >= STRONG, people.away <= self.memory
        for who, which, (margin, least) in ((people.misses == 0, strong, NEAR), (recent, strong, FAR),
                                            (people.misses <= 2, ~strong & (belief >= WEAK - 1e-6), SURE)):
            def near(rows, columns, margin=margin, least=least):
                overlap = iou(wider(predicted[rows], margin), wider(boxes[columns], margin))
                cells = np.ix_(rows, columns)
                possible = (overlap >= least) & (overlaps[cells] >= taken[columns]) & ~strangers[cells]
                return np.where(possible, overlap + bonus[cells], -np.inf)
            rounds.take(who, which, near, holds)
        if features.any():
            found = np.where((alike >= ALIKE) & self._within_reach(measured), alike, -np.inf)
            rounds.take(people.ids > 0, strong, lambda rows, columns: found[np.ix_(rows, columns)])
        return *rounds.pairs(), rounds.left

    def _within_reach(self, measured):
        """Which boxes people may have got to since they were seen (N, M)."""
        people = self.people
        gone = np.linalg.norm(measured[None, :, :2] - people.seen[:, None, :2], axis=-1) / people.seen[:, 3:]
        grown = np.abs(np.log(measured[None, :, 3] / people.seen[:, 3:]))
        return (gone <= REACH[0] + REACH[1] * people.away[:, None]) & (grown <= 0.5)

    def _refilter(self, rows, measured, belief):
        """Put people found again, before the new box counts, where they would be had they been seen on the straight way to it."""
        people = self.people
        for row, box, sure in zip(rows, measured, belief, strict=True):
            steps = int(people.misses[row]) + 1
            mean, spread, step = people.then[[row]], people.then_spread[[row]], people.away[row] / steps
            for i in range(1, steps):
                between = people.seen[[row]] + (box - people.seen[[row]]) * i / steps
                mean, spread = correct(*_predict(mean, spread, step), between, _error(between, sure))
            people.mean[[row]], people.spread[[row]] = _predict(mean, spread, step)

    def _correct(self, rows, measured, belief, scores):
        people = self.people
        mean, spread = correct(people.mean[rows], people.spread[rows], measured, _error(measured, belief))
        people.mean[rows] = people.then[rows] = mean
        people.spread[rows] = people.then_spread[rows] = spread
        people.seen[rows], people.scores[rows] = measured, scores
        people.boxes[rows] += 1
        people.trust[rows] += np.maximum(LEARNING, 1 / people.boxes[rows]) * (belief - people.trust[rows])

    def _learn(self, rows, columns, boxes, features):
        """Mix the looks of boxes that no other covers into those of their people."""
        if len(rows) and features.any():
            covered = iou(boxes, boxes)
            np.fill_diagonal(covered, 0)
            good = (covered[columns].max(1) <= ALONE) & features[columns].any(1)
            rows, columns, looks = rows[good], columns[good], self.people.looks
            share = np.where(looks[rows].any(1, keepdims=True), LEARNED, 1.0)
            looks[rows] = unit((1 - share) * looks[rows] + share * features[columns])
            self.people.fresh[rows] = features[columns]

    def _features(self, detections):
        """Unit features (M, D) of the detections, 0 where unknown; everybody's looks get as many numbers when there are some for the first time."""
        if detections.features is None:
            return np.zeros((len(detections), self.people.looks.shape[1]))
        features = unit(detections.features.astype(np.float64))
        if not self.people.looks.shape[1] and len(features):
            self.people.looks = np.zeros((len(self.people), features.shape[1]))
        return features if len(features) else np.zeros((0, self.people.looks.shape[1]))

    def _begin(self, measured, belief, scores, looks):
        still, error = np.zeros_like(measured), _error(measured, belief)
        mean = np.stack([measured, still], -1)
        spread = np.stack([error, still, (FIRST * measured[:, 3:]) ** 2], -1)
        self.people.add(ids=0, mean=mean, spread=spread, then=mean, then_spread=spread, seen=measured, away=0.0, misses=0, boxes=1, scores=scores,
                        trust=belief, best=belief, shown=False, looks=looks, fresh=np.nan)

    def _looks(self, shown):
        """How people look in this frame (N, D), NaN for those who are covered, None where nobody's looks are known."""
        fresh = self.people.fresh[shown]
        return fresh if np.isfinite(fresh).any() else None


def _predict(mean, spread, step):
    """States after `step` seconds: velocities fade, and are pushed at random in proportion to the height."""
    keep = np.exp(-step / GLIDE)
    noise = np.zeros(mean.shape)
    noise[:, :, 1] = (np.array([PUSH, PUSH, SWELL, SWELL]) * mean[:, 3:, 0]) ** 2 * step
    mean, spread = predict(mean, spread, GLIDE * (1 - keep), keep, noise)
    mean[:, 2:, 0] = np.maximum(mean[:, 2:, 0], 1.0)
    return mean, spread


def _error(measured, belief):
    """Variances (N, 4) of measured (cx, cy, w, h) whose boxes are somebody with probabilities `belief`."""
    return np.repeat((ERROR * (1 + UNSURE * (1 - belief)) * measured[:, 3]) ** 2, 4).reshape(-1, 4)


def _logit(score):
    score = np.clip(np.asarray(score, np.float64), 1e-3, 1 - 5e-4)
    return np.log(score / (1 - score))


def _probability(odds):
    return 1 / (1 + np.exp(-odds))
