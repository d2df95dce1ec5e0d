"""The fifth system's pose network against its author's program."""

import numpy as np
import pytest
import torch

from core.geometry import procrustes, project
from core.records import Camera
from poses._crops import placed
from poses._posenet import k_value
from poses._senet import SENet, senet_from_state
from weights import load_strict

pytestmark = pytest.mark.shared
CLOSE = {"atol": 2e-5, "rtol": 1e-4}
SIZES = {"ResNeXt50": {}, "ResNet50": {"groups": 1, "widths": (64, 128, 256, 512)}, "ResNeXt101": {"blocks": (3, 4, 23, 3)}}


@torch.no_grad()
@pytest.mark.parametrize("name", ["ResNeXt50", "ResNet50"])
def test_network(official, name):
    tiny = official(f"pose_se_tiny_{name}.pt")
    state, config = tiny["state_dict"], tiny["config"]
    network = load_strict(senet_from_state(state, config["depth_res"]), state, name).eval()
    torch.testing.assert_close(network.heat(tiny["input"]), tiny["heatmap"], **CLOSE)
    shares = network(tiny["input"])
    torch.testing.assert_close(shares.flatten(1), tiny["softmax_integral"], **CLOSE)
    patch = (shares.double() + torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)) * 256
    torch.testing.assert_close(patch, tiny["patch_coords_256"][..., :3], atol=256 * 2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", list(SIZES))
def test_keys_of_the_full_size(official, name):
    whole = official("gcn_linear_senet_fullsize_keys.json")[f"poseSEnet_{name}"]
    with torch.device("meta"):
        network = SENet(**SIZES[name])
        again = senet_from_state(network.state_dict())
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == whole["shapes"]
    assert {key: list(value.shape) for key, value in again.state_dict().items()} == whole["shapes"]
    assert sum(parameter.numel() for parameter in network.parameters()) == whole["params"]


@pytest.mark.parametrize("scale", [True, False])
def test_alignment(official, scale):
    fixture = official("pose_se_procrustes.pt")
    aligned = procrustes(fixture["pred"].numpy(), fixture["target"].numpy(), scale)
    np.testing.assert_allclose(aligned, fixture["scaled" if scale else "unscaled"]["aligned"], atol=1e-9)


def test_crop_of_two_metres_around_the_pelvis(official):
    """The author's labels and crop from the joints in space, and the way back from the crop to space."""
    label = official("pose_se_procrustes.pt")["label_example"]
    camera = Camera(1000, 1000, *(float(n) for n in (*label["f"], *label["c"])))
    space, pelvis = label["pt_3d"].numpy(), label["pelvis"].numpy()
    left, right, top, bottom = label["rect_lrtb"]
    np.testing.assert_allclose(project(pelvis, camera), [(left + right) / 2, (top + bottom) / 2], rtol=1e-9)
    np.testing.assert_allclose(k_value(camera.fx, camera.fy, (right - left) * (bottom - top), 2000 * 2000), pelvis[2], rtol=1e-9)
    pixels, depth = label["pt_2d"].numpy()[:, :2], label["pt_2d"].numpy()[:, 2]
    np.testing.assert_allclose(project(space, camera), pixels, rtol=1e-9)
    relative, root = placed(pixels[None], (pelvis[2] + depth)[None], [camera], np.zeros(1, int), 0)
    np.testing.assert_allclose(relative[0], space - space[0], atol=1e-6)
    assert root[0] == pytest.approx(pelvis[2])
