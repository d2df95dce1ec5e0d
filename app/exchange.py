"""Two people whose tracks were exchanged when they met get their own back: what each looked like before and after tells, once the video was seen."""

from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from app.join import ROWS
from core.geometry import area

CLOSE = 0.3  # share of the smaller box that lies in the other while two people meet
APART = 0.5  # s from one meeting of two people to another
WINDOW, LEAST = 3.0, 2  # s before and after a meeting whose looks count, and how many are needed on each side
MARGIN = 0.2  # by how much the exchanged people must be more alike: the sum of two cosines


class Meeting(NamedTuple):
    """Two tracks, by their numbers a < b, that come close from `first` to `last` s, closest at `nearest` s."""

    last: float
    first: float
    nearest: float
    a: int
    b: int


def put_right(tracks, looks):
    """The tracks, the rest of two exchanged where people have each other's looks after they met.

    looks: {number: (times (K,) s, vectors (K, D))} of who was seen uncovered.
    """
    tracks, looks = {track.id: track for track in tracks}, {number: looks[number] for number in sorted(looks)}
    waiting = sorted(meeting for a, b in combinations(looks, 2) for meeting in meetings(tracks[a], tracks[b]))
    while waiting:
        now = waiting.pop(0)
        if exchanged(now, looks):
            ways = ((now.a, now.b), (now.b, now.a))
            looks[now.a], looks[now.b] = (_mixed(looks[x], looks[y], now.nearest) for x, y in ways)
            tracks[now.a], tracks[now.b] = (_spliced(tracks[x], tracks[y], now.nearest, looks[x][1].mean(0)) for x, y in ways)
            pairs = [(a, b) for a, b in combinations(looks, 2) if {a, b} & {now.a, now.b}]
            others = [meeting for meeting in waiting if not {meeting.a, meeting.b} & {now.a, now.b}]
            again = [meeting for a, b in pairs for meeting in meetings(tracks[a], tracks[b]) if meeting.last > now.last]
            waiting = sorted(others + again)
    return list(tracks.values())


def meetings(track, other):
    """The Meetings of two tracks; between their rows boxes go straight on."""
    first, last = max(track.times[0], other.times[0]), min(track.times[-1], other.times[-1])
    times = np.union1d(track.times, other.times)
    times = times[(times >= first) & (times <= last)]
    if not len(times):
        return []
    boxes = [np.stack([np.interp(times, one.times, side) for side in one.boxes.T], 1) for one in (track, other)]
    low, high = np.maximum(*(box[:, :2] for box in boxes)), np.minimum(*(box[:, 2:] for box in boxes))
    share = np.clip(high - low, 0, None).prod(1) / np.maximum(np.minimum(*map(area, boxes)), 1e-9)
    close = np.flatnonzero(share > CLOSE)
    parts = np.split(close, np.flatnonzero(np.diff(times[close]) > APART) + 1) if len(close) else []
    return [Meeting(float(times[part[-1]]), float(times[part[0]]), float(times[part[share[part].argmax()]]), track.id, other.id) for part in parts]


def exchanged(meeting, looks):
    """Whether two people look clearly more like each other's selves than like their own after a meeting."""
    before = [_mean(looks[number], meeting.first - WINDOW, meeting.first) for number in (meeting.a, meeting.b)]
    after = [_mean(looks[number], meeting.last, meeting.last + WINDOW) for number in (meeting.a, meeting.b)]
    if any(look is None for look in before + after):
        return False
    alike = np.array(before) @ np.array(after).T
    return bool(alike[0, 1] + alike[1, 0] > np.trace(alike) + MARGIN)


def _mean(seen, first, last):
    """The mean direction of the looks from `first` to `last` s, None where there are too few."""
    times, vectors = seen
    inside = vectors[(times >= first) & (times <= last)]
    if len(inside) < LEAST:
        return None
    mean = inside.mean(0)
    return mean / max(np.linalg.norm(mean), 1e-12)


def _spliced(track, rest, time, feature):
    """The track up to a time, and the rest of another after it; `feature` are its mean looks."""
    early, late = track.times <= time, rest.times > time
    return replace(track, feature=feature, **{name: np.concatenate([getattr(track, name)[early], getattr(rest, name)[late]]) for name in ROWS})


def _mixed(seen, rest, time):
    return tuple(np.concatenate([a[seen[0] <= time], b[rest[0] > time]]) for a, b in zip(seen, rest, strict=True))
