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


def test_one_frame(make):
    tracks = make().update(0.0, walkers(0), BLANK)
    assert set(tracks.ids.tolist()) <= {1, 2}
    assert len(make().update(0.0, walkers(0), None)) == len(tracks)


def test_two_hundred_people(make):
    boxes = np.array([[60 * (i % 20), 120 * (i // 20), 60 * (i % 20) + 40, 120 * (i // 20) + 100] for i in range(200)], np.float32)
    tracker = make()
    for i in range(8):
        tracks = tracker.update(i / 30, Detections(boxes + i * np.float32([1, 0, 1, 0]), np.full(200, 0.95)), None)
    assert sorted(tracks.ids.tolist()) == list(range(1, 201))
    order = np.lexsort((tracks.boxes[:, 0], tracks.boxes[:, 1].round(-1)))
    np.testing.assert_allclose(tracks.boxes[order], boxes + [7, 0, 7, 0], atol=6)


def test_boxes_that_are_none_are_dropped_and_counted(make):
    faults, tracker = np.array([[np.nan] * 4, [np.inf, 0, 5, 5], [50, 50, 50, 90], [90, 90, 60, 120]]), make()
    for i in range(8):
        good = walkers(i)
        mixed = Detections(np.concatenate([faults[:2], good.boxes, faults[2:]]), [0.9, 0.9, *good.scores, 0.9, np.nan])
        tracks = tracker.update(i / 30, mixed, None)
    assert tracker.dropped == 8 * 4
    assert len(tracks) == 2 and np.isfinite(tracks.boxes).all() and np.isfinite(tracks.scores).all()


def test_a_long_time_without_anybody_shows_nobody_and_costs_nothing_later(make):
    tracker = make()
    run(tracker)
    gone = [len(tracker.update(i / 30, Detections.empty(), BLANK)) for i in range(12, 600)]
    assert not any(gone[2:])
    again = [tracker.update(i / 30, walkers(i - 600), BLANK) for i in range(600, 612)][-1]
    assert len(again) == 2


@pytest.mark.parametrize("image", [BLANK, None])
def test_looking_at_every_third_frame_predicts_in_between(make, image):
    tracker = make()
    shown = [tracker.update(i / 30, walkers(i) if i % 3 == 0 else None, image) for i in range(45)]
    for i, tracks in enumerate(shown[24:], 24):
        assert tracks.ids.tolist() == shown[24].ids.tolist() and len(tracks) == 2
        np.testing.assert_allclose(tracks.boxes[np.argsort(tracks.boxes[:, 0])], walkers(i).boxes, atol=8)


def test_the_same_answers_every_time(make):
    rng = np.random.default_rng(0)
    noisy = [Detections(walkers(i, 5).boxes + rng.normal(0, 3, (5, 4)).astype(np.float32), rng.uniform(0.5, 1, 5)) for i in range(40)]
    first, second = ([tracker.update(i / 30, seen, None) for i, seen in enumerate(noisy)] for tracker in (make(), make()))
    for a, b in zip(first, second, strict=True):
        assert a.ids.tolist() == b.ids.tolist() and a.boxes.tolist() == b.boxes.tolist()
