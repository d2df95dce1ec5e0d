"""Our person detector: the way back to the picture's pixels, batches, its training's assignment and tiles, and the scorer."""

import pathlib
import runpy

import cv2
import numpy as np
import pytest
import torch

from core.errors import InputError
from core.geometry import iou
from core.networks import fuse
from core.parts import make
from detectors.centernet import STRIDES, CentreNet, CentreNetDetector, cells, letterbox
from training.box_calibration import platt
from training.box_losses import assign, label_loss, teacher_loss
from training.datasets import boxes as data
from training.detector import prepare
from training.evaluation import detector as evaluation

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"
BUNDLED = pathlib.Path(__file__).resolve().parents[1] / "weights" / "detector-centernet.safetensors"


class OneBox(torch.nn.Module):
    """A network that sees one person, in the same place of what it is shown, however wide that is."""

    def forward(self, x):
        box = torch.tensor([0.25 * x.shape[3], 8.0, 0.5 * x.shape[3], 40.0])
        return torch.full((len(x), 1), 2.0), box.expand(len(x), 1, 4)


@pytest.fixture(scope="module")
def untrained():
    torch.manual_seed(0)
    return fuse(CentreNet())


@pytest.mark.parametrize(("width", "height", "extent"), [
    (1920, 1080, (512, 288)), (1080, 1920, (288, 512)), (100, 100, (512, 512)), (33, 2000, (32, 512))])
def test_letterbox_is_the_smallest_that_holds_the_picture(width, height, extent):
    assert letterbox(width, height, 512)[1] == extent


def test_boxes_come_back_in_the_pixels_of_the_picture_and_inside_it():
    found = CentreNetDetector(OneBox(), [512], 0.3, 0.5)([np.zeros((1080, 1920, 3), np.uint8)])[0]
    np.testing.assert_allclose(found.boxes, [[480, 30, 960, 150]], atol=1e-3)
    portrait = CentreNetDetector(OneBox(), [512], 0.3, 0.5)([np.zeros((1000, 16, 3), np.uint8)])[0]
    assert (portrait.boxes[:, 2] <= 16).all()
    assert found.scores[0] == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-6)


def test_the_same_person_at_two_scales_is_one():
    assert len(CentreNetDetector(OneBox(), [512, 512], 0.3, 0.5)([np.zeros((1080, 1920, 3), np.uint8)])[0]) == 1


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


# ---- training


def test_cells_of_a_person_are_those_inside_that_fit_best():
    points = cells(4, 4, 8, "cpu")
    truth = torch.tensor([[0.0, 0.0, 16.0, 16.0], [16.0, 16.0, 32.0, 32.0]])
    boxes = truth[(points[:, 0] > 16).long()]
    value, owner = assign(torch.full((16,), 0.5), boxes, points, truth)
    inside = (points < 16).all(1) | (points > 16).all(1)
    assert (value[inside] > 0.99).all() and (value[~inside] < 1e-3).all()
    assert owner[0] == 0 and owner[15] == 1


def test_the_smallest_person_has_a_cell():
    person = torch.tensor([[7.0, 7.0, 10.0, 10.0]])
    value, _ = assign(torch.full((16,), 0.01), person.repeat(16, 1), cells(4, 4, 8, "cpu"), person)
    assert value.max() > 0.99


