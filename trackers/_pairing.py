"""Pairing people with boxes in rounds, surest first, and what speaks for a pair."""

import numpy as np

from trackers._assign import assign


class Rounds:
    """Who is still free of N people, and which of M boxes are left, after some rounds of pairing."""

    def __init__(self, people, boxes):
        self.free, self.left = np.ones(people, bool), np.ones(boxes, bool)
        self.found = [np.zeros((2, 0), np.int64)]

    def take(self, people, boxes, value, keep=None):
        """Pair those of `people` (N,) bool and `boxes` (M,) bool that are free by the largest sum of value(rows, columns) (n, m); -inf: never.

        keep(rows, columns, taken) says which of the pairs hold (K,) bool, given the columns of all pairs so far.
        """
        rows, columns = np.flatnonzero(people & self.free), np.flatnonzero(boxes & self.left)
        if len(rows) and len(columns):
            pairs = assign(-value(rows, columns))
            rows, columns = rows[pairs[:, 0]], columns[pairs[:, 1]]
            if keep:
                good = keep(rows, columns, np.concatenate([*(found[1] for found in self.found), columns]))
                rows, columns = rows[good], columns[good]
            self.free[rows] = self.left[columns] = False
            self.found.append(np.stack([rows, columns]))

    def pairs(self):
        """(rows of people, columns of their boxes)."""
        return np.concatenate(self.found, 1)


def claimed(overlaps, here):
    """The overlap of each box (M,) with whom of `here` (N,) bool it fits best and who has no better one; 0 for the others. `overlaps` is (N, M)."""
    best = np.zeros(overlaps.shape[1])
    if here.any() and len(best):
        column = overlaps[here].argmax(1)
        np.maximum.at(best, column, overlaps[here, column])
    return best


def own(overlaps, between, close):
    """For Rounds.take: a pair holds unless its box overlaps another that was taken by `close` or more, and more than its person's expected place.

    Then it is a second box of somebody else's. `overlaps` (N, M) are those of people and boxes, `between` (M, M) those of boxes.
    """
    between = between * ~np.eye(len(between), dtype=bool)

    def keep(rows, columns, taken):
        other = between[np.ix_(columns, taken)].max(1, initial=0)
        return (other < close) | (other < overlaps[rows, columns])

    return keep


def unlike(alike, known, near, margin):
    """Which boxes (N, M) bool look more like a neighbour of theirs than like these people, by more than `margin`.

    `alike` (N, M) are the cosines of looks, `known` (N,) says whose looks are known, `near` (N, M) who is a box's neighbour.
    """
    best = np.where(near & known[:, None], alike, -np.inf).max(0, initial=-np.inf)
    return known[:, None] & (alike < best - margin)


def wider(boxes, share):
    """Boxes (N, 4) xyxy with `share` of their width and height added on each side."""
    margin = share * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], 1)


def heading(seen, velocity, height, measured, fast, far):
    """How well the way from where people were last seen (N, 2) to each box's centre (M, 2) fits their velocity (N, 2): 0.5 straight ahead, 0 across,
    -0.5 back, as an array (N, M) (section 3.3 of OC-SORT). It fades for who is slower than `fast` and went less than `far`, in heights (N,).
    """
    way = measured[None] - seen[:, None]
    length, speed = np.linalg.norm(way, axis=-1), np.linalg.norm(velocity, axis=-1)[:, None]
    cosine = (way * velocity[:, None]).sum(-1) / np.maximum(length * speed, 1e-9)
    told = np.minimum(speed / (fast * height[:, None]), 1) * np.minimum(length / (far * height[:, None]), 1)
    return (0.5 - np.arccos(np.clip(cosine, -1, 1)) / np.pi) * told
