"""Training of the pose network: labels, augmentation, loss, the loop, and the measures."""

import json

import cv2
import numpy as np
import pytest
import torch

from core.errors import InputError
from core.geometry import apply_affine
from core.skeletons import BODY21, COCO17
from poses.body21 import decode, probabilities
from training import augment, dispatch, loop, pose, pose_release
from training.datasets import coco_people, lspet, people, teaching
from training.evaluation import pose as evaluation


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


def test_targets_are_probabilities_and_outside_is_a_cell_of_its_own():
    joints = torch.tensor([[[48.0, 64, 1], [-5, 20, 1], [10, 10, 0.5]]])
    wanted, weight = pose.targets(joints, (96, 128))
    assert torch.allclose(wanted.sum(-1), torch.ones(1, 3))
    assert wanted[0, :, -1].tolist() == [0, 1, 0]
    assert weight.tolist() == [[1, 1, 0.5]]


def test_the_loss_is_least_where_the_joint_is_and_ignores_unknown_joints():
    joints = torch.zeros(1, 21, 3)
    joints[0, 0] = torch.tensor([50.0, 70, 1])
    wanted, _ = pose.targets(joints, (96, 128))
    right = torch.log(wanted[..., :-1].clamp_min(1e-6)).reshape(1, 21, 32, 24) + 8
    wrong = right.flip(2)
    assert pose.cross_entropy(right, joints, (96, 128)) < pose.cross_entropy(wrong, joints, (96, 128)) - 1
    changed = right.clone()
    changed[:, 1:] += torch.randn(1, 20, 32, 24)
    assert pose.cross_entropy(changed, joints, (96, 128)) == pose.cross_entropy(right, joints, (96, 128))
    points, _ = decode(probabilities(right), torch.tensor([10.0]))
    assert np.allclose(points[0, 0], (50, 70), atol=0.5)


def test_augmented_joints_stay_on_their_spots():
    generator = np.random.default_rng(3)
    image, box = np.zeros((120, 120, 3), np.uint8), np.array([20, 20, 100, 100.0])
    joints = np.zeros((21, 3))
    joints[5] = 40, 60, 1
    cv2.circle(image, (40, 60), 4, (255, 255, 255), -1)
    checked = 0
    for _ in range(60):
        matrix = augment.placement(box, (96, 128), generator)
        moved = augment.moved(matrix, joints)
        if generator.random() < 0.5:
            matrix, moved = augment.flip(matrix, joints, 96, BODY21.mirror)
            moved = augment.moved(matrix, moved)
        crop = augment.warp(image, matrix, (96, 128))
        place = moved[moved[:, 2] > 0][0, :2]
        if (place > 8).all() and (place < (88, 120)).all():
            spot = np.argwhere(crop[..., 0] > 127).mean(0)[::-1] + 0.5
            assert np.abs(spot - place).max() < 2.5
            checked += 1
    assert checked > 30


def test_a_mirror_swaps_sides():
    joints = np.zeros((21, 3))
    joints[BODY21.index("left_wrist")] = 10, 20, 1
    matrix, renamed = augment.flip(np.array([[1.0, 0, 0], [0, 1, 0]]), joints, 96, BODY21.mirror)
    assert renamed[BODY21.index("right_wrist")].tolist() == [10, 20, 1]
    assert apply_affine(matrix, np.array([10.0, 20])).tolist() == [86, 20]


def test_the_same_seed_gives_the_same_crop(crowd):
    first, second, other = (pose.Crops(crowd, (96, 128), seed)[3] for seed in (1, 1, 2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[1], other[1])
    assert first[0].shape == (128, 96, 3)


def test_labels_become_body21():
    keypoints = np.concatenate([np.random.default_rng(0).uniform(10, 90, (17, 2)), np.full((17, 1), 2.0)], 1)
    body = coco_people.to_body(keypoints)
    assert np.allclose(body[:17, :2], keypoints[:, :2])
    hips = keypoints[COCO17.indices("left_hip", "right_hip"), :2].mean(0)
    assert np.allclose(body[BODY21.index("pelvis"), :2], hips)
    keypoints[COCO17.index("left_hip")] = 0
    body = coco_people.to_body(keypoints)
    assert body[BODY21.indices("pelvis", "spine", "left_hip"), 2].tolist() == [0, 0, 0]
    sports = lspet.to_body(np.concatenate([np.arange(28.0).reshape(14, 2), np.ones((14, 1))], 1))
    assert sports[BODY21.index("head_top")].tolist() == [26, 27, 1]
    assert sports[BODY21.index("nose"), 2] == 0


def test_cut_outs_and_packed_files_keep_joints_on_their_spots(crowd, tmp_path):
    people.save(crowd, tmp_path / "pack.npz", longest=80)
    again = people.load(tmp_path / "pack.npz")
    assert len(again) == len(crowd)
    assert max(max(image.shape) for image in again.images) <= 80
    scale = again.images[0].shape[1] / crowd.images[0].shape[1]
    assert np.allclose(again.joints[0, :, :2], crowd.joints[0, :, :2] * scale, atol=1)
    x, y = again.joints[0, 0, :2].astype(int)
    assert again.images[0][y, x, 2] > 180


def test_the_teacher_fills_in_and_raises_doubt():
    joints, boxes = np.zeros((1, 21, 3), np.float32), np.array([[0, 0, 100, 200.0]])
    joints[0, 5], joints[0, 6] = (50, 50, 1), (60, 50, 1)
    points, scores = np.full((1, 17, 2), 55.0), np.full((1, 17), 0.9)
    points[0, 6] = 60, 180
    scores[0, 9] = 0.1
    done = teaching.complete(joints, boxes, points, scores)[0]
    assert done[5].tolist() == [50, 50, 1]
    assert done[6, 2] == pytest.approx(teaching.DOUBT)
    assert done[0, :2].tolist() == [55, 55]
    assert 0 < done[0, 2] < 1
    assert done[9, 2] == 0


def tiny():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Conv2d(8, 21, 3, 2, 1))
    return model, [{"params": list(model.parameters()), "factor": 1.0}]


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(crowd, tmp_path):
    def batches(epoch):
        crops = pose.Crops(crowd, (48, 64), epoch)
        return [tuple(torch.stack(each) for each in zip(*(crops[i] for i in range(start, start + 8)), strict=True)) for start in (0, 8, 16)]

    def loss(model, batch):
        return pose.batch_loss(model, batch, (48, 64), torch.device("cpu"))

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
    plan = pose.stages("96x128:0.6,192x256:0.4")
    assert [pose.size_at(p, plan) for p in (0, 0.59, 0.6, 1.0)] == [(96, 128), (96, 128), (192, 256), (192, 256)]
    with pytest.raises(InputError, match="multiples of 32"):
        pose.stages("144x192")


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
    pose.main(["--packed", str(tmp_path / "pack.npz"), "--init", str(tmp_path / "start.pt"), "--state", str(tmp_path / "state.pt"), "--epochs", "1",
               "--sizes", "64x96", "--inference", "64x96", "--batch", "8", "--device", "cpu", "--output", str(tmp_path / "pose.safetensors")])
    estimator = body21.build(tmp_path / "pose.safetensors", device="cpu")
    found = estimator(crowd.images[:2], [box[None] for box in crowd.boxes[:2]], [])
    assert np.isfinite(found[0].points).all()
    assert json.dumps(estimator.size) == "[64, 96]"
