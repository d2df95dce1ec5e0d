"""The lifters' networks against outputs of the published programs, where the fixtures are there; the key lists of the real sizes."""

import json
import pathlib

import numpy as np
import pytest
import torch

from app.smooth import interpolate
from core.graph_networks import LinearModel, SemGCN, SemGraphConv, adjacency, linear_from_state, semgcn_from_state, semgcn_state
from core.normal import mirrored
from core.records import Camera
from core.skeletons import H36M16, H36M17, HUMANEVA15
from lifters import _anatomy, _bones, _rie, _tcn, semgcn
from lifters._published import screen, window_index
from weights import load_strict

FIXTURES = pathlib.Path(__file__).resolve().parents[3] / "shared" / "fixtures"
pytestmark = [pytest.mark.shared, pytest.mark.skipif(not FIXTURES.is_dir(), reason="the fixtures beside the repository are not there")]
REFINER = (0, 0, 1, 2, 0, 4, 5, 0, 8, 8, 9, 8, 11, 12, 8, 14, 15)  # as published: joint 8 is its own parent
ARC = (3, 3, 3, 3, 3)


def fixture(name):
    return torch.load(FIXTURES / f"{name}.pt", weights_only=True)


def filled(network, data, name):
    """The network with the fixture's weights, whose keys are the same in the same order."""
    assert list(network.state_dict()) == list(data["state_dict"])
    return load_strict(network, data["state_dict"], name).eval()


@pytest.fixture
def close(request):
    """close(got, expected): within the tolerance of single precision; `pytest -rP` shows the largest difference."""
    worst = [0.0]

    def compare(got, expected, atol=2e-5, rtol=1e-4):
        worst[0] = max(worst[0], float((got - expected).abs().max()))
        torch.testing.assert_close(got, expected, atol=atol, rtol=rtol)

    with torch.inference_mode():
        yield compare
    print(f"{request.node.name}: largest difference {worst[0]:.1e}")


# ---- VideoPose3D


@pytest.mark.parametrize("name", ["vp3d_temporal_arc333_c64", "vp3d_temporal_arc33333_c64", "vp3d_temporal_arc35_c64"])
def test_temporal_network(name, close):
    data = fixture(name)
    for causal, suffix in ((False, ""), (True, "_causal")):
        network = filled(_tcn.from_state(data["state_dict"], causal=causal), data, name)
        assert network.receptive_field == data["config"]["receptive_field"]
        close(network(data["input"]), data[f"output{suffix}"])
        close(network.one_frame(data["input_1f"])[:, None], data[f"output_1f{suffix}"])
        close(network(data["input_1f"]), data[f"output_dilated{suffix}_on_1f_input"])
        stream, x = _tcn.Stream(network), data["input"]
        steps = [stream.step(frame) for frame in x.unbind(1)]
        close(torch.stack(steps[network.receptive_field - 1:], 1), data[f"output{suffix}"])


@pytest.mark.parametrize("name", ["vp3d_dense_arc333_c32", "vp3d_dense_arc333_c32_causal", "vp3d_traj_arc333_c32"])
def test_dense_and_trajectory_network(name, close):
    data = fixture(name)
    network = _tcn.from_state(data["state_dict"], (3, 3, 3), causal=name.endswith("_causal"), joints_in=data["input"].shape[2])
    assert network.dense == ("dense" in name)
    close(filled(network, data, name)(data["input"]), data["output"])


def test_screen_units(close):
    data = fixture("vp3d_camera")
    width, height = data["res"]
    camera = Camera(width, height, width, width, width / 2, height / 2)
    close(torch.from_numpy(screen(data["pixels"].numpy(), camera)), data["normalized"], atol=1e-9, rtol=0)


def test_frames_without_a_person_are_interpolated(close):
    data = fixture("vp3d_custom_decode")
    seen = [i for i, frame in enumerate(data["frames"]) if len(frame["boxes"])]
    best = [data["frames"][i]["keypoints"][data["frames"][i]["boxes"][:, 4].argmax(), :2].T for i in seen]
    whole = interpolate(np.arange(len(data["frames"])), np.array(seen), torch.stack(best).double().numpy())
    close(torch.from_numpy(whole).float(), data["keypoints"])


