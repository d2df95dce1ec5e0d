"""CenterNet's DLA-34 against the authors' program: one deformable layer, the network, pictures, decoding."""

import numpy as np
import pytest
import torch

from detectors._ctdet import decode, prepared, shown, soft_nms, to_picture, unflipped, view
from detectors._dla import UNUSED, Deformable, dla_from_state, dla_state, doubling
from weights import load_strict

pytestmark = pytest.mark.shared


@torch.no_grad()
def test_deformable_layer(official):
    fixture = official("dcn_layer.pt")
    names = ("weight", "bias", "conv_offset_mask.weight", "conv_offset_mask.bias")
    layer = load_strict(Deformable(6, 5), {name: fixture[name] for name in names}, "layer")
    torch.testing.assert_close(layer.conv_offset_mask(fixture["input"]), fixture["conv_offset_mask.output"], atol=1e-5, rtol=0)
    torch.testing.assert_close(layer(fixture["input"]), fixture["output"], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "suffix", "close"), [(torch.float32, "", 1e-3), (torch.float64, "_float64", 1e-9)])
def test_network(official, dtype, suffix, close):
    tiny = official("centernet_dla_tiny.pt")
    state = dla_state(tiny["state_dict"])
    network = load_strict(dla_from_state(state), state, "tiny").eval().to(dtype)
    x = tiny["input"].to(dtype)
    for name, found in zip(("hm", "wh", "reg"), network(x), strict=True):
        torch.testing.assert_close(found, tiny[name + suffix], atol=close, rtol=0)
    levels = network.base(x)
    for i, level in enumerate(levels):
        torch.testing.assert_close(level.float(), tiny[f"base.level{i}"], atol=1e-3, rtol=1e-4)
    for i, merged in enumerate(network.dla_up(levels)):
        torch.testing.assert_close(merged.float(), tiny[f"dla_up.{i}"], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(network.feature(x).float(), tiny["feature"], atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("factor", [2, 4])
def test_up_sampling_begins_bilinear(official, factor):
    assert torch.equal(doubling(3, factor).weight[1, 0], official("centernet_dla_tiny.pt")[f"init_up_f{factor}"])


def hashed(count, n):
    """The fixture's rule for numbers u in 0..1."""
    v = (np.arange(count, dtype=np.uint64) * 2654435761 + n * 40503 + 12345) & 0xFFFFFFFF
    v ^= v >> 15
    v = (v * 2246822519) & 0xFFFFFFFF
    v ^= v >> 13
    v = (v * 3266489917) & 0xFFFFFFFF
    v ^= v >> 16
    return v / 2**32


def filled(key, shape, n):
    """A tensor of the full-size check, by the fixture's rules."""
    u = hashed(int(np.prod(shape)), n)
    s, fan_in = 2 * u - 1, int(np.prod(shape[1:4]))
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if key.endswith("running_mean"):
        u = 0.2 * s
    elif key.endswith("running_var"):
        u = 0.75 + 0.5 * u
    elif ".up_" in key:
        u = 0.5 * u
    elif key.endswith("conv_offset_mask.weight"):
        u = 0.3 * s / fan_in**0.5
    elif key.endswith("conv_offset_mask.bias"):
        u = s
    elif len(shape) == 4:
        u = s * (6 / fan_in) ** 0.5
    elif key.endswith(".weight"):
        u = 0.75 + 0.5 * u
    else:
        u = 0.2 * s
    return torch.from_numpy(u.astype(np.float32)).reshape(shape)


@torch.no_grad()
def test_full_size(official):
    whole = official("centernet_dla34_keys.json")
    state = {key: filled(key, whole["keys"][key], n) for n, key in enumerate(sorted(whole["keys"]))}
    network = load_strict(dla_from_state(dla_state(state)), dla_state(state), "full").eval().double()
    used = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert sorted(used) == sorted(set(whole["keys"]) - set(whole["no_effect_keys"]))
    assert all(key.startswith(UNUSED) for key in whole["no_effect_keys"])
    assert used == {key: whole["keys"][key] for key in used}
    totals = whole["totals"]
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters == totals["parameters_without_fc"] - totals["present_without_effect_parameters"]
    x = torch.from_numpy((3 * hashed(3 * 64 * 96, 100_000) - 1.5).astype(np.float32)).reshape(1, 3, 64, 96).double()
    maps = dict(zip(("hm", "wh", "reg"), network(x), strict=True)) | {f"base.level{i}": level for i, level in enumerate(network.base(x))}
    maps["feature_before_heads"] = network.feature(x)
    for name, expected in whole["full_size_check"]["expected_float64"].items():
        found = maps[name]
        assert list(found.shape) == expected["shape"]
        np.testing.assert_allclose([found.mean(), found.abs().mean()], [expected["mean"], expected["abs_mean"]], atol=1e-7)
        np.testing.assert_allclose(found.flatten()[:8], expected["first8"], atol=1e-7)
        np.testing.assert_allclose(found.flatten()[-8:], expected["last8"], atol=1e-7)


@pytest.fixture
def decoding(official):
    return official("centernet_decode.pt")


def same_rows(found, expected, close):
    """Equal as sets: the order among equal scores is open."""
    found, expected = (np.asarray(rows, np.float64) for rows in (found, expected))
    assert found.shape == expected.shape

    def order(rows):
        return rows[np.lexsort(np.round(rows[:, ::-1], 2).T)]

    np.testing.assert_allclose(order(found), order(expected), atol=close)


def test_peaks(decoding):
    maps = [decoding[f"single.{name}"] for name in ("wh", "reg")]
    scores = decoding["single.hm_logits"].sigmoid()
    same_rows(decode(scores, *maps)[0], decoding["single.detections"][0], 1e-5)
    same_rows(decode(scores, maps[0])[0], decoding["single.detections_without_reg"][0], 1e-5)
    sparse = decode(decoding["sparse.hm_logits"].sigmoid(), *maps)[0]
    same_rows(sparse[sparse[:, 4] > 0][: len(decoding["sparse.detections_positive"])], decoding["sparse.detections_positive"], 1e-5)


def test_mirrored_look(decoding):
    scores, sizes, offsets = unflipped(*(decoding[f"flip.{name}"] for name in ("hm_logits", "wh", "reg")))
    torch.testing.assert_close(scores, decoding["flip.hm_mean"])
    torch.testing.assert_close(sizes, decoding["flip.wh_mean"])
    same_rows(decode(scores, sizes, offsets)[0], decoding["flip.detections"][0], 1e-5)


@pytest.mark.parametrize(("name", "keep"), [("fix", False), ("keep", True)])
@pytest.mark.parametrize("look", ["single", "flip"])
def test_back_to_the_picture(decoding, name, keep, look):
    if keep:
        matrix, extent = view(*decoding["affine.keep.image_wh"].tolist(), 512, keep_res=True)
        assert list(extent) == decoding["affine.keep.input_wh"].tolist()
    else:  # a wide input: the scale is that of its width
        width, height = decoding["affine.fix.image_wh"].tolist()
        matrix = view(width, height, 128)[0] + [[0, 0, 0], [0, 0, (96 - 128) / 2]]
    np.testing.assert_allclose(matrix, decoding[f"affine.{name}.image_to_input"], atol=1e-5)
    rows = to_picture(decoding[f"{look}.detections"][0].numpy(), matrix)
    rows[:, 5] += 1
    same_rows(rows, decoding[f"{look}.result_{name}"], 1e-3)


@pytest.mark.parametrize(("name", "keep", "scale"), [("fix", False, 1.0), ("keep", True, 1.0), ("fix_scale0.75", False, 0.75)])
def test_pictures(decoding, name, keep, scale):
    image = np.ascontiguousarray(decoding["pre.image_bgr"].numpy()[..., ::-1])
    matrix, extent = view(image.shape[1], image.shape[0], 128, keep, scale)
    expected = decoding[f"pre.{name}.warped_u8"].numpy()
    if not keep:  # the fixture's input is 128 x 96
        matrix, extent = matrix + [[0, 0, 0], [0, 0, (96 - 128) / 2]], (128, 96)
    import cv2

    seen = cv2.resize(image, (int(image.shape[1] * scale), int(image.shape[0] * scale))) if scale != 1 else image
    difference = np.abs(shown(seen, matrix, extent)[..., ::-1].astype(int) - expected)
    assert difference.max() <= 1
    if name == "fix":
        np.testing.assert_allclose(prepared(image, matrix, extent), decoding["pre.fix.normalised"][0], atol=1.01 / 255 / 0.27)


def test_soft_suppression(decoding):
    kept = int(decoding["soft_nms.kept"])
    same_rows(soft_nms(decoding["soft_nms.input"].numpy()), decoding["soft_nms.output_all_rows"][:kept], 1e-5)
