"""Lifters of published systems, with checkpoints of random numbers: streams, trajectories, causality, mirrors, bones, and files that are wrong."""

import pickletools

import numpy as np
import pytest
import torch

from app.cli import main
from app.reconstruct import reconstruct
from core import parts
from core.errors import InputError
from core.graph_networks import LinearModel, SemGCN
from core.records import Camera
from core.skeletons import BODY21, COCO17, H36M16, H36M17, HUMANEVA15, conversion, convert
from lifters import _bones, anatomy, linear, rie, semgcn, tcn
from lifters._anatomy import AnatomyModel
from lifters._rie import RieModel, limb_groups
from lifters._tcn import Stream, TemporalModel, widths
from tests import checkpoints
from tests.motions import walking

CAMERA = Camera(1280, 720, 1100, 1100, 640, 360)
PAIRS = [H36M16.indices(*pair.split()) for pair in semgcn.PAIRS]


def track(skeleton, count, seed=0, missing=0.0):
    """2D of a cloud of joints that wobbles: points (T, J, 2) px, NaN where the score is 0, and scores (T, J)."""
    random = np.random.default_rng(seed)
    rest, phase = random.uniform([540, 160], [740, 560], (len(skeleton), 2)), random.uniform(0, 6, (len(skeleton), 2))
    points = (rest + 10 * np.sin(np.arange(count)[:, None, None] / 4 + phase)).astype(np.float32)
    scores = random.uniform(0.3, 1, (count, len(skeleton))).astype(np.float32)
    scores[random.uniform(size=scores.shape) < missing] = 0
    points[scores == 0] = np.nan
    return points, scores


def streamed(lifter, points, scores):
    """The answers of a stream, one by one, put together."""
    stream = lifter.stream(CAMERA)
    steps = [stream.step(*frame) for frame in zip(points, scores, strict=True)]
    assert all(len(step.joints) == (i >= stream.delay) for i, step in enumerate(steps))
    steps.append(stream.rest())
    return np.concatenate([step.joints for step in steps]), [step.root for step in steps]


# ---- networks


NETWORKS = {
    "tcn": (lambda: TemporalModel((3, 3), 8), (2, 11, 17, 2), None),
    "tcn causal": (lambda: TemporalModel((3, 5), 8, causal=True), (2, 17, 17, 2), None),
    "tcn dense": (lambda: TemporalModel((3, 3), 8, dense=True), (2, 11, 17, 2), None),
    "tcn strided": (lambda: TemporalModel((3, 3), 8), (2, 9, 17, 2), lambda net, x: net.one_frame(x)),
    "anatomy": (lambda: AnatomyModel(_bones.bones(H36M17), 17, 2, 8), (2, 9, 17, 3), lambda net, x: torch.cat([
        part.flatten(1) for outputs in [net.train_forward(x, x[..., :2])] for part in (*outputs[:3], *outputs.directions, *outputs.shifts)], 1)),
    "rie 1": (lambda: RieModel(H36M17, (3, 3), 8, 8, 1, 16), (2, 9, 17, 2), None),
    "rie 3": (lambda: RieModel(HUMANEVA15, (3, 3), 8, 8, 3, 16), (2, 9, 15, 2), None),
    "semgcn": (lambda: SemGCN(H36M16.parents, 2, 3, 8, 2), (2, 16, 2), None),
    "semgcn non-local": (lambda: SemGCN(H36M16.parents, 2, 3, 8, 2, PAIRS), (2, 16, 2), None),
    "linear": (lambda: LinearModel(32, 48, 16), (2, 32), None),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_flow_to_every_parameter(name):
    build, shape, run = NETWORKS[name]
    torch.manual_seed(0)
    network = checkpoints.perturbed(build()).train()
    y = run(network, torch.randn(shape)) if run else network(torch.randn(shape))
    (y * torch.randn(y.shape)).sum().backward()
    dead = [key for key, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.isfinite().all()]
    assert not dead
    still = [key for key, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]
    before_norm = [key for key in still if key.endswith("bias")]  # a bias before a batch normalisation changes nothing
    assert still == before_norm


@pytest.mark.parametrize("name", NETWORKS)
def test_a_sample_is_the_same_in_every_batch(name):
    build, shape, run = NETWORKS[name]
    torch.manual_seed(0)
    network, x = checkpoints.perturbed(build()), torch.randn(5, *shape[1:])
    answer = run or (lambda net, x: net(x))
    with torch.inference_mode():
        torch.testing.assert_close(answer(network, x)[3:4], answer(network, x[3:4]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"dense": True}, {"dense": True, "causal": True}], ids=str)
