"""The top-down pose network: decoding, batches, rotation, coordinates."""

import itertools

import numpy as np
import pytest
import torch

import weights
from core.errors import InputError
from core.geometry import project
from core.networks import fuse, normalised
from core.records import Camera
from core.runtime import runnable
from core.skeletons import BODY21
from poses import _depth, body21
from synthetic.stage import crossing_scene

HEADER = {"size": "96x128", "scale": 1.25, "depth": "false", "calibration": "1,0"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    torch.manual_seed(0)
    model = body21.PoseNet()
    torch.nn.init.normal_(model.head.weight, std=0.3)
    path = tmp_path_factory.mktemp("weights") / "pose.safetensors"
    weights.save(path, fuse(model).state_dict(), HEADER)
    return path


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, size, dtype=np.uint8) for size in ((120, 160, 3), (200, 90, 3))]


def blob(x, y, size=(96, 128), sigma=3.0, height=1.0):
    """A probability map (h, w) of a Gaussian at (x, y) crop px."""
    columns, rows = (np.arange(n // 4) * 4 + 2 for n in size)
    spot = np.exp(-((columns - x) ** 2 + (rows[:, None] - y) ** 2) / (2 * sigma**2))
    return height * spot / spot.sum()


@pytest.mark.parametrize("where", [(40.0, 60.0), (41.3, 77.9), (30.6, 20.2)])
def test_decoding_is_finer_than_a_cell(where):
    maps = torch.tensor(np.broadcast_to(blob(*where), (1, 21, 32, 24)).copy(), dtype=torch.float32)
    points, mass = body21.decode(maps, torch.tensor([10.0]))
    assert np.abs(points.numpy() - where).max() < 0.3
    assert mass.min() > 0.95


def test_two_cells_that_are_alike_do_not_make_the_point_jump():
    between = torch.from_numpy(blob(40.0, 60.0)).float()[None, None]  # on the border of two cells
    radius = torch.tensor([10.0])
    tilts = [torch.zeros_like(between) for _ in range(2)]
    tilts[0][..., 9], tilts[1][..., 10] = 1e-6, 1e-6
    left, right = (body21.decode(between + tilt, radius)[0] for tilt in tilts)
    assert (left - right).abs().max() < 2e-3


def test_a_broad_hill_is_believed_before_a_lonely_peak():
    maps = torch.from_numpy(blob(30.0, 90.0, sigma=6.0, height=0.6) + blob(62.0, 30.0, sigma=1.5, height=0.4)).float()[None, None]
    assert maps.argmax() % 24 == 15  # the highest cell is the peak's
    points, mass = body21.decode(maps, torch.tensor([20.0]))
    assert (points[0, 0] - torch.tensor([30.0, 90.0])).norm() < 2
    assert 0.4 < mass < 0.6


def test_the_second_opinion_is_the_first_until_it_is_trained_and_then_sees_all_joints_of_it():
    torch.manual_seed(0)
    model, x = body21.PoseNet().eval(), torch.randn(1, 3, 128, 96)
    with torch.no_grad():
        model.head.load_state_dict(model.first.state_dict())
        last, first = model(x).split(21, 1)
        assert torch.equal(last, first)
        torch.nn.init.normal_(model.leave.weight, std=0.1)
        before = model(x)[:, :21]
        model.first.bias[5] -= 50  # the left shoulder is not in the crop
        after = model(x)[:, :21]
    assert ((after - before).abs().amax((2, 3)) > 1e-5).all()


def test_every_weight_of_the_second_opinion_learns():
    torch.manual_seed(0)
    model, x = body21.PoseNet(), torch.randn(2, 3, 64, 64)
    before = {name: value.clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    for _ in range(3):
        optimizer.zero_grad()
        model(x)[:, :21].square().mean().backward()
        optimizer.step()
    second = [name for name in before if not name.startswith(("unet", "first"))]
    assert second and all(not torch.equal(before[name], value) for name, value in model.named_parameters() if name in second)
    assert model.first.weight.grad is None or not model.first.weight.grad.any()  # it answers for itself alone


def test_mass_is_the_probability_near_the_point():
    maps = torch.tensor((0.6 * blob(30, 30) + 0.3 * blob(70, 100))[None, None], dtype=torch.float32)
    points, mass = body21.decode(maps, torch.tensor([12.0]))
    assert np.allclose(points[0, 0], (30, 30), atol=0.5)
    assert mass[0, 0] == pytest.approx(0.6, abs=0.01)


def test_the_second_place_of_a_joint():
    maps = torch.tensor((0.6 * blob(30, 30) + 0.3 * blob(70, 100))[None, None], dtype=torch.float32)
    points, _ = body21.decode(maps, torch.tensor([12.0]))
    found = body21.second(maps, points)[0, 0].numpy()
    assert np.allclose(found[:2], (70, 100), atol=0.5) and found[2] == pytest.approx(1 / 3, abs=0.01)
    alone = torch.tensor(blob(30, 30)[None, None], dtype=torch.float32)
    assert body21.second(alone, body21.decode(alone, torch.tensor([12.0]))[0])[0, 0, 2] < 0.01


def test_what_is_not_in_the_crop_takes_probability_from_the_cells():
    assert body21.probabilities(torch.zeros(1, 1, 2, 2)).sum() == pytest.approx(0.8)
    assert body21.probabilities(torch.full((1, 1, 2, 2), -20.0)).sum() < 1e-6


def test_rows_follow_the_boxes_and_no_boxes_give_no_rows(path, images):
    estimator = body21.build(path, device="cpu")
    found = estimator(images, [np.zeros((0, 4)), np.array([[10, 20, 60, 150], [30, 5, 80, 190.0]])], [])
    assert [len(poses) for poses in found] == [0, 2]
    assert found[1].points.shape == (2, 21, 2)
    assert found[1].skeleton is BODY21
    assert estimator([], [], []) == []
    assert len(estimator(images[:1], [np.zeros((0, 4))], [])[0]) == 0


def test_answers_do_not_depend_on_the_batch(path, images):
    boxes = [np.array([[5, 5, 100, 110], [50, 30, 90, 100.0], [20, 40, 140, 90]]), np.array([[10, 20, 60, 150.0]])]
    together = body21.build(path, device="cpu")(images, boxes, [])
    alone = body21.build(path, batch=1, device="cpu")
    for image, some, poses in zip(images, boxes, together, strict=True):
        for box, points, scores in zip(some, poses.points, poses.scores, strict=True):
            single = alone([image], [box[None]], [])[0]
            assert np.abs(single.points[0] - points).max() < 1e-3
            assert np.abs(single.scores[0] - scores).max() < 1e-4


def test_left_and_right_can_be_left_as_the_picture_has_them(path, images):
    boxes = [np.array([[10, 10, 80, 110.0]])]
    told, left = (body21.build(path, rivals=rivals, device="cpu")(images[:1], boxes)[0] for rivals in (True, False))
    assert told.rivals is not None and left.rivals is None
    assert np.array_equal(told.points, left.points)


def test_points_are_in_picture_pixels(path, images):
    estimator = body21.build(path, upright=False, device="cpu")
    box = np.array([[30, 20, 80, 100.0]])
    before = estimator(images[:1], [box], [])[0]
    moved = np.zeros((240, 300, 3), np.uint8)
    moved[70:190, 90:250] = images[0]
    after = estimator([moved], [box + (90, 70, 90, 70)], [])[0]
    inside = (before.points > 6).all(2) & (before.points < (154, 114)).all(2)
    assert inside.any()
    assert np.abs(after.points - before.points - (90, 70))[inside].max() < 3


def test_a_mirrored_picture_gives_mirrored_joints_with_the_flip_option(path):
    image = np.random.default_rng(1).integers(0, 256, (128, 96, 3), dtype=np.uint8)
    estimator, box = body21.build(path, flip=True, upright=False, device="cpu"), np.array([[0, 0, 96, 128.0]])
    plain = estimator([image], [box], [])[0].points[0]
    mirrored = estimator([np.ascontiguousarray(image[:, ::-1])], [box], [])[0].points[0]
    assert np.allclose(mirrored[list(BODY21.mirror)] * (-1, 1) + (96, 0), plain, atol=0.05)


class Compass(torch.nn.Module):
    """Sees every joint at the brightest cell, but only while the picture is brighter in its upper half."""

    def forward(self, x):
        grey = torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), 4)
        upright = (grey[:, :, : grey.shape[2] // 2].mean((1, 2, 3)) > grey[:, :, grey.shape[2] // 2 :].mean((1, 2, 3))).float()
        return (20 * (grey - grey.amax((2, 3), keepdim=True)) + 10 * upright[:, None, None, None]).expand(-1, 21, -1, -1)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_person_who_is_turned_is_found_by_looking_again(quarters):
    image = np.zeros((200, 200, 3), np.uint8)
    image[40:60, 90:110] = 255
    image = np.ascontiguousarray(np.rot90(image, quarters))
    centre = np.argwhere(image[..., 0]).mean(0)[::-1] + 0.5
    estimator = body21.Body21(runnable(Compass(), torch.device("cpu")), HEADER, upright=True)
    poses = estimator([image], [np.array([[30, 30, 170, 170.0]])], [])[0]
    assert poses.scores.mean() > 0.5
    assert np.abs(poses.points[0] - centre).max() < 12


class Spotter(torch.nn.Module):
    """Sees each joint where its colour is, and that it is not in the crop where there is none of it."""

    def forward(self, x):
        seen = torch.nn.functional.avg_pool2d(x, 4)[:, None]
        wanted = normalised(torch.tensor(COLOURS, dtype=torch.float32)[..., None, None])[None]
        return 30 * (0.4 - (seen - wanted).norm(dim=2)).clamp(-1, 0.4)


COLOURS = [c for c in itertools.product((85, 170, 255), repeat=3) if len(set(c)) > 1][:21]
LEGS = BODY21.indices("left_knee", "right_knee", "left_ankle", "right_ankle")


def spotted(height=300):
    """A picture with a coloured spot for every joint, the legs from y 185 on, the place (21, 2) of each, and a box that ends above the legs."""
    image, places = np.zeros((300, 200, 3), np.uint8), np.zeros((21, 2))
    low = {joint: (78 + 16 * i, 190) for i, joint in enumerate(LEGS)}
    low |= {BODY21.index("left_hip"): (85, 138), BODY21.index("right_hip"): (115, 138)}
    free = iter(itertools.product(range(74, 134, 16), range(56, 126, 15)))
    for joint, colour in enumerate(COLOURS):
        x, y = low.get(joint) or next(free)
        image[y - 5 : y + 5, x - 5 : x + 5], places[joint] = colour, (x, y)
    return image[:height], places, np.array([[65, 45, 140, 150.0]])


def test_a_person_whose_legs_the_box_leaves_out_is_looked_at_in_a_larger_one():
    image, places, box = spotted()
    network = runnable(Spotter(), torch.device("cpu"))
    narrow, wide = (body21.Body21(network, HEADER, widen=widen)([image], [box], [])[0] for widen in (False, True))
    legs = np.isin(np.arange(21), LEGS)
    assert narrow.scores[0, legs].max() < 0.1 and narrow.scores[0, ~legs].min() > 0.9
    assert wide.scores[0, legs].mean() > 0.8 and np.abs(wide.points[0] - places).max() < 3
    whole = np.array([[65, 45, 140, 200.0]])
    same = [body21.Body21(network, HEADER, widen=widen)([image], [whole], [])[0].points for widen in (False, True)]
    assert np.array_equal(*same)


def test_what_the_picture_does_not_show_is_not_looked_for():
    image, _, box = spotted(height=152)
    network = runnable(Spotter(), torch.device("cpu"))
    narrow, wide = (body21.Body21(network, HEADER, widen=widen)([image], [box], [])[0] for widen in (False, True))
    assert narrow.scores[0, LEGS].max() < 0.1
    assert np.array_equal(narrow.points, wide.points) and np.array_equal(narrow.scores, wide.scores)


def test_a_box_grows_where_the_body_goes_on():
    box, points = np.array([40.0, 40, 80, 140]), np.tile([60.0, 90], (21, 1))
    points[BODY21.indices("left_hip", "right_hip")] = (60, 135)
    points[BODY21.indices("thorax")] = (60, 45)
    outside = np.isin(np.arange(21), LEGS)
    assert body21.widened(box, points, outside, (400, 300)).tolist() == [40, 40, 80, 175]
    assert body21.widened(box, points, outside, (160, 300)).tolist() == [40, 40, 80, 160]
    assert body21.widened(box, points, outside, (145, 300)) is box  # hardly more picture there
    assert body21.widened(box, points, np.ones(21, bool), (400, 300)) is box
    assert body21.widened(box, points, np.zeros(21, bool), (400, 300)) is box


# ---- 3D of one picture


@pytest.fixture(scope="module")
def crowd():
    """Joints (N, 21, 3) m of drawn people in camera axes, the camera, and how their bones compare with those that are assumed (N,)."""
    scene = crossing_scene(3, 3, seconds=1.0)
    joints = np.concatenate([scene.frame(number)[1].joints for number in (0, 15)]).astype(np.float32)
    bones = np.linalg.norm(joints - joints[:, np.maximum(BODY21.parents, 0)], axis=2)
    own = sum(bones[:, BODY21.index(name)] for name in _depth.BONES)
    return joints, scene.camera, own / sum(_depth.BONES.values())


def test_joints_of_true_depth_are_the_truth_but_for_the_size_of_the_body(crowd):
    joints, camera, size = crowd
    around = joints - joints[:, [BODY21.root]]
    found = _depth.relative(project(joints, camera), np.ones(joints.shape[:2]), around[..., 2] / size[:, None], camera)
    assert np.linalg.norm(found - around / size[:, None, None], axis=2).max() < 0.02


def test_too_few_joints_give_no_3d(crowd):
    joints, camera, _ = crowd
    scores = np.ones(joints.shape[:2])
    scores[0, 3:] = 0
    found = _depth.relative(project(joints, camera), scores, joints[..., 2] - joints[:, [BODY21.root], 2], camera)
    assert np.isnan(found[0]).all() and np.isfinite(found[1:]).all()
    assert _depth.relative(np.zeros((0, 21, 2)), np.zeros((0, 21)), np.zeros((0, 21)), camera).shape == (0, 21, 3)


def test_depth_comes_from_a_file_that_has_learned_it(path, images, tmp_path):
    with pytest.raises(InputError, match="not learned depth"):
        body21.build(path, depth=True, device="cpu")
    torch.manual_seed(0)
    model = body21.PoseNet(depth=True)
    torch.nn.init.normal_(model.head.weight, std=0.3)
    deep = tmp_path / "deep.safetensors"
    weights.save(deep, fuse(model).state_dict(), HEADER | {"depth": "true"})
    camera, boxes = Camera(160, 120, 150.0, 150.0, 80.0, 60.0), np.array([[20, 10, 90, 110.0], [30, 5, 140, 118]])
    plain, flat = (body21.build(deep, depth=depth, device="cpu")(images[:1], [boxes], [camera])[0] for depth in (True, False))
    assert plain.relative.shape == (2, 21, 3) and flat.relative is None
    np.testing.assert_array_equal(plain.points, flat.points)
    estimator = body21.build(deep, depth=True, flip=True, device="cpu")
    crops = [np.ascontiguousarray(image[None, :96, :96]) for image in (images[0], images[0][:, :96][:, ::-1])]
    here, there = (estimator.read(crop, np.full(1, 9.0, np.float32))[2][0] for crop in crops)
    np.testing.assert_allclose(here, there[list(BODY21.mirror)], atol=1e-4)


def test_weights_that_do_not_fit_are_the_users_fault(tmp_path):
    weights.save(tmp_path / "odd.safetensors", {"a": torch.zeros(1)}, HEADER)
    with pytest.raises(InputError, match="missing"):
        body21.build(tmp_path / "odd.safetensors")
