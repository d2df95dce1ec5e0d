"""Losses, crops, occlusion and measures of the picture systems against what their authors' programs gave."""

import json

import numpy as np
import pytest
import torch

from core.geometry import procrustes
from poses._posenet import DEPTH, posenet_from_state, rootnet_from_state
from training import occlusion
from training.crops import crop_map
from training.evaluation.roots import ap_root
from training.figure_samples import patch
from training.pose_losses import pose_loss, published, root_loss
from weights import load_strict

pytestmark = pytest.mark.shared
CLOSE = {"atol": 2e-5, "rtol": 1e-4}


def enlarged(fixture):
    return fixture["input_small"].repeat_interleave(16, 2).repeat_interleave(16, 3)


@torch.no_grad()
def test_posenets_loss(official):
    fixture = official("posenet_tiny.pt")
    target = fixture["target"]["coord"], fixture["target"]["vis"], fixture["target"]["have_depth"]
    torch.testing.assert_close(pose_loss(fixture["coord"], *target), fixture["loss"], **CLOSE)
    network = load_strict(posenet_from_state(fixture["state_dict"]), fixture["state_dict"], "tiny").eval()
    assert float(pose_loss(network(enlarged(fixture)), *target).mean()) == pytest.approx(fixture["loss_mean"], rel=1e-4)


@torch.no_grad()
def test_rootnets_loss(official):
    fixture = official("rootnet_tiny.pt")
    target = fixture["target"]["coord"], fixture["target"]["vis"], fixture["target"]["have_depth"]
    network = load_strict(rootnet_from_state(fixture["state_dict"]), fixture["state_dict"], "tiny").eval()
    torch.testing.assert_close(root_loss(network(enlarged(fixture), fixture["k_value"]), *target), fixture["loss"], **CLOSE)


@pytest.mark.parametrize("name", ["ResNeXt50", "ResNet50"])
def test_senets_losses_and_patch_coordinates(official, name):
    fixture = official(f"pose_se_tiny_{name}.pt")
    found, wanted, weight = (fixture[key].reshape(2, 3, 3) for key in ("softmax_integral", "gt", "vis"))
    for kind, value in fixture["losses"].items():
        assert float(published(kind)(found, wanted, weight)) == pytest.approx(value, rel=1e-4)
    np.testing.assert_allclose(patch(found.double().numpy()), fixture["patch_coords_256"][..., :3], atol=256 * 2e-5)


def test_crops(official):
    for each in json.loads(official("mppe_geometry.pt")["boxes_json"]):
        x, y, width, height = each["processed"]
        rect = x + width / 2, y + height / 2, width, height
        np.testing.assert_allclose(crop_map(rect, (256, 256)), each["trans"], atol=1e-3)
        np.testing.assert_allclose(crop_map(rect, (256, 256), 1.1, 20), each["trans_scale1.1_rot20"], atol=1e-3)


def test_protocol_1_of_human36m(official):
    """The rigid alignment is over 18 joints, the error over 17."""
    fixture = official("mppe_geometry.pt")
    found, truth = fixture["pred_cam"].numpy(), fixture["cam"].double().numpy()
    aligned = procrustes(found - found[0], truth - truth[0], scale=False)
    np.testing.assert_allclose(aligned, fixture["pred_aligned"], atol=0.05)
    error = np.linalg.norm(aligned - (truth - truth[0]), axis=1)[:17].mean()
    assert error == pytest.approx(fixture["pa_mpjpe_protocol1_17j"], rel=1e-5)
    assert DEPTH == 64


def test_ap_of_the_root(official):
    example = official("rootnet_ap_example.json")
    assert ap_root(example["predictions"], example["annotations"], example["threshold_mm"] / 1000) == pytest.approx(100 * example["AP"], abs=1e-9)


def test_occlusion(official):
    fixture = official("synthetic_occlusion.pt")
    for centre, wanted in fixture["pasted"].items():
        place = np.array(json.loads(centre) if isinstance(centre, str) else centre)
        found = occlusion.paste(fixture["dst"].numpy().copy(), fixture["src_rgba"].numpy(), place)
        assert np.abs(found.astype(int) - wanted.numpy()).max() <= 2
    for key, factor in (("0p5", 0.5), ("0p37", 0.37), ("1p3", 1.3)):
        found, wanted = occlusion.resized(fixture["resize_src"].numpy(), factor), fixture[f"resize_{key}"].numpy()
        assert found.shape == wanted.shape and np.abs(found.astype(int) - wanted).max() <= 2