def test_a_stream_gives_what_the_sequence_gives(options):
    torch.manual_seed(0)
    network, x = checkpoints.perturbed(TemporalModel((3, 5, 3), 8, **options)), torch.randn(2, 60, 17, 2)
    stream, field = Stream(network), network.receptive_field
    with torch.inference_mode():
        steps = torch.stack([stream.step(frame) for frame in x.unbind(1)], 1)
        whole = network(torch.cat([x[:, :1].expand(-1, field - 1, -1, -1), x], 1))
    torch.testing.assert_close(steps, whole, atol=1e-5, rtol=1e-4)


def test_a_step_of_a_stream_works_on_one_frame_at_every_layer(monkeypatch):
    network, products = checkpoints.perturbed(TemporalModel((3, 3, 3, 3), 8)), []
    stream, multiply = Stream(network), torch.nn.functional.linear
    stream.step(torch.zeros(1, 17, 2))
    monkeypatch.setattr(torch.nn.functional, "linear", lambda x, weight, *rest: products.append(x.shape[0]) or multiply(x, weight, *rest))
    stream.step(torch.zeros(1, 17, 2))
    assert products == [1] * (1 + 2 * 3 + 1)


@pytest.mark.parametrize("causal", [False, True])
def test_anatomy_for_windows_is_anatomy_for_sequences(causal):
    torch.manual_seed(0)
    network, x = checkpoints.perturbed(AnatomyModel(_bones.bones(H36M17), 17, 3, 8, causal)), torch.rand(2, 30, 17, 3)
    lengths = torch.rand(2, 4, 16)
    with torch.inference_mode():
        for t in range(4):
            torch.testing.assert_close(network(x, lengths)[:, t], network.one_frame(x[:, t: t + 27], lengths[:, t]), atol=1e-5, rtol=1e-4)


# ---- tracks


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize(("causal", "features", "name"), [(True, 2, "coco17"), (False, 2, "coco17"), (True, 3, "h36m17")])
def test_a_track_by_stream_is_the_track_as_a_whole(tmp_path, causal, features, name, missing):
    made = tcn.build(checkpoints.tcn(tmp_path / "a.bin", features=features), causal=causal, device="cpu", input=name)
    assert made.features == features
    for count in (1, 9, 50):
        points, scores = track(made.skeleton_in, count, missing=missing)
        whole, (joints, roots) = made.sequence(points, scores, CAMERA), streamed(made, points, scores)
        np.testing.assert_allclose(joints, whole.joints, atol=1e-4)
        np.testing.assert_allclose(np.concatenate(roots), whole.root, atol=1e-4)
    assert made.stream(CAMERA).rest().joints.shape == (0, 17, 3)


def test_two_streams_of_one_lifter_never_meet(tmp_path):
    made = tcn.build(checkpoints.tcn(tmp_path / "a.bin"), causal=True, device="cpu")
    one, two = (track(COCO17, 20, seed) for seed in (1, 2))
    a, b, alone = made.stream(CAMERA), made.stream(CAMERA), made.stream(CAMERA)
    for i in range(20):
        mixed, _ = a.step(one[0][i], one[1][i]), b.step(two[0][i], two[1][i])
        np.testing.assert_array_equal(mixed.joints, alone.step(one[0][i], one[1][i]).joints)


def test_long_tracks_are_lifted_in_pieces(tmp_path, monkeypatch):
    made = [tcn.build(checkpoints.tcn(tmp_path / "a.bin"), device="cpu"), anatomy.build(checkpoints.anatomy(tmp_path / "b.bin"), device="cpu")]
    for lifter, module in zip(made, (tcn, anatomy), strict=True):
        points, scores = track(lifter.skeleton_in, 60)
        whole = lifter.sequence(points, scores, CAMERA).joints
        monkeypatch.setattr(module, "CHUNK", 7)
        np.testing.assert_allclose(lifter.sequence(points, scores, CAMERA).joints, whole, atol=1e-5)