def test_skeletons():
    data = json.loads((FIXTURES / "vp3d_skeleton.json").read_text())
    for key, skeleton in (("h36m", H36M17), ("humaneva15", HUMANEVA15)):
        assert (data[key]["parents"], data[key]["joints_left"], data[key]["joints_right"]) == tuple(
            map(list, (skeleton.parents, skeleton.left, skeleton.right)))


# ---- Anatomy3D


@pytest.mark.parametrize("name", ["anatomy3d_arc333_c48", "anatomy3d_arc33333_c32"])
@pytest.mark.parametrize("causal", [False, True])
def test_anatomy_network(name, causal, close):
    data, suffix = fixture(name), "_causal" if causal else ""
    network = filled(_anatomy.from_state(data["state_dict"], lambda _: _bones.bones(H36M17), data["config"]["arc"], causal), data, name)
    x, half = data["input"], network.receptive_field // 2
    poses, count = network.frame_poses(x[..., :2]), x.shape[1] - 2 * half
    if causal:
        lengths = torch.stack([network.lengths(poses[:, 2 * half: 2 * half + t + 1]) for t in range(count)], 1)
    else:
        lengths = network.lengths(poses[:, half:half + count])[:, None]
    close(network(x, lengths), data[f"output{suffix}"])
    made, known = network.train_forward(data["input_1f"], data["input_rand"]), data[f"outputs_1f{suffix}"]
    augmented = network.frame_poses(data["input_randaug"])
    for got, key in ((made.pose[:, None], "pose"), (made.lengths, "bonelength"), (made.frame_poses, "rand_pose"),
                     (made.directions[0].flatten(1)[..., None], "bonedirect_2"), (made.directions[1].flatten(1)[..., None], "bonedirect_1"),
                     (made.shifts[0][:, None], "js_2"), (made.shifts[1][:, None], "js_1"),
                     (augmented, "randaug_pose"), (network.lengths(augmented), "bonelength_aug")):
        close(got, known[key])
    close(network.one_frame(data["input_1f"], made.lengths)[:, None], known["pose"])
    if not causal:
        own = network.lengths(network.frame_poses(data["input_1f"][:, half: half + 1, :, :2]))
        close(network(data["input_1f"], own[:, None]), data["output_full_on_1f_input"])


def test_bones(close):
    data, pairs = fixture("anatomy3d_bones"), _bones.bones(H36M17)
    assert [list(pair) for pair in pairs] == data["boneindex"]
    close(_bones.lengths(data["pose"], pairs), data["getbonelength"], atol=1e-9, rtol=0)
    close(_bones.directions(data["pose"], pairs)[:, 0], data["getbonedirect_first_frame"], atol=1e-9, rtol=0)
    shifts = [(j, i) for i, j in _bones.joint_shifts(pairs, 17)]
    close(_bones.vectors(data["pose"], shifts)[:, :1], data["getbonejs_first_frame"], atol=1e-9, rtol=0)
    mean = data["getbonelength"].mean(1)
    growth = (data["uniform_rand"] - 0.5) * mean.mean(0) * data["augdegree"]
    close(mean + growth, data["aug_bonelength_new"], atol=1e-9, rtol=0)
    close(_bones.lengthened(data["pose"], growth[:, None].expand(-1, 6, -1), H36M17), data["aug_pose"], atol=1e-9, rtol=0)


# ---- Pose3D-RIE


@pytest.mark.parametrize("name", ["rie_stage1_arc333", "rie_stage1_arc33333", "rie_stage2_arc333", "rie_stage2_arc33333"])
def test_rie_network(name, close):
    data = fixture(name)
    network = filled(_rie.from_state(data["state_dict"], lambda _: H36M17), data, name)
    assert (network.stage == 1) == ("stage1" in name)
    close(network(data["input"])[:, None], data["output"])


def test_rie_windows(close):
    data = fixture("rie_eval_generator")
    made = [clip[torch.from_numpy(window_index(len(clip), 2 * data["pad"] + 1, False))] for clip in data["poses_2d"]]
    close(torch.cat(made).double(), torch.cat(list(data["batches_2d"])), atol=0, rtol=0)
    close(mirrored(torch.cat(made), H36M17).double(), torch.cat(list(data["batches_2d_flip"])), atol=0, rtol=0)


# ---- graph convolutions and the linear network


