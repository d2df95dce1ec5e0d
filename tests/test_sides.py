"""Left and right over time: two legs that swing past each other, seen by a network that mixes them up for a while."""

import numpy as np
import pytest

from app.sides import PAUSE, Sides, columns, places_of, settled
from core.skeletons import BODY21, COCO17, H36M17

RATE, HEIGHT = 30, 300.0
LEGS = BODY21.indices("left_knee", "right_knee", "left_ankle", "right_ankle")
CENTRE = {"hip": (0.0, 0.5), "knee": (0.3, 0.72), "ankle": (0.6, 0.95), "shoulder": (0.0, 0.2), "elbow": (0.25, 0.35), "wrist": (0.45, 0.5)}


def walker(count=120, speed=60.0, seed=0, skeleton=BODY21):
    """times (T,), boxes (T, 4) and points (T, J, 2) of somebody who walks across the picture and is seen from the side."""
    rng, times = np.random.default_rng(seed), np.arange(count) / RATE
    points = np.zeros((count, len(skeleton), 2))
    for joint, name in enumerate(skeleton.joints):
        side, _, part = name.rpartition("_")
        swing, height = CENTRE.get(part, (0.0, 0.1))
        sign = {"left": 1, "right": -1}.get(side, 0) * (-1 if part in ("elbow", "wrist") else 1)
        points[:, joint, 0] = 200 + speed * times + sign * 0.4 * swing * HEIGHT * np.sin(2 * np.pi * times)
        points[:, joint, 1] = 100 + height * HEIGHT
    middle = 200 + speed * times
    boxes = np.stack([middle - 80, np.full(count, 100.0), middle + 80, np.full(count, 100 + HEIGHT)], 1)
    return times, boxes, points + rng.normal(0, 2, points.shape)


def looked(points, wrong, share=0.4, skeleton=BODY21):
    """What a network gives that takes the joints `wrong` (T, J) for their other side: points, and rivals that hold the place not taken."""
    other = points[:, list(skeleton.mirror)]
    found = np.where(wrong[..., None], other, points)
    rival = np.where(wrong[..., None], points, other)
    return found, np.concatenate([rival, np.full((*rival.shape[:2], 1), share)], -1)


def off(points, truth):
    """The share of the legs' joints that are more than a tenth of the height from the truth."""
    return (np.linalg.norm(points - truth, axis=-1) > 0.1 * HEIGHT)[:, LEGS].mean()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("sides", ["left", "both"])
def test_legs_on_one_place_or_exchanged_are_told_apart(causal, sides):
    times, boxes, truth = walker()
    wrong = np.zeros(truth.shape[:2], bool)
    wrong[40:55, BODY21.indices("left_ankle", "left_knee")] = True
    if sides == "both":
        wrong[40:55, LEGS] = True
    found, rivals = looked(truth, wrong)
    before, after = off(found, truth), off(settled(times, boxes, found, rivals, BODY21, causal), truth)
    assert before > 0.03 and after < 0.4 * before


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.3])
def test_a_network_that_is_sure_may_have_exchanged_both_legs(causal, share):
    """The rivals say nothing, or that the joints could be a little higher on their legs; but each leg is where the other one was just now."""
    times, boxes, truth = walker()
    wrong = np.zeros(truth.shape[:2], bool)
    wrong[40:50, BODY21.indices("left_hip", "right_hip")] = wrong[40:50, LEGS] = True
    found, rivals = looked(truth, wrong, share=share)
    rivals[..., :2] = found - (0, 20)
    before, after = off(found, truth), off(settled(times, boxes, found, rivals, BODY21, causal), truth)
    assert before > 0.03 and after < 0.5 * before


def test_legs_cross_and_do_not_bounce():
    times, boxes, truth = walker()
    found, rivals = looked(truth, np.zeros(truth.shape[:2], bool), share=0.5)
    after = settled(times, boxes, found, rivals, BODY21)
    assert min(off(after, truth), off(after[:, list(BODY21.mirror)], truth)) < 0.02


def test_what_is_sure_stays():
    times, boxes, truth = walker()
    found, rivals = looked(truth, np.zeros(truth.shape[:2], bool), share=0.02)
    assert np.array_equal(settled(times, boxes, found, rivals, BODY21), found)
    rivals[..., 2] = np.nan
    assert np.array_equal(settled(times, boxes, found, rivals, BODY21), found)


def test_each_frame_of_the_causal_rule_knows_only_the_past():
    times, boxes, truth = walker()
    wrong = np.random.default_rng(1).random(truth.shape[:2]) < 0.2
    found, rivals = looked(truth, wrong)
    whole = settled(times, boxes, found, rivals, BODY21, causal=True)
    assert np.array_equal(whole[:50], settled(times[:50], boxes[:50], found[:50], rivals[:50], BODY21, causal=True))


def test_a_pause_begins_anew():
    times, boxes, truth = walker()
    found, rivals = looked(truth, np.random.default_rng(1).random(truth.shape[:2]) < 0.2)
    later = times + PAUSE * (np.arange(len(times)) >= 60)
    parts = [settled(times[part], boxes[part], found[part], rivals[part], BODY21) for part in (slice(60), slice(60, None))]
    assert np.array_equal(settled(later, boxes, found, rivals, BODY21), np.concatenate(parts))


def test_missing_joints_and_few_frames():
    times, boxes, truth = walker()
    found, rivals = looked(truth, np.zeros(truth.shape[:2], bool))
    found[10:20, LEGS[0]] = np.nan
    after = settled(times, boxes, found, rivals, BODY21)
    assert np.array_equal(np.isnan(after), np.isnan(found)) and off(np.nan_to_num(after, nan=0), np.where(np.isnan(found), 0, truth)) < 0.03
    for count in (0, 1, 2):
        assert settled(times[:count], boxes[:count], found[:count], rivals[:count], BODY21).shape == (count, 21, 2)


def test_other_skeletons():
    times, boxes, truth = walker(skeleton=COCO17)
    wrong = np.zeros(truth.shape[:2], bool)
    wrong[40:50, COCO17.index("left_ankle")] = True
    found, rivals = looked(truth, wrong, skeleton=COCO17)
    joint = COCO17.index("left_ankle")
    error = np.linalg.norm(settled(times, boxes, found, rivals, COCO17)[40:50, joint] - truth[40:50, joint], axis=1)
    assert np.median(error) < 5
    assert columns(H36M17) is None


def test_memory_of_the_live_rule_does_not_grow():
    times, boxes, truth = walker(30)
    found, rivals = looked(truth, np.zeros(truth.shape[:2], bool))
    person = Sides()
    for row in zip(times, boxes, *places_of(found, rivals, columns(BODY21)), strict=True):
        assert person.update(*row).shape == (2, 6)
    assert person.trail is None