def test_the_root_path_of_a_trajectory_network(tmp_path):
    file = checkpoints.tcn(tmp_path / "both.bin")
    points, scores = track(COCO17, 30)
    made, bare = tcn.build(file, device="cpu"), tcn.build(file, device="cpu", trajectory=False)
    lifted = made.sequence(points, scores, CAMERA)
    assert lifted.root.shape == (30, 3) and bare.sequence(points, scores, CAMERA).root is None
    np.testing.assert_allclose(bare.sequence(points, scores, CAMERA).joints, lifted.joints)
    windows = np.concatenate([points, scores[..., None]], -1)[np.clip(np.arange(30)[:, None] + np.arange(27) - 13, 0, 29)]
    np.testing.assert_allclose(made(windows, [CAMERA] * 30).root, lifted.root, atol=1e-4)
    far = made.sequence(points, scores, Camera(1280, 720, 2200, 2200, 640, 360)).root  # the same picture through twice the lens
    np.testing.assert_allclose(far, lifted.root * (1, 1, 2), atol=1e-4)


@pytest.mark.parametrize("networks", [{"model_traj": None}, {}], ids=["none", "absent"])
def test_a_checkpoint_without_a_trajectory_network(tmp_path, networks):
    file = checkpoints.official(tmp_path / "half.bin", model_pos=checkpoints.perturbed(TemporalModel((3, 3), 8)), **networks)
    assert tcn.build(file, device="cpu").sequence(*track(COCO17, 3), CAMERA).root is None


def test_a_checkpoint_with_a_trajectory_network_alone(tmp_path):
    file = checkpoints.official(tmp_path / "half.bin", model_pos=None, model_traj=TemporalModel((3, 3), 8, joints_out=1))
    with pytest.raises(InputError, match="has no network; it holds .*model_traj"):
        tcn.build(file, device="cpu")


def test_a_known_root_places_the_person(tmp_path):
    made = tcn.build(checkpoints.tcn(tmp_path / "a.bin"), device="cpu")
    motion = walking(1, 40)
    blank = {n: t.__class__(**vars(t) | {"root": np.full_like(t.root, np.nan)}) for n, t in motion.tracks.items()}
    placed = reconstruct(blank, motion.info, motion.camera, made, BODY21, smooth=False).tracks[1]
    points, scores = convert(blank[1].points, blank[1].scores, BODY21, made.skeleton_in)
    np.testing.assert_allclose(placed.root[:, 2], made.sequence(points, scores, motion.camera).root[:, 2], rtol=1e-3)
    known = {n: t.__class__(**vars(t) | {"root": np.full_like(t.root, 6.5)}) for n, t in blank.items()}
    np.testing.assert_allclose(reconstruct(known, motion.info, motion.camera, made, BODY21, smooth=False).tracks[1].root[:, 2], 6.5, rtol=1e-5)


SPECS = {"tcn": checkpoints.tcn, "anatomy": checkpoints.anatomy, "rie": checkpoints.rie, "semgcn": checkpoints.gcn, "linear": checkpoints.linear}


@pytest.mark.parametrize("name", SPECS)
def test_a_mirrored_person_is_lifted_mirrored(tmp_path, name):
    made = parts.make("lifter", f"{name}:weights={SPECS[name](tmp_path / 'a.bin')}", device="cpu")
    points, scores = track(made.skeleton_in, 20)
    sides = list(made.skeleton_in.mirror)
    a, b = made.sequence(points, scores, CAMERA), made.sequence(points[:, sides] * (-1, 1) + (1280, 0), scores[:, sides], CAMERA)
    np.testing.assert_allclose(a.joints, b.joints[:, list(made.skeleton_out.mirror)] * (-1, 1, 1), atol=1e-4)
    if a.root is not None:
        np.testing.assert_allclose(a.root, b.root * (-1, 1, 1), atol=1e-4)


@pytest.mark.parametrize("name", SPECS)
def test_every_lifter_makes_a_motion(tmp_path, name):
    made = parts.make("lifter", f"{name}:weights={SPECS[name](tmp_path / 'a.bin')}", device="cpu")
    motion = walking(2, 30)
    done = reconstruct(motion.tracks, motion.info, motion.camera, made, BODY21)
    assert done.skeleton3d == made.skeleton_out and len(done.tracks) == 2
    assert all(np.isfinite(t.joints3d).all() and np.isfinite(t.root).all() for t in done.tracks.values())


