"""DeepSORT against the output and the filter of the official program."""

import pathlib

import numpy as np
import pytest

from core import mot
from core.parts import make
from core.records import Detections
from trackers import deepsort
from trackers._kalman import correct, distances, predict

pytestmark = pytest.mark.shared
FIXTURES = pathlib.Path(__file__).resolve().parents[3] / "shared" / "fixtures"
DETECTIONS = FIXTURES.parent / "data" / "mot15"


def features(boxes):
    """The looks that the official run was given: waves of the box's place and height (deepsort/summary.json)."""
    x, y, height = (boxes[:, [0]] + boxes[:, [2]]) / 2, (boxes[:, [1]] + boxes[:, [3]]) / 2, boxes[:, [3]] - boxes[:, [1]]
    k = np.arange(16)
    waves = np.cos(0.013 * x * (k % 4 + 1) / 4 + k) + np.sin(0.017 * y * (k // 4 + 1) / 4 + 2 * k) + 0.5 * np.cos(0.02 * height + k)
    return (waves / np.linalg.norm(waves, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("budget", ["100", "None"])
@pytest.mark.parametrize("name", ["TUD-Stadtmitte", "PETS09-S2L1"])
def test_equal_to_the_official_program(name, budget):
    path = FIXTURES / "deepsort" / f"{name}_budget{budget}.txt"
    if not path.is_file():
        pytest.skip("the data folder beside the repository has no output of the official DeepSORT")
    expected, seen = mot.read(path), mot.read(DETECTIONS / name / "det" / "det.txt")
    tracker, partner = make("tracker", f"deepsort:budget={budget}"), {}
    for frame in range(1, int(seen[:, 0].max()) + 1):
        rows, truth = seen[seen[:, 0] == frame], expected[expected[:, 0] == frame]
        tracks = tracker.update(frame / 25, Detections(rows[:, 2:6], rows[:, 6], features(rows[:, 2:6])))
        assert len(tracks) == len(truth)
        np.testing.assert_allclose(tracks.boxes, truth[:, 2:6], atol=0.0105)  # x, y, w, h are each rounded to 0.01
        assert [partner.setdefault(ours, theirs) for ours, theirs in zip(tracks.ids, truth[:, 1], strict=True)] == truth[:, 1].tolist()
    assert len(set(partner.values())) == len(partner)


def whole(covariance):
    """The 8x8 covariance of four filters (4, 3)."""
    matrix = np.zeros((8, 8))
    i = np.arange(4)
    matrix[i, i], matrix[i, i + 4], matrix[i + 4, i], matrix[i + 4, i + 4] = covariance[:, 0], covariance[:, 1], covariance[:, 1], covariance[:, 2]
    return matrix


def test_the_filter_step_by_step(official):
    fixture = official("deepsort_units.pt")
    tracker = deepsort.build(embedder=None)
    first = np.array([fixture["init_measurement"]], float)
    tracker._begin(np.array([0]), first, np.ones(1), None)
    mean, covariance = tracker.people.mean, tracker.people.covariance
    np.testing.assert_allclose(mean[0].T.ravel(), fixture["init_mean"], atol=1e-9)
    np.testing.assert_allclose(whole(covariance[0]), fixture["init_cov"], atol=1e-9)
    for step in fixture["steps"]:
        mean, covariance = predict(mean, covariance, 1.0, 1.0, deepsort._process_noise(mean[:, 3, 0]))
        np.testing.assert_allclose(mean[0].T.ravel(), step["pred_mean"], atol=1e-9)
        np.testing.assert_allclose(whole(covariance[0]), step["pred_cov"], atol=1e-9)
        noise = deepsort._measurement_noise(mean[:, 3, 0])
        np.testing.assert_allclose(distances(mean, covariance, step["cands"].numpy(), noise)[0], step["gating4"], atol=1e-9)
        mean, covariance = correct(mean, covariance, step["z"].numpy()[None], noise)
        np.testing.assert_allclose(mean[0].T.ravel(), step["post_mean"], atol=1e-9)
        np.testing.assert_allclose(whole(covariance[0]), step["post_cov"], atol=1e-9)


@pytest.mark.parametrize("limit", ["0.3", "0.5", "0.7", "1.0"])
def test_covered_boxes_are_left_out_as_published(official, limit):
    fixture = official("deepsort_units.pt")
    boxes = fixture["nms_boxes"].numpy()
    boxes[:, 2:] += boxes[:, :2]
    detections = Detections(boxes, fixture["nms_scores"].numpy())
    assert deepsort._wanted(detections, 0.3, 0, float(limit)).tolist() == fixture["nms"][limit]
