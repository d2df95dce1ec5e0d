"""Our tracker on hand-made crossings, gaps, looks and cameras, and its filter against filterpy."""

import cv2
import numpy as np
import pytest
from filterpy.kalman import KalmanFilter

from core.parts import make
from core.records import Detections
from trackers import steady
from trackers._camera import CameraMotion
from trackers._kalman import correct, predict
from trackers._pairing import unlike

RATE = 30


def people(*boxes, scores=0.95, features=None):
    return Detections(np.array(boxes, float).reshape(-1, 4), np.broadcast_to(scores, len(boxes)), features)


def box(x, y=100, width=40, height=100):
    return (x, y, x + width, y + height)


def follow(tracker, frames, seen):
    """The ids and boxes {id: x} shown in each frame of seen(frame) -> Detections or None."""
    shown = []
    for frame in range(frames):
        tracks = tracker.update(frame / RATE, seen(frame))
        shown.append(dict(zip(tracks.ids.tolist(), tracks.boxes[:, 0].tolist(), strict=True)))
    return shown


def test_two_people_crossing_keep_their_numbers():
    last = follow(make("tracker", "steady"), 60, lambda i: people(box(100 + 5 * i), box(400 - 5 * i, 130, 44, 110)))[-1]
    assert last[1] == pytest.approx(395, abs=4) and last[2] == pytest.approx(105, abs=4)


def test_who_is_hidden_by_another_for_the_crossing_comes_out_behind_them():
    def seen(i):
        near, far = box(100 + 4 * i), box(420 - 4 * i, 110, 36, 90)
        return people(near) if abs(near[0] - far[0]) < 30 else people(near, far)

    shown = follow(make("tracker", "steady"), 80, seen)
    assert shown[5].keys() == shown[-1].keys() == {1, 2}
    assert shown[-1][1] == pytest.approx(416, abs=4) and shown[-1][2] == pytest.approx(104, abs=4)


@pytest.mark.parametrize(("start", "step", "double"), [(30, 1, (90, 120, 40, 100)), (131, -1, (72, 110, 60, 140))])
def test_who_is_lost_beside_somebody_takes_none_of_their_boxes(start, step, double):
    def seen(i):
        standing = box(90 + i % 2, 100, 60, 140)
        if i < 20:
            return people(box(start + step * i, 100, 60, 130), standing)
        return people(standing, box(*double), scores=[0.95, 0.93])  # a second box on the one who stands, none on the other

    shown = follow(make("tracker", "steady"), 40, seen)
    assert list(shown[19]) == [1, 2]
    for now in shown[20:]:
        assert now[2] == pytest.approx(90, abs=4) and 1 not in now


def test_a_second_of_occlusion_is_bridged_and_shows_nobody_meanwhile():
    shown = follow(make("tracker", "steady"), 70, lambda i: people() if 20 <= i < 50 else people(box(100 + 2 * i)))
    assert all(len(now) == 0 for now in shown[20:50])
    assert list(shown[19]) == list(shown[-1]) == [1]


def test_weak_boxes_continue_people_and_begin_none():
    weak = follow(make("tracker", "steady:even=0.5"), 30, lambda i: people(box(100), scores=0.2))
    assert not any(weak)
    tracker = make("tracker", "steady:even=0.5")
    follow(tracker, 30, lambda i: people(box(100 + 3 * i), scores=0.95 if i < 20 else 0.2))
    assert tracker.people.misses.tolist() == [0]
    assert tracker.people.mean[0, 0, 0] == pytest.approx(120 + 3 * 29, abs=3)


def test_whoever_was_certain_once_is_shown_in_hard_moments_and_others_are_not():
    def seen(sure):
        return lambda i: people(box(100 + 3 * i), scores=sure if i < 20 else 0.3)  # a jump: the detector sees little of a person in it

    certain, likely = (follow(make("tracker", "steady:even=0.5"), 50, seen(sure)) for sure in (0.97, 0.8))
    assert all(list(now) == [1] for now in certain)
    assert list(likely[19]) == [1] and not any(likely[30:])


def test_the_least_useful_score_follows_the_even_one():
    assert make("tracker", "steady:even=0.5").lowest == pytest.approx(0.1)
    assert make("tracker", "steady:even=0.9").lowest == pytest.approx(0.5)


def test_numbers_are_given_without_holes_to_those_who_are_shown():
    def seen(i):
        return people(box(100), *([box(300 + 10 * i)] if i % 4 == 0 else []), scores=[0.95, 0.8][: 1 + (i % 4 == 0)])

    tracker = make("tracker", "steady")
    follow(tracker, 30, seen)
    assert tracker.update(1.0, people(box(100), box(500))).ids.tolist() == [1, 2]


