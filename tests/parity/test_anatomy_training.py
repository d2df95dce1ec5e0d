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
        lesson = anatomy_losses.Lesson(*(data["data"][name][step] for name in names))
        terms = anatomy_losses.losses(network, lesson, data["data"]["randframe"][step], target=13)
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
def test_random_frames_and_bodies(official, case):
    data = official("anatomy3d_generators.pt")
    expected = data["cases"][case]
    chosen = random_frames.sampled([len(data["poses_3d"][0])] * 4, data["randnum"], random.Random(data["python_random_seed"]))
    assert torch.equal(data["poses_2d"][0][chosen].double(), expected["b2d_rand"])
    poses = data["poses_3d"][0][chosen].double()
    poses[:, :, 0] = 0
    draw = np.random.RandomState(data["numpy_seed"])  # noqa: NPY002 - the authors' generator
    new, lengths = random_frames.resized(poses, data["augdegree"], H36M17, draw)
    for mine, theirs in ((new, "b3d_randaug"), (lengths, "bonelennew"), (random_frames.placed(new, draw), "b3d_randaugtraj")):
        torch.testing.assert_close(mine, expected[theirs], atol=1e-9, rtol=0)
    assert expected["rand3d_is_same_buffer_as_aug"] and torch.equal(expected["b3d_rand"], expected["b3d_randaug"])
    assert not torch.allclose(poses, expected["b3d_rand"])  # what the authors compare with is not what they read: ours only where it is asked for


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
