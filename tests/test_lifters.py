"""Lifters: the network, the normal form's invariances, tracks against windows, and the trainer."""

import math
import pathlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from motions import recorded, swinging

from core import geometry, normal
from core.errors import InputError
from core.records import Camera
from core.skeletons import BODY21, COCO17, H36M17
from lifters import _published, none, tcn
from lifters._tcn import TemporalModel
from training import lifter as trainer
from training.datasets import faults, mocap, variety
from training.datasets.views import Sampler
from training.evaluation import lifter as protocol
from training.looks import Draw
from weights import save

SHARED = pathlib.Path(__file__).resolve().parent.parent.parent / "shared"
shared = [pytest.mark.shared, pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared")]
CAMERA = Camera(1280, 720, 1100, 1100, 640, 360)


def needs_shared(function):
    for mark in shared:
        function = mark(function)
    return function


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small lifter file with random weights and statistics, of the bundled kind."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    network = TemporalModel((3, 3, 3), 24, len(BODY21) + 1, 3, len(BODY21), 4)
    for bn in [network.expand_bn, *network.layers_bn]:
        bn.running_mean.normal_(0, 0.1)
        bn.running_var.uniform_(0.5, 1.5)
    save(path, network.state_dict(), {"input": "view-ray", "causal": "False", "stature": 1.74})
    return str(path)


def filmed(joints, path, distance=5.0):
    """Camera-space joints (T, 21, 3) around the pelvis and 2D (T, 21, 2) px of a z-up body."""
    axes = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    around = joints @ axes.T
    return around, geometry.project(around + (path @ axes.T)[:, None] + (0.8, 0.1, distance), CAMERA)


@pytest.fixture(scope="module")
def motion():
    return recorded()


# ---- the network


@pytest.mark.parametrize("causal", [False, True])
def test_strided_form_equals_dilated_form(causal):
    torch.manual_seed(0)
    network = TemporalModel((3, 5, 3), 16, causal=causal).eval()
    x = torch.randn(4, network.receptive_field, 17, 2)
    with torch.inference_mode():
        torch.testing.assert_close(network(x)[:, 0], network.one_frame(x), atol=1e-5, rtol=1e-4)


def full_size_shapes(blocks=4, channels=1024, inputs=34, outputs=51):
    """Parameter shapes of the released in-the-wild network, from the rule in the paper's appendix."""
    def bn(name):
        return {f"{name}.{key}": (channels,) for key in ("weight", "bias", "running_mean", "running_var")} | {f"{name}.num_batches_tracked": ()}

    shapes = bn("expand_bn") | {"shrink.weight": (outputs, channels, 1), "shrink.bias": (outputs,), "expand_conv.weight": (channels, inputs, 3)}
    for i in range(2 * blocks):
        shapes |= {f"layers_conv.{i}.weight": (channels, channels, 1 if i % 2 else 3)} | bn(f"layers_bn.{i}")
    return shapes


def official(path, shapes):
    """A checkpoint of random numbers as the published program writes it, random generator and all."""
    generator = torch.Generator().manual_seed(0)
    state = {key: torch.rand(shape, generator=generator) * 0.02 if shape else torch.tensor(7) for key, shape in shapes.items()}
    torch.save({"epoch": 80, "lr": 0.001, "random_state": np.random.RandomState(1), "optimizer": {}, "model_pos": state, "model_traj": None}, path)  # noqa: NPY002
    return state


def test_official_checkpoint_of_full_size_loads(tmp_path):
    shapes = full_size_shapes()
    state = official(tmp_path / "wild.bin", shapes)
    assert sum(value.numel() for key, value in state.items() if "running" not in key and "num_batches" not in key) == 16_952_371
    made = tcn.build(str(tmp_path / "wild.bin"), arc=(3, 3, 3, 3, 3), device="cpu", flip=False)
    assert (made.receptive_field, made.causal, made.skeleton_in, made.skeleton_out) == (243, False, COCO17, H36M17)
    torch.testing.assert_close(made.network.layers_conv[3].weight, state["layers_conv.3.weight"])
    assert made(np.ones((1, 243, 17, 3), np.float32), [CAMERA]).joints.shape == (1, 17, 3)
    with pytest.raises(InputError, match="arc=3,3,3 does not fit"):
        tcn.build(str(tmp_path / "wild.bin"), arc="3,3,3", device="cpu")


@pytest.mark.parametrize("features", [2, 3])
def test_official_input_is_divided_by_the_width(tmp_path, features):
    official(tmp_path / "a.bin", full_size_shapes(2, 16, 17 * features))
    made = tcn.build(str(tmp_path / "a.bin"), device="cpu", flip=False)
    points = np.random.default_rng(0).uniform(0, 700, (30, 17, 2)).astype(np.float32)
    x = np.concatenate([points / 1280 * 2 - (1, 720 / 1280), np.full((30, 17, 1), 0.5)], -1)[None, ..., :features]
    padded = np.concatenate([np.repeat(x[:, :1], 13, 1), x, np.repeat(x[:, -1:], 13, 1)], 1).astype(np.float32)
    with torch.inference_mode():
        expected = made.network(torch.from_numpy(padded))[0].numpy()
    got = made.sequence(points, np.full((30, 17), 0.5), CAMERA)
    np.testing.assert_allclose(got.joints, expected - expected[:, :1], atol=1e-5)
    assert got.sigma is None


def test_official_missing_joint_is_held():
    plane = np.stack([np.arange(6.0)[:, None].repeat(2, 1), np.full((6, 2), 9.0)], 1)
    scores = np.array([[0, 1, 0, 0, 1, 0], [1, 1, 0, 1, 1, 1]]).T
    assert _published.held(plane, scores)[:, 0, 0].tolist() == [9, 1, 1, 1, 4, 4]
    assert (_published.held(plane * np.nan, scores) == 0).all()


# ---- the normal form


def normal_of(points, scores=None, target=13):
    scores = np.ones(points.shape[:2]) if scores is None else scores
    plane, scores = (torch.from_numpy(array[None].astype(np.float32)) for array in (points, scores))
    return normal.normal_form(plane, scores, BODY21.root, target)


def test_normal_form_does_not_care_where_how_large_or_which_lens():
    around, _ = filmed(*swinging(27))
    body = around + (0, 0, 4.0)
    x, _ = normal_of(body[..., :2] / body[..., 2:])
    angle = 0.5
    turned = body @ np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    np.testing.assert_allclose(x, normal_of(turned[..., :2] / turned[..., 2:])[0], atol=1e-4)
    larger = body * 1.3
    np.testing.assert_allclose(x, normal_of(larger[..., :2] / larger[..., 2:])[0], atol=1e-4)
    zoomed = Camera(1920, 1080, 2500, 2400, 900, 600)
    np.testing.assert_allclose(x, normal_of(geometry.rays(geometry.project(body, zoomed), zoomed))[0], atol=1e-4)


def test_normal_form_turns_back():
    _, pixels = filmed(*swinging(27))
    x, turn = normal_of(geometry.rays(pixels, CAMERA))
    assert x.shape == (1, 27, 22, 3)
    ray = torch.tensor([*geometry.rays(pixels, CAMERA)[13, BODY21.root], 1.0]).float()
    torch.testing.assert_close(turn[0] @ ray, torch.tensor([0, 0, float(ray.norm())]), atol=1e-5, rtol=0)
    torch.testing.assert_close(normal.turn_back((turn @ ray[None, :, None]).transpose(1, 2), turn)[0, 0], ray)


def test_normal_form_of_missing_joints_is_zero():
    _, pixels = filmed(*swinging(27))
    plane, scores = geometry.rays(pixels, CAMERA), np.ones((27, 21))
    plane[3, 5], scores[3, 5], scores[4], plane[7:] = np.nan, 0, 0, np.nan
    x, turn = normal_of(plane, scores)
    assert x.isfinite().all() and turn.isfinite().all()
    assert (x[0, 3, 5] == 0).all() and (x[0, 4, :21] == 0).all() and (x[0, 7:, :21] == 0).all()
    nothing, turn = normal_of(plane * np.nan)
    assert nothing.isfinite().all() and (turn == torch.eye(3)).all()


# ---- lifters


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("count", [1, 5, 40])
def test_sequence_equals_windows_one_by_one(small, count, missing):
    made = tcn.build(small, device="cpu")
    _, points = filmed(*swinging(count))
    scores = np.random.default_rng(0).uniform(0.2, 1, (count, 21)).astype(np.float32)
    scores[np.random.default_rng(1).uniform(size=scores.shape) < missing] = 0
    points[scores == 0] = np.nan
    whole = made.sequence(points, scores, CAMERA)
    index = np.clip(np.arange(count)[:, None] + np.arange(27) - 13, 0, count - 1)
    windows = np.concatenate([points, scores[..., None]], -1)[index]
    single = [made(window[None], [CAMERA]) for window in windows]
    np.testing.assert_allclose(whole.joints, np.concatenate([one.joints for one in single]), atol=1e-4)
    np.testing.assert_allclose(whole.sigma, np.concatenate([one.sigma for one in single]), atol=1e-4)
    together = made(windows, [CAMERA] * count)
    np.testing.assert_allclose(whole.joints, together.joints, atol=1e-4)
    assert np.isfinite(whole.joints).all()


def test_causal_padding_looks_only_back():
    assert _published.window_index(3, 3, True).tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 2]]
    assert _published.window_index(3, 3, False).tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 2]]


