"""One person, one track: tracks that double another are dropped, broken tracks of the same person become one.

Doubles have the same pose at the same time. Broken tracks are joined by time, predicted place, size, pose, and appearance where it is known.
Distances are in heights of the person's box, so one set of limits serves every picture. A pair of tracks must pass every limit; among those that
do, the cheapest assignment decides. Tracks that overlap in time are never joined.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from trackers._assign import assign

WINDOW = 0.5  # s at the end of a track from which its motion and size are taken
FADING = 0.5  # s for which the velocity that a person had is believed
LONGEST, LONGEST_WITH_LOOKS = 2.0, 8.0  # s of absence, without and with a known appearance
DOUBLE, DOUBLED = 0.1, 0.5  # mean distance of two poses in diagonals of the box, and share of two tracks' common time, that make them doubles
LOOKS = 0.35  # largest cosine distance of appearances
ROWS = ("frames", "times", "boxes", "points", "scores", "joints3d", "root", "observed")  # what a track has for each frame


class End(NamedTuple):
    """A track at its first or last frame: time s, centre (2,) px, velocity (2,) px/s, height px, points (J, 2) px."""

    time: float
    centre: np.ndarray
    velocity: np.ndarray
    height: float
    points: np.ndarray


def drop_doubles(tracks):
    """The tracks without the frames in which they double a track of which more was seen: one whose pose is theirs for half of their common time.

    What is left of a track before and after may then be joined; a track of which nothing is left is dropped.
    """
    kept = []
    for track in sorted(tracks, key=lambda track: -track.scores.sum()):
        alone = np.ones(len(track), bool)
        for other in kept:
            if other.frames[0] <= track.frames[-1] and track.frames[0] <= other.frames[-1]:
                common, same = _same_pose(track, other)
                if len(common) and same.mean() >= DOUBLED:
                    alone[common] = False
        if alone.any():
            kept.append(track if alone.all() else _rows(track, alone))
    return kept


def _rows(track, keep):
    return replace(track, **{name: getattr(track, name)[keep] for name in ROWS})


def _same_pose(track, other):
    """The rows of a track at whose frames the other is there too, and in which of them its pose is that of the other."""
    _, a, b = np.intersect1d(track.frames, other.frames, assume_unique=True, return_indices=True)
    known = np.isfinite(track.points[a]).all(-1) & np.isfinite(other.points[b]).all(-1)
    weight = np.where(known, track.scores[a] * other.scores[b], 0)
    distance = np.linalg.norm(np.where(known[..., None], track.points[a] - other.points[b], 0), axis=-1)
    diagonal = np.maximum(*(np.linalg.norm(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (track.boxes[a], other.boxes[b])))
    return a, (weight * distance).sum(1) < DOUBLE * diagonal * weight.sum(1)


def join_tracks(tracks, width, height):
    """The tracks, those of one person merged under its earliest track's number; width and height of the picture in px."""
    tracks = sorted(tracks, key=lambda track: track.times[0])
    if len(tracks) < 2:
        return tracks
    ends, starts = [_end(track, -1) for track in tracks], [_end(track, 0) for track in tracks]
    begins = np.array([start.time for start in starts])
    costs = np.full((len(tracks), len(tracks)), np.inf)
    for i, track in enumerate(tracks):
        for j in np.flatnonzero((begins > ends[i].time) & (begins <= ends[i].time + LONGEST_WITH_LOOKS)):
            costs[i, j] = _cost(ends[i], starts[j], _looks(track, tracks[j]), (width, height))
    follower = {int(i): int(j) for i, j in assign(costs)}
    firsts = set(range(len(tracks))) - set(follower.values())
    return [_merged(tracks, i, follower) for i in sorted(firsts)]


def _end(track, side):
    """The End at the last (-1) or first (0) frame."""
    near = np.abs(track.times - track.times[side]) <= WINDOW
    times, boxes = track.times[near], track.boxes[near].astype(np.float64)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    heights = np.maximum(boxes[:, 3] - boxes[:, 1], 1)
    since = times - times.mean()
    spread = (since**2).sum()
    velocity = since @ (centres - centres.mean(0)) / spread if len(times) > 2 else np.zeros(2)
    return End(float(track.times[side]), centres[side], velocity, float(np.median(heights)), track.points[side])


def _cost(last, first, looks, picture):
    """How badly the track that begins as `first` continues the one that ended as `last`: below 4, or infinite where a limit is passed."""
    gap = first.time - last.time
    if gap > (LONGEST if looks is None else LONGEST_WITH_LOOKS):
        return np.inf
    height, reach = (last.height + first.height) / 2, FADING * (1 - np.exp(-gap / FADING))
    ahead, back = last.centre + reach * last.velocity, first.centre - reach * first.velocity
    gone = ((ahead < 0) | (ahead > picture)).any() or ((back < 0) | (back > picture)).any()
    if gone and looks is None:
        return np.inf
    distance = (np.linalg.norm(ahead - first.centre) + np.linalg.norm(back - last.centre)) / 2 / height
    size = abs(np.log(first.height / last.height))
    terms = [distance / min(0.25 + 0.4 * gap, 0.8), size / min(0.25 + 0.15 * gap, 0.5), _pose_distance(last, first) / height / (0.12 + 0.2 * gap)]
    if gone or gap > LONGEST:  # out of sight for so long, only looks tell
        terms = terms[1:2]
    terms += [] if looks is None else [looks / LOOKS]
    return float(np.sum(np.square(terms))) if max(terms) <= 1 else np.inf


def _pose_distance(last, first):
    """Mean distance px of the joints known at both ends, both about their own centre; 0 when there are fewer than three."""
    both = np.isfinite(last.points).all(-1) & np.isfinite(first.points).all(-1)
    if both.sum() < 3:
        return 0.0
    a, b = last.points[both], first.points[both]
    return float(np.linalg.norm((a - a.mean(0)) - (b - b.mean(0)), axis=1).mean())


def _looks(a, b):
    """The cosine distance of two tracks' appearances, None where one is unknown."""
    if a.feature is None or b.feature is None:
        return None
    scale = np.linalg.norm(a.feature) * np.linalg.norm(b.feature)
    return 1 - float(a.feature @ b.feature) / scale if scale > 0 else None


def _merged(tracks, first, follower):
    """The chain of tracks that begins with `first` as one Track."""
    chain = [tracks[first]]
    while first in follower:
        first = follower[first]
        chain.append(tracks[first])
    if len(chain) == 1:
        return chain[0]
    whole = {name: np.concatenate([getattr(track, name) for track in chain]) for name in ROWS}
    known = [track for track in chain if track.feature is not None]
    feature = np.average([track.feature for track in known], axis=0, weights=[len(track) for track in known]) if known else None
    return replace(chain[0], id=min(track.id for track in chain), feature=feature, **whole)
