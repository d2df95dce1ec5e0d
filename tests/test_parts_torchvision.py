"""The torchvision parts with random weights: structure, coordinates, batches. Nothing is downloaded."""

import copy

import numpy as np
import pytest
import torch
from torchvision.models import get_model, get_model_weights

from core import parts
from core.errors import InputError
from core.records import Camera
from core.skeletons import COCO17
from detectors.torchvision import TorchvisionDetector
from poses.keypointrcnn import KeypointRCNN
from weights import manifest
from weights._torchvision import WITHOUT_EPSILON, HalfPrecision, fitted, names, resize

CPU = torch.device("cpu")
SMALL = "fasterrcnn_mobilenet_v3_large_320_fpn"


def picture(seed, height=96, width=128):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def random_state(name, seed=0):
    torch.manual_seed(seed)
    model = get_model(name, weights=None, weights_backbone=None)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return model.state_dict()


@pytest.fixture(scope="module")
def detector():
    state = random_state(SMALL)
    state["roi_heads.box_predictor.cls_score.bias"][1] += 5  # it takes everything for a person
    model = fitted(SMALL, state)
    return TorchvisionDetector(model, 1, 0.0, CPU)


@pytest.fixture(scope="module")
def network():
    model = fitted("keypointrcnn_resnet50_fpn", random_state("keypointrcnn_resnet50_fpn"))
    resize(model, 160)
    model.roi_heads.score_thresh, model.roi_heads.detections_per_img = 0.0, 20
    return model


def without_counters(keys):
    return {key for key in keys if not key.endswith("num_batches_tracked")}


@pytest.mark.parametrize("name", names())
def test_a_model_takes_the_keys_of_its_official_weights(name, monkeypatch):
    weights = get_model_weights(name).DEFAULT
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", lambda *_, **__: None)
    monkeypatch.setattr(type(weights), "get_state_dict", lambda *_, **__: {})
    with torch.device("meta"):
        official, ours = get_model(name, weights=weights), get_model(name, weights=None, weights_backbone=None)
    assert without_counters(official.state_dict()) == without_counters(ours.state_dict())
    free = any(getattr(module, "eps", 1) == 0 for module in official.modules())
    assert free == (name in WITHOUT_EPSILON)


@pytest.mark.parametrize("name", names())
def test_the_manifest_has_torchvisions_own_address(name):
    entry, weights = manifest()[name], get_model_weights(name).DEFAULT
    assert entry.url == weights.url
    assert entry.file.endswith(f"-{entry.sha256}.pth") and len(entry.sha256) == 8


def test_answers_equal_torchvisions_own_loading(monkeypatch):
    name = "keypointrcnn_resnet50_fpn"
    state, weights = random_state(name, seed=3), get_model_weights(name).DEFAULT
    frozen = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    monkeypatch.setattr(type(weights), "get_state_dict", lambda *_, **__: frozen)
    official, ours = get_model(name, weights=weights).eval(), fitted(name, frozen)
    pixels = torch.from_numpy(picture(0, 64, 64)).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        for key, value in official.backbone(pixels).items():
            torch.testing.assert_close(ours.backbone(pixels)[key], value, atol=1e-3, rtol=1e-3)
    assert all(module.eps == 0 for module in ours.modules() if isinstance(module, torch.nn.BatchNorm2d))


def test_boxes_are_in_the_pictures_pixels_best_first(detector):
    found = detector([picture(1)])[0]
    assert len(found) > 20
    assert found.boxes.min() >= 0 and found.boxes[:, [0, 2]].max() <= 128 and found.boxes[:, [1, 3]].max() <= 96
    assert found.boxes[:, 2].max() > 100, "boxes do not reach the right side: they are not scaled back"
    assert (np.diff(found.scores) <= 0).all()


def test_boxes_do_not_depend_on_the_batch(detector):
    images = [picture(1), picture(2, 90, 60), picture(3), picture(4)]
    together, alone = detector(images), [detector([image])[0] for image in images]
    for a, b in zip(together, alone, strict=True):
        assert len(a) == len(b) > 0
        np.testing.assert_allclose(a.scores, b.scores, atol=2e-4)
        gap = np.abs(a.boxes[:, None] - b.boxes[None]).max(-1)  # boxes of equal score have no order
        assert (gap.min(1) < 0.01).mean() > 0.9  # at a tie of this random network either box may be the one that stays


def test_threshold_and_no_pictures(detector):
    strict = TorchvisionDetector(detector.network, 1, 2.0, CPU)
    assert len(strict([picture(1)])[0]) == 0
    assert detector([]) == []


