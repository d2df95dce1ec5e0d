"""Networks as they run: OpenVINO's answers are torch's, whatever the batch; our trunk and suppression are torchvision's."""

import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torchvision.models import mobilenet_v2
from torchvision.ops import nms

from core import geometry, mobilenet, runtime
from core.networks import MEAN, STD, fuse, to_tensor
from detectors.centernet import CentreNet
from poses.body21 import PoseNet
from trackers._embednet import EmbedNet

CPU = torch.device("cpu")
NETWORKS = {"detector": (CentreNet, (64, 96)), "pose": (lambda: PoseNet(depth=True), (128, 96)), "appearance": (EmbedNet, (128, 64))}
compiled = pytest.mark.skipif(not importlib.util.find_spec("openvino"), reason="openvino has no build for this machine")


@pytest.fixture(params=NETWORKS)
def both(request):
    """A trained network (statistics of normalisation that are not those of the start), how it runs here, and pictures for it."""
    make, (height, width) = NETWORKS[request.param]
    torch.manual_seed(0)
    network = make().train()
    with torch.no_grad():
        network(torch.randn(7, 3, height, width))
    network = fuse(network)
    return runtime.OnDevice(network, CPU, False, MEAN, STD), runtime.runnable(network, CPU), pictures(7, height, width)


def pictures(*shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


def answers(network, x):
    found = network(x)
    return found if isinstance(found, tuple) else (found,)


def close(ours, theirs):
    for mine, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-4, atol=1e-4)


@compiled
def test_the_compiled_network_answers_as_torch_for_any_batch_and_size(both):
    network, runs, x = both
    assert isinstance(runs, runtime.OnProcessor)
    close(answers(runs, x), answers(network, x))
    if not isinstance(network.network, EmbedNet):  # whose crops have one size
        other = pictures(3, 32, 160)[:, :, ::-1]
        close(answers(runs, other), answers(network, other))


@compiled
def test_a_picture_has_the_same_answer_in_every_batch(both):
    _, runs, x = both
    whole = answers(runs, x)
    for count in (1, 2, 3, 5):
        for part, all_of_it in zip(answers(runs, x[:count]), whole, strict=True):
            assert torch.equal(part, all_of_it[:count])


@compiled
def test_pixels_are_normalised_as_asked():
    network, x = fuse(EmbedNet()), pictures(2, 128, 64)
    mean, std = [v / 255 for v in MEAN], [v / 255 for v in STD]  # of networks that learned pictures from 0 to 255
    with torch.inference_mode():
        right = network((torch.from_numpy(x).permute(0, 3, 1, 2) - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1))
    for runs in (runtime.OnDevice(network, CPU, False, mean, std), runtime.runnable(network, CPU, False, mean, std)):
        close(answers(runs, x), (right,))


@compiled
def test_threads_share_a_compiled_network(both):
    _, runs, x = both
    right = [answers(runs, picture[None]) for picture in x]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: answers(runs, x[i % len(x), None]), range(28)))
    for i, found_one in enumerate(found):
        assert all(torch.equal(mine, expected) for mine, expected in zip(found_one, right[i % len(x)], strict=True))


@compiled
def test_half_precision_on_a_processor_is_close_and_answers_in_full():
    torch.manual_seed(1)
    network, x = fuse(EmbedNet()), pictures(2, 128, 64)
    found = answers(runtime.runnable(network, CPU, half=True), x)[0]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, answers(runtime.OnDevice(network, CPU, False, MEAN, STD), x)[0], rtol=0, atol=0.05)


def test_without_openvino_torch_runs_the_network(monkeypatch):
    network, x = fuse(EmbedNet()), pictures(2, 128, 64)
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    runs = runtime.runnable(network, CPU, half=True)  # 16 bits on a CPU are slow, and not all of torch has them
    assert isinstance(runs, runtime.OnDevice)
    with torch.inference_mode():
        torch.testing.assert_close(runs(x), network(to_tensor(x, CPU)))


@compiled
def test_nothing_is_reported_to_the_makers_of_openvino():
    code = "import sys, detectors.centernet as c; c.build(device='cpu'); print([n for n, m in sys.modules.items() if m and n.endswith('_telemetry')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_program_starts_without_torchvision():
    code = "import sys, app.offline, detectors.centernet, poses.body21, trackers.steady; print('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_the_trunk_is_torchvisions_tensor_by_tensor():
    theirs = mobilenet_v2().features[:18].eval()
    ours = mobilenet.mobilenet_v2(18).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 96, 64)
    with torch.inference_mode():
        assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize("count", [0, 1, 2, 150])
def test_suppression_keeps_what_torchvisions_keeps(count):
    rng = np.random.default_rng(count)
    corner = rng.uniform(0, 100, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 60, (count, 2))], 1).astype(np.float32)
    scores = rng.choice(np.linspace(0.1, 0.9, 12), count).astype(np.float32)  # many are alike
    kept = geometry.nms(boxes, scores, 0.5)
    assert kept.tolist() == nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.5).tolist()


@pytest.mark.parametrize("count", [0, 1, 60])
def test_soft_suppression_without_a_margin_is_the_published_one(count):
    rng = np.random.default_rng(count)
    corner = rng.uniform(0, 100, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 60, (count, 2))], 1)
    scores = rng.uniform(0.2, 0.9, count)
    rows, left = geometry.soft_nms(boxes, scores, 0.0, 0.5)
    expected, waiting = [], {i: scores[i] for i in range(count)}
    while waiting:
        best = max(waiting, key=waiting.get)
        expected.append((best, waiting.pop(best)))
        waiting = {i: score * np.exp(-geometry.iou(boxes[[best]], boxes[[i]])[0, 0] ** 2 / 0.5) for i, score in waiting.items()}
    assert rows.tolist() == [i for i, _ in expected]
    np.testing.assert_allclose(left, [score for _, score in expected], rtol=1e-5)


def test_soft_suppression_spares_neighbours():
    boxes = np.array([[0, 0, 10, 10], [6, 0, 16, 10], [2, 0, 12, 10]], np.float32)  # IoU with the first: 1/4, 2/3
    rows, left = geometry.soft_nms(boxes, np.array([0.9, 0.8, 0.85], np.float32), 0.25, 0.1)
    assert rows.tolist() == [0, 1, 2] and left[:2] == pytest.approx([0.9, 0.8])
    assert left[2] == pytest.approx(0.85 * np.exp(-((2 / 3 - 0.25) ** 2) / 0.1) * np.exp(-((3 / 7 - 0.25) ** 2) / 0.1))