def test_humaneva_all_the_way(tmp_path):
    made = tcn.build(checkpoints.tcn(tmp_path / "a.bin", skeleton=HUMANEVA15, joints_in=15, trajectory=False), device="cpu", input="humaneva15")
    assert (made.skeleton_in, made.skeleton_out) == (HUMANEVA15, HUMANEVA15)
    motion = walking(1, 20)
    assert np.isfinite(reconstruct(motion.tracks, motion.info, motion.camera, made, BODY21).tracks[1].joints3d).all()


# ---- Anatomy3D


def test_anatomy_reads_bone_lengths_from_the_whole_track(tmp_path):
    made = anatomy.build(checkpoints.anatomy(tmp_path / "a.bin"), device="cpu")
    points, scores = track(H36M17, 90)
    assert made.whole_track and not made.causal
    other = np.concatenate([points[:60], (points[60:] - 600) * 2 + 600])
    a, b = (made.sequence(track, scores, CAMERA).joints[:20] for track in (points, other))
    assert np.abs(a - b).max() > 1e-3  # the directions of these frames see nothing of what was changed, the lengths do


def test_the_published_causal_anatomy_answers_for_the_middle_of_its_window(tmp_path):
    file = checkpoints.anatomy(tmp_path / "a.bin")
    made, points = anatomy.build(file, causal="published", randnum=1000, device="cpu", flip=False), track(H36M17, 60)
    assert not made.causal and made.network.causal and made.receptive_field == 27
    read = torch.from_numpy(made._read(*points, CAMERA))[None]
    poses = made.network.frame_poses(read[..., :2])
    for frame in (13, 30):  # whose windows need no padding
        expected = made.network.one_frame(read[:, frame - 13: frame + 14], made.network.lengths(poses[:, : frame + 14]))[0]
        np.testing.assert_allclose(made.sequence(*points, CAMERA).joints[frame], expected - expected[0], atol=1e-5)


def test_a_causal_anatomy_reads_lengths_at_an_even_stride_of_the_past(tmp_path):
    assert anatomy.even(5, 50).tolist() == [0, 1, 2, 3, 4] and anatomy.even(7, 3).tolist() == [0, 3, 6] and anatomy.even(8, 3).tolist() == [1, 4, 7]
    assert anatomy.chance(5, 9).tolist() == [0, 1, 2, 3, 4] and anatomy.chance(50, 9).tolist() == anatomy.chance(50, 9).tolist()
    assert len(set(anatomy.chance(50, 9))) == 9
    made, (points, scores) = anatomy.build(checkpoints.anatomy(tmp_path / "a.bin"), causal=True, randnum=4, device="cpu"), track(H36M17, 50)
    changed = points.copy()
    changed[5] += 40  # at frame 49 the lengths come from frames 10, 23, 36 and 49, the directions from 23 to 49
    np.testing.assert_allclose(made.sequence(points, scores, CAMERA).joints[49], made.sequence(changed, scores, CAMERA).joints[49], atol=1e-6)


def test_bones_of_another_skeleton():
    pairs = _bones.bones(HUMANEVA15)
    assert len(pairs) == 14 and {frozenset(pair) for pair in pairs} == {frozenset(bone) for bone in HUMANEVA15.bones}
    pose, growth = torch.randn(3, 15, 3, generator=torch.Generator().manual_seed(0)), torch.linspace(0.01, 0.14, 14).expand(3, -1)
    grown = _bones.lengthened(pose, growth, HUMANEVA15)
    torch.testing.assert_close(_bones.lengths(grown, pairs), _bones.lengths(pose, pairs) + growth)
    torch.testing.assert_close(_bones.directions(grown, pairs), _bones.directions(pose, pairs))
    torch.testing.assert_close(grown[:, HUMANEVA15.root], pose[:, HUMANEVA15.root])
    assert len(_bones.joint_shifts(pairs, 15)) == 15 * 16 // 2 - 14


# ---- Pose3D-RIE, SemGCN, Martinez et al.


def test_limbs_of_skeletons():
    assert limb_groups(HUMANEVA15) == {"Torso": (0, 1, 14), "LArm": (5, 6, 7), "RArm": (2, 3, 4), "LLeg": (11, 12, 13), "RLeg": (8, 9, 10)}
    assert limb_groups(H36M17)["Torso"] == (0, 7, 8, 9, 10)
    with pytest.raises(ValueError, match="coco17 has no two arms"):
        limb_groups(COCO17)


