"""VideoPose3D trained, resumed, evaluated and drawn on written data: its authors' command lines, losses, checkpoints."""

import math
import shlex

import av
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from core.errors import InputError
from core.skeletons import H36M17, HUMANEVA15
from lifters import tcn
from lifters._tcn import TemporalModel
from tests import checkpoints, lifting_data
from training import semisupervised, videopose3d
from training.dispatch import commands
from training.evaluation import errors, panels
from training.evaluation import videopose3d as scores
from training.evaluation.errors import Table

SMALL = "-ch 8 -arc 3,3 -b 512"
# The command lines of the authors' page, the program replaced; what follows makes them small.
LINES = [
    "-k cpn_ft_h36m_dbb -arc 3,3,3,3,3 -c checkpoint --evaluate pretrained_h36m_cpn.bin",
    "-d humaneva15 -k detectron_pt_coco -str Train/S1,Train/S2,Train/S3 -ste Validate/S1,Validate/S2,Validate/S3 -a Walk,Jog,Box --by-subject "
    "-c checkpoint --evaluate pretrained_humaneva15_detectron.bin",
    "-e 80 -k cpn_ft_h36m_dbb -arc 3,3,3,3,3",
    "-e 80 -k cpn_ft_h36m_dbb -arc 3,3,3,3",
    "-e 80 -k cpn_ft_h36m_dbb -arc 3,3,3",
    "-d humaneva15 -k detectron_pt_coco -str Train/S1,Train/S2,Train/S3 -ste Validate/S1,Validate/S2,Validate/S3 -b 128 -e 1000 -lrd 0.996 "
    "-a Walk,Jog,Box --by-subject",
    "-k gt --subjects-train S1 --subset 0.1 --subjects-unlabeled S5,S6,S7,S8 -e 200 -lrd 0.98 -arc 3,3,3 --warmup 5 -b 64",
    "-k gt --subjects-train S1 --subset 0.1 -e 200 -lrd 0.98 -arc 3,3,3 -b 64",
    "-k cpn_ft_h36m_dbb -arc 3,3,3,3,3 -c checkpoint --evaluate pretrained_h36m_cpn.bin --render --viz-subject S11 --viz-action Walking "
    "--viz-camera 0 --viz-video \"{video}\" --viz-output output.gif --viz-size 3 --viz-downsample 2 --viz-limit 60"]
DEFAULTS = {"dataset": "h36m", "keypoints": "cpn_ft_h36m_dbb", "subjects_train": "S1,S5,S6,S7,S8", "subjects_test": "S9,S11", "actions": "*",
            "checkpoint": "checkpoint", "checkpoint_frequency": 10, "stride": 1, "epochs": 60, "batch_size": 1024, "dropout": 0.25,
            "learning_rate": 1e-3, "lr_decay": 0.95, "architecture": "3,3,3", "channels": 1024, "subset": 1, "downsample": 1, "warmup": 1,
            "viz_camera": 0, "viz_skip": 0, "viz_bitrate": 3000, "viz_limit": -1, "viz_downsample": 1, "viz_size": 5}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return lifting_data.write(tmp_path_factory.mktemp("data"), subjects=("S1", "S5", "S6", "S7", "S8", "S9", "S11"), actions=("Walking",), frames=32)


def run(data, folder, line):
    return videopose3d.main(shlex.split(line) + ["--data", str(data), "-c", str(folder), "--device", "cpu"])


# ---- the authors' command lines


