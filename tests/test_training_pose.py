"""Training of the pose network: labels, augmentation, loss, the loop, and the measures."""

import copy
import dataclasses
import functools
import json
import os
import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from core.errors import InputError
from core.geometry import crop_matrix
from core.networks import fuse
from core.skeletons import BODY21, COCO17
from poses.body21 import PoseNet, decode, probabilities
from training import augment, dispatch, heatmaps, looks, loop, pose, pose_release
from training.datasets import coco_people, lspet, people, teaching
from training.evaluation import pose as evaluation
from training.gallery import Gallery, apply, cell_centres
from training.start import unfold


def figure(generator, size=(90, 120)):
    """A picture of a few coloured spots, each a joint, on grey: (image, box, joints (21, 3))."""
    image = np.full((size[1], size[0], 3), 90, np.uint8)
    joints = np.zeros((21, 3))
    for i in range(0, 21, 4):
        joints[i] = *generator.uniform((15, 15), (size[0] - 15, size[1] - 15)), 1
        cv2.circle(image, tuple(int(v) for v in joints[i, :2]), 3, tuple(int(v) for v in (40 * (i // 4), 255 - 40 * (i // 4), 255)), -1)
    return image, np.array([5, 5, size[0] - 5, size[1] - 5.0]), joints


@pytest.fixture
def crowd():
    generator = np.random.default_rng(0)
    return people.from_rows([figure(generator) for _ in range(40)])


def lessons(crowd, teacher=None):
    return pose.Lessons(crowd, torch.device("cpu"), teacher and functools.partial(teaching.ask, teacher=teacher))


def test_targets_are_probabilities_and_outside_is_a_cell_of_its_own():
    joints = torch.tensor([[[48.0, 64, 1], [-5, 20, 1], [10, 10, 0.5]]])
    wanted, weight = heatmaps.targets(joints, (96, 128))
    assert torch.allclose(wanted.sum(-1), torch.ones(1, 3))
    assert wanted[0, :, -1].tolist() == [0, 1, 0]
    assert weight.tolist() == [[1, 1, 0.5]]


def test_the_loss_is_least_where_the_joint_is_and_ignores_unknown_joints():
    joints = torch.zeros(1, 21, 3)
    joints[0, 0] = torch.tensor([50.0, 70, 1])
    wanted, weight = heatmaps.targets(joints, (96, 128))
    right = torch.log(wanted[..., :-1].clamp_min(1e-6)).reshape(1, 21, 32, 24) + 8
    wrong = right.flip(2)
    assert heatmaps.cross_entropy(right, wanted, weight) < heatmaps.cross_entropy(wrong, wanted, weight) - 1
    changed = right.clone()
    changed[:, 1:] += torch.randn(1, 20, 32, 24)
    assert heatmaps.cross_entropy(changed, wanted, weight) == heatmaps.cross_entropy(right, wanted, weight)
    points, _ = decode(probabilities(right), torch.tensor([10.0]))
    assert np.allclose(points[0, 0], (50, 70), atol=0.5)


def test_depth_is_read_where_the_joint_is_and_only_where_it_is_known():
    wanted, _ = heatmaps.targets(torch.tensor([[[50.0, 70, 1], [20, 20, 1]]]), (96, 128))
    maps = torch.full((1, 2, 32, 24), 9.0)
    maps[0, 0, 14:21, 9:16] = 0.25
    assert heatmaps.depth_loss(maps, wanted, torch.tensor([[0.5, torch.nan]])) == pytest.approx(1, abs=0.05)
    assert heatmaps.depth_loss(maps, wanted, torch.full((1, 2), torch.nan)) == 0


def test_nearness_is_the_distance_in_cells_from_what_is_found():
    joints = torch.tensor([[[48.0, 64, 1], [2, 3, 1], [-5, 20, 1], [70, 70, 0]]])
    wanted, weight = heatmaps.targets(joints, (96, 128))
    maps = wanted[..., :-1].clamp_min(1e-9).log().reshape(1, 4, 32, 24)
    assert heatmaps.nearness(maps, wanted, weight) == pytest.approx(0, abs=1e-5)
    moved = maps.clone()
    moved[0, 0] = maps[0, 0].roll(1, 1)
    assert heatmaps.nearness(moved, wanted, weight) == pytest.approx(0.5, abs=0.05)  # one cell, of two joints that are there and known
    far = maps.clone()
    far[0, 0, 30, 20] = 50.0
    assert heatmaps.nearness(far, wanted, weight) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("joint, less", [("nose", "left_hip"), ("left_ear", "left_shoulder"), ("left_wrist", "left_knee")])
def test_a_cell_counts_more_where_people_mark_more_exactly(joint, less):
    wanted, weight = heatmaps.targets(torch.tensor([48.0, 64, 1]).expand(1, 21, 3), (96, 128))
    right = wanted[..., :-1].clamp_min(1e-9).log().reshape(1, 21, 32, 24)
    losses = []
    for name in (joint, less):
        moved = right.clone()
        moved[0, BODY21.index(name)] = right[0, 0].roll(1, 1)
        maps = torch.cat([moved, torch.zeros_like(moved), moved], 1)
        losses.append(pose.batch_loss(lambda _, maps=maps: maps, (None, wanted, weight, torch.full((1, 21), torch.nan))))
    assert losses[0] > losses[1] + 0.001


def test_augmented_joints_stay_on_their_spots():
    """Of 200 random crops, mirrored ones too, those that show the marked joint show it where the target says."""
    image = np.zeros((120, 120, 3), np.uint8)
    cv2.circle(image, (40, 60), 4, (255, 255, 255), -1)
    joints = np.zeros((21, 3))
    joints[BODY21.index("left_wrist")] = 40.5, 60.5, 1
    marked = people.made([image], np.array([[20, 20, 100, 100.0]]), joints[None], "coco_people")
    pictures, wanted, weight, _ = lessons(marked).batch(200, (96, 128), looks.Draw(3, "cpu"), strength=0.0)
    light, row = pictures.mean(1), weight.argmax(1)
    names = {BODY21.joints[i] for i in row.tolist()}
    assert names == {"left_wrist", "right_wrist"}  # mirrored people have their sides exchanged
    cells, checked = cell_centres((96, 128), "cpu", 4), 0
    for i in range(200):
        place = cells[wanted[i, row[i], :-1].argmax()]
        if wanted[i, row[i], -1] < 0.5 and (place > 8).all() and (place < torch.tensor([88, 120])).all():
            x, y = (int(v) for v in place)
            checked += bool(light[i, y - 2 : y + 3, x - 2 : x + 3].mean() > light[i].mean())
    assert checked > 130


def test_the_same_seed_gives_the_same_batch(crowd):
    first, second, other = (lessons(crowd).batch(6, (96, 128), looks.Draw(seed, "cpu")) for seed in (1, 1, 2))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    assert not torch.equal(first[1], other[1])
    assert first[0].shape == (6, 3, 128, 96) and first[1].shape == (6, 21, 32 * 24 + 1)


def test_placements_are_those_of_the_application():
    boxes = torch.tensor([[10.0, 20, 60, 130]])
    found = augment.crop_matrices(boxes, (96, 128), torch.tensor([1.25]), torch.tensor([0.7]), torch.ones(1))
    assert np.allclose(found[0], crop_matrix(boxes[0].numpy(), (96, 128), 1.25, 0.7), atol=1e-4)


def test_labels_become_body21():
    keypoints = np.concatenate([np.random.default_rng(0).uniform(10, 90, (17, 2)), np.full((17, 1), 2.0)], 1)
    body = coco_people.to_body(keypoints)
    assert np.allclose(body[:17, :2], keypoints[:, :2])
    hips = keypoints[COCO17.indices("left_hip", "right_hip"), :2].mean(0)
    assert np.allclose(body[BODY21.index("pelvis"), :2], hips)
    keypoints[COCO17.index("left_hip")] = 0
    body = coco_people.to_body(keypoints)
    assert body[BODY21.indices("pelvis", "spine", "left_hip"), 2].tolist() == [0, 0, 0]
    keypoints[3, 2] = 1
    assert coco_people.to_body(keypoints)[[2, 3], 2].tolist() == [1, coco_people.HIDDEN]
    sports = lspet.to_body(np.concatenate([np.arange(28.0).reshape(14, 2), np.ones((14, 1))], 1))
    assert sports[BODY21.index("head_top")].tolist() == [26, 27, 1]
    assert sports[BODY21.index("nose"), 2] == 0


def test_labels_that_number_pixels_lie_on_the_middle_of_theirs(tmp_path):
    folder = tmp_path / "coco_people"
    (folder / "images").mkdir(parents=True)
    keypoints = np.random.default_rng(1).integers(2, 40, (1, 17, 3))
    np.savez(folder / "persons.npz", main=[True], split=["val"], image_index=[0], name=["a.png"], box_xyxy=[[0, 0, 44, 44]], keypoints=keypoints)
    image = np.zeros((44, 44, 3), np.uint8)
    image[keypoints[0, 7, 1], keypoints[0, 7, 0]] = 255
    (_, _, box, found), = coco_people.rows(tmp_path, "val")
    crop = augment.crop_matrices(torch.tensor(box[None]), (352, 352), torch.ones(1), torch.zeros(1), torch.ones(1)).float()
    grey = Gallery([image]).crops(torch.tensor([0]), crop, (352, 352))[0, 0]
    weight, (rows, columns) = grey.sum(), (torch.arange(352) + 0.5, torch.arange(352) + 0.5)
    middle = torch.stack([(grey.sum(0) * columns).sum(), (grey.sum(1) * rows).sum()]) / weight
    assert torch.allclose(middle, apply(crop, torch.tensor(found[None, :, :2]).float())[0, 7], atol=0.01)


def test_cut_outs_and_packed_files_keep_joints_on_their_spots(crowd, tmp_path):
    people.save(crowd, tmp_path / "pack.npz", longest=80)
    again = people.load(tmp_path / "pack.npz")
    assert len(again) == len(crowd)
    images = [people.decoded(image) for image in again.images]
    assert max(max(image.shape) for image in images) <= 80
    scale = images[0].shape[1] / crowd.images[0].shape[1]
    assert np.allclose(again.joints[0, :, :2], crowd.joints[0, :, :2] * scale, atol=1)
    x, y = again.joints[0, 0, :2].astype(int)
    assert images[0][y, x, 2] > 180


class Seer:
    """A teacher that sees every joint at one cell of its crop, as surely as it is told."""

    def __init__(self, sure):
        self.sure = sure

    def maps(self, x):
        maps = torch.zeros(len(x), 17, 64, 48)
        maps[:, :, 30:33, 20:23] = self.sure / 2
        maps[:, :, 31, 21] = self.sure
        return maps


def test_the_teacher_fills_in_and_raises_doubt(crowd):
    sure, unsure = (lessons(crowd, Seer(value)) for value in (0.9, 0.1))
    marked = (crowd.joints[:, :17, 2] > 0).sum() / crowd.joints[:, :17, 2].size
    weights = [each.batch(200, (96, 128), looks.Draw(0, "cpu"), 0.0)[2] for each in (lessons(crowd), unsure, sure)]
    assert (weights[0] > 0).float().mean() == pytest.approx(float((crowd.joints[..., 2] > 0).mean()), abs=1e-3)
    assert torch.equal(weights[0] > 0, weights[1] > 0)  # nothing is learned from a teacher who is not sure
    assert (weights[2][:, :17] > 0).all() and marked < 0.5
    assert weights[2][:, :17].min() == pytest.approx(teaching.DOUBT, abs=1e-5)  # marks far from where the teacher looks


def test_what_the_teacher_sees_moves_with_the_crop(crowd):
    each = lessons(crowd, Seer(0.9))
    rows, size = torch.arange(4), (96, 128)
    one = torch.ones(4)
    matrices = augment.crop_matrices(each.boxes[rows], size, 1.6 * one, 0.4 * one, one)
    seen = each.taught.seen_from(rows, matrices, size)
    assert torch.allclose(seen.sum(-1), torch.ones(4, 17), atol=1e-5)
    expected = apply(matrices, each.taught.points[rows])
    cells = cell_centres(size, "cpu", 4)
    assert ((seen[..., :-1] @ cells) - expected).abs().max() < 2


def test_what_the_teacher_said_is_kept_and_only_the_new_people_are_asked_about(crowd, tmp_path):
    asked = []

    def ask(gallery, boxes, joints, first):
        asked.append(len(boxes) - first)
        return teaching.ask(gallery, boxes, joints, Seer(0.9), first=first)

    def taught(who):
        return vars(pose.Lessons(who, torch.device("cpu"), teaching.kept(tmp_path / "said.pt", ask)).taught)

    some, grown, again, fewer = taught(crowd[:7]), taught(crowd), taught(crowd), taught(crowd[:9])
    assert asked == [7, 33]
    whole = lessons(crowd, Seer(0.9)).taught
    for name, value in vars(whole).items():
        assert torch.equal(value, grown[name]) and torch.equal(value, again[name])
        assert torch.equal(value[:7], some[name]) and torch.equal(value[:9], fewer[name])
    taught(dataclasses.replace(crowd, boxes=crowd.boxes + 1))
    assert asked == [7, 33, 40]  # others


def test_a_fused_file_is_gone_on_from_with_the_same_function(crowd):
    torch.manual_seed(0)
    trained = PoseNet(depth=True)
    for module in trained.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight, 1, 0.2)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    pictures = torch.rand(32, 3, 96, 64)
    trained(pictures)
    state = {name: value.clone() for name, value in fuse(copy.deepcopy(trained)).state_dict().items()}
    model = unfold(PoseNet(depth=True), state, pictures, "a file")
    with torch.no_grad():
        wanted, found, training = trained.eval()(pictures), model.eval()(pictures), model.train()(pictures)
    assert (found - wanted).abs().max() < 1e-3 * wanted.abs().max()
    assert (training - wanted).abs().max() < 1e-2 * wanted.abs().max()  # the batch's statistics are those that were taken
    with pytest.raises(InputError, match="a file"):
        unfold(PoseNet(), state, pictures, "a file")


def test_channels_that_are_constant_stay_as_they_are():
    """Scaled to variance 1, rounding errors would become inputs; some runs later the weights are beyond half precision."""
    torch.manual_seed(0)
    trained = PoseNet(depth=True)
    first = trained.unet.trunk[0]
    torch.nn.init.constant_(first[1].weight[:4], 0.0)
    torch.nn.init.constant_(first[1].bias[:4], -1.0)  # nothing passes the ReLU
    pictures = torch.rand(8, 3, 96, 64)
    trained(pictures)
    fused = fuse(copy.deepcopy(trained)).state_dict()
    model = unfold(PoseNet(depth=True), {name: value.clone() for name, value in fused.items()}, pictures, "a file")
    after = model.unet.trunk[1].conv[0]  # depthwise: four channels in which nothing comes in
    assert (after[0].weight[:4] == 0).all() and after[0].weight.abs().max() < 100 and after[1].weight.min() > 1e-3
    with torch.no_grad():
        wanted = trained.eval()(pictures)
        for mode in (model.eval(), model.train()):
            assert (mode(pictures) - wanted).abs().max() < 1e-2 * wanted.abs().max()


def tiny():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Conv2d(8, 63, 3, 2, 1))
    return model, [{"params": list(model.parameters()), "factor": 1.0}]


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(crowd, tmp_path):
    each = lessons(crowd)

    def batches(epoch):
        draw = looks.Draw(epoch, "cpu")
        return [each.batch(8, (64, 64), draw) for _ in range(3)]

    def loss(model, batch):
        return pose.batch_loss(model, batch)

    whole = loop.Run(*tiny(), tmp_path / "whole.pt", 1e-2, epochs=3)
    values = [whole.train(batches(epoch), loss) for epoch in range(3)]
    for epoch in range(3):
        parts = loop.Run(*tiny(), tmp_path / "parts.pt", 1e-2, epochs=3)
        assert parts.epoch == epoch
        parts.train(batches(epoch), loss)
        parts.save()
    assert whole.done
    assert values[2] < values[0]
    for one, other in zip(whole.average.model.state_dict().values(), parts.average.model.state_dict().values(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_the_rate_rises_then_falls():
    values = [loop.rate(p) for p in (0, 0.01, 0.02, 0.5, 1)]
    assert values[0] == 0
    assert values[1] < values[2] == 1
    assert values[2] > values[3] > values[4] > 0


def test_sizes_take_their_share_of_the_budget():
    plan = loop.stages("96x128:0.6,192x256:0.4")
    assert [loop.size_at(p, plan) for p in (0, 0.59, 0.6, 1.0)] == [(96, 128), (96, 128), (192, 256), (192, 256)]
    with pytest.raises(InputError, match="multiples of 32"):
        loop.stages("144x192")


def test_calibration_makes_scores_true():
    generator = np.random.default_rng(0)
    mass = generator.uniform(0.01, 0.99, 20000)
    hit = generator.random(20000) < mass**2
    slope, offset = pose_release.fit(mass, hit)
    before = evaluation.calibration_error(mass, hit)
    after = evaluation.calibration_error(pose_release.calibrated(mass, slope, offset), hit)
    assert before > 0.1
    assert after < 0.04


def test_measures_of_perfect_and_of_shifted_answers():
    generator = np.random.default_rng(0)
    truth = np.concatenate([generator.uniform(0, 100, (6, 14, 2)), np.ones((6, 14, 1))], 2)
    assert evaluation.score_lspet(truth[..., :2], truth)["lspet.pck02"] == 100
    keypoints = np.concatenate([generator.uniform(0, 100, (6, 17, 2)), np.full((6, 17, 1), 2.0)], 2)
    keypoints[:, 6, 2] = 1
    boxes = np.tile([0, 0, 100, 100.0], (6, 1))
    perfect = evaluation.score_coco(keypoints[..., :2], np.ones((6, 17)), keypoints, boxes)
    assert perfect["coco_people.oks"] == 1
    assert perfect["coco_people.ece"] == 0
    shifted = evaluation.score_coco(keypoints[..., :2] + 9, np.ones((6, 17)), keypoints, boxes)
    assert shifted["coco_people.pck01"] == 0
    assert 0 < shifted["coco_people.oks"] < 1


def test_who_is_head_down():
    joints = np.ones((3, 14, 3))
    joints[:, [8, 9], :2], joints[:, [2, 3], :2] = (50, 50), [[(50, 90)] * 2, [(50, 10)] * 2, [(90, 30)] * 2]
    assert evaluation.head_down(joints).tolist() == [False, True, False]


def test_boxes_that_leave_a_part_out():
    boxes = np.array([[10, 20, 30, 120]])
    assert evaluation.shortened(boxes, 0.0).tolist() == [[10, 20, 30, 120]]
    assert evaluation.shortened(boxes, 0.3).tolist() == [[10, 20, 30, 90]]
    assert evaluation.shortened(boxes, -0.3).tolist() == [[10, 50, 30, 120]]
    assert boxes.tolist() == [[10, 20, 30, 120]]


def test_commands_are_the_modules_with_a_main():
    assert {"pose"} <= set(dispatch.commands("training"))
    assert "loop" not in dispatch.commands("training")
    assert "pose" in dispatch.commands("training.evaluation")
    assert dispatch.run("training", "training", ["nobody"]) == 2


@pytest.mark.slow
def test_the_trainer_writes_weights_that_the_application_can_use(crowd, tmp_path):
    from torchvision.models import mobilenet_v2

    from poses import body21

    torch.save({f"features.{name}": value for name, value in mobilenet_v2().features.state_dict().items()}, tmp_path / "start.pt")
    people.save(crowd, tmp_path / "pack.npz")
    common = ["--packed", str(tmp_path / "pack.npz"), "--sizes", "64x96", "--batch", "8", "--epochs", "1", "--device", "cpu",
              "--output", str(tmp_path / "pose.safetensors")]
    pose.main([*common, "--init", str(tmp_path / "start.pt"), "--state", str(tmp_path / "a.pt"), "--inference", "64x96", "--steps", "3"])
    pose.main([*common, "--start", str(tmp_path / "pose.safetensors"), "--frozen", "4", "--state", str(tmp_path / "b.pt"), "--steps", "2"])
    estimator = body21.build(tmp_path / "pose.safetensors", device="cpu")
    found = estimator(crowd.images[:2], [box[None] for box in crowd.boxes[:2]], [])
    assert np.isfinite(found[0].points).all()
    assert json.dumps(estimator.size) == "[64, 96]"


@pytest.mark.slow
def test_two_processes_share_a_training(crowd, tmp_path):
    people.save(crowd, tmp_path / "pack.npz")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "training", "--"]
    command = ["pose", "--packed", str(tmp_path / "pack.npz"), "--sizes", "64x96", "--batch", "4", "--epochs", "1", "--steps", "2", "--device", "cpu",
               "--start", "pose-body21", "--frozen", "4", "--output", str(tmp_path / "pose.safetensors"), "--state", str(tmp_path / "state.pt")]
    done = subprocess.run([*launcher, *command], capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"},
                          cwd=pathlib.Path(pose.__file__).parent.parent)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr.count("epoch 1 ") == 1  # the first process alone speaks and writes
    assert (tmp_path / "pose.safetensors").exists() and (tmp_path / "state.pt").exists()