def test_rie_answers_to_its_published_options(tmp_path):
    file = checkpoints.rie(tmp_path / "a.bin")
    made = rie.build(file, arc="3,3,3", stage=3, latent_features_dim=8, device="cpu")
    assert made.receptive_field == 27 and made.skeleton_in == H36M17
    wrong = [({"stage": 1}, "stage=1 does not fit"), ({"latent_features_dim": 256}, "whose is 8"), ({"arc": (3, 3)}, "arc=3,3 does not fit")]
    for options, words in wrong:
        with pytest.raises(InputError, match=words):
            rie.build(file, device="cpu", **options)


def test_a_fitted_person_is_the_same_through_every_lens(tmp_path):
    file = checkpoints.gcn(tmp_path / "a.bin")
    points, scores = track(H36M16, 3)
    tele = Camera(1280, 720, 2000, 2000, 900, 200)
    zoomed = (points - (640, 360)) / 1100 * 2000 + (900, 200)
    fitted, plain = (semgcn.build(file, fit=fit, device="cpu") for fit in (True, False))
    np.testing.assert_allclose(fitted.sequence(points, scores, CAMERA).joints, fitted.sequence(zoomed, scores, tele).joints, atol=1e-4)
    assert np.abs(plain.sequence(points, scores, CAMERA).joints - plain.sequence(zoomed, scores, tele).joints).max() > 0.01


def test_the_linear_network_with_statistics(tmp_path):
    file, stats = checkpoints.linear(tmp_path / "a.bin"), tmp_path / "stats.npz"
    numbers = {"mean_2d": np.full((16, 2), 500.0), "std_2d": np.full((16, 2), 100.0)}
    numbers |= {"mean_3d": np.full((16, 3), 50.0), "std_3d": np.full((16, 3), 200.0)}
    np.savez(stats, **numbers)
    made, points = linear.build(file, stats=str(stats), fit=False, flip=False, device="cpu"), track(H36M16, 2)
    square = Camera(1000, 1000, 1145, 1145, 500, 500)
    with torch.inference_mode():
        y = made.network(torch.from_numpy((points[0] - 500) / 100).flatten(1)).unflatten(1, (16, 3)) * 0.2 + 0.05
    lifted = made.sequence(*points, square)
    np.testing.assert_allclose(lifted.joints[:, 1:], y, atol=1e-5)
    assert made.skeleton_out == H36M17 and (lifted.joints[:, 0] == 0).all()
    np.savez(stats, **numbers | {"std_2d": np.zeros((16, 2))})
    for name, words in ((stats, "std_2d is not"), (tmp_path / "none.npz", "expected an .npz"), (file, "expected an .npz")):
        with pytest.raises(InputError, match=words):
            linear.build(file, stats=str(name), device="cpu")


@pytest.mark.parametrize("source", [BODY21, COCO17, H36M17], ids=lambda s: s.name)
@pytest.mark.parametrize("target", [H36M16, HUMANEVA15], ids=lambda s: s.name)
def test_conversions_keep_their_joints_and_weights(source, target):
    matrix = conversion(source, target)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=2e-3)
    assert matrix[target.index("left_knee"), source.index("left_knee")] == 1


# ---- files


def damaged(path, state_key="model_pos", drop=(), add=()):
    """The checkpoint with some keys less and some more."""
    content = torch.load(path, weights_only=False)
    state = content[state_key]
    for key in drop:
        del state[next(name for name in state if name.endswith(key))]
    torch.save(content | {state_key: state | dict.fromkeys(add, torch.zeros(2))}, path)
    return path


@pytest.mark.parametrize(("build", "write", "key", "prefix"), [
    (tcn, checkpoints.tcn, "model_pos", ""), (anatomy, checkpoints.anatomy, "model_pos", "module."), (rie, checkpoints.rie, "model_pos", ""),
    (semgcn, checkpoints.gcn, "state_dict", ""), (linear, checkpoints.linear, "state_dict", "")], ids=lambda v: getattr(v, "__name__", ""))
