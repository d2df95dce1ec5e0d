"""The re-identification network of centerNet-deep-sort against outputs of the published code."""

import pytest
import torch

from trackers._reid import ReIdNet, sized_like
from weights import load_strict

pytestmark = pytest.mark.shared


def test_features_and_logits_of_the_narrow_network(official):
    fixture = official("reid_tiny.pt")
    network = load_strict(sized_like(fixture["state_dict"]), fixture["state_dict"], "reid_tiny").eval()
    with torch.inference_mode():
        torch.testing.assert_close(network(fixture["input"]), fixture["feature"], atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(network.logits(fixture["input"]), fixture["logits"], atol=2e-5, rtol=1e-4)


def test_names_and_shapes_of_the_full_network(official):
    shapes, network = official("reid_net_keys.json"), ReIdNet()
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == shapes["shapes"]
    assert sum(value.numel() for value in network.parameters()) == shapes["params"]