def test_half_precision_keeps_points_to_a_pixel(network):
    image, boxes, camera = picture(6), [np.array([[10, 10, 60, 90]])], [Camera.from_fov(128, 96)]
    exact = KeypointRCNN(network, CPU)([image], boxes, camera)[0]
    halved = copy.copy(network)
    halved._modules = {**network._modules, "backbone": HalfPrecision(network.backbone)}
    found = KeypointRCNN(halved, CPU)([image], boxes, camera)[0]
    np.testing.assert_allclose(found.scores, exact.scores, atol=1e-2)
    assert np.median(np.linalg.norm(found.points - exact.points, axis=-1)) < 1


def test_a_fixed_input_cannot_be_resized():
    with torch.device("meta"):
        model = get_model("ssdlite320_mobilenet_v3_large", weights=None, weights_backbone=None)
    with pytest.raises(InputError, match="fixed input"):
        resize(model, 200)


def test_keypoints_equal_the_whole_networks_on_its_own_boxes(network):
    image = picture(5)
    with torch.no_grad():
        whole = network([torch.from_numpy(image).permute(2, 0, 1).float() / 255])[0]
    boxes = whole["boxes"].numpy()
    assert len(boxes) > 10
    found = KeypointRCNN(network, CPU)([image], [boxes], [Camera.from_fov(128, 96)])[0]
    apart = np.linalg.norm(found.points - whole["keypoints"][..., :2].numpy(), axis=-1)
    assert np.median(apart) < 1e-3 and (apart < 0.1).mean() > 0.9  # the peak of a random map may jump when a box moves by a rounding error


def test_poses_keep_rows_and_do_not_depend_on_the_batch(network):
    pose = KeypointRCNN(network, CPU)
    images, camera = [picture(6), picture(7, 80, 80), picture(8)], Camera.from_fov(128, 96)
    boxes = [np.array([[10, 10, 60, 90], [40, 5, 120, 80]]), np.zeros((0, 4)), np.array([[-20, -20, 300, 50], [200, 200, 210, 220], [3, 4, 3.2, 4]])]
    found = pose(images, boxes, [camera] * 3)
    assert [len(p) for p in found] == [2, 0, 3] and all(p.skeleton == COCO17 for p in found)
    assert all(np.isfinite(p.points).all() and (p.scores >= 0).all() and (p.scores <= 1).all() for p in found)
    swapped = pose([images[0]], [boxes[0][::-1]], [camera])[0]
    np.testing.assert_allclose(swapped.points[::-1], found[0].points, atol=1e-3)
    inside = found[0].points
    assert (inside >= boxes[0][:, None, :2] - 1).all() and (inside <= boxes[0][:, None, 2:] + 1).all()
    assert pose([], [], []) == []


def test_names_and_missing_weights_are_the_users_faults(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="fasterrcnn_resnet50_fpn_v2"):
        parts.make("detector", "torchvision:model=yolo")
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="cannot be read"):
        parts.make("pose", f"keypointrcnn:weights={broken}")


def test_replay_repeats_a_det_file(tmp_path):
    file = tmp_path / "det.txt"
    file.write_text("1,-1,10,20,30,40,0.9,-1,-1,-1\n1,-1,1,2,3,4,0.2\n\n3,-1,5,6,7,8\n")
    first, second, third = parts.make("detector", f"replay:file={file},threshold=0.5").at([0, 1, 2])
    assert first.boxes.tolist() == [[10, 20, 40, 60]] and first.scores.tolist() == [np.float32(0.9)]
    assert len(second) == 0 and third.scores.tolist() == [1.0]
    assert len(parts.make("detector", f"replay:file={file}").at([0])[0]) == 2


@pytest.mark.parametrize("line", ["x,1,2,3,4,5,1", "0,-1,1,2,3,4,1", "1,-1,1,2,3", "1,-1,nan,2,3,4,1"])
def test_replay_names_the_faulty_line(tmp_path, line):
    file = tmp_path / "det.txt"
    file.write_text("1,-1,10,20,30,40,0.9\n" + line + "\n")
    with pytest.raises(InputError, match="line 2"):
        parts.make("detector", f"replay:file={file}")


def test_replay_needs_a_file(tmp_path):
    with pytest.raises(InputError, match="which boxes"):
        parts.make("detector", "replay")
    with pytest.raises(InputError, match="cannot read"):
        parts.make("detector", f"replay:file={tmp_path / 'none.txt'}")