@pytest.mark.parametrize("name", ["semgcn_h24_l2", "semgcn_h24_l2_nonlocal", "pose_se_gcn17_h24_l2"])
def test_graph_network(name, close):
    data, parents = fixture(name), REFINER if name.startswith("pose_se") else H36M16.parents
    assert torch.equal(adjacency(parents), data["adj"] > 0)
    close(filled(semgcn_from_state(data["state_dict"], parents, data["config"]["nodes_group"]), data, name)(data["input"]), data["output"])


def test_named_pairs_give_the_published_answer(close):
    data = fixture("semgcn_h24_l2_nonlocal")
    pairs = [H36M16.indices(*pair.split()) for pair in semgcn.PAIRS]
    assert sorted(map(sorted, pairs)) == sorted(map(sorted, data["config"]["nodes_group"]))
    spelt = {key.replace(".non_local.", ".nonlocal."): value for key, value in data["state_dict"].items()}
    network = semgcn_from_state(semgcn_state(spelt), H36M16.parents, pairs)
    close(filled(network, data, "pairs")(data["input"]), data["output"])


def test_graph_convolution_with_edges_for_each_channel(close):
    data = fixture("sem_ch_graph_conv")
    close(filled(SemGraphConv(5, 7, data["adj"] > 0, channelwise=True), data, "channels")(data["input"]), data["output"])


@pytest.mark.parametrize(("name", "slope"), [("martinez_linear64", 0.0), ("pose_se_linear64", 0.01)])
def test_linear_network(name, slope, close):
    data = fixture(name)
    close(filled(linear_from_state(data["state_dict"], slope), data, name)(data["input"]), data["output"])


# ---- the real sizes


def _networks():
    groups = [H36M16.indices(*pair.split()) for pair in semgcn.PAIRS]
    refiner_groups = [[2, 3], [5, 6], [1, 4], [0, 7], [8], [9, 10], [15, 16], [12, 13], [11, 14]]
    yield "vp3d", "arc_3,3,3,3,3_ch1024_17to17", lambda: _tcn.TemporalModel(ARC)
    yield "vp3d", "arc_3,3,3_ch1024_humaneva15_cocoin_17to15", lambda: _tcn.TemporalModel((3, 3, 3), joints_out=15)
    yield "vp3d", "traj_arc_3,3,3,3,3_17to1", lambda: _tcn.TemporalModel(ARC, joints_out=1)
    yield "anatomy3d", "arc_3,3,3,3,3", lambda: _anatomy.AnatomyModel(_bones.bones(H36M17))
    yield "anatomy3d", "arc_3,3,3,3", lambda: _anatomy.AnatomyModel(_bones.bones(H36M17), layers=4)
    yield "rie", "stage1_ch256_lfd256", lambda: _rie.RieModel(H36M17, stage=1)
    yield "rie", "stage2_ch256_lfd256", lambda: _rie.RieModel(H36M17, stage=2)
    yield "rie", "stage3_ch256_lfd512", lambda: _rie.RieModel(H36M17, latent=512)
    yield "gcn_linear_senet", "semgcn128_l4", lambda: SemGCN(H36M16.parents)
    yield "gcn_linear_senet", "semgcn128_l4_nonlocal", lambda: SemGCN(H36M16.parents, groups=groups)
    yield "gcn_linear_senet", "pose_se_gcn128_l4", lambda: SemGCN(REFINER, 3, groups=refiner_groups)
    yield "gcn_linear_senet", "martinez_linear1024", lambda: LinearModel()
    yield "gcn_linear_senet", "pose_se_linear1024", lambda: LinearModel(48, slope=0.01)


@pytest.mark.parametrize(("system", "key", "build"), list(_networks()), ids=lambda value: value if isinstance(value, str) else "")
def test_keys_and_shapes_of_the_real_size(system, key, build):
    listed = json.loads((FIXTURES / f"{system}_fullsize_keys.json").read_text())[key]
    expected = {name.replace(".nonlocal.", ".non_local."): shape for name, shape in listed["shapes"].items()}
    network = build()
    own = {name: list(value.shape) for name, value in network.state_dict().items()}
    assert own == expected and list(own) == list(expected)
    counted = listed.get("trainable", listed.get("params"))
    assert counted is None or counted == sum(parameter.numel() for parameter in network.parameters())
