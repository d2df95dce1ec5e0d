"""Our person detector: the way back to the picture's pixels, batches, faults."""

import pathlib

import numpy as np
import pytest
import torch

from core.errors import InputError
from core.geometry import iou
from core.networks import fuse
from core.parts import make
from core.runtime import runnable
from detectors.centernet import CentreNet, CentreNetDetector, letterbox

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"
BUNDLED = pathlib.Path(__file__).resolve().parents[1] / "weights" / "detector-centernet.safetensors"


def one_box(pictures):
    """A network that sees one person, in the same place of what it is shown, however wide that is."""
    box = torch.tensor([0.25 * pictures.shape[2], 8.0, 0.5 * pictures.shape[2], 40.0])
    return torch.full((len(pictures), 1), 2.0), box.expand(len(pictures), 1, 4)


@pytest.fixture(scope="module")
def untrained():
    torch.manual_seed(0)
    return runnable(fuse(CentreNet()), torch.device("cpu"))


@pytest.mark.parametrize(("width", "height", "extent"), [
    (1920, 1080, (512, 288)), (1080, 1920, (288, 512)), (100, 100, (512, 512)), (33, 2000, (32, 512))])
def test_letterbox_is_the_smallest_that_holds_the_picture(width, height, extent):
    assert letterbox(width, height, 512)[1] == extent


def test_boxes_come_back_in_the_pixels_of_the_picture_and_inside_it():
    found = CentreNetDetector(one_box, [512], 0.3, 0.5)([np.zeros((1080, 1920, 3), np.uint8)])[0]
    np.testing.assert_allclose(found.boxes, [[480, 30, 960, 150]], atol=1e-3)
    portrait = CentreNetDetector(one_box, [512], 0.3, 0.5)([np.zeros((1000, 16, 3), np.uint8)])[0]
    assert (portrait.boxes[:, 2] <= 16).all()
    assert found.scores[0] == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-6)


def test_the_same_person_at_two_scales_is_one():
    assert len(CentreNetDetector(one_box, [512, 512], 0.3, 0.5)([np.zeros((1080, 1920, 3), np.uint8)])[0]) == 1


def test_small_parts_of_a_better_box_are_nobody():
    boxes = np.array([[0, 0, 100, 200], [20, 50, 40, 70], [20, 50, 60, 90], [90, 50, 110, 70], [300, 0, 400, 200], [320, 50, 340, 70]], np.float32)
    found = CentreNetDetector(one_box, [512], 0.3, 0.5)._suppress(boxes, np.array([0.9, 0.5, 0.4, 0.4, 0.6, 0.7], np.float32))
    np.testing.assert_array_equal(found.boxes, boxes[[0, 5, 4, 2, 3]])  # a child before somebody, one beside, and a surer small one stay
    assert len(CentreNetDetector(one_box, [512], 0.3, 0.5)._suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))) == 0


def test_a_batch_of_many_sizes_gives_what_each_picture_gives_alone(untrained):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (*size, 3), np.uint8) for size in [(90, 160), (160, 90), (90, 160)]]
    detector = CentreNetDetector(untrained, [160], 0.0, 0.5)
    for alone, together in zip([detector([image])[0] for image in images], detector(images), strict=True):
        assert len(alone) == len(together) > 0
        np.testing.assert_allclose(np.sort(alone.scores), np.sort(together.scores), atol=1e-5)
        assert iou(alone.boxes, together.boxes).max(1).min() > 0.9999


def test_nobody_there(untrained):
    found = CentreNetDetector(untrained, [64, 96], 0.99, 0.5)([np.zeros((50, 70, 3), np.uint8)])
    assert [len(f) for f in found] == [0]
    assert CentreNetDetector(untrained, [64], 0.5, 0.5)([]) == []


@pytest.mark.parametrize("spec", ["centernet:size=8", "centernet:size=640,scales=(1,20)", "centernet:weights=no-such-file"])
def test_faults_of_the_user(spec):
    with pytest.raises(InputError):
        make("detector", spec)


@pytest.mark.skipif(not BUNDLED.exists(), reason="needs the bundled weights")
@pytest.mark.parametrize("size", [150, 300])
def test_bundled_weights_find_a_person_and_nobody_on_a_wall(size):
    from tests.conftest import person

    image = person(size=size)(200)
    full, empty = make("detector", "centernet", device="cpu")([image, np.full((480, 640, 3), 150, np.uint8)])
    assert len(full) == 1 and len(empty) == 0
    x0, y0, x1, y1 = full.boxes[0]
    assert x0 > 190 and x1 < 210 + size and y0 > 470 - size and y1 > 460