def test_causal_lifter_does_not_see_the_future():
    made = tcn.build("lifter-tcn27-causal", device="cpu")
    _, points = filmed(*swinging(40))
    cut = made.sequence(points[:25], np.ones((25, 21)), CAMERA).joints
    np.testing.assert_allclose(made.sequence(points, np.ones((40, 21)), CAMERA).joints[:25], cut, atol=1e-4)


def test_nothing_in_nothing_out(small):
    for made in (tcn.build(small, device="cpu"), none.build()):
        assert made.sequence(np.zeros((0, 21, 2)), np.zeros((0, 21)), CAMERA).joints.shape == (0, 21, 3)
        assert made(np.zeros((0, made.receptive_field, 21, 3)), []).joints.shape == (0, 21, 3)


def test_mirrored_person_is_lifted_mirrored(small):
    made = tcn.build(small, device="cpu", flip=True)
    _, points = filmed(*swinging(27))
    other = points[:, list(BODY21.mirror)] * (-1, 1) + (1280, 0)
    a, b = (made.sequence(p, np.ones((27, 21)), CAMERA).joints for p in (points, other))
    np.testing.assert_allclose(a, b[:, list(BODY21.mirror)] * (-1, 1, 1), atol=1e-4)


def test_no_lifter_gives_nan():
    assert np.isnan(none.build().sequence(np.zeros((3, 21, 2)), np.ones((3, 21)), CAMERA).joints).all()


