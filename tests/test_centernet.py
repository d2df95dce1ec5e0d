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


class Heights:
    """A network that sees people of some heights in px of the first look (512 px), side by side, and keeps the widths of what it was shown."""

    def __init__(self, *heights):
        self.heights, self.widths = np.array(heights), []

    def __call__(self, pictures):
        self.widths.append(pictures.shape[2])
        zoom = pictures.shape[2] / 512
        left = 60.0 * np.arange(len(self.heights))
        boxes = zoom * np.stack([left, np.zeros_like(left), left + 20 + zoom, self.heights], 1)  # a pixel wider in a larger look: so it is told
        return torch.full((len(pictures), len(left)), 2.0), torch.from_numpy(boxes.astype(np.float32)).expand(len(pictures), -1, -1)


@pytest.mark.parametrize(("heights", "widths", "zooms"), [  # zooms: the least and the highest of the looks that answer for each
    ((120,), [512], [(1, 1)]), ((40, 120), [512, 640, 768], [(1.25, 1.5), (1, 1)]), ((120, 260), [512, 256], [(1, 1), (0.5, 0.5)]),
    ((30, 120, 270), [512, 640, 768, 256], [(1.25, 1.5), (1, 1), (0.5, 0.5)])])
def test_small_and_tall_people_are_seen_in_another_look_and_nobody_twice(heights, widths, zooms):
    network = Heights(*heights)
    found = CentreNetDetector(network, [512, 640, 768, 256], 0.3, 0.5)([np.zeros((512, 512, 3), np.uint8)])[0]
    assert network.widths == widths and len(found) == len(heights)
    boxes = found.boxes[np.argsort(found.boxes[:, 0])]
    np.testing.assert_allclose(boxes[:, 3], heights, atol=0.1)
    for wider, (low, high) in zip(boxes[:, 2] - boxes[:, 0] - 20, zooms, strict=True):
        assert low - 0.1 < wider < high + 0.1


def test_a_look_for_one_picture_changes_no_other():
    def network(pictures):
        zoom, bright = pictures.shape[2] / 512, pictures.max((1, 2, 3)) > 0
        boxes = [[[10, 10, 30, 50]] if lit else [[10, 10, 90, 160]] for lit in bright]  # somebody small where it is bright
        return torch.full((len(pictures), 1), 2.0), zoom * torch.tensor(boxes, dtype=torch.float32)

    pictures = [np.full((512, 512, 3), value, np.uint8) for value in (0, 200, 0)]
    detector = CentreNetDetector(network, [512, 768], 0.3, 0.5)
    for together, alone in zip(detector(pictures), [detector([picture])[0] for picture in pictures], strict=True):
        np.testing.assert_array_equal(together.boxes, alone.boxes)
        np.testing.assert_array_equal(together.scores, alone.scores)


def test_small_parts_of_a_better_box_are_nobody():
    boxes = np.array([[0, 0, 100, 200], [20, 50, 40, 70], [20, 50, 60, 90], [90, 50, 110, 70], [300, 0, 400, 200], [320, 50, 340, 70]], np.float32)
    found = CentreNetDetector(one_box, [512], 0.3, 0.5)._suppress(boxes, np.array([0.9, 0.5, 0.4, 0.4, 0.6, 0.7], np.float32))
    np.testing.assert_array_equal(found.boxes, boxes[[0, 5, 4, 2, 3]])  # a child before somebody, one beside, and a surer small one stay
    assert len(CentreNetDetector(one_box, [512], 0.3, 0.5)._suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))) == 0


def test_a_box_between_two_people_counts_less_than_theirs():
    boxes = np.array([[0, 0, 60, 200], [70, 0, 130, 200], [25, 0, 95, 200]], np.float32)
    found = CentreNetDetector(one_box, [512], 0.3, 0.65)._suppress(boxes, np.array([0.9, 0.8, 0.7], np.float32))
    np.testing.assert_array_equal(found.boxes, boxes)
    assert found.scores[:2].tolist() == pytest.approx([0.9, 0.8]) and 0.4 < found.scores[2] < 0.69
    twice = CentreNetDetector(one_box, [512], 0.3, 0.65)._suppress(boxes[[0, 0]] + [[0, 0, 0, 0], [10, 0, 10, 0]], np.array([0.9, 0.35], np.float32))
    assert twice.scores.tolist() == pytest.approx([0.9]), "what is left of the second is below the threshold"


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
