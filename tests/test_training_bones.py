"""The losses and lessons of Anatomy3D, the stages of Pose3D-RIE."""

import random

import numpy as np
import pytest
import torch

from core.errors import InputError
from core.skeletons import H36M17, HUMANEVA15
from lifters._anatomy import AnatomyModel, Outputs
from lifters._bones import bones, directions, lengths, moved, vectors
from lifters._rie import RieModel
from tests import checkpoints
from training import anatomy_losses, rie
from training.datasets import random_frames

PAIRS = bones(H36M17)


def bodies(*shape, seed=0):
    """Poses (*shape, 17, 3) m with the root at zero."""
    poses = torch.randn(*shape, 17, 3, generator=torch.Generator().manual_seed(seed)) * 0.4
    poses[..., 0, :] = 0
    return poses


def lesson(batch=4, field=9, frames=6):
    draw = np.random.RandomState(0)  # noqa: NPY002 - the authors' generator
    poses, others = bodies(batch, field), bodies(batch, frames, seed=1)
    new, sizes = random_frames.resized(others, 0.6, H36M17, draw)
    screen = [torch.cat([p[..., :2], torch.ones_like(p[..., :1])], -1) for p in (poses, others, new)]
    return random_frames.Lesson(screen[0], poses, screen[1][..., :2], others, screen[2][..., :2], new, sizes, 2)


class Knowing:
    """Answers with the truth of a lesson, and with errors where it is told to."""

    def __init__(self, truth, target, **errors):
        self.truth, self.target, self.errors, self.pairs, self.joints = truth, target, errors, PAIRS, 17

    def _off(self, name, value):
        return value + self.errors.get(name, 0.0)

    def train_forward(self, x, frames):
        pose = self.truth.poses[:, self.target]
        way, shift = directions(pose, PAIRS), vectors(pose, anatomy_losses.shift_pairs(PAIRS, 17))
        both = [tuple(self._off(name, value) for name in names) for names, value in
                ((("directions", "first_directions"), way), (("shifts", "first_shifts"), shift))]
        sizes = lengths(self.truth.poses, PAIRS).mean(1)
        return Outputs(self._off("pose", pose), self._off("lengths", sizes), self._off("frames", self.truth.frame_poses), *both)

    def frame_poses(self, frames):
        return self._off("new_frames", self.truth.new_poses)

    def lengths(self, poses):
        return self._off("new_lengths", self.truth.new_lengths)


@pytest.mark.parametrize("target", [4, 8])
@pytest.mark.parametrize(("error", "term", "cost"), [
    ("pose", "pose", 0.1 * 3**0.5), ("frames", "frames", 0.1 * 3**0.5), ("new_frames", "new_frames", 0.1 * 3**0.5),
    ("lengths", "lengths", 100 * 0.01), ("new_lengths", "new_lengths", 100 * 0.01), ("directions", "directions", 0.3 * 0.03),
    ("first_directions", "directions", 0.3 * 0.5 * 0.03),
    ("shifts", "shifts", 2 * 0.1 * 3**0.5), ("first_shifts", "shifts", 2 * 0.5 * 0.1 * 3**0.5)])
def test_an_error_costs_what_it_should_and_where_it_should(target, error, term, cost):
    truth = lesson()
    exact = anatomy_losses.losses(Knowing(truth, target), truth, target)
    wrong = anatomy_losses.losses(Knowing(truth, target, **{error: 0.1}), truth, target)
    assert all(float(value) == pytest.approx(0, abs=1e-6) for value in exact.values())
    assert {name for name, value in wrong.items() if value > 1e-6} == {term}
    assert float(wrong[term]) == pytest.approx(cost, rel=1e-3)


@pytest.mark.parametrize(("term", "learn"), [
    ("pose", ("directlinear.", "lengthlinear.", "shrink.")), ("lengths", ("boneatt.",)), ("new_lengths", ("boneatt.",)),
    ("frames", ("layers_convbone", "layers_bnbone")), ("new_frames", ("layers_convbone", "layers_bnbone")),
    ("directions", ("expand", "layers_conv.", "layers_conv1.", "layers_bn.", "layers_bn1.", "shrink_direct_")),
    ("shifts", ("expand", "layers_conv.", "layers_conv1.", "layers_bn.", "layers_bn1.", "shrink_", "directlinear_", "lengthlinear_"))])
def test_each_part_learns_by_its_own_terms(term, learn):
    torch.manual_seed(0)
    network = AnatomyModel(PAIRS, layers=2, channels=8, dropout=0.0)
    anatomy_losses.losses(network, lesson(), 4)[term].backward()
    moving = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.abs().max() > 1e-9}
    assert moving and all(name.startswith(learn) for name in moving)
    assert all(any(name.startswith(prefix) for name in moving) for prefix in learn)


def test_resized_bodies_have_the_lengths_that_are_told():
    poses = bodies(5, 3)
    poses[:, 1:] = poses[:, :1] + 0  # one body in every sequence, the same pose, so that lengths are exact
    before = poses.clone()
    new, told = random_frames.resized(poses, 0.6, H36M17, np.random.RandomState(1))  # noqa: NPY002
    assert torch.equal(poses, before)  # what the network is asked for is not what it is shown
    for frame in range(3):
        torch.testing.assert_close(lengths(new[:, frame], PAIRS), told.abs(), atol=1e-5, rtol=1e-5)
    growth = told - lengths(poses, PAIRS).mean(1)
    assert (growth.abs() <= 0.3 * lengths(poses, PAIRS).mean((0, 1)) + 1e-6).all() and growth.std() > 0.02
    assert (new[:, :, 0] == 0).all()