def test_steps_are_seconds_so_dropped_frames_do_not_matter():
    every, some = make("tracker", "steady"), make("tracker", "steady")
    for i in range(91):
        every.update(i / RATE, people(box(100 + 3 * i)))
        if i % 3 == 0 and i not in (30, 33, 60):
            tracks = some.update(i / RATE, people(box(100 + 3 * i)))
    assert tracks.ids.tolist() == [1]
    assert some.people.mean[0, 0, 1] == pytest.approx(90, abs=12)  # px a second
    assert every.people.mean[0, 0, 1] == pytest.approx(90, abs=12)


def test_the_same_times_twice_or_backwards_are_no_steps():
    tracker = make("tracker", "steady")
    for time in (0, 0, 0.1, 0.05, 0.2):
        tracks = tracker.update(time, people(box(100)))
    assert tracks.ids.tolist() == [1] and np.isfinite(tracks.boxes).all()


def test_looks_bring_back_who_left_and_tell_apart_who_came_instead():
    red, blue = np.eye(8)[[0]], np.eye(8)[[1]]

    def again(look, tracker):
        shown = follow(tracker, 30, lambda i: people(box(300), features=red))
        assert list(shown[-1]) == [1]
        for i in range(30, 150):
            tracker.update(i / RATE, people(features=np.zeros((0, 8))))
        for i in range(150, 160):
            tracks = tracker.update(i / RATE, people(box(420, 110), features=look))
        return tracks

    tracks = again(red, make("tracker", "steady:embedder=any"))
    assert tracks.ids.tolist() == [1]
    np.testing.assert_allclose(tracks.features, red, atol=1e-6)
    assert again(blue, make("tracker", "steady:embedder=any")).ids.tolist() == [2]
    assert again(red, make("tracker", "steady")).ids.tolist() == [1]  # looks were given although no network was named
    assert again(red, make("tracker", "steady:embedder=any,recall=2")).ids.tolist() == [2]


@pytest.mark.parametrize("turning", [False, True])
def test_looks_tell_whether_two_who_met_passed_or_turned_round(turning):
    red, blue = np.eye(8)[:2] * 0.8 + 0.2

    def seen(i):
        at = 100 + 4 * i if i < 50 or not turning else 500 - 4 * i  # the left one's way; they meet at 300 after 50 frames
        left, right = box(at), box(600 - at, 104)
        if abs(at - 300) < 24:
            return people(left, scores=0.9, features=(red + blue)[None])
        return people(left, right, features=np.stack([red, blue]))

    shown = follow(make("tracker", "steady:embedder=any"), 90, seen)
    assert list(shown[-1]) == [1, 2]
    end = 456 if not turning else 144
    assert shown[-1][1] == pytest.approx(end, abs=6) and shown[-1][2] == pytest.approx(600 - end, abs=6)


def test_a_box_between_two_goes_to_whom_it_looks_like():
    """One of two is hidden, the other moves to where both might be, nearer to the hidden one: looks say who that is."""
    red, blue = np.eye(8)[:2]

    def seen(i):
        if i < 20:
            return people(box(100, width=80), box(150, width=80), features=np.stack([red, blue]))
        return people(box(138, width=80), features=(0.9 * red + 0.1 * blue)[None])

    shown = follow(make("tracker", "steady:embedder=any"), 24, seen)
    assert list(shown[19]) == [1, 2] and all(list(now) == [1] for now in shown[20:])


def test_unlike_needs_known_looks_a_neighbour_and_a_margin():
    alike, known, near = np.array([[0.9, 0.5], [0.6, 0.6], [0.0, 0.0]]), np.array([True, True, False]), np.ones((3, 2), bool)
    assert unlike(alike, known, near, 0.15).tolist() == [[False, False], [True, False], [False, False]]
    near[0, 0] = False
    assert not unlike(alike, known, near, 0.15).any()
    assert unlike(np.zeros((0, 2)), known[:0], near[:0], 0.15).shape == (0, 2)
    assert unlike(np.zeros((3, 0)), known, near[:, :0], 0.15).shape == (3, 0)


def test_unknown_looks_are_no_looks():
    tracker = make("tracker", "steady:embedder=any")
    for i in range(10):
        features = np.array([[1.0, 0], [np.nan, np.nan]]) if i % 2 else None
        tracks = tracker.update(i / RATE, people(box(100), box(300), features=features))
    assert tracks.ids.tolist() == [1, 2]
    assert np.isnan(tracks.features[1]).all() and np.isfinite(tracks.features[0]).all()


