"""Synthetic people: geometry of body and motion, pictures that agree with their truth, and the scores of the whole application."""

import pathlib
from dataclasses import replace

import numpy as np
import pytest

from core.geometry import project
from core.records import Camera, Motion, Track
from core.skeletons import BODY21
from synthetic import absences, stage
from synthetic.bodies import Body
from synthetic.kinematics import Step, perform
from synthetic.looks import random_look
from synthetic.motions import ACTIONS, Style, random_style
from synthetic.scenes import Person, Scene
from synthetic.shapes import CONTACTS, KEY, mean_shape, random_shape
from training.evaluation import scene as scoring
from training.synthetic import random_picture, random_sample, recorded

RATE = 25
DATA = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="module")
def crossing():
    scene = stage.crossing_scene(3, seconds=1.2, fps=10)
    return scene, [scene.frame(i) for i in range(len(scene))]


@pytest.mark.parametrize("action", ACTIONS)
def test_feet_stand_on_the_ground_and_bones_keep_their_length(action):
    points = perform(mean_shape(), [Step(action, 2.0)], RATE, Style())
    lowest = points[:, CONTACTS, 2].min(1)
    flying = action in ("jump", "run")
    assert lowest.min() > -0.025 and (flying or lowest.max() < 0.02)
    for parent, child in BODY21.bones:
        if BODY21.joints[child] != "nose":  # the neck turns between thorax and nose
            assert np.ptp(np.linalg.norm(points[:, child] - points[:, parent], axis=1)) < 1e-6


def test_walking_looks_like_walking():
    points = perform(mean_shape(1.75), [Step("walk", 4.0)], RATE, Style())
    speed = np.linalg.norm(points[-1, KEY["pelvis"], :2] - points[0, KEY["pelvis"], :2]) / 4
    assert 1.0 < speed < 1.7
    assert points[-1, KEY["pelvis"], 0] > 4 and abs(points[-1, KEY["pelvis"], 1]) < 0.5
    assert 0.02 < np.ptp(points[:, KEY["pelvis"], 2]) < 0.08
    ankles = points[:, [KEY["left_ankle"], KEY["right_ankle"]], 0] - points[:, [KEY["pelvis"]], 0]
    wrists = points[:, [KEY["left_wrist"], KEY["right_wrist"]], 0] - points[:, [KEY["pelvis"]], 0]
    assert np.corrcoef(ankles[:, 0], ankles[:, 1])[0, 1] < -0.8
    assert np.corrcoef(ankles[:, 0], wrists[:, 0])[0, 1] < -0.8


def test_the_bearing_foot_does_not_slide():
    points = perform(mean_shape(), [Step("walk", 3.0)], 50, Style())
    heights, feet = points[:, CONTACTS, 2], points[:, CONTACTS, :2]
    lowest = heights.argmin(1)
    still = lowest[1:] == lowest[:-1]
    speed = np.linalg.norm(np.diff(feet, axis=0), axis=2)[np.arange(len(lowest) - 1), lowest[1:]] * 50
    assert np.median(speed[still]) < 0.15


def test_sides_and_front():
    points = perform(mean_shape(), [Step("walk", 1.0)], RATE, Style())
    for name in ("shoulder", "hip", "ankle", "ear", "eye"):
        assert (points[:, KEY[f"left_{name}"], 1] > points[:, KEY[f"right_{name}"], 1]).all()
    ears = (points[:, KEY["left_ear"]] + points[:, KEY["right_ear"]]) / 2
    assert (points[:, KEY["nose"], 0] > ears[:, 0]).all()
    assert (points[:, KEY["left_toe"], 0] > points[:, KEY["left_heel"], 0]).all()


def test_turning_turns():
    points = perform(mean_shape(), [Step("walk", 2.0, 90)], RATE, Style())
    across = points[-1, KEY["left_hip"]] - points[-1, KEY["right_hip"]]
    assert across[0] < -0.8 * np.linalg.norm(across)


def test_shapes_have_human_proportions():
    rng = np.random.default_rng(0)
    statures = [random_shape(rng).stature for _ in range(100)]
    assert min(statures) > 1.1 and max(statures) < 2.1
    assert mean_shape(1.75).stature == pytest.approx(1.75, abs=0.02)


def test_joints_lie_inside_the_painted_body():
    rng = np.random.default_rng(4)
    pose = stage.look_at(np.array([4.0, 0.0, 1.2]), (0, 0, 0.9))
    for action in ("walk", "wave", "crouch", "kick"):
        points = perform(random_shape(rng), [Step(action, 1.0)], RATE, random_style(rng))
        person = Person(Body(random_shape(rng), random_look(rng)), stage.place(points, np.zeros(2), rng.uniform(0, 6)))
        camera = Camera.from_fov(240, 320, 45, False)
        grey = np.full((320, 240, 3), 0.5, np.float32)
        image, truth = Scene((person,), camera, pose, stage.random_light(rng), grey, grain=0, floor=False).frame(10)
        body = (np.abs(image.astype(int) - 128) > 6).any(2)
        column, row = truth.points[0].astype(int).T
        assert body[row, column].mean() > 0.9
        assert body[row, column][truth.visible[0]].mean() > 0.9
        ys, xs = np.nonzero(body)
        assert np.abs(truth.boxes[0] - (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)).max() < 4


