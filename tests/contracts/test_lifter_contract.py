"""What every lifter promises."""

import numpy as np
import pytest

from core import parts
from core.protocols import Lifted
from core.records import Camera

CAMERA = Camera.from_fov(640, 480)


VARIANTS = ["tcn:weights=lifter-tcn27-causal", "tcn:causal=true", "tcn:flip=false", "anatomy:causal=true", "anatomy:causal=published", "rie:stage=1",
            "semgcn:fit=false"]


@pytest.fixture(params=[*parts.names("lifter"), *VARIANTS])
def lifter(request, built):
    return built("lifter", request.param)


def track(lifter, frames, seed=0):
    """A person-sized cloud of 2D joints that drifts and wobbles: points (T, J, 2) px, scores (T, J)."""
    random, joints = np.random.default_rng(seed), len(lifter.skeleton_in)
    rest = random.uniform([250, 120], [390, 360], (joints, 2))
    wobble = np.sin(np.arange(frames)[:, None, None] / 5 + random.uniform(0, 6, (joints, 2))) * 8
    drift = np.arange(frames)[:, None, None] * np.array([0.5, 0.1])
    return (rest + wobble + drift).astype(np.float32), np.full((frames, joints), 0.9, np.float32)


def windows(lifter, points, scores):
    """The window (T, R, J, 3) of every frame, the ends repeated."""
    reach = lifter.receptive_field
    offsets = np.arange(reach) - (reach - 1 if lifter.causal else reach // 2)
    index = np.clip(np.arange(len(points))[:, None] + offsets, 0, len(points) - 1)
    return np.concatenate([points, scores[..., None]], -1)[index]


def test_it_says_what_it_needs(lifter):
    assert isinstance(lifter.receptive_field, int) and lifter.receptive_field > 0 and isinstance(lifter.causal, bool)
    assert lifter.causal or lifter.receptive_field % 2 == 1
    assert len(lifter.skeleton_in) and len(lifter.skeleton_out)


@pytest.mark.parametrize("frames", [1, 2, 40])
def test_every_frame_gets_a_root_relative_pose(lifter, frames):
    lifted = lifter.sequence(*track(lifter, frames), CAMERA)
    assert isinstance(lifted, Lifted) and lifted.joints.shape == (frames, len(lifter.skeleton_out), 3)
    root = lifted.joints[:, lifter.skeleton_out.root]
    np.testing.assert_allclose(root[np.isfinite(root)], 0, atol=1e-5)
    if lifted.sigma is not None:
        assert lifted.sigma.shape == lifted.joints.shape[:2] and (lifted.sigma >= 0).all()
    if lifted.root is not None:
        assert lifted.root.shape == (frames, 3) and np.isfinite(lifted.root).all()


def test_no_frames(lifter):
    assert lifter.sequence(*track(lifter, 0), CAMERA).joints.shape == (0, len(lifter.skeleton_out), 3)
    nothing = np.zeros((0, lifter.receptive_field, len(lifter.skeleton_in), 3), np.float32)
    assert lifter(nothing, []).joints.shape == (0, len(lifter.skeleton_out), 3)


def test_nobody_to_be_seen_is_no_fault(lifter):
    points, scores = track(lifter, 5)
    known = np.isfinite(lifter.sequence(points, scores, CAMERA).joints).all()
    assert np.isfinite(lifter.sequence(points * np.nan, scores * 0, CAMERA).joints).all() == known


def test_windows_give_what_the_sequence_gives(lifter):
    if getattr(lifter, "whole_track", False):
        pytest.skip("this lifter reads bone lengths from the whole track")
    points, scores = track(lifter, 30)
    whole = lifter.sequence(points, scores, CAMERA).joints
    by_window = lifter(windows(lifter, points, scores), [CAMERA] * 30).joints
    np.testing.assert_allclose(by_window, whole, atol=1e-4)


def test_answers_do_not_depend_on_the_batch(lifter):
    first, second = (windows(lifter, *track(lifter, 9, seed))[4:5] for seed in (1, 2))
    wide = Camera.from_fov(640, 480, fov=80)
    together = lifter(np.concatenate([first, second]), [CAMERA, wide]).joints
    np.testing.assert_allclose(together[:1], lifter(first, [CAMERA]).joints, atol=1e-4)
    np.testing.assert_allclose(together[1:], lifter(second, [wide]).joints, atol=1e-4)


def test_a_causal_lifter_sees_no_future(lifter):
    if not lifter.causal:
        pytest.skip("this lifter looks ahead")
    points, scores = track(lifter, 40)
    cut = lifter.sequence(points[:25], scores[:25], CAMERA).joints
    np.testing.assert_allclose(lifter.sequence(points, scores, CAMERA).joints[:25], cut, atol=1e-4)


def test_missing_joints_do_not_spread(lifter):
    points, scores = track(lifter, 30)
    known = np.isfinite(lifter.sequence(points, scores, CAMERA).joints).all()
    points[10:14, 3], scores[10:14, 3] = np.nan, 0
    assert np.isfinite(lifter.sequence(points, scores, CAMERA).joints).all() == known
