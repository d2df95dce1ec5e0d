"""The error model of a pose network, and how it is held against the network."""

import numpy as np
import pytest
import torch
from motions import recorded

from core.skeletons import BODY21
from training.datasets import faults
from training.datasets.views import Sampler
from training.evaluation.faults import APART, measured, table


@pytest.fixture(scope="module")
def views():
    draw = Sampler(recorded(), 27, False, 0)
    seen = draw.views(256, vary=False)
    return draw, seen, *faults.observe(seen, draw)


def test_doubt_grows_with_the_error(views):
    draw, seen, plane, scores = views
    size = (seen.plane.amax(2) - seen.plane.amin(2)).amax(-1)[..., None]
    miss, known = (plane - seen.plane).norm(dim=-1) / size, (scores > 0) & seen.plane.isfinite().all(-1)
    medians = [miss[known & (scores >= low) & (scores < high)].median() for low, high in ((0.1, 0.3), (0.3, 0.6), (0.6, 0.9), (0.9, 1.1))]
    assert all(a > 1.3 * b for a, b in zip(medians, medians[1:], strict=False)) and 0.003 < medians[-1] < 0.03


def test_errors_last_and_pass(views):
    _, seen, plane, scores = views
    error = torch.where((scores > 0.5)[..., None], plane - seen.plane, torch.nan)[:, :, :17]
    near, far = (torch.nanmean((error[:, :-lag] * error[:, lag:]).sum(-1)) / torch.nanmean(error.square().sum(-1)) for lag in (1, 12))
    assert 0.4 < near < 0.95 and far < near - 0.1


def test_sides_are_taken_for_the_other_for_some_frames_and_back(views):
    draw, seen, _, _ = views
    plane, wrong = faults._swap(seen.plane, draw)
    mirror = torch.tensor(BODY21.mirror)
    assert torch.equal(plane.nan_to_num(), torch.where(wrong[..., None], seen.plane[:, :, mirror], seen.plane).nan_to_num())
    share = wrong[:, :, BODY21.index("left_knee")].float().mean(1)
    assert 0.05 < share.mean() < 0.35 and (share == 0).float().mean() > 0.3 and share.max() > 0.4
    one, both = ((wrong != wrong[:, :, mirror]).float().mean(), (wrong & wrong[:, :, mirror]).float().mean())
    assert both > 0 and one > 2 * both and not wrong[:, :, [BODY21.index("pelvis"), BODY21.index("nose")]].any()


def test_measures_tell_errors_from_exchanged_sides():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 100, (40, 17, 2))
    mirror, size = list(BODY21.mirror[:17]), np.full(40, 100.0)
    apart = np.linalg.norm(truth - truth[:, mirror], axis=-1)[:, 5:17] > 100 * APART
    scores = np.full((40, 17), 0.85)
    miss, exchanged, _ = measured(truth + (3, 4), truth, size, scores)
    np.testing.assert_allclose(miss, 0.05)
    assert np.array_equal(np.isfinite(exchanged), apart)
    miss, exchanged, kept = measured(truth[:, mirror], truth, size, scores)
    assert np.nanmin(exchanged) == 1
    rows = table(np.full((40, 12), 0.05), exchanged, kept)
    assert rows["exchanged"] == 1 and rows["laid on one"] == 0 and rows["0.8"] == (1, 0.05, 0.05) and rows["0.2"][0] == 0 and np.isnan(rows["0.2"][1])


def test_measures_tell_pairs_on_one_place_from_exchanged_ones():
    truth = np.random.default_rng(0).uniform(0, 100, (40, 17, 2))
    points = truth.copy()
    points[:, 6::2] = truth[:, 5::2]  # everything right is where the left is
    rows = table(*measured(points, truth, np.full(40, 100.0), np.ones((40, 17))))
    assert rows["laid on one"] == 1 and rows["exchanged"] == 0