def test_bones_in_another_order_are_the_same_body():
    order = tuple((b, a) if i % 3 == 0 else (a, b) for i, (a, b) in enumerate(reversed(PAIRS)))
    text = ",".join(f"{a},{b}" for a, b in order)
    assert random_frames.bone_pairs(text, H36M17) == order and random_frames.bone_pairs(",".join(f"{a},{b}" for a, b in PAIRS), H36M17) == PAIRS

    class Flat:
        def rand(self, *shape):
            return np.full(shape, 0.75)

    poses = bodies(3, 2)
    (one, first), (two, second) = (random_frames.resized(poses, 0.6, H36M17, Flat(), pairs) for pairs in (PAIRS, order))
    torch.testing.assert_close(one, two)
    torch.testing.assert_close(first, second.flip(1))
    assert moved(H36M17, order).abs().sum() == moved(H36M17).abs().sum()


@pytest.mark.parametrize("text", ["16,15,15", "16,15,a,b", "16,14", "16,15,16,15", ""])
def test_bones_that_are_none(text):
    with pytest.raises(InputError, match="--boneindex"):
        random_frames.bone_pairs(text, H36M17)


def test_random_frames_are_different_ones_of_their_own_sequence():
    chosen = random_frames.sampled([8, 50, 9], 8, random.Random(3))
    assert chosen.shape == (3, 8) and all(len(set(row)) == 8 for row in chosen) and set(chosen[0]) == set(range(8))
    assert (chosen < [[8], [50], [9]]).all() and (chosen == random_frames.sampled([8, 50, 9], 8, random.Random(3))).all()
    with pytest.raises(InputError, match="9 random frames are asked of a sequence of 8: give a smaller --randnum"):
        random_frames.sampled([8, 50, 9], 9, random.Random(3))
    assert random_frames.sampled([], 9, random.Random(3)).shape == (0, 9)


def test_bodies_are_placed_before_the_camera():
    poses = torch.zeros(400, 2, 17, 3)
    where = random_frames.placed(poses, np.random.RandomState(2))  # noqa: NPY002
    assert torch.equal(where, where[:, :, :1].expand_as(where))
    torch.testing.assert_close(where[:, :, 0].mean((0, 1)), torch.tensor(random_frames.PLACE), atol=0.06, rtol=0)
    torch.testing.assert_close(where[:, :, 0].flatten(0, 1).std(0), torch.full((3,), random_frames.SCATTER), atol=0.05, rtol=0)


# ---- Pose3D-RIE


def small(stage, latent=4, arc=(3, 3), seed=0):
    torch.manual_seed(seed)
    return RieModel(H36M17, arc, 6, latent, stage, size=8)


def test_stage_2_keeps_the_encoders_and_moves_their_statistics(tmp_path):
    file = checkpoints.rie(tmp_path / "stage_1.bin", (3, 3), 6, 4, 1, 8)
    network, first = small(2), small(1, seed=1)
    checkpoints.perturbed(first)
    checkpoints.official(file, model_pos=first)
    rie.take_encoders(network, file)
    rie.freeze_encoders(network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    names = rie.encoders(before)
    assert all(torch.equal(before[name], first.state_dict()[name]) for name in names)
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], 0.1, amsgrad=True)
    network.train()(torch.randn(8, 9, 17, 2)).norm().backward()
    optimizer.step()
    after = network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert all(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in changed & set(names))
    assert {f"LocalLayer_Torso.expand_bn.running_{what}" for what in ("mean", "var")} <= changed
    others = {name for name in before if name not in names and name.endswith("weight")}
    assert others <= changed


def test_the_encoders_are_those_that_the_authors_count():
    network = RieModel(H36M17, (3, 3, 3, 3, 3), 4, 4, 2, size=8)
    state = list(network.state_dict())
    assert set(rie.encoders(state)) == set(state[:317]) and len(rie.encoders(state)) == 317
    names = [name for name, _ in network.named_parameters()]
    assert rie.encoders(names) == names[:167]


@pytest.mark.parametrize(("wrong", "words"), [({"latent": 5}, "of another shape"), ({"arc": (3, 3, 3)}, "unknown")])
def test_a_first_stage_of_another_size_is_one_line(tmp_path, wrong, words):
    made = {"arc": (3, 3), "channels": 6, "latent": 4, "stage": 1, "size": 8} | wrong
    file = checkpoints.rie(tmp_path / "a.bin", **made)
    with pytest.raises(InputError, match=words) as caught:
        rie.take_encoders(small(2), file)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="missing"):
        rie.take_encoders(small(2), checkpoints.tcn(tmp_path / "b.bin"))


def test_humaneva_has_five_groups_too():
    assert RieModel(HUMANEVA15, (3, 3), 6, 4, 1, size=8).train()(torch.randn(3, 9, 15, 2)).shape == (3, 15, 3)
