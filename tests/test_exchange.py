"""People who meet: whose tracks were exchanged get their own back, all others keep theirs."""

from dataclasses import replace

import numpy as np
import pytest

from app.exchange import APART, meetings, put_right
from app.join import ROWS
from core.records import Track
from core.skeletons import BODY21

RED, BLUE, GREEN = np.eye(8)[:3]
RATE = 25.0


def walk(number, start, speed, frames=150, first=0):
    """A track of a box 40 px wide that goes straight on, `speed` px a frame."""
    index = np.arange(first, first + frames)
    left = start + speed * index
    boxes = np.stack([left, 0 * left, left + 40, 0 * left + 100], 1)
    joints = len(BODY21)
    return Track(number, index, index / RATE, boxes, np.zeros((frames, joints, 2)), np.ones((frames, joints)), np.zeros((frames, joints, 3)),
                 np.zeros((frames, 3)), np.ones(frames, bool))


def looks(track, before, after=None, change=3.0, noise=0.0):
    """A look every half second: `before`, and `after` from `change` s on."""
    times = np.arange(track.times[0], track.times[-1], 0.5)
    vectors = np.where((times < change)[:, None], before, before if after is None else after)
    return times, vectors + noise * np.random.default_rng(track.id).normal(size=vectors.shape)


def crossing():
    """Two who walk through each other, in the middle after three seconds."""
    return walk(1, 0, 2.0), walk(2, 300, -2.0)


def test_meetings_are_where_boxes_cover_each_other():
    a, b = crossing()
    meeting, = meetings(a, b)
    assert meeting.nearest == pytest.approx(3.0, abs=0.05) and (meeting.a, meeting.b) == (1, 2)
    assert 2.6 < meeting.first < 2.9 and 3.1 < meeting.last < 3.4
    assert meetings(a, walk(2, 600, 2.0)) == [] and meetings(a, walk(2, 0, 2.0, first=200)) == []
    hidden = replace(b, **{name: getattr(b, name)[np.r_[0:68, 82:150]] for name in ROWS})
    assert meetings(a, hidden)[0].first == pytest.approx(meeting.first, abs=0.1)  # who was not seen was there all the same
    swing = np.abs(np.arange(150) % 60 - 30)[:, None] * np.array([[6.0, 0, 6, 0]])
    assert len(meetings(replace(a, boxes=a.boxes * 0 + (0, 0, 40, 100)), replace(b, boxes=(0, 0, 40, 100) + swing))) == 3 and APART < 2


@pytest.mark.parametrize("noise", [0.0, 0.15])
def test_exchanged_people_get_their_own_tracks_back(noise):
    a, b = crossing()
    a2, b2 = put_right([a, b], {1: looks(a, RED, BLUE, noise=noise), 2: looks(b, BLUE, RED, noise=noise)})
    assert (a2.id, b2.id) == (1, 2) and len(a2) == len(a) and len(b2) == len(b)
    assert a2.boxes[-1].tolist() == b.boxes[-1].tolist() and a2.boxes[0].tolist() == a.boxes[0].tolist()
    assert np.argmax(a2.feature) == 0 and np.argmax(b2.feature) == 1 and (np.diff(a2.frames) > 0).all()


def test_others_keep_theirs():
    a, b = crossing()
    likely = (RED + 0.9 * BLUE) / np.hypot(1, 0.9)
    for seen in ({1: looks(a, RED), 2: looks(b, BLUE)}, {1: looks(a, RED, likely), 2: looks(b, RED)}, {1: looks(a, RED, BLUE)}, {},
                 {1: looks(a, RED, BLUE), 2: looks(b, BLUE, GREEN, change=9)}, {1: looks(a, RED, BLUE), 2: tuple(x[:6] for x in looks(b, BLUE))}):
        for track, same in zip(put_right([a, b], seen), (a, b), strict=True):
            assert np.array_equal(track.boxes, same.boxes)


def test_three_in_a_row_are_told_apart():
    """The first meeting exchanges 1 and 2; who carries number 1 then meets 3, and that is exchanged too."""
    a, b = crossing()
    c = walk(3, 450, -2.0)  # meets the one on a's way after 4.5 s
    fixed = put_right([a, b, c], {1: looks(a, RED, BLUE), 2: (looks(b, BLUE, RED)), 3: looks(c, GREEN)})
    ends = [track.boxes[-1, 0] for track in fixed]
    assert ends == [b.boxes[-1, 0], a.boxes[-1, 0], c.boxes[-1, 0]]
    mixed = [np.where((np.arange(0, 5.96, 0.5) < 3)[:, None], RED, np.where((np.arange(0, 5.96, 0.5) < 4.5)[:, None], BLUE, GREEN)),
             np.where((np.arange(0, 5.96, 0.5) < 3)[:, None], BLUE, RED),
             np.where((np.arange(0, 5.96, 0.5) < 4.5)[:, None], GREEN, BLUE)]
    fixed = put_right([a, b, c], {k + 1: (np.arange(0, 5.96, 0.5), mixed[k]) for k in range(3)})
    assert [np.argmax(track.feature) for track in fixed] == [0, 1, 2]
