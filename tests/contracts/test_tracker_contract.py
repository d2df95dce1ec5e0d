"""What every tracker promises."""

import numpy as np
import pytest

from core import parts
from core.records import Detections, Tracks

BLANK = np.zeros((240, 320, 3), np.uint8)


@pytest.fixture(params=parts.names("tracker"))
def make(request, built):
    return lambda: built("tracker", request.param, fresh=True)


def walkers(frame, count=2):
    """People side by side, walking to the right at 3 px a frame."""
    boxes = np.array([[20 + 120 * i + 3 * frame, 40, 60 + 120 * i + 3 * frame, 160] for i in range(count)], np.float32).reshape(-1, 4)
    return Detections(boxes, np.full(count, 0.9))


def run(tracker, frames=12, count=2):
    return [tracker.update(i / 30, walkers(i, count), BLANK) for i in range(frames)]


def test_people_keep_their_numbers_and_places(make):
    shown = run(make())
    assert all(isinstance(tracks, Tracks) for tracks in shown)
    assert [len(tracks) for tracks in shown[4:]] == [2] * 8
    assert len({tuple(sorted(tracks.ids.tolist())) for tracks in shown[4:]}) == 1
    for frame, tracks in enumerate(shown[4:], 4):
        boxes = tracks.boxes[np.argsort(tracks.boxes[:, 0])]
        np.testing.assert_allclose(boxes, walkers(frame).boxes, atol=8)
        assert ((tracks.scores >= 0) & (tracks.scores <= 1)).all()


def test_two_videos_never_meet(make):
    alone = run(make())
    first, second = make(), make()
    for i in range(12):
        second.update(i / 25, walkers(i, 1), BLANK)
        tracks = first.update(i / 30, walkers(i), BLANK)
        assert tracks.ids.tolist() == alone[i].ids.tolist()
        np.testing.assert_array_equal(tracks.boxes, alone[i].boxes)


def test_nobody_at_all(make):
    tracker = make()
    assert all(len(tracker.update(i / 30, Detections.empty(), BLANK)) == 0 for i in range(40))
    assert len(make().update(0.0, None, None)) == 0


def test_frames_that_nobody_looked_at_cost_no_track(make):
    tracker = make()
    before = run(tracker)[-1]
    for i in range(12, 24):
        tracker.update(i / 30, None, BLANK)
    after = [tracker.update(i / 30, walkers(i), BLANK) for i in range(24, 28)][-1]
    assert sorted(after.ids.tolist()) == sorted(before.ids.tolist())


def test_numbers_are_never_used_twice(make):
    tracker = make()
    first = set(run(tracker)[-1].ids.tolist())
    for i in range(12, 400):
        tracker.update(i / 30, Detections.empty(), BLANK)
    moved = [Detections(walkers(0).boxes + [0, 60, 0, 60], [0.9, 0.9])] * 8
    later = [tracker.update((400 + i) / 30, people, BLANK) for i, people in enumerate(moved)][-1]
    assert len(later) == 2 and not first & set(later.ids.tolist())