def test_defaults_are_the_authors():
    options = videopose3d.arguments([])
    assert {name: getattr(options, name) for name in DEFAULTS} == DEFAULTS
    assert "videopose3d" in commands("training") and "videopose3d" in commands("training.evaluation")


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_authors_runs(data, tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    video = write_video(tmp_path / "Walking.54138969.mp4", 8)
    (tmp_path / "checkpoint").mkdir()
    checkpoints.tcn(tmp_path / "checkpoint" / "pretrained_h36m_cpn.bin", (3, 3, 3, 3, 3), 8, False)
    checkpoints.tcn(tmp_path / "checkpoint" / "pretrained_humaneva15_detectron.bin", (3, 3, 3), 8, False, HUMANEVA15, 3)
    options = shlex.split(line.format(video=video)) + ["--data", str(data), "--device", "cpu"]
    if "--evaluate" not in options:
        options += ["-ch", "8", "-e", "1", "-b", "4096", "--no-eval"]
        if "--warmup" in options:
            options += ["--warmup", "0"]
    videopose3d.main(options)
    assert (tmp_path / "output.gif").is_file() == ("--render" in options)
    if "--evaluate" not in options:
        content = torch.load(tmp_path / "checkpoint" / "last.bin", weights_only=False)
        assert content["epoch"] == 1 and (content["model_traj"] is not None) == ("--subjects-unlabeled" in options)


# ---- learning


def test_supervised_training_learns_and_goes_on_to_the_same_bits(data, tmp_path, capsys):
    base = f"-k gt -str S1,S5 -ste S9 -lr 0.01 {SMALL}"
    run(data, tmp_path / "a", f"{base} -e 4 --export-training-curves")
    whole = torch.load(tmp_path / "a" / "last.bin", weights_only=False)
    losses = [row["3d_train"] for row in whole["resume"]["history"]]
    assert losses[-1] < 0.8 * losses[0] and (tmp_path / "a" / "loss_3d.png").is_file()
    printed = capsys.readouterr().out
    assert "subjects S9" in printed and "MPJPE" in printed and "published" in printed and "Walking" in printed
    run(data, tmp_path / "b", f"{base} -e 4 --checkpoint-frequency 2 --no-eval")
    run(data, tmp_path / "b", f"{base} -e 4 --resume epoch_2.bin --no-eval")
    again = torch.load(tmp_path / "b" / "last.bin", weights_only=False)
    assert [row["3d_train"] for row in again["resume"]["history"]] == losses
    assert all(torch.equal(value, again["model_pos"][name]) for name, value in whole["model_pos"].items())
    assert whole["lr"] == pytest.approx(0.01 * 0.95**4) and len(whole["resume"]["history"]) == 4


def test_semi_supervised_training_goes_on_to_the_same_bits(data, tmp_path):
    base = f"-k gt -str S1 --subset 0.5 -sun S5,S6 -ste S9 --warmup 1 {SMALL} -b 64 -e 3"
    run(data, tmp_path / "a", base)
    whole = torch.load(tmp_path / "a" / "last.bin", weights_only=False)
    rows = whole["resume"]["history"]
    assert "2d_unlabelled" not in rows[0] and {"2d_unlabelled", "bones", "traj_train", "traj_valid", "2d_valid"} <= set(rows[2])
    run(data, tmp_path / "b", base + " --checkpoint-frequency 2")
    run(data, tmp_path / "b", base + " --resume epoch_2.bin")
    assert torch.load(tmp_path / "b" / "last.bin", weights_only=False)["resume"]["history"][2]["loss"] == rows[2]["loss"]


@pytest.mark.parametrize("flags", ["--causal", "--dense", "--disable-optimizations", "--stride 4", "-no-da -no-tta", "--half --clip 1",
                                   "--subset 0.4 --downsample 2", "-k detectron_pt_coco"])
def test_variants_train(data, tmp_path, flags):
    found = run(data, tmp_path, f"-k gt -str S1 -ste S9 {SMALL} -e 1 {flags}")
    assert all(math.isfinite(value) for value in found["S9"].means().values())


def test_evaluating_a_checkpoint_gives_what_training_printed(data, tmp_path):
    trained = run(data, tmp_path, f"-k gt -str S1 -ste S9 {SMALL} -e 1 --causal")
    again = run(data, tmp_path, f"-k gt -ste S9 --causal --evaluate last.bin {SMALL}")
    assert again["S9"].means() == pytest.approx(trained["S9"].means(), rel=1e-6)


# ---- losses


def test_losses_of_the_unlabelled():
    rng = torch.Generator().manual_seed(0)
    pose, path = torch.randn(6, 1, 17, 3, generator=rng), torch.tensor([0.0, 0, 5]).expand(6, 1, 1, 3)
    lens = torch.tensor([2.0, 2, 0, 0, 0, 0, 0, 0, 0]).expand(6, 9)
    joints = pose * 0.3 + path
    assert float(semisupervised.projection_distance(joints, 2 * joints[..., :2] / joints[..., 2:], lens)) == pytest.approx(0, abs=1e-6)
    assert float(semisupervised.path_distance(path * 1.1, path)) == pytest.approx(0.1)
    parents = list(H36M17.parents)
    twice = torch.cat([pose[:3], pose[:3] * 1.5])
    bones = (pose[:3, 0, 1:] - pose[:3, 0, parents[1:]]).norm(dim=-1)
    assert float(semisupervised.bone_difference(twice, 3, parents)) == pytest.approx(float(0.5 * bones.mean()), rel=1e-5)


def test_the_strided_twin_learns_what_the_dilated_network_learns():
    network = TemporalModel((3, 3), 8).eval()  # in training its statistics are those of fewer frames
    points, joints = torch.randn(5, 9, 17, 2), torch.randn(5, 1, 17, 3)
    found = []
    for strided in (True, False):
        network.zero_grad()
        semisupervised.distance(semisupervised.answer(network, strided, points), joints).backward()
        found.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    torch.testing.assert_close(*found, atol=1e-6, rtol=1e-4)
    assert F.cosine_similarity(*found, dim=0) > 0.9999


def test_errors_forgive_what_they_should():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(5, 17, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    assert errors.mpjpe(truth + [3, 0, 4], truth) == pytest.approx(5)
    assert errors.pa_mpjpe(1.7 * truth @ turn + 2, truth) == pytest.approx(0, abs=1e-12) and errors.pa_mpjpe(truth * [-1, 1, 1], truth) > 0.3
    assert errors.n_mpjpe(0.4 * truth, truth) == pytest.approx(0, abs=1e-12) and errors.n_mpjpe(truth + 1, truth) > 0.3
    assert errors.mpjve(truth + 9, truth) == pytest.approx(0, abs=1e-12) and errors.mpjve(truth[:1], truth[:1]) == 0
    assert errors.mpjve(truth + np.arange(5)[:, None, None] * [0.1, 0, 0], truth) == pytest.approx(0.1)


def test_rate_and_momentum_fall_as_published():
    options = videopose3d.arguments(["-e", "10"])
    network, seen = TemporalModel((3, 3), 4), []
    optimizer = torch.optim.Adam(network.parameters(), 1.0)
    after = videopose3d.schedule(optimizer, [network], options)
    for epoch in (0, 1, 5, 10):
        after(epoch)
        seen.append((optimizer.param_groups[0]["lr"], network.layers_bn[1].momentum))
    assert seen == [pytest.approx((1e-3 * 0.95**e, 0.1 * 0.01 ** (e / 10))) for e in (0, 1, 5, 10)]


def test_an_action_counts_by_its_frames_and_all_actions_alike():
    table, zero = Table(), np.zeros((4, 17, 3))
    table.add("Walking", zero[:1] + [0.01, 0, 0], zero[:1])
    table.add("Walking", zero[:3], zero[:3])
    table.add("Sitting", zero + [0.02, 0, 0], zero)
    assert table.rows()["Walking"]["MPJPE"] == pytest.approx(2.5) and table.means()["MPJPE"] == pytest.approx(11.25) and table.frames == 8


# ---- checkpoints


def test_an_official_checkpoint_is_gone_on_from(data, tmp_path):
    path = checkpoints.tcn(tmp_path / "official.bin", (3, 3), 8, trajectory=False)
    content = torch.load(path, weights_only=False)
    network = TemporalModel((3, 3), 8)
    content["optimizer"] = torch.optim.Adam(network.parameters(), 1e-3, amsgrad=True).state_dict()
    torch.save(content | {"epoch": 2}, path)
    run(data, tmp_path, f"-k gt -str S1 {SMALL} -e 3 --resume official.bin --no-eval")
    assert torch.load(tmp_path / "last.bin", weights_only=False)["epoch"] == 3


def test_our_checkpoint_is_what_the_official_program_reads(data, tmp_path):
    run(data, tmp_path, f"-k gt -str S1 {SMALL} -e 1 --no-eval")
    content = torch.load(tmp_path / "last.bin", weights_only=False)
    network = TemporalModel((3, 3), 8)
    network.load_state_dict(content["model_pos"])
    torch.optim.Adam(network.parameters(), amsgrad=True).load_state_dict(content["optimizer"])
    assert list(content["model_pos"])[:3] == ["expand_bn.weight", "expand_bn.bias", "expand_bn.running_mean"]
    assert content["model_traj"] is None and content["random_state"].permutation(3).shape == (3,) and isinstance(content["lr"], float)
    assert tcn.build(str(tmp_path / "last.bin"), input="h36m17", device="cpu").receptive_field == 9


# ---- what is refused


@pytest.mark.parametrize(("line", "words"), [
    ("--resume a --evaluate b", "exclude each other"), ("--export-training-curves --no-eval", "exclude each other"), ("--subset 0", "share from 0"),
    ("-arc 3,4", "odd widths"), ("-e 0", "expected 1 or more"), ("--render --evaluate x", "--viz-subject"),
    ("--render --evaluate x --viz-subject S9 --viz-action Walking", "--viz-output"),
    ("--render --evaluate x --viz-subject S9 --viz-action Walking --viz-output a.avi", "mp4 or .gif"),
    ("--evaluate nothing.bin", "no checkpoint nothing.bin"), ("-k none", "no 2D keypoints"), ("-d mars", "no data set 'mars'"),
    ("-str S2", "no subject S2"), ("-a Swimming", "begins with Swimming"),
    ("-d humaneva15 -k detectron_pt_coco -str Train/S1 -ste Validate/S1 -sun Unlabeled/S4", "lenses"),
    ("-d humaneva15 -k detectron_pt_coco -str Unlabeled/S4 -ste Validate/S1", "no 3D of Unlabeled/S4"),
    ("-d custom -k walker -str walker.mp4", "no 3D")])
def test_a_fault_is_one_clear_line(data, tmp_path, line, words):
    with pytest.raises(InputError, match=words) as error:
        run(data, tmp_path, line)
    assert "\n" not in str(error.value)


# ---- the table and the drawing


def test_the_published_table_has_ours_beside(data, tmp_path, capsys):
    path = checkpoints.tcn(tmp_path / "pretrained_h36m_cpn.bin", (3, 3, 3, 3, 3), 8, False)
    scores.main(["--checkpoint", str(path), "--data", str(data), "-ste", "S9", "--device", "cpu"])
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if line.startswith("CPN") and "Mask" in line)
    assert row.split()[:7] == ["CPN", "Mask", "R-CNN", "4", "243", "46.8", row.split()[6]] and float(row.split()[6]) > 100
    assert "protocol 1" in printed and "36.5" in row


def write_video(path, frames, size=(1000, 1002)):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", 50)
        stream.width, stream.height = size
        for i in range(frames):
            image = np.full((size[1], size[0], 3), 10 * i % 250, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())
    return path


def test_three_panels_are_drawn(data, tmp_path):
    checkpoints.tcn(tmp_path / "x.bin", (3, 3), 8, False)
    line = "-k gt --evaluate x.bin --render --viz-subject S9 --viz-action Walking --viz-camera 1 --viz-size 2"
    run(data, tmp_path, f"{line} --viz-output {tmp_path}/three.mp4 --viz-limit 4 --viz-downsample 2 --viz-export {tmp_path}/joints.npy")
    with av.open(str(tmp_path / "three.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 2 and frames[0].shape[1] == 3 * frames[0].shape[0] and (frames[0] < 80).all(-1).mean() > 0.1
    assert np.load(tmp_path / "joints.npy").shape == (32, 17, 3)
    with pytest.raises(InputError, match="its actions are Walking, Walking 1"):
        run(data, tmp_path, f"{line} --viz-output {tmp_path}/a.gif".replace("Walking", "Walk"))


def test_a_video_without_truth_stands_on_the_floor(data, tmp_path):
    checkpoints.tcn(tmp_path / "x.bin", (3, 3), 8)
    run(data, tmp_path, f"-d custom -k walker --evaluate x.bin --render --viz-subject walker.mp4 --viz-action custom --viz-size 2 --viz-limit 2 "
                        f"--viz-output {tmp_path}/two.gif")
    clip = videopose3d.lifting_flags.open_set("custom", "walker", data).clips(["walker.mp4"])[0]
    world = panels.in_world(np.random.default_rng(0).normal(size=(5, 17, 3)).astype(np.float32), clip)
    assert world[..., 2].min() == 0 and (tmp_path / "two.gif").is_file()


def test_the_world_of_the_truth_is_the_data_sets(data):
    found = videopose3d.lifting_flags.open_set("h36m", "gt", data)
    clip = found.clips(["S9"], ["Walking"])[0]
    np.testing.assert_allclose(panels.in_world(clip.joints, clip), found.joints["S9"]["Walking"], atol=1e-5)
    moved = clip.joints.copy()
    moved[:, 0] = 0
    np.testing.assert_allclose(panels.in_world(moved, clip), found.joints["S9"]["Walking"], atol=1e-5)