def test_options_that_do_not_fit(small, tmp_path):
    with pytest.raises(InputError, match="causal"):
        tcn.build(small, causal=True, device="cpu")
    official(tmp_path / "a.bin", full_size_shapes(2, 16))
    with pytest.raises(InputError, match="input=mpii"):
        tcn.build(str(tmp_path / "a.bin"), device="cpu", input="mpii")
    official(tmp_path / "b.bin", {key: shape for key, shape in full_size_shapes(2, 16).items() if not key.startswith("shrink")})
    with pytest.raises(InputError, match="not a temporal"):
        tcn.build(str(tmp_path / "b.bin"), device="cpu")
    with pytest.raises(ValueError, match="expected .1, 27, 21, 3."):
        tcn.build(small, device="cpu")(np.zeros((1, 20, 21, 3)), [CAMERA])


@pytest.mark.parametrize(("name", "field", "limit"), [("lifter-tcn81", 81, 70), ("lifter-tcn27-causal", 27, 80)])
def test_bundled_lifter_lifts_a_procedural_walk(name, field, limit):
    made = tcn.build(name, device="cpu")
    assert made.receptive_field == field
    truth, points = filmed(*swinging(90))
    lifted = made.sequence(points, np.ones((90, 21)), CAMERA)
    assert 1000 * geometry.pa_mpjpe(lifted.joints, truth) < limit
    assert 1000 * geometry.mpjpe(lifted.joints, truth) < 2 * limit
    assert lifted.joints[:, BODY21.index("head_top"), 1].max() < -0.5  # y is down


