"""3DMPPE's RootNet against the authors' program."""

import pytest
import torch

from poses._posenet import RootNet, rootnet_from_state
from weights import load_strict

pytestmark = pytest.mark.shared


@torch.no_grad()
def test_network(official):
    tiny = official("rootnet_tiny.pt")
    network = load_strict(rootnet_from_state(tiny["state_dict"]), tiny["state_dict"], "tiny").eval()
    pictures = tiny["input_small"].repeat_interleave(16, 2).repeat_interleave(16, 3)
    scale = tiny["backbone_out"].max()  # thousands: the tolerance is for numbers around one
    torch.testing.assert_close(network.backbone(pictures) / scale, tiny["backbone_out"] / scale, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(network(pictures, tiny["k_value"]), tiny["coord"], atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(network.gamma(pictures) * tiny["k_value"], tiny["coord"][:, 2:], atol=2e-5, rtol=1e-4)


def test_keys_of_the_full_size(official):
    whole = official("mppe_fullsize_keys.json")["rootnet_resnet50"]
    with torch.device("meta"):
        network = RootNet()
    assert {f"module.{key}": list(value.shape) for key, value in network.state_dict().items()} == whole["shapes"]
    assert sum(parameter.numel() for parameter in network.parameters()) == whole["params"]
