"""The fifth system's refiner against its author's program, branch by branch."""

import pytest
import torch

from core.graph_networks import LinearModel, SemGCN, adjacency
from poses._refine import GROUPS, LEAK, PARENTS, RefineNet, lower_from_state, refinenet_state, upper_from_state
from weights import load_strict

pytestmark = pytest.mark.shared
CLOSE = {"atol": 2e-5, "rtol": 1e-4}


@torch.no_grad()
def test_upper_branch(official):
    fixture = official("pose_se_gcn17_h24_l2.pt")
    network = load_strict(upper_from_state(fixture["state_dict"]), fixture["state_dict"], "upper").eval()
    assert [list(group) for group in GROUPS] == fixture["config"]["nodes_group"]
    assert torch.equal(adjacency(PARENTS), fixture["adj"] > 0)
    torch.testing.assert_close(network(fixture["input"]), fixture["output"], **CLOSE)


@torch.no_grad()
def test_lower_branch(official):
    fixture = official("pose_se_linear64.pt")
    network = load_strict(lower_from_state(fixture["state_dict"]), fixture["state_dict"], "lower").eval()
    torch.testing.assert_close(network(fixture["input"]), fixture["output"], **CLOSE)


@torch.no_grad()
def test_the_other_lower_branch(official):
    fixture = official("pose_se_refinenet48.pt")
    network = load_strict(lower_from_state(fixture["state_dict"]), fixture["state_dict"], "other").eval()
    for found, expected in zip(network(fixture["input"], both=True), (fixture["p1"], fixture["p2"]), strict=True):
        torch.testing.assert_close(found, expected, **CLOSE)


@torch.no_grad()
def test_the_refiner_it_comes_from(official):
    fixture = official("epipolar_refiner48.pt")
    state, config = refinenet_state(fixture["state_dict"]), fixture["config"]
    network = load_strict(RefineNet(config["inp"], config["linear_size"], slope=0.0), state, "epipolar").eval()
    for found, expected in zip(network(fixture["input"], both=True), (fixture["p1"], fixture["p2"]), strict=True):
        torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize(("name", "make"), [
    ("pose_se_gcn128_l4", lambda: SemGCN(PARENTS, 3, 3, groups=GROUPS)), ("pose_se_linear1024", lambda: LinearModel(48, 48, slope=LEAK)),
    ("pose_se_refinenet2048", RefineNet)])
def test_keys_of_the_full_size(official, name, make):
    whole = official("gcn_linear_senet_fullsize_keys.json")[name]
    network = make()
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == whole["shapes"]
    if "params" in whole:
        assert sum(parameter.numel() for parameter in network.parameters()) == whole["params"]
