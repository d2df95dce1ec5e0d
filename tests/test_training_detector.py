"""Training of the person detector: assignment, tiles, teachers, packs; and its scorer."""

import pathlib
import runpy

import cv2
import numpy as np
import pytest
import torch

from core.errors import InputError
from detectors.centernet import STRIDES, CentreNet, cells
from training import detector, looks, pose
from training.box_calibration import platt
from training.box_losses import assign, label_loss, teacher_loss
from training.box_teachers import Council
from training.datasets import boxes as data
from training.datasets import people, unlabelled
from training.evaluation import detector as evaluation
from training.gallery import Gallery
from training.tiles import IGNORE, PERSON, ROUGH, Tiles, taught

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"


def test_cells_of_a_person_are_those_inside_that_fit_best():
    points = cells(4, 4, 8, "cpu")
    truth = torch.tensor([[0.0, 0.0, 16.0, 16.0], [16.0, 16.0, 32.0, 32.0], [0.0, 0.0, 32.0, 32.0]])
    boxes = truth[(points[:, 0] > 16).long()]
    value, owner = assign(torch.full((1, 16), 0.5), boxes[None], points, truth[None], torch.tensor([[True, True, False]]))
    inside = (points < 16).all(1) | (points > 16).all(1)
    assert (value[0, inside] > 0.99).all() and (value[0, ~inside] < 1e-3).all()
    assert owner[0, 0] == 0 and owner[0, 15] == 1


def test_the_smallest_person_has_a_cell():
    person = torch.tensor([[7.0, 7.0, 10.0, 10.0]])
    value, _ = assign(torch.full((1, 16), 0.01), person.repeat(16, 1)[None], cells(4, 4, 8, "cpu"), person[None], torch.ones(1, 1, dtype=bool))
    assert value.max() > 0.99