def test_truth_is_consistent(crossing):
    scene, frames = crossing
    for index, (image, truth) in enumerate(frames):
        assert image.shape == (360, 640, 3) and image.dtype == np.uint8
        assert truth.time == pytest.approx(index / 10)
        np.testing.assert_allclose(project(truth.joints, truth.camera), truth.points, atol=1e-2)
        np.testing.assert_allclose(truth.joints[:, BODY21.root, 2], truth.root_depth)
        assert (np.diff(truth.root_depth) <= 0).all()
        world = truth.joints @ truth.world_from_camera[:3, :3].T + truth.world_from_camera[:3, 3]
        for row, number in enumerate(truth.ids):
            np.testing.assert_allclose(world[row], scene.people[number - 1].points[index, :21], atol=1e-4)
        assert (truth.boxes[:, :2] >= 0).all() and (truth.boxes[:, 2:] <= (640, 360)).all()


def test_same_seed_same_picture():
    first, again, other = (stage.random_scene(seed, 2, 160, 120, 0.2).frame(2)[0] for seed in (5, 5, 6))
    assert (first == again).all()
    assert (first != other).any()


def test_far_side_and_covered_joints_are_hidden():
    rng = np.random.default_rng(1)
    points = perform(mean_shape(), [Step("stand", 0.2)], RATE, Style())
    pose, camera = stage.look_at(np.array([5.0, 0, 1.2]), (0, 0, 0.9)), Camera.from_fov(200, 300, 45, False)
    body, grey = Body(mean_shape(), random_look(rng)), np.full((300, 200, 3), 0.5, np.float32)
    facing, away = (stage.place(points, np.zeros(2), yaw) for yaw in (0, np.pi))
    near = facing + (1.5, 0, 0)
    light = stage.random_light(rng)
    front = Scene((Person(body, facing),), camera, pose, light, grey).frame(0)[1]
    back = Scene((Person(body, away),), camera, pose, light, grey).frame(0)[1]
    both = Scene((Person(body, facing), Person(body, near)), camera, pose, light, grey).frame(0)[1]
    face = BODY21.indices("nose", "left_eye", "right_eye")
    assert front.visible[0, face].all() and not back.visible[0, face].any()
    assert list(both.ids) == [1, 2] and both.shown[1] == 1 and both.shown[0] < 0.4 and both.visible[0].mean() < 0.4
    left = BODY21.index("left_shoulder")
    assert front.points[0, left, 0] > 100 > back.points[0, left, 0]


def test_somebody_out_of_the_picture_has_no_row():
    scene = stage.random_scene(1, 1, 160, 120, 0.2)
    gone = replace(scene, people=(Person(scene.people[0].body, scene.people[0].points + (500, 500, 0)),))
    image, truth = gone.frame(0)
    assert len(truth) == 0 and truth.points.shape == (0, 21, 2) and image.shape == (120, 160, 3)


def test_an_empty_scene_is_a_picture_without_rows():
    scene = stage.random_scene(1, 0, 160, 120, 0.2)
    image, truth = scene.frame(0)
    assert len(scene) == 5 and image.shape == (120, 160, 3) and truth.joints.shape == (0, 21, 3) and truth.boxes.shape == (0, 4)


def test_a_shaking_camera_moves_the_picture_and_the_truth_with_it():
    scene = replace(stage.random_scene(2, 1, 160, 120, 2.0, shake=2.0), grain=0.0)
    first, later = scene.frame(0)[1], scene.frame(30)[1]
    assert np.abs(first.world_from_camera - later.world_from_camera).max() > 0.01
    np.testing.assert_allclose(project(later.joints, later.camera), later.points, atol=1e-2)


def test_crops_and_pictures_for_training():
    rng = np.random.default_rng(0)
    for _ in range(6):
        image, points, visible = random_sample(rng, (96, 128))[:3]
        assert image.shape == (128, 96, 3) and points.shape == (21, 2) and visible.dtype == bool
        assert ((points[visible] >= 0) & (points[visible] < (96, 128))).all()
    sample = random_sample(rng, (96, 128))
    np.testing.assert_allclose(project(sample.joints, sample.camera), sample.points, atol=1e-2)
    image, boxes = random_picture(rng, (160, 120))
    assert image.shape == (120, 160, 3) and boxes.shape[1] == 4 and (boxes[:, 2:] > boxes[:, :2]).all()


