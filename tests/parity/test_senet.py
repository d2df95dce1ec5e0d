"""The fifth system's pose network against its author's program."""

import pytest
import torch

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
