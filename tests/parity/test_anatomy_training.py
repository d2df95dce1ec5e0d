"""Anatomy3D's training against traces of the authors' program, where the fixtures are there."""

import random
import re

import numpy as np
import pytest
import torch

from core.skeletons import H36M17
from lifters._anatomy import AnatomyModel
from lifters._bones import bones, directions, lengths, vectors
from training import anatomy_losses
from training.datasets import random_frames
from training.datasets.lifting import Clip
from training.datasets.rigs import RigCamera, project
from training.datasets.windows import Windows
from weights import load_strict

pytestmark = pytest.mark.shared
# Without a gradient but rounding, which Adam makes whole steps: biases before a batch normalisation, and one before a softmax that does not see it
BLIND = re.compile(r"layers_convbone\.[0-4]\.bias|layers_bnbone\.\d\.running_mean|boneatt\.bias")
TERMS = {"pose": "pose", "frames": "rand", "new_frames": "randaug", "lengths": "length", "new_lengths": "length_aug",
         "directions": "direct", "shifts": "js"}


def test_three_steps_of_training(official):
    data = official("anatomy3d_train_trace.pt")
    assert (data["config"]["wd"], data["config"]["wjs"], data["config"]["wl"], data["config"]["snd"]) == tuple(anatomy_losses.Weights())
    network = AnatomyModel(bones(H36M17), 17, 3, data["config"]["channels"], dropout=0.0)
    load_strict(network, data["init_state_dict"], "trace").train()
    optimizer = torch.optim.Adam(network.parameters(), data["config"]["lr"], amsgrad=True)
    names = ("inputs_2d", "inputs_3d", "rand2d", "rand3d", "aug2d", "aug3d", "auglen")
    for step, expected in enumerate(data["losses"]):
        lesson = random_frames.Lesson(*(data["data"][name][step] for name in (*names, "randframe")))
        terms = anatomy_losses.losses(network, lesson, target=13)
        for name, theirs in TERMS.items():
            assert terms[name].item() == pytest.approx(expected[theirs], rel=1e-4), (step, name)
        total = sum(terms.values())
        assert total.item() == pytest.approx(expected["total"], rel=1e-4)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    for name, value in network.state_dict().items():
        blind = 6 * data["config"]["lr"] if BLIND.fullmatch(name) else 0
        torch.testing.assert_close(value, data["final_state_dict"][name].to(value.dtype), atol=1e-4 + blind, rtol=1e-4)


@pytest.mark.parametrize("case", ["chunked_sym", "chunked_causal"])
@pytest.mark.parametrize("aliased", [True, False])
def test_a_batch_of_lessons(official, case, aliased):
    """The windows, the random frames, the re-made bodies: with the authors' random numbers and, where it is asked for, their oversight."""
    data = official("anatomy3d_generators.pt")
    expected, pad, lens = data["cases"][case], data["pad"], data["cases"][case]["cam"][0].numpy()
    camera = RigCamera("0", 1000, 1000, 0, lens=lens)
    clips = [Clip("S1", "A", 0, camera, x.numpy(), y.numpy()) for x, y in zip(data["poses_2d"], data["poses_3d"], strict=True)]
    windows = Windows(clips, 4, pad=pad, shift=pad if "causal" in case else 0, shuffle=False)
    windows.joints, windows.points = windows.joints.double(), windows.points.double()
    draws = random.Random(data["python_random_seed"]), np.random.RandomState(data["numpy_seed"])  # noqa: NPY002
    lessons = random_frames.Lessons(windows, H36M17, data["randnum"], data["augdegree"], None, aliased, False, *draws)
    made = next(iter(lessons))
    poses = expected["b3d"].clone()
    poses[:, :, 0] = 0  # as the authors do after the generator
    same = [(made.points, expected["b2d"]), (made.poses, poses), (made.frames, expected["b2d_rand"][..., :2]),
            (made.new_poses, expected["b3d_randaug"]), (made.new_lengths, expected["bonelennew"])]
    for mine, theirs in same:
        torch.testing.assert_close(mine.double(), theirs, atol=1e-9, rtol=0)
    seen = project(expected["b3d_randaugtraj"], expected["cam"].float())
    torch.testing.assert_close(made.new_frames, seen, atol=1e-5, rtol=0)
    assert expected["rand3d_is_same_buffer_as_aug"] and torch.allclose(made.frame_poses, expected["b3d_rand"]) == aliased
    assert (made.poses[:, pad, 5, 0] == expected["centre_frame_joint5_x"]).all()


def test_bones_and_resized_bodies(official):
    data = official("anatomy3d_bones.pt")
    pairs, pose = bones(H36M17), data["pose"]
    assert [list(pair) for pair in pairs] == data["boneindex"]
    torch.testing.assert_close(lengths(pose, pairs), data["getbonelength"], atol=1e-9, rtol=0)
    torch.testing.assert_close(directions(pose[:, 0], pairs), data["getbonedirect_first_frame"], atol=1e-9, rtol=0)
    shifts = anatomy_losses.shift_pairs(pairs, 17)
    torch.testing.assert_close(vectors(pose[:, 0], shifts), data["getbonejs_first_frame"][:, 0], atol=1e-9, rtol=0)

    class Drawn:
        def rand(self, *shape):
            return data["uniform_rand"].numpy().reshape(shape)

    new, found = random_frames.resized(pose, data["augdegree"], H36M17, Drawn())
    torch.testing.assert_close(new, data["aug_pose"], atol=1e-9, rtol=0)
    torch.testing.assert_close(found, data["aug_bonelength_new"], atol=1e-9, rtol=0)