def test_training_lowers_the_loss_and_leaves_the_frozen_part():
    torch.manual_seed(0)
    model = CentreNet()
    groups = prepare(model, frozen=7)
    first, points = model.body.trunk[0][0].weight.clone(), torch.cat([cells(64 // s, 64 // s, s, "cpu") for s in STRIDES])
    optimizer, x = torch.optim.AdamW(groups, 3e-3), torch.randn(2, 3, 64, 64)
    truths, hidden = [torch.tensor([[8.0, 8.0, 40.0, 60.0]]), torch.zeros(0, 4)], [torch.zeros(0, 4), torch.tensor(data.WHOLE)]
    taught = torch.zeros(2, len(points), 5)
    taught[:, 3] = torch.tensor([0.9, 8.0, 8.0, 40.0, 60.0])
    losses = []
    for _ in range(6):
        logits, boxes = model(x)
        losses.append(label_loss(logits, boxes, points, truths, hidden) + teacher_loss(logits, boxes, taught))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.9 * losses[0]
    assert torch.equal(first, model.body.trunk[0][0].weight)


def test_scores_become_probabilities():
    rng = np.random.default_rng(0)
    truth = rng.random(20000)
    logits = np.log(truth / (1 - truth))
    slope, shift = platt(1 / (1 + np.exp(-(logits / 3 - 1))), rng.random(20000) < truth)
    assert (slope, shift) == pytest.approx((3, 3), abs=0.15)


def photograph(rng):
    """A grey picture with one red person."""
    image, box = np.full((200, 300, 3), 90, np.uint8), np.array([[100, 40, 180, 160]], np.float32)
    image[40:160, 100:180] = (220, 10, 10)
    jpeg = cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()
    return data.Photograph(jpeg, box, np.zeros((0, 4), np.float32))


def test_boxes_of_a_tile_are_where_the_people_are():
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(20):
        image, boxes, ignore = data.tile([photograph(rng)], 160, rng)
        red = (image[..., 0].astype(int) - image[..., 1]) > 90
        outside = red.copy()
        for x0, y0, x1, y1 in np.vstack([boxes, ignore]).round().astype(int):
            outside[max(y0 - 2, 0):y1 + 2, max(x0 - 2, 0):x1 + 2] = False
        assert not outside.any()
        seen += len(boxes)
        assert all(red[int(y0) + 3:int(y1) - 3, int(x0) + 3:int(x1) - 3].all() for x0, y0, x1, y1 in boxes)
        assert data.degrade(image, rng).shape == image.shape
    assert seen > 15


def test_copies_of_held_out_pictures_are_left_out():
    rng, nobody = np.random.default_rng(0), np.zeros((0, 4), np.float32)
    images = [cv2.resize(rng.integers(0, 255, (12, 16, 3), np.uint8), (320, 240)) for _ in "ab"]
    first, second = (data.Photograph(data.encode(image), nobody, data.WHOLE) for image in images)
    mirrored = data.Photograph(data.encode(cv2.resize(images[0][:, ::-1], (200, 200))), nobody, data.WHOLE)
    assert data.unlike([mirrored, second], [first]) == [second]


def test_packing_keeps_everything(tmp_path):
    labelled = photograph(np.random.default_rng(0))
    other = data.Photograph(labelled.jpeg[:50], np.zeros((0, 4), np.float32), data.WHOLE, True)
    data.pack(tmp_path / "p.npz", [labelled, other])
    back = data.unpack(tmp_path / "p.npz")
    assert [b.jpeg for b in back] == [labelled.jpeg, other.jpeg]
    assert [b.labelled for b in back] == [True, False] and [b.square for b in back] == [False, True]
    np.testing.assert_array_equal(back[0].boxes, labelled.boxes)
    np.testing.assert_allclose(data.shrunk(labelled, 150).boxes, labelled.boxes / 2)


# ---- the scorer


def test_average_precision_of_hand_made_cases():
    truth, crowd = np.array([[0.0, 0, 10, 20], [50, 0, 60, 20]]), np.array([[100.0, 0, 200, 50]])
    people = [(truth, crowd)]
    perfect = [(np.vstack([truth, [[120, 5, 130, 30]]]), np.array([0.9, 0.8, 0.7]))]  # the third lies in the crowd
    assert evaluation.score(people, perfect)["person_boxes.ap"] == pytest.approx(100)
    false_first = [(np.vstack([[[300, 0, 310, 20]], truth]), np.array([0.95, 0.9, 0.8]))]
    assert evaluation.average_precision(people, false_first, 0.5) == pytest.approx(2 / 3)
    twice = [(np.repeat(truth[:1], 2, 0), np.array([0.9, 0.8]))]
    assert evaluation.average_precision(people, twice, 0.5) == pytest.approx(51 / 101)
    assert evaluation.average_precision(people, [(np.zeros((0, 4)), np.zeros(0))], 0.5) == 0


@pytest.mark.shared
@pytest.mark.skipif(not (SHARED / "tools" / "score_det.py").exists(), reason="needs ../shared/tools and ../shared/data/person_boxes")
def test_scorer_equals_the_reference_on_real_labels():
    reference = runpy.run_path(str(SHARED / "tools" / "score_det.py"))
    rng, rows = np.random.default_rng(0), data.rows(SHARED / "data" / "person_boxes", "val")
    photographs = data.load(SHARED / "data" / "person_boxes", "val")
    found = []
    for p in photographs:
        boxes = np.vstack([p.boxes, p.ignore, p.boxes + 5])
        boxes = boxes + rng.normal(0, 0.1, boxes.shape) * np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        found.append((boxes, rng.random(len(boxes))))
    expected = [reference["average_precision"](reference["load_truth"](SHARED / "data" / "person_boxes"),
                                               dict(zip(rows.tolist(), found, strict=True)), "all", t) for t in (0.5, 0.75)]
    people = [(p.boxes.astype(float), p.ignore.astype(float)) for p in photographs]
    assert [evaluation.average_precision(people, found, t) for t in (0.5, 0.75)] == pytest.approx(expected, abs=1e-9)
