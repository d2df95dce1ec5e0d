"""SORT against the official program's output and on hand-made crossings, gaps and faults."""

import pathlib

import numpy as np
import pytest

from core.parts import make
from core.records import Detections
from trackers._assign import assign

FIXTURES = pathlib.Path(__file__).parents[2] / "shared" / "fixtures" / "sort"
SEQUENCES = sorted(path.stem for path in (FIXTURES / "dets").glob("*.txt"))


def detections(*boxes):
    return Detections(np.array(boxes, float).reshape(-1, 4), np.full(len(boxes), 0.9))


def box(x, y=100, width=40, height=100):
    return (x, y, x + width, y + height)


def mot_rows(path):
    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    rows[:, 4:6] += rows[:, 2:4]
    return rows


@pytest.mark.shared
@pytest.mark.skipif(not SEQUENCES, reason="needs the official SORT outputs in ../shared/fixtures/sort")
@pytest.mark.parametrize("name", SEQUENCES or ["none"])
def test_equal_to_the_official_program(name):
    seen, expected = mot_rows(FIXTURES / "dets" / f"{name}.txt"), mot_rows(FIXTURES / "tracks" / f"{name}.txt")
    tracker, partner = make("tracker", "sort"), {}
    for frame in range(1, int(seen[:, 0].max()) + 1):
        rows, truth = seen[seen[:, 0] == frame], expected[expected[:, 0] == frame]
        tracks = tracker.update(frame / 25, Detections(rows[:, 2:6], rows[:, 6]), None)
        assert len(tracks) == len(truth)
        np.testing.assert_allclose(tracks.boxes, truth[:, 2:6], atol=0.0105)  # x, y, w, h are each rounded to 0.01
        for ours, theirs in zip(tracks.ids, truth[:, 1], strict=True):
            assert partner.setdefault(ours, theirs) == theirs
    assert len(set(partner.values())) == len(partner)


def test_two_people_crossing_keep_their_numbers():
    tracker = make("tracker", "sort")
    for frame in range(60):
        tracks = tracker.update(frame / 30, detections(box(100 + 5 * frame), box(400 - 5 * frame, 130, 44, 110)), None)
    by_id = dict(zip(tracks.ids.tolist(), tracks.boxes[:, 0], strict=True))
    assert by_id[1] == pytest.approx(395, abs=3)
    assert by_id[2] == pytest.approx(105, abs=3)


def test_shown_after_min_hits_and_numbers_never_return():
    tracker = make("tracker", "sort:max_age=2")
    for frame in range(5):
        tracker.update(frame, detections(), None)
    shown = [tracker.update(frame, detections(box(50)), None).ids.tolist() for frame in range(5, 10)]
    assert shown == [[], [], [], [1], [1]]
    for frame in range(10, 14):
        assert len(tracker.update(frame, detections(), None)) == 0
    shown = [tracker.update(frame, detections(box(50)), None).ids.tolist() for frame in range(14, 18)]
    assert shown[-1] == [2]


def test_nobody_looked_predicts_and_ages_nobody():
    tracker = make("tracker", "sort")
    for frame in range(10):
        tracker.update(frame, detections(box(100 + 4 * frame)), None)
    for frame in range(10, 30):
        tracks = tracker.update(frame, None, None)
        assert tracks.ids.tolist() == [1]
    assert tracks.boxes[0, 0] == pytest.approx(100 + 4 * 29, abs=2)
    assert tracker.update(30, detections(box(220)), None).ids.tolist() == [1]


def test_a_second_of_occlusion_is_bridged_with_a_longer_age():
    tracker = make("tracker", "sort:max_age=30,min_hits=0")
    for frame in range(20):
        tracker.update(frame, detections(box(100 + frame)), None)
    for frame in range(20, 50):
        assert len(tracker.update(frame, detections(), None)) == 0
    assert tracker.update(50, detections(box(150)), None).ids.tolist() == [1]


def test_faulty_boxes_are_dropped_and_counted():
    tracker = make("tracker", "sort")
    tracks = tracker.update(0, detections(box(10), (5, 5, 5, 50), (np.nan,) * 4, (9, 9, 1, 20)), None)
    assert tracks.ids.tolist() == [1]
    assert tracker.dropped == 3


def test_two_hundred_people_and_two_trackers_do_not_meet():
    many = detections(*[box(60 * (i % 20), 120 * (i // 20)) for i in range(200)])
    first, second = make("tracker", "sort"), make("tracker", "sort")
    for frame in range(4):
        tracks = first.update(frame, many, None)
    assert sorted(tracks.ids.tolist()) == list(range(1, 201))
    assert tracks.scores.tolist() == pytest.approx([0.9] * 200)
    assert second.update(0, detections(box(10)), None).ids.tolist() == [1]


def test_assignment_takes_the_cheapest_pairs_and_never_an_infinite_one():
    cost = np.array([[1.0, 0.5, np.inf], [0.4, 0.1, np.inf]])
    assert assign(cost).tolist() == [[0, 1], [1, 0]]
    assert assign(np.array([[np.inf, 2.0], [np.inf, 1.0]])).tolist() == [[1, 1]]
    assert assign(np.zeros((0, 3))).shape == (0, 2)
