"""Distances from joints: the network that tells them, its training, and its place beside a pose network."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.perceive import build_parts
from app.settings import Settings
from core import parts
from core.errors import InputError
from core.geometry import project
from core.records import Camera, Poses
from core.skeletons import BODY21, COCO17, convert
from poses import distance
from synthetic.kinematics import Step, perform
from synthetic.motions import random_style
from synthetic.shapes import random_shape
from synthetic.stage import crossing_scene
from training import root
from training.datasets import mocap
from training.datasets.variety import CHAIN
from training.datasets.views import Sampler
from training.evaluation import root as evaluation
from weights import save

CAMERA = Camera(1280, 720, 900.0, 900.0, 640.0, 360.0)


@pytest.fixture(scope="module")
def motion():
    """Motion of the drawn people, two clips, in place of recorded motion."""
    moves = [captured(seed) for seed in (1, 2)]
    joints, path = (np.concatenate(arrays) for arrays in zip(*moves, strict=True))
    return mocap.Mocap(joints.astype(np.float16), path.astype(np.float32), np.array([0, len(moves[0][0]), len(joints)]), np.array([30.0, 30.0]),
                       np.array([1.74, 1.74]))


def captured(seed):
    """Joints (T, 21, 3) m around the pelvis and its path (T, 3), z up, of a body that walks and sits down."""
    rng = np.random.default_rng(seed)
    points = perform(random_shape(rng), [Step("walk", 2, 0.0), Step("crouch", 2, 0.0)], 30, random_style(rng))[:, : len(BODY21)]
    path = points[:, BODY21.root]
    return points - path[:, None], path


@pytest.fixture(scope="module")
def packed(motion, tmp_path_factory):
    path = tmp_path_factory.mktemp("motion") / "motion.npz"
    mocap.pack(motion, path)
    return path


class Exact:
    """A pose network that knows the answer."""

    skeleton = BODY21

    def __init__(self, points):
        self.points = points

    def __call__(self, images, boxes, cameras):
        return [Poses(BODY21, self.points, np.isfinite(self.points).all(-1))] * len(images)


@pytest.fixture(scope="module")
def crowd():
    """Joints (N, 21, 3) m of drawn people in camera axes, and the camera."""
    scene = crossing_scene(5, 3, seconds=2.0)
    return np.concatenate([scene.frame(number)[1].joints for number in range(0, 40, 8)]), scene.camera


def ranged(points, **options):
    made = distance.build(of="body21", device="cpu", **options)
    made.pose = Exact(points)
    return made


def depth(points, camera, **options):
    return ranged(points, **options)([None], [None], [camera])[0].root_depth


def test_distances_of_exact_joints_are_wrong_by_the_stature_alone(crowd):
    joints, camera = crowd
    bones = np.linalg.norm(joints - joints[:, np.maximum(BODY21.parents, 0)], axis=2)
    size = bones[:, BODY21.indices(*CHAIN)].sum(1) / 1.53  # of the body that the network knows
    error = np.abs(depth(project(joints, camera), camera) * size / joints[:, BODY21.root, 2] - 1)
    assert size.std() > 0.03 and np.median(error) < 0.02 and error.max() < 0.1


def test_distance_is_that_along_the_ray_wherever_the_camera_looks(crowd):
    joints, camera = crowd
    turn = np.array([[np.cos(0.3), 0, np.sin(0.3)], [0, 1, 0], [-np.sin(0.3), 0, np.cos(0.3)]])
    turned = joints @ turn.T
    before = depth(project(joints, camera), camera) / joints[:, BODY21.root, 2]
    after = depth(project(turned, camera), camera) / turned[:, BODY21.root, 2]
    np.testing.assert_allclose(after, before, rtol=2e-3)


def test_a_longer_lens_and_a_taller_person_are_further_away(crowd):
    joints, camera = crowd
    points = project(joints, camera)
    tele = replace(camera, fx=2 * camera.fx, fy=2 * camera.fy)
    assert (depth(points, tele) > 1.7 * depth(points, camera)).all()
    np.testing.assert_allclose(depth(points, camera, height=2 * distance.BODY), 2 * depth(points, camera), rtol=1e-5)


def test_the_stature_that_is_said_once_reaches_the_network(crowd):
    joints, camera = crowd
    people = Poses(BODY21, project(joints, camera), np.ones(joints.shape[:2]))
    plain, tall = (build_parts(Settings(pose="distance", height=height)).pose.depth(people, camera) for height in (None, 1.1 * distance.BODY))
    np.testing.assert_allclose(tall, 1.1 * plain, rtol=1e-5)


def test_another_stature_needs_another_look_only_where_the_network_uses_it():
    for pose, same in (("body21", True), ("distance", False)):
        known, unknown = (Settings(pose=pose, height=height).observing() for height in (1.8, None))
        assert (known == unknown) is same


def test_few_joints_give_no_distance(crowd):
    points = project(crowd[0], crowd[1])[:2].astype(np.float32)
    points[0, distance.LEAST - 1:] = np.nan
    found = depth(points, crowd[1])
    assert np.isnan(found[0]) and np.isfinite(found[1])


def test_joints_of_another_skeleton_will_do(crowd):
    joints, camera = crowd
    made = ranged(None)
    points, scores = convert(project(joints, camera), np.ones(joints.shape[:2]), BODY21, COCO17)
    found = made.__class__(made.pose, made.network, 1.0, made.device)
    found.skeleton = COCO17
    ratio = found.depth(Poses(COCO17, points, scores), camera) / depth(project(joints, camera), camera)
    assert np.abs(ratio - 1).max() < 0.15


def test_unusable_requests_are_the_users_fault(tmp_path):
    with pytest.raises(InputError, match="gives distances already"):
        parts.make("pose", "distance:of=distance")
    save(tmp_path / "odd.safetensors", {"first.weight": torch.zeros(2, 2)}, {})
    with pytest.raises(InputError, match="do not fit"):
        distance.build(weights=str(tmp_path / "odd.safetensors"))


def test_training_lowers_the_error(motion, tmp_path):
    draw = Sampler(motion, 1, False, 0)
    torch.manual_seed(0)
    model = distance.DistanceNet(64, 1)
    held = root.batch(Sampler(motion, 1, False, 9), 512)
    optimizer, before = torch.optim.Adam(model.parameters(), 3e-3), root.loss(model, held).item()
    for _ in range(60):
        optimizer.zero_grad()
        root.loss(model, root.batch(draw, 128)).backward()
        optimizer.step()
    assert root.loss(model, held).item() < 0.35 * before


def test_the_trainer_writes_what_the_application_reads(crowd, packed, tmp_path):
    joints, camera = crowd
    root.main(["--packed", str(packed), "--steps", "2", "--batch", "16", "--epochs", "1", "--device", "cpu", "--state", str(tmp_path / "s.pt"),
               "--output", str(tmp_path / "w.safetensors")])
    found = depth(project(joints, camera), camera, weights=str(tmp_path / "w.safetensors"))
    assert np.isfinite(found).all() and not np.allclose(found, depth(project(joints, camera), camera))


@pytest.mark.slow
def test_both_ways_are_measured_on_drawn_scenes(tmp_path, capsys):
    import json

    evaluation.main(["--scenes", "1", "--seconds", "0.7", "--people", "2", "--json", str(tmp_path / "r.json")])
    found = json.loads((tmp_path / "r.json").read_text())["root"]
    assert {"median_relative", "fit", "network", "plain"} <= set(found) and found["plain"]["people"] > 0
    assert "median relative error" in capsys.readouterr().out