# ---- training


def test_views_are_projections_of_their_truth(motion):
    for field, causal in ((27, False), (27, True)):
        draw = Sampler(motion, field, causal, 0)
        views = draw.views(64)
        x, turn = normal.normal_form(views.plane, views.plane.isfinite().all(-1).float(), BODY21.root, draw.target)
        truth = views.truth @ turn.transpose(1, 2)
        expected = truth[..., :2] / (truth[..., 2:] + views.distance[:, None, None])
        size = (x[:, draw.target, 21, 2] - 2).exp()[:, None, None]
        near = (truth[..., 2] + views.distance[:, None] > 0.2).all(1) & views.plane.isfinite().all(-1)[:, draw.target].all(1)
        torch.testing.assert_close((x[:, draw.target, :21, :2] * size)[near], expected[near], atol=1e-4, rtol=1e-3)


def test_same_seed_same_faults(motion):
    made = []
    for _ in range(2):
        draw = Sampler(motion, 27, False, 5)
        made.append(faults.observe(draw.views(32), draw))
    for a, b in zip(*made, strict=True):
        assert torch.equal(a.nan_to_num(), b.nan_to_num())
    scores = made[0][1]
    assert 0.5 < (scores > 0).float().mean() < 1 and scores.max() <= 1


def test_bodies_vary_but_keep_their_stature(motion):
    draw = Sampler(motion, 27, False, 0)
    joints, _ = draw.windows(64, vary=True)
    bones = {BODY21.joints[b]: (joints[:, 13, b] - joints[:, 13, a]).norm(dim=-1) for a, b in BODY21.bones}
    assert bones["left_knee"].std() > 0.01 and torch.allclose(bones["left_knee"], bones["right_knee"], atol=0.1)
    plain, _ = draw.windows(64, vary=False)
    assert plain.norm(dim=-1).max() < 1.2


def test_rare_postures_come_more_often(motion):
    lying = motion.joints.copy()
    lying[-20:] = lying[-20:, :, [2, 1, 0]]
    mixed = replace(motion, joints=lying)
    weights = mocap.rarity(mixed)
    assert weights.shape == (len(mixed),) and weights.mean() == pytest.approx(1)
    assert weights[-20:].mean() > 1.5 * weights[:-20].mean()
    turned = replace(motion, joints=motion.joints[..., [1, 0, 2]] * np.array([1, -1, 1], np.float16))  # about the vertical: the same postures
    np.testing.assert_allclose(mocap.rarity(turned), mocap.rarity(motion), rtol=0.05)
    only = Sampler(motion, 27, False, 0, weights=np.arange(len(motion)) == 50)
    assert (only._targets(64) == 50).all()