def test_the_filter_of_all_people_is_that_of_filterpy():
    rng = np.random.default_rng(0)
    boxes = rng.uniform(50, 100, (3, 4))
    tracker = steady.build(camera=False)
    tracker._begin(boxes, np.ones(3), np.ones(3), np.zeros((3, 0)))
    mean, spread = tracker.people.mean, tracker.people.spread
    filters = [_reference(box) for box in boxes]
    for _ in range(6):
        step, measured, belief = rng.uniform(0.02, 0.2), boxes + rng.normal(0, 3, (3, 4)), np.array([1.0, 0.8, 0.1])
        for reference, state in zip(filters, mean, strict=True):
            keep = np.exp(-step / steady.GLIDE)
            reference.F = np.block([[np.eye(4), np.diag(steady.GLIDE * (1 - keep))], [np.zeros((4, 4)), np.diag(keep)]])
            push = np.array([steady.PUSH, steady.PUSH, steady.SWELL, steady.SWELL]) * state[3, 0]
            reference.Q = np.diag(np.concatenate([np.zeros(4), push**2 * step]))
            reference.predict()
        mean, spread = steady._predict(mean, spread, step)
        mean, spread = correct(mean, spread, measured, steady._error(measured, belief))
        for reference, state, trust, row, sure in zip(filters, mean, spread, measured, belief, strict=True):
            reference.update(row, R=np.eye(4) * (steady.ERROR * (1 + steady.UNSURE * (1 - sure)) * row[3]) ** 2)
            np.testing.assert_allclose(reference.x[:, 0], state.T.ravel(), rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(np.diag(reference.P), trust[:, [0, 2]].T.ravel(), rtol=1e-9)
            np.testing.assert_allclose(np.diag(reference.P, 4), trust[:, 1], rtol=1e-9)


def _reference(box):
    reference = KalmanFilter(dim_x=8, dim_z=4)
    reference.H = np.eye(4, 8)
    reference.x[:4, 0] = box
    reference.P = np.diag(np.concatenate([np.full(4, (steady.ERROR * box[3]) ** 2), (steady.FIRST * box[3]) ** 2]))
    return reference


def test_constant_velocity_is_the_limit_of_the_fading_one():
    mean, covariance = np.array([[[5.0, 2.0]]]), np.array([[[1.0, 0.5, 2.0]]])
    moved, spread = predict(mean, covariance, 3.0, 1.0, np.zeros((1, 1, 2)))
    assert moved.tolist() == [[[11.0, 2.0]]]
    assert spread.tolist() == [[[1 + 2 * 3 * 0.5 + 9 * 2, 0.5 + 3 * 2, 2.0]]]


def scenery(shift=(0, 0), turn=0.0, zoom=1.0):
    """A picture (480, 640, 3) of a textured wall, seen by a camera that moved."""
    rng = np.random.default_rng(3)
    wall = cv2.resize(rng.integers(0, 255, (60, 80), np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    matrix = cv2.getRotationMatrix2D((320, 240), turn, zoom)
    matrix[:, 2] += shift
    return np.repeat(cv2.warpAffine(wall, matrix, (640, 480), borderMode=cv2.BORDER_REFLECT)[..., None], 3, 2), matrix


def test_the_camera_s_motion_is_found_and_a_resting_one_is_none():
    camera, nobody = CameraMotion(), np.zeros((0, 4))
    assert camera(scenery()[0], nobody) is None
    assert camera(scenery()[0], nobody) is None
    image, matrix = scenery((9, -6), 1.5, 1.02)
    found = camera(image, np.array([[100, 100, 200, 300.0], [np.nan] * 4]))
    corners = np.array([[50, 50], [600, 60], [320, 400.0]])
    np.testing.assert_allclose(corners @ found[:, :2].T + found[:, 2], corners @ matrix[:, :2].T + matrix[:, 2], atol=1.5)
    assert camera(np.zeros((480, 640, 3), np.uint8), nobody) is None  # nothing to hold on to
    assert camera(np.zeros((90, 120, 3), np.uint8), nobody) is None  # another size


def test_a_jerk_of_the_camera_costs_no_identity():
    def run(spec):
        tracker = make("tracker", spec)
        for i in range(30):
            shift = 0 if i < 15 else 50
            tracks = tracker.update(i / RATE, people(box(200 + shift), box(255 + shift)), scenery((shift, 0))[0])
        return tracks.ids[np.argsort(tracks.boxes[:, 0])].tolist()

    assert run("steady") == [1, 2]
    assert run("steady:camera=false") != [1, 2]
