"""Observations -> tracks: one array per person, with outliers rejected, broken tracks joined and short gaps filled.

What is filled in between frames is marked as not observed; what is filled in within a frame has half the score of what it was made from.
Nothing is invented over a second or more: there a joint is NaN with score 0, and a track has no rows.
"""

from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np

from app.exchange import put_right
from app.join import drop_doubles, join_tracks
from app.sides import settled
from app.smooth import excursions, hampel, interpolate, neighbours
from core.errors import InputError
from core.geometry import area
from core.records import Track

GAP = 1.0  # s: shorter ones are filled
BEST, NOBODY = 3, 0.35  # a track whose best third of the joints scores less on average is nobody; of somebody half hidden that third is clear
LIMBS = ("elbow", "wrist", "knee", "ankle")  # these may go anywhere in no time
FILLED = 0.5  # share of its neighbours' score that a filled-in joint gets


class Rows(NamedTuple):
    """People of many frames, one row each: ids, frames, times (N,), boxes (N, 4), points (N, J, 2), scores (N, J), relative (N, J, 3), depth (N,).

    rivals (N, J, 3) as in Poses.
    """

    ids: np.ndarray
    frames: np.ndarray
    times: np.ndarray
    boxes: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    relative: np.ndarray
    depth: np.ndarray
    rivals: np.ndarray


def assemble(observations, info, *, join=True, fill=True, min_seconds=0.0, max_people=None, in_space=None,
             nobody=NOBODY):
    """The tracks {id: Track} of an iterable of Observations (core.records), one for every processed frame in order, also where nobody is seen.

    Tracks that are nobody or double another person are dropped. join: people whose tracks were exchanged get their own back, and broken tracks of a
    person become one, under the earlier number. fill: rows for gaps shorter than a second. min_seconds: people seen for less are left out (in videos
    of less than twice that, for less than half the video). max_people: only the most visible are kept. in_space: what joins them in space too.
    nobody: mean score of the best third of the joints below which a track is nobody.
    Root-relative 3D and the root's depth are taken over where the pose network gave them, else NaN.
    """
    rows, skeleton, timeline, looks = _gather(observations)
    tracks = _split(rows, skeleton, looks)
    if join:
        tracks = put_right(tracks, looks)
    tracks = drop_doubles((track for track in (clean(track, skeleton) for track in tracks) if _clearest(track) >= nobody), skeleton)
    if join:
        tracks = join_tracks(tracks, info.width, info.height, in_space)
    if min_seconds:
        step = _step(timeline[1], info)
        least = min(min_seconds, len(timeline[1]) * step / 2)
        tracks = [track for track in tracks if len(track) * step >= least - 1e-6]
    if fill:
        tracks = [fill_gaps(track, *timeline) for track in tracks]
    tracks = {track.id: track for track in sorted(tracks, key=lambda track: track.id)}
    return tracks if max_people is None else most_visible(tracks, max_people)


def as_observed(observations):
    """The Tracks of an iterable of Observations as each frame could know them, and (frames (F,), times (F,)) of all, also where nobody was seen."""
    rows, skeleton, timeline, looks = _gather(observations)
    return list(_split(rows, skeleton, looks, causal=True)), timeline


def numbered(tracks):
    """The tracks under numbers from 1, in the order in which the people were first seen: what was dropped on the way leaves no holes."""
    ranked = sorted(tracks.values(), key=lambda track: (track.frames[0], track.id))
    return {number: replace(track, id=number) for number, track in enumerate(ranked, 1)}


def select(tracks, ids):
    """The tracks with these numbers. Raises InputError for a number that nobody has."""
    missing = sorted(set(ids) - set(tracks))
    if missing:
        raise InputError(f"no person {missing[0]}; there are: {', '.join(map(str, tracks)) or 'none'}")
    return {number: track for number, track in tracks.items() if number in set(ids)}


def most_visible(tracks, count):
    """The `count` tracks with the most screen: height of the box summed over the frames."""
    ranked = sorted(tracks.values(), key=lambda track: -np.sqrt(area(track.boxes)).sum())
    kept = {track.id for track in ranked[:count]}
    return {number: track for number, track in tracks.items() if number in kept}


