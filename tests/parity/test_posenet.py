"""3DMPPE's PoseNet against the authors' program: network, soft-argmax, boxes, crops, joint sets, the way to camera space."""

import json

import numpy as np
import pytest
import torch

from core.geometry import apply_affine, back_project, procrustes, project
from core.records import Camera
from core.skeletons import H36M18, MPII16
from poses._crops import squares, to_pixels
from poses._posenet import DEPTH, HALF_DEPTH, PoseNet, k_value, posenet_from_state
from poses._volumes import soft_argmax
from poses.posenet import unmirrored
from weights import load_strict

pytestmark = pytest.mark.shared
CLOSE = {"atol": 2e-5, "rtol": 1e-4}


@pytest.fixture(scope="module")
def tiny(official):
    return official("posenet_tiny.pt")


@pytest.fixture(scope="module")
def network(tiny):
    return load_strict(posenet_from_state(tiny["state_dict"]), tiny["state_dict"], "tiny").eval()


@pytest.fixture(scope="module")
def pictures(tiny):
    return tiny["input_small"].repeat_interleave(16, 2).repeat_interleave(16, 3)


@torch.no_grad()
def test_network(tiny, network, pictures):
    features = network.backbone(pictures)
    scale = tiny["backbone_out"].max()  # thousands: the tolerance is for numbers around one
    torch.testing.assert_close(features / scale, tiny["backbone_out"] / scale, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(network.head(features)[:, :8], tiny["head_out_slice_j0_d0_7"], **CLOSE)
    torch.testing.assert_close(network(pictures), tiny["coord"], **CLOSE)


@torch.no_grad()
def test_flip(tiny, network, pictures):
    class Pairs:
        mirror = (2, 3, 0, 1)

    assert tiny["flip_pairs"] == [[0, 2], [1, 3]]
    mirrored = network(pictures.flip(3))
    torch.testing.assert_close(mirrored, tiny["coord_flip_raw"], **CLOSE)
    torch.testing.assert_close((network(pictures) + unmirrored(mirrored, Pairs)) / 2, tiny["coord_flip_avg"], **CLOSE)


def test_order_of_the_axes(official):
    fixture = official("posenet_soft_argmax.pt")
    torch.testing.assert_close(soft_argmax(fixture["heatmap"], fixture["joint_num"]), fixture["coord"], **CLOSE)


@pytest.mark.parametrize("joints", [18, 21])
def test_keys_of_the_full_size(official, joints):
    whole = official("mppe_fullsize_keys.json")[f"posenet_resnet50_J{joints}"]
    with torch.device("meta"):
        network = PoseNet(joints)
    assert {f"module.{key}": list(value.shape) for key, value in network.state_dict().items()} == whole["shapes"]
    assert sum(parameter.numel() for parameter in network.parameters()) == whole["params"]


@pytest.fixture(scope="module")
def geometry(official):
    return official("mppe_geometry.pt")


def test_boxes_crops_and_k(geometry):
    height, width = geometry["demo_image"]
    for each in json.loads(geometry["boxes_json"]):
        x, y, w, h = each["bbox"]
        (centre_x, centre_y, side), = squares(np.array([[x, y, x + w, y + h]]), width, height)
        np.testing.assert_allclose([centre_x - side / 2, centre_y - side / 2, side, side], each["processed"], atol=1e-3)
        assert k_value(1500, 1500, side**2) == pytest.approx(each["k_value_f1500"] / 1000, rel=1e-5)
        corner = to_pixels(np.zeros((1, 1, 2)), np.array([[centre_x, centre_y, side]]))[0, 0] - 0.5  # theirs begin at 0
        np.testing.assert_allclose(apply_affine(np.array(each["trans"]), corner), 0, atol=1e-3)
    example = geometry["k_example"]
    assert k_value(*example["f"], np.prod(example["bbox_processed_wh"]), 2000 * 2000) == pytest.approx(example["k"])


def camera(focal, centre):
    return Camera(1000, 1000, *(float(n) for n in (*focal, *centre)))


def test_pixels_and_camera_space(geometry):
    lens = camera(geometry["f"], geometry["c"])
    np.testing.assert_allclose(geometry["world"] @ geometry["R"].T + geometry["t"], geometry["cam"], rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose(project(geometry["cam"].double().numpy(), lens), geometry["pixel"][:, :2], atol=1e-3)
    pixel = geometry["pixel"].double().numpy()
    np.testing.assert_allclose(back_project(pixel[:, :2], pixel[:, 2], lens), geometry["backproj"], atol=1e-2)
    example = geometry["pixel2cam_example"]
    np.testing.assert_allclose(back_project(np.array(example["pixel"][:2]), example["pixel"][2], camera(example["f"], example["c"])), example["cam"])


def test_cells_to_camera_space(geometry):
    """From cells of the volume to millimetres, and the authors' two protocols on the result."""
    x, y, side, _ = geometry["gt_bbox_processed"].numpy()
    cells, square = geometry["pred_heatmap_coord"].numpy(), np.array([[x + side / 2, y + side / 2, side]])
    points = to_pixels(cells[None, :, :2] / DEPTH, square)[0] - 0.5
    depth = (cells[:, 2] / DEPTH * 2 - 1) * HALF_DEPTH * 1000 + float(geometry["cam"][0, 2])
    np.testing.assert_allclose(np.column_stack([points, depth]), geometry["pred_pixel_mm"], rtol=1e-6, atol=1e-3)
    found = back_project(points, depth, camera(geometry["f"], geometry["c"]))
    np.testing.assert_allclose(found, geometry["pred_cam"], rtol=1e-5, atol=1e-2)
    truth = geometry["cam"].double().numpy()
    error = np.linalg.norm((found - found[0]) - (truth - truth[0]), axis=1)[:17].mean()
    assert error == pytest.approx(geometry["mpjpe_protocol2_17j"], rel=1e-5)


def test_rigid_alignment(geometry):
    a, b = (geometry[f"rigid_{name}"].numpy() for name in "AB")
    np.testing.assert_allclose(procrustes(a, b, scale=False), geometry["rigid_aligned"], atol=1e-6)


def test_joints_of_one_set_as_another(geometry):
    source, target = geometry["transfer_src"].numpy(), geometry["transfer_mpii_to_h36m18"].numpy()
    moved = [source[MPII16.index(name)] if name in MPII16.joints else np.zeros(3) for name in H36M18.joints]
    np.testing.assert_array_equal(moved, target)
