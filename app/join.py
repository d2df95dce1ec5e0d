"""One person, one track: tracks that double another are dropped, broken tracks of the same person become one.

Doubles have the same pose at the same time. Broken tracks are joined by what ends.py says of their ends. A pair of tracks must pass every limit;
among those that do, the cheapest assignment decides. Tracks that overlap in time are never joined.
"""

from dataclasses import replace

import numpy as np

from app.ends import cost, end_of, possible
from trackers._assign import assign

DOUBLE, DOUBLED = 0.1, 0.5  # mean distance of two poses in diagonals of the box, and share of two tracks' common time, that make them doubles
ROWS = ("frames", "times", "boxes", "points", "scores", "joints3d", "root", "observed")  # what a track has for each frame


def drop_doubles(tracks, skeleton):
    """The tracks without the frames in which they double a track of which more was seen: one whose pose is theirs for half of their common time.

    Left and right may differ: that is no other person. What is left of a track before and after may then be joined; a track of which nothing is left
    is dropped, and so is one that has now this one's pose and now that one's for half of what is left: a box that goes from person to person.
    """
    kept = []
    for track in sorted(tracks, key=lambda track: -track.scores.sum()):
        alone, double = np.ones(len(track), bool), np.zeros(len(track), bool)
        for other in kept:
            if other.frames[0] <= track.frames[-1] and track.frames[0] <= other.frames[-1]:
                common, same = _same_pose(track, other, list(skeleton.mirror))
                double[common[same]] = True
                if len(common) and same.mean() >= DOUBLED:
                    alone[common] = False
        if alone.any() and double[alone].mean() < DOUBLED:
            kept.append(track if alone.all() else part_of(track, alone))
    return kept


def part_of(track, keep):
    """The frames `keep` (T,) bool of a track."""
    return replace(track, **{name: getattr(track, name)[keep] for name in ROWS})


def _same_pose(track, other, mirror):
    """The rows of a track at whose frames the other is there too, and in which of them its pose is that of the other."""
    _, a, b = np.intersect1d(track.frames, other.frames, assume_unique=True, return_indices=True)
    known = np.isfinite(track.points[a]).all(-1) & np.isfinite(other.points[b]).all(-1)
    weight = np.where(known, track.scores[a] * other.scores[b], 0)
    apart = [np.linalg.norm(track.points[a] - other.points[b][:, order], axis=-1) for order in (slice(None), mirror)]
    distance = np.where(known, np.fmin(*apart), 0)
    diagonal = np.maximum(*(np.linalg.norm(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (track.boxes[a], other.boxes[b])))
    return a, (weight * distance).sum(1) < DOUBLE * diagonal * weight.sum(1)


def join_tracks(tracks, width, height, in_space=None):
    """The tracks, those of one person merged under its earliest track's number; width and height of the picture in px.

    in_space(track, side) is the End of a track in space (reconstruct.py), for those that may be broken; without it the picture decides.
    """
    tracks = sorted(tracks, key=lambda track: track.times[0])
    ends = {(i, side): end_of(track, side) for i, track in enumerate(tracks) for side in (-1, 0)}
    begins = np.array([track.times[0] for track in tracks])
    pairs = [(i, int(j), _looks(track, tracks[j])) for i, track in enumerate(tracks) for j in np.flatnonzero(begins > track.times[-1])]
    pairs = [(i, j, looks) for i, j, looks in pairs if possible(ends[i, -1], ends[j, 0], looks)]
    if in_space:
        ends |= {(i, side): in_space(tracks[i], side) for i, side in {key for i, j, _ in pairs for key in ((i, -1), (j, 0))}}
    costs = np.full((len(tracks), len(tracks)), np.inf)
    for i, j, looks in pairs:
        costs[i, j] = cost(ends[i, -1], ends[j, 0], looks, (width, height))
    follower = {int(i): int(j) for i, j in assign(costs)}
    firsts = set(range(len(tracks))) - set(follower.values())
    return [_merged(tracks, i, follower) for i in sorted(firsts)]


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