def test_pictures_of_a_batch_do_not_meet():
    torch.manual_seed(0)
    points, truth, kinds = cells(4, 4, 8, "cpu"), torch.rand(3, 2, 4) * 8, torch.tensor([[1, 2], [1, 1], [0, 0]])
    truth[..., 2:] += 16
    logits, boxes = torch.randn(3, 16), points.repeat(3, 1, 2) + torch.tensor([-9.0, -9, 9, 9])
    found = assign(logits.sigmoid(), boxes, points, truth, kinds == PERSON)
    for i in range(3):
        alone = assign(logits[i : i + 1].sigmoid(), boxes[i : i + 1], points, truth[i : i + 1], kinds[i : i + 1] == PERSON)
        assert torch.allclose(found[0][i], alone[0][0], atol=1e-6)
    assert (found[0][2] == 0).all()


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    model, points = CentreNet(), torch.cat([cells(64 // s, 64 // s, s, "cpu") for s in STRIDES])
    optimizer, x = torch.optim.AdamW(model.parameters(), 3e-3), torch.randn(2, 3, 64, 64)
    truth = torch.tensor([[[8.0, 8.0, 40.0, 60.0]], data.WHOLE.tolist()])
    seen, losses = torch.zeros(2, len(points), 5), []
    seen[:, 3] = torch.tensor([0.9, 8.0, 8.0, 40.0, 60.0])
    for _ in range(6):
        logits, boxes = model(x)
        labels, marked = label_loss(logits, boxes, points, truth, torch.tensor([[PERSON], [IGNORE]]))
        losses.append(labels + teacher_loss(logits, boxes, seen, marked))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.9 * losses[0]


def test_a_rough_box_says_that_somebody_is_there_and_nothing_of_the_rest():
    points = cells(4, 4, 8, "cpu")
    truth, everywhere = torch.tensor([[0.0, 0.0, 16.0, 16.0]]), torch.tensor(data.WHOLE)
    boxes, logits = torch.tensor([1.0, 0.0, 14.0, 16.0]).repeat(1, 16, 1).requires_grad_(), torch.zeros(1, 16, requires_grad=True)
    loss, marked = label_loss(logits, boxes, points, torch.stack([truth, everywhere], 1), torch.tensor([[ROUGH, IGNORE]]))
    loss.backward()
    inside = (points < 16).all(1)
    assert (marked[0, inside] > 0.7).all() and (logits.grad[0, inside] < 0).all()  # up with those in it
    assert (logits.grad[0, ~inside] == 0).all() and boxes.grad.abs().max() == 0
    exact, _ = label_loss(logits, boxes, points, truth[None], torch.tensor([[PERSON]]))
    assert torch.autograd.grad(exact, boxes)[0].abs().max() > 0


def test_a_teacher_has_no_say_where_labels_know_somebody_it_misses():
    logits, boxes, seen = torch.zeros(1, 2, requires_grad=True), torch.zeros(1, 2, 4), torch.zeros(1, 2, 5)
    teacher_loss(logits, boxes, seen, torch.tensor([[0.9, 0.0]])).backward()
    assert logits.grad[0, 0] == 0 and logits.grad[0, 1] > 0


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
    rng, seen = np.random.default_rng(0), 0
    tiles = Tiles([photograph(rng)], np.array([False]), torch.device("cpu"))
    images, boxes, kinds = tiles.batch(20, 160, looks.Draw(0, "cpu"))
    assert images.shape == (20, 3, 160, 160)
    for image, places, kind in zip(images.numpy(), boxes.numpy(), kinds.numpy(), strict=True):
        red = (image[0] - image[1]) > 90
        outside = red.copy()
        for x0, y0, x1, y1 in places[kind > 0].round().astype(int):
            outside[max(y0 - 2, 0):y1 + 2, max(x0 - 2, 0):x1 + 2] = False
        assert not outside.any()
        found = places[kind == PERSON]
        seen += len(found)
        assert all(red[int(y0) + 3:int(y1) - 3, int(x0) + 3:int(x1) - 3].all() for x0, y0, x1, y1 in found)
    assert seen > 15


def test_a_teachers_boxes_are_people_or_at_least_not_background():
    boxes = np.array([[0, 0, 50, 100], [10, 50, 30, 95], [60, 0, 90, 80], [0, 0, 9, 9]], np.float32)
    kept, kinds = taught(boxes, np.array([0.8, 0.3, 0.3, 0.1]))
    assert kinds.tolist() == [PERSON, IGNORE]  # the leg of the first and what is hardly seen are nothing
    assert kept[1].tolist() == [60, 0, 90, 80]


def test_a_council_means_what_its_members_say():
    class Member:
        def __init__(self, score):
            self.score = score

        def dense(self, x):
            found = torch.zeros(len(x), 3, 5)
            width = x.shape[3]
            found[:, 0] = torch.tensor([self.score, 0.3 * width, 0.2 * width, 0.7 * width, 0.8 * width])
            return found

    gallery = Gallery([np.zeros((100, 100, 3), np.uint8)])
    boxes, scores = Council([(Member(0.8), 64), (Member(0.4), 96)])(gallery, [0])[0]
    assert scores.tolist() == pytest.approx([0.6])
    assert boxes[0].tolist() == pytest.approx([30, 20, 70, 80], abs=0.1)


@pytest.mark.slow
def test_the_trainer_writes_weights_that_the_application_can_use(tmp_path):
    from torchvision.models import mobilenet_v2

    from detectors import centernet

    torch.save({f"features.{name}": value for name, value in mobilenet_v2().features.state_dict().items()}, tmp_path / "start.pt")
    rng = np.random.default_rng(0)
    people = [photograph(rng) for _ in range(24)]
    data.pack(tmp_path / "p.npz", [*people, data.Photograph(people[0].jpeg, people[0].boxes, data.WHOLE)])
    detector.main(["--packed", str(tmp_path / "p.npz"), "--init", str(tmp_path / "start.pt"), "--out", str(tmp_path), "--minutes", "0.02",
                   "--batch", "2", "--steps", "2", "--sizes", "96x96", "--synthetic", "1", "--device", "cpu"])
    found = centernet.build(tmp_path / "detector.safetensors", size=96, threshold=0.0, device="cpu")([np.zeros((90, 120, 3), np.uint8)])
    assert np.isfinite(found[0].boxes).all()


def test_copies_of_held_out_pictures_are_left_out():
    rng, nobody = np.random.default_rng(0), np.zeros((0, 4), np.float32)
    images = [cv2.resize(rng.integers(0, 255, (12, 16, 3), np.uint8), (320, 240)) for _ in "ab"]
    first, second = (data.Photograph(data.encode(image), nobody, data.WHOLE) for image in images)
    mirrored = data.Photograph(data.encode(cv2.resize(images[0][:, ::-1], (200, 200))), nobody, data.WHOLE)
    assert data.unlike([mirrored, second], [first]) == [second]


def test_packing_keeps_everything(tmp_path):
    labelled = photograph(np.random.default_rng(0))
    other = data.Photograph(labelled.jpeg[:50], np.zeros((0, 4), np.float32), data.WHOLE, True)
    sports = data.Photograph(labelled.jpeg, labelled.boxes, data.WHOLE)
    data.pack(tmp_path / "p.npz", [labelled, other, sports])
    back = data.unpack(tmp_path / "p.npz")
    assert [b.jpeg for b in back] == [labelled.jpeg, other.jpeg, labelled.jpeg]
    assert [b.labelled for b in back] == [True, False, False] and [b.partly for b in back] == [False, False, True]
    assert [b.square for b in back] == [False, True, False]
    np.testing.assert_array_equal(back[0].boxes, labelled.boxes)


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


def test_whom_the_teachers_found_is_kept_for_the_same_photographs(tmp_path):
    those, asked = [photograph(np.random.default_rng(0))] * 2, []

    def ask(photographs):
        asked.append(len(photographs))
        return [(np.arange(8.0).reshape(2, 4), np.array([0.9, 0.5])), (np.zeros((0, 4)), np.zeros(0))]

    for _ in range(2):
        found = unlabelled.kept(tmp_path / "found.npz", those, ask)
        assert [boxes.shape for boxes, _ in found] == [(2, 4), (0, 4)] and found[0][1].tolist() == [0.9, 0.5]
    assert asked == [2]
    assert len(unlabelled.kept(tmp_path / "found.npz", those[:1], lambda photographs: ask(photographs)[:1])) == 1 and asked == [2, 1]
    assert unlabelled.kept(None, those, ask) and asked == [2, 1, 2]


def test_the_people_of_photographs_without_labels_are_packed_alone(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    picture, nobody = photograph(rng).jpeg, np.zeros((0, 4), np.float32)
    data.pack(tmp_path / "photos.npz", [data.Photograph(picture, np.array([[0, 0, 9, 9.0]]), nobody),  # labelled
                                        data.Photograph(picture, np.array([[0, 0, 9, 9.0]]), data.WHOLE),  # a sports picture with one rough box
                                        data.Photograph(picture, nobody, data.WHOLE),
                                        data.Photograph(picture, nobody, data.WHOLE, True)])
    monkeypatch.setattr(unlabelled, "SHORTEST", 20)
    found = np.array([[2, 2, 30, 40], [2, 2, 30, 40], [2, 2, 8, 9.0]]), np.array([0.9, 0.4, 0.9])  # one sure and tall
    monkeypatch.setattr(unlabelled, "boxes", lambda photographs, teachers, device: [found for _ in photographs])
    pose.main(["--unlabelled", str(tmp_path / "photos.npz"), "--teacher", "nowhere", "--pack", str(tmp_path / "crowd.npz"), "--device", "cpu"])
    crowd = people.load(tmp_path / "crowd.npz")
    assert [people.SETS[i] for i in crowd.source] == ["squeezed", "unlabelled"] and not crowd.joints[..., 2].any()


@pytest.mark.parametrize(("given", "says"), [((), "--teacher FOLDER"), (("--teacher", "nowhere"), "rtmdet_nano_person.onnx: no such network")])
def test_photographs_without_labels_need_the_networks_that_find_people(tmp_path, given, says):
    data.pack(tmp_path / "photos.npz", [data.Photograph(photograph(np.random.default_rng(0)).jpeg, np.zeros((0, 4), np.float32), data.WHOLE)])
    with pytest.raises(InputError, match=says):
        pose.main(["--unlabelled", str(tmp_path / "photos.npz"), "--pack", str(tmp_path / "crowd.npz"), "--device", "cpu", *given])
    assert not (tmp_path / "crowd.npz").exists()