def test_odd_keys_are_listed_in_one_line(tmp_path, build, write, key, prefix):
    file = damaged(write(tmp_path / "a.bin"), key, drop=("weight",), add=(f"{prefix}extra.bias",))
    with pytest.raises(InputError) as caught:
        build.build(file, device="cpu")
    assert "\n" not in str(caught.value)
    file = damaged(write(tmp_path / "b.bin"), key, drop=("running_mean",), add=(f"{prefix}extra.bias",))
    with pytest.raises(InputError, match=r"1 \([\w.]*running_mean\) missing; 1 \(extra.bias\) unknown"):
        build.build(file, device="cpu")


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("other", SPECS)
def test_the_file_of_another_system_is_one_line(tmp_path, name, other):
    if name == other:
        return
    with pytest.raises(InputError, match="not a|takes|do not fit") as caught:
        parts.make("lifter", f"{name}:weights={SPECS[other](tmp_path / 'a.bin')}", device="cpu")
    assert "\n" not in str(caught.value)


def test_a_lifter_without_its_file_says_where_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("SKELETONS_WEIGHTS", str(tmp_path))
    for name in ("anatomy", "rie", "semgcn", "linear"):
        with pytest.raises(InputError, match=r"is not there; source: https://drive.google.com.*licence"):
            parts.make("lifter", name, device="cpu")


def test_refiners_and_other_sizes_are_refused(tmp_path):
    with pytest.raises(InputError, match="from 48 to 48 numbers"):
        linear.build(checkpoints.linear(tmp_path / "a.bin", numbers=(48, 48)), device="cpu")
    torch.save({"state_dict": SemGCN(H36M17.parents, 3, 3, 8, 1).state_dict()}, tmp_path / "b.bin")
    with pytest.raises(InputError, match="49 edges .*expected the 46 of 16 joints"):
        semgcn.build(tmp_path / "b.bin", device="cpu")
    with pytest.raises(InputError, match="causal=maybe"):
        anatomy.build(causal="maybe")
    with pytest.raises(InputError, match="randnum=0"):
        anatomy.build(randnum=0)
    with pytest.raises(InputError, match="gives 14 joints"):
        tcn.build(checkpoints.official(tmp_path / "c.bin", model_pos=TemporalModel((3, 3), 8, joints_out=14)), device="cpu")


@pytest.mark.parametrize("arc", ["3,x", "3,4", (), "", 0, 2.5])
def test_widths_that_are_none(arc):
    with pytest.raises(InputError, match="expected odd widths"):
        widths(arc)
    assert widths("3,3,5") == (3, 3, 5) and widths(3) == (3,) and widths(None) is None


def python2(path):
    """Rewrite an old-style torch file with the byte strings that Python 2 pickles."""
    content, made, at = path.read_bytes(), b"", 0
    for _ in range(5):  # magic number, protocol, system, the object, its storages
        opcodes = list(pickletools.genops(content[at:]))
        for (code, value, start), (_, _, stop) in zip(opcodes, [*opcodes[1:], (None, None, opcodes[-1][2] + 1)], strict=True):
            text = code.name == "BINUNICODE" and value.isascii() and len(value) < 256
            made += b"U" + bytes([len(value)]) + value.encode() if text else content[at + start: at + stop]
        at += opcodes[-1][2] + 1
    path.write_bytes(made + content[at:])
    return path


def test_a_checkpoint_of_python_2(tmp_path):
    network = checkpoints.perturbed(TemporalModel((3, 3), 8))
    file = tmp_path / "old.bin"
    content = {"epoch": 3, "lr": 0.1, "model_pos": {f"module.{key}": value for key, value in network.state_dict().items()}, "model_traj": None}
    torch.save(content, file, _use_new_zipfile_serialization=False)
    plain = file.read_bytes()
    assert python2(file).read_bytes() != plain and b"U\x06module" not in plain
    made = tcn.build(file, device="cpu", flip=False)
    torch.testing.assert_close(made.network.expand_conv.weight, network.expand_conv.weight)


def test_on_a_clip_from_the_command_line(tmp_path, walkers, capsys):
    file = checkpoints.anatomy(tmp_path / "a.bin")
    call = ["--video", str(walkers), "--limit", "12", "--quiet", "--device", "cpu", "--min-track", "0", "--export", str(tmp_path / "m.npz")]
    assert main([*call, "--lifter", f"anatomy:weights={file},arc=3,3,3,causal=published,randnum=5"]) == 0
    with np.load(tmp_path / "m.npz") as data:
        assert str(data["skeleton3d_name"]) == "h36m17"
    capsys.readouterr()
    assert main([*call, "--lifter", f"anatomy:arc=3,3,weights={file}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