def _clearest(track):
    """The mean score of the best third of the joints, of every row its own."""
    count = track.scores.shape[1]
    return np.sort(track.scores, axis=1)[:, count - max(count // BEST, 1) :].mean()


def clean(track, skeleton):
    """The track with outlying joints taken out, and those of head and trunk that are away for a moment; what is missing for less than a second is
    filled in from the frames around."""
    steps = np.diff(track.times)
    half = max(2, round(0.07 / np.median(steps))) if len(steps) else 2
    known = np.isfinite(track.points).all(-1) & (track.scores > 0)
    points = np.where(known[..., None], track.points, np.nan)
    size = np.linalg.norm(track.boxes[:, 2:] - track.boxes[:, :2], axis=1)
    known &= ~hampel(points, 0.02 * size, half)
    calm = [joint for joint, name in enumerate(skeleton.joints) if not name.endswith(LIMBS)]
    known[:, calm] &= ~excursions(track.times, np.where(known[..., None], points, np.nan)[:, calm], track.scores[:, calm], size)
    points, scores = points.copy(), np.where(known, track.scores, 0)
    for joint in np.flatnonzero(~known.all(0)):
        _fill_joint(points[:, joint], scores[:, joint], known[:, joint], track.times)
    return replace(track, points=points, scores=scores)


def _fill_joint(points, scores, known, times):
    """Fill points (T, 2) and scores (T,) of one joint in place where it is not known."""
    points[~known] = np.nan
    if not known.any():
        return
    before, after = neighbours(known)
    holes = np.flatnonzero(~known & (before >= 0) & (after >= 0))
    holes = holes[times[after[holes]] - times[before[holes]] < GAP]
    points[holes] = interpolate(times[holes], times[known], points[known])
    scores[holes] = FILLED * interpolate(times[holes], times[known], scores[known])


def fill_gaps(track, frames, times):
    """The track with a row for each processed frame (frames (F,), times (F,)) in its gaps of less than a second, interpolated, not observed."""
    where = np.searchsorted(track.times, times)
    inside = (where > 0) & (where < len(track)) & ~np.isin(frames, track.frames)
    gaps = np.diff(track.times)
    new = np.flatnonzero(inside)
    new = new[gaps[where[new] - 1] < GAP]
    if not len(new):
        return track
    order = np.argsort(np.concatenate([track.frames, frames[new]]), kind="stable")

    def merged(values):
        return np.concatenate([values, interpolate(times[new], track.times, values)])[order]

    observed = np.concatenate([track.observed, np.zeros(len(new), bool)])[order]
    points = merged(track.points)
    scores = np.where(observed[:, None], merged(track.scores), FILLED * merged(track.scores)) * np.isfinite(points).all(-1)
    return replace(
        track, frames=np.concatenate([track.frames, frames[new]])[order], times=np.concatenate([track.times, times[new]])[order],
        boxes=merged(track.boxes), points=points, scores=scores, joints3d=merged(track.joints3d), root=merged(track.root), observed=observed,
    )


def _step(times, info):
    """Seconds from one processed frame to the next."""
    return float(np.median(np.diff(times))) if len(times) > 1 else float(1 / info.fps)


def _gather(observations):
    """(Rows or None, the skeleton, (frames, times) of all processed frames, {id: (times (K,), features (K, D))} of those whose looks are known)."""
    observations, blocks, timeline, looks, skeleton = iter(observations), [], [], {}, None
    while chunk := list(islice(observations, 256)):
        timeline += [(seen.frame, seen.time) for seen in chunk]
        busy = [seen for seen in chunk if len(seen.tracks)]
        if busy:
            blocks.append(_block(busy))
        for seen in busy:
            skeleton = seen.poses.skeleton
            if seen.features is not None:
                for row in np.flatnonzero(np.isfinite(seen.features).all(1)):
                    looks.setdefault(int(seen.tracks.ids[row]), []).append((seen.time, seen.features[row]))
    rows = Rows(*(np.concatenate(column) for column in zip(*blocks, strict=True))) if blocks else None
    frames, times = np.array([f for f, _ in timeline], np.int64), np.array([t for _, t in timeline], np.float64)
    return rows, skeleton, (frames, times), {number: tuple(map(np.array, zip(*seen, strict=True))) for number, seen in looks.items()}


def _block(busy):
    """Rows of observations that all have people."""
    counts = [len(seen.tracks) for seen in busy]
    points = np.concatenate([seen.poses.points for seen in busy])

    def optional(name, *shape):
        given = [getattr(seen.poses, name) for seen in busy]
        missing = (np.full((count, *shape), np.nan, np.float32) for count in counts)
        return np.concatenate([blank if column is None else column for column, blank in zip(given, missing, strict=True)])

    return Rows(
        np.concatenate([seen.tracks.ids for seen in busy]), np.repeat([seen.frame for seen in busy], counts),
        np.repeat([seen.time for seen in busy], counts), np.concatenate([seen.tracks.boxes for seen in busy]), points,
        np.concatenate([seen.poses.scores for seen in busy]), optional("relative", points.shape[1], 3), optional("root_depth"),
        optional("rivals", points.shape[1], 3),
    )


def _split(rows, skeleton, looks, causal=False):
    """A Track for each number, its arms and legs on the sides on which they go on smoothly."""
    if rows is None:
        return
    order = np.argsort(rows.ids, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(rows.ids[order])) + 1):
        number = int(rows.ids[part[0]])
        root = np.stack([np.full(len(part), np.nan), np.full(len(part), np.nan), rows.depth[part]], 1)
        points = settled(rows.times[part], rows.boxes[part], rows.points[part], rows.rivals[part], skeleton, causal)
        yield Track(
            number, rows.frames[part], rows.times[part], rows.boxes[part], points, rows.scores[part], rows.relative[part], root,
            np.ones(len(part), bool), looks[number][1].mean(0) if number in looks else None,
        )
