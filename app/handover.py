"""From piece to piece of a long video: the observations of overlapping pieces become those of one, and nobody changes the number at a cut.

Every piece begins well before its predecessor ends, so its tracker has settled before it is believed. In the last quarter of what both saw the cut is
where people are furthest apart, since there no identity is in doubt; people are the same whose boxes are the same in that quarter.
"""

from dataclasses import replace
from itertools import takewhile

import numpy as np

from app.store import due_features
from core.geometry import iou
from core.records import Tracks
from trackers._assign import assign

BELIEVED = 0.75  # share of what two pieces both saw after which the later one is believed
SAME = 0.5  # mean overlap of two boxes over the frames with both, from which on they are one person
CROWDED = 0.05  # differences of overlap that do not matter to where the cut is


def merged(logs):
    """Every Observation of a whole video from the ObservationLogs of its pieces, in order: each frame once, identities carried on."""
    logs = [log for log in logs if log.frames]
    begin, names, used = -1, {}, 0
    for log, following in zip(logs, [*logs[1:], None], strict=False):
        before, after = _shared(log, following) if following else ([], [])
        end = safest(before) if before else np.inf
        means = log.features()
        waiting = set(means)
        for seen in log.read():
            if begin <= seen.frame < end:
                for number in seen.tracks.ids.tolist():
                    if number not in names:
                        used += 1
                        names[number] = used
                tracks = Tracks([names[number] for number in seen.tracks.ids.tolist()], seen.tracks.boxes, seen.tracks.scores)
                yield replace(seen, tracks=tracks, features=due_features(seen.tracks.ids, seen.time, means, waiting))
        begin = end if before else log.last_frame + 1
        names = {new: names[old] for new, old in same_people(before, after) if old in names}


def _shared(log, following):
    """The Observations of the frames that are in both logs, of each of them."""
    after = list(takewhile(lambda seen: seen.frame <= log.last_frame, following.read()))
    frames = {seen.frame for seen in after}
    before = [seen for seen in log.read() if seen.frame in frames]
    there = {seen.frame for seen in before}
    return before, [seen for seen in after if seen.frame in there]


def safest(shared):
    """The frame, of the last quarter of these Observations, in which people overlap the least; the last of several such."""
    return min(reversed(shared[int(BELIEVED * len(shared)) :]), key=lambda seen: round(_closest(seen.tracks.boxes) / CROWDED)).frame


def _closest(boxes):
    """The largest overlap of two of these boxes."""
    return float((iou(boxes, boxes) - np.eye(len(boxes))).max(initial=0))


def same_people(before, after):
    """Pairs (number after, number before) of the same people, from two lists of Observations of the same frames, of which the last quarter counts."""
    settled = int(BELIEVED * len(before))
    old, new = (sorted({number for seen in part[settled:] for number in seen.tracks.ids.tolist()}) for part in (before, after))
    total, count = np.zeros((len(old), len(new))), np.zeros((len(old), len(new)))
    for a, b in zip(before[settled:], after[settled:], strict=True):
        cells = np.ix_(np.searchsorted(old, a.tracks.ids), np.searchsorted(new, b.tracks.ids))
        total[cells] += iou(a.tracks.boxes, b.tracks.boxes)
        count[cells] += 1
    alike = total >= SAME * np.maximum(count, 1)
    return [(new[j], old[i]) for i, j in assign(np.where(alike, -total, np.inf))]