def test_some_people_are_turned_any_way_up(motion):
    draw = Sampler(motion, 3, False, 0)
    joints, root = draw.windows(256, vary=False)
    turned, path = variety._tumbled(joints, root, draw)
    torch.testing.assert_close(turned.norm(dim=-1), joints.norm(dim=-1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(path.norm(dim=-1), root.norm(dim=-1), atol=1e-4, rtol=1e-4)
    still = (turned - joints).abs().amax((1, 2, 3)) < 1e-4
    assert 0.8 < still.float().mean() < 0.97


def test_knees_and_elbows_are_opened_but_never_bent_backwards():
    joints = Draw(0, "cpu").randn(1000, len(BODY21), 3)
    for hinge, (start, end, most) in variety.HINGES.items():
        opened = variety.opened(joints, hinge, torch.full((1000,), float(most)))
        limbs = [BODY21.indices(*(f"{side}_{name}" for name in (start, hinge, end))) for side in ("left", "right")]
        before, after = (x[:, limbs].diff(dim=2) for x in (joints, opened))
        torch.testing.assert_close(after.norm(dim=-1), before.norm(dim=-1), atol=1e-4, rtol=1e-4)
        axis, axis2 = (torch.linalg.cross(*x.unbind(2)) for x in (before, after))
        assert (axis * axis2).sum(-1).min() > -1e-3
        angle, angle2 = (torch.atan2(y.norm(dim=-1), x.prod(2).sum(-1)).rad2deg() for x, y in ((before, axis), (after, axis2)))
        torch.testing.assert_close(angle2, (angle - most).clamp(min=0), atol=0.1, rtol=0)
        rest = torch.ones(len(BODY21), dtype=torch.bool).index_fill(0, torch.tensor(limbs)[:, 1:].flatten(), False)
        assert torch.equal(opened[:, rest], joints[:, rest])


def test_limbs_are_turned_a_little_and_stay_as_long(motion):
    draw = Sampler(motion, 27, False, 0)
    joints, _ = draw.windows(256, vary=False)
    bent = variety._bent(joints, draw)
    for part, whole in BODY21.bones:
        before, after = ((x[:, :, whole] - x[:, :, part]).norm(dim=-1) for x in (joints, bent))
        torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)
    moved = (bent - joints).norm(dim=-1)
    assert 0.3 < (moved.amax((1, 2)) < 1e-4).float().mean() < 0.5  # the others
    assert 0.02 < moved[:, :, BODY21.indices("left_wrist", "right_wrist")].mean() < 0.12
    before, after = (x.diff(n=2, dim=1).norm(dim=-1).mean() for x in (joints, bent))
    assert after < before + 0.003  # metres a frame a frame: it is no jitter


def test_trainer_writes_a_lifter_that_loads(motion, tmp_path):
    mocap.pack(motion, tmp_path / "motion.npz")
    command = ["--packed", str(tmp_path / "motion.npz"), "--arc", "3,3", "--channels", "8", "--epochs", "2", "--steps", "3", "--batch", "8",
               "--again", "1", "--causal", "--state", str(tmp_path / "state.pt"), "--output", str(tmp_path / "made.safetensors"), "--device", "cpu"]
    trainer.main(command)
    made = tcn.build(str(tmp_path / "made.safetensors"), device="cpu")
    assert made.causal and made.receptive_field == 9
    assert math.isfinite(made.sequence(np.ones((4, 21, 2)), np.ones((4, 21)), CAMERA).joints.sum())


def test_protocol_shows_both_lifters_the_same_frames(motion):
    a, cameras, truth = protocol.windows(motion, 27, False, False, 16, 3)
    b, _, again = protocol.windows(motion, 9, True, False, 16, 3)
    np.testing.assert_allclose(truth, again, atol=1e-6)
    np.testing.assert_allclose(a[:, 13], b[:, -1], atol=1e-2)
    assert a.shape == (16, 27, 21, 3) and len(cameras) == 16


def test_protocol_can_straighten_people_and_tells_how_bent_knees_are(motion):
    joints = np.zeros((1, len(BODY21), 3))
    joints[:, BODY21.index("left_knee"), 2], joints[:, BODY21.index("left_ankle")] = -0.4, (0, 0.4, -0.4)
    joints[:, BODY21.index("right_knee"), 2], joints[:, BODY21.index("right_ankle"), 2] = -0.4, -0.8
    np.testing.assert_allclose(protocol.flexion(joints), [[90, 0]], atol=1e-6)
    bent = replace(motion, joints=variety._bent(torch.from_numpy(motion.joints).float()[None], Draw(1, "cpu"))[0].numpy())
    straight = protocol.straightened(bent)
    assert protocol.flexion(bent.joints).max() > 2 and protocol.flexion(straight.joints.astype(float)).max() < 1


@needs_shared
def test_head_points_of_motion_capture():
    clips = mocap.load(SHARED / "data" / "mocap", ("hdm05",), "val")
    joints = clips.joints[::200].astype(np.float32)
    ears = np.linalg.norm(joints[:, BODY21.index("left_ear")] - joints[:, BODY21.index("right_ear")], axis=-1)
    assert np.allclose(ears, 0.146 * mocap.STATURE / clips.stature.mean(), atol=0.01)
    shoulders = joints[:, BODY21.index("left_shoulder")] - joints[:, BODY21.index("right_shoulder")]
    side = joints[:, BODY21.index("left_ear")] - joints[:, BODY21.index("right_ear")]
    assert ((shoulders * side).sum(-1) > 0).mean() > 0.95