@pytest.mark.shared
@pytest.mark.skipif(not DATA.is_dir(), reason="no data folder beside the repository")
def test_recorded_poses_before_photographs():
    poses = recorded(DATA / "mocap" / "cmu2.npz", stride=500)
    assert poses.shape[1:] == (27, 3) and np.isfinite(poses).all()
    feet = poses[:, CONTACTS, 2].min(1)
    assert abs(np.median(feet)) < 0.06
    pictures = [np.full((100, 80, 3), 90, np.uint8)]
    image, points, visible = random_sample(np.random.default_rng(0), (96, 128), pictures, poses)[:3]
    assert image.shape == (128, 96, 3) and visible.any()


# ---- the scores


def perfect(scene, truths):
    """The Motion that the truth itself would be."""
    tracks = {}
    for number in sorted({int(i) for truth in truths for i in truth.ids}):
        rows = [(t, int(np.flatnonzero(t.ids == number)[0])) for t in truths if number in t.ids]
        joints = np.array([t.joints[r] for t, r in rows])
        tracks[number] = Track(number, [t.index for t, _ in rows], [t.time for t, _ in rows], np.array([t.boxes[r] for t, r in rows]),
                               np.array([t.points[r] for t, r in rows]), np.ones(joints.shape[:2]), joints - joints[:, [BODY21.root]],
                               joints[:, BODY21.root], np.ones(len(rows), bool))
    return Motion(scene.info, scene.camera, truths[0].world_from_camera, BODY21, BODY21, tracks)


def part(track, rows, number):
    """Some rows of a track under a number."""
    names = ("frames", "times", "boxes", "points", "scores", "joints3d", "root", "observed")
    return replace(track, id=number, **{name: getattr(track, name)[rows] for name in names})


def test_truth_against_itself_has_no_error(crossing):
    scene, frames = crossing
    truths = [truth for _, truth in frames]
    result = scoring.score(perfect(scene, truths), truths)
    assert result.pop("found") == 1
    assert result == {name: pytest.approx(0, abs=1e-3) for name in result}


def test_errors_are_counted(crossing):
    scene, frames = crossing
    truths = [truth for _, truth in frames]
    motion = perfect(scene, truths)
    order = list(BODY21.mirror)
    mirrored = {k: replace(t, points=t.points[:, order], joints3d=t.joints3d * 1.1, root=t.root * 1.05) for k, t in motion.tracks.items()}
    result = scoring.score(replace(motion, tracks=mirrored), truths)
    assert result["swapped"] == 1 and result["pixel"] > 3
    assert result["mpjpe_mm"] > 30 and result["pa_mpjpe_mm"] == pytest.approx(0, abs=1e-2)
    assert result["depth"] == pytest.approx(0.05, abs=1e-4)
    early = {k: part(t, slice(6), k) for k, t in motion.tracks.items()}
    assert scoring.score(replace(motion, tracks=early), truths)["found"] == pytest.approx(0.5, abs=0.1)
    late = {k + 10: part(t, slice(6, None), k + 10) for k, t in motion.tracks.items()}
    broken = scoring.score(replace(motion, tracks=early | late), truths)
    assert broken["switches"] == 3 and broken["found"] == 1
    nobody = scoring.score(replace(motion, tracks={}), truths)
    assert nobody["found"] == 0 and np.isnan(nobody["mpjpe_mm"])


def test_a_tilted_world_is_measured(crossing):
    scene, frames = crossing
    truths = [truth for _, truth in frames]
    motion = perfect(scene, truths)
    angle = np.radians(10)
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    tilt[2, 3] = 0.2
    world = scoring.score_world(replace(motion, world_from_camera=tilt @ motion.world_from_camera), truths[0])
    assert world["up_degrees"] == pytest.approx(10, abs=1e-3) and world["floor_mm"] > 0


def test_people_leave_the_picture_and_come_back():
    scene = absences.leaving_scene(5, people=2, fps=10)
    to_camera = np.linalg.inv(scene.world_from_camera)
    for person in scene.people:
        seen = stage.in_picture(person.points, scene.camera, to_camera)
        assert seen[:3].min() > 0.5 and seen[-3:].min() > 0.5
        assert 8 <= absences.longest(seen < 0.02) <= 40


def test_a_wall_hides_people_for_about_a_second():
    scene = absences.hidden_scene(7, people=1, fps=10)
    truths = [scene.frame(i)[1] for i in range(0, len(scene), 2)]
    hidden = np.array([truth.shown[0] == 0 if len(truth) else False for truth in truths])
    assert 3 <= absences.longest(hidden) <= 8  # fifths of a second
    assert not truths[int(np.flatnonzero(hidden)[0])].visible.any()
    picture, _ = scene.frame(0)
    column = scene.camera.width // 2
    np.testing.assert_allclose(picture[:, column] / 255, scene.front[:, column, :3], atol=0.15)
