"""Losses, crops and measures of the picture systems, on numbers worked out by hand or made here."""

import numpy as np
import pytest
import torch

from core.errors import InputError
from core.skeletons import COCO17, H36M18, MPII16, MUPOTS17
from poses._posenet import DEPTH
from training import crops
from training.evaluation import mupots3d
from training.evaluation.figures import figures
from training.evaluation.keypoints import head_sizes, oks_ap, pckh
from training.evaluation.roots import ap_root, median_share, mrpe
from training.pose_losses import location_loss, pose_loss, published, refiner_loss, root_loss
from training.reading import Batches, Share

# ---- losses


def test_depth_counts_where_it_is_known():
    found, wanted = torch.zeros(2, 1, 3), torch.tensor([[[3.0, 6.0, 9.0]], [[3.0, 6.0, 9.0]]])
    loss = pose_loss(found, wanted, torch.ones(2, 1, 1), torch.tensor([[1.0], [0.0]]))
    assert loss.tolist() == [[6.0], [3.0]]
    assert pose_loss(found, wanted, torch.zeros(2, 1, 1), torch.ones(2, 1)).sum() == 0
    assert root_loss(found[:, 0], wanted[:, 0], torch.ones(2, 1), torch.tensor([[1.0], [0.0]])).tolist() == [6.0, 3.0]


def test_location_losses():
    found, wanted, weight = torch.tensor([[[0.0, 0, 0]]] * 2), torch.tensor([[[0.5, 2.0, 1.0]]] * 2), torch.tensor([[[1.0, 1.0, 0.0]]] * 2)
    assert location_loss(found, wanted, weight) == 5.0
    assert location_loss(found, wanted, weight, "smooth", True) == 0.125 + 1.5
    assert published("L2JointLocationLoss")(found, wanted, weight) == 4.25
    assert published("L1JointLocationLoss")(found, wanted, weight) == 5.0  # a sum, as published


def test_the_refiner_is_drawn_to_the_truth_and_to_the_guess():
    found, truth, own = torch.zeros(1, 3), torch.full((1, 3), 10.0), torch.full((1, 3), 0.5)
    assert refiner_loss(found, truth) == 9.5
    assert refiner_loss(found, truth, own) == 9.5 + 0.125


# ---- crops


def test_a_crop_without_change_maps_the_box_onto_it():
    matrix = crops.crop_map((50, 40, 20, 20), (256, 256))
    np.testing.assert_allclose(crops.moved([[40, 30, 5], [60, 50, 6]], matrix), [[0, 0, 5], [256, 256, 6]], atol=1e-9)


def test_rotation_and_scale_keep_the_middle():
    matrix = crops.crop_map((50, 40, 20, 20), (64, 64), 1.25, 30)
    np.testing.assert_allclose(crops.moved([[50, 40]], matrix), [[32, 32]], atol=1e-9)
    assert np.sqrt(np.linalg.det(matrix[:, :2])) == pytest.approx(64 / 25)


def test_points_and_pictures_move_together():
    """A bright dot is where its coordinates go, whatever the change; mirrored ones exchange their names."""
    image = np.zeros((90, 120, 3), np.uint8)
    image[28:31, 50:53] = 255
    for change in (crops.Change(), crops.Change(1.1, 25.0), crops.Change(0.8, -40.0, True)):
        crop, matrix = crops.patch(image, (60, 40, 70, 70), (64, 64), change)
        point = crops.moved([[51, 29], [51, 29]], matrix, 120 if change.flip else None, (1, 0))[0, :2]
        bright = np.argwhere(crop[0] > 0.6 * crop.max())
        np.testing.assert_allclose(bright.mean(0)[::-1], point, atol=0.7)


def test_mirrored_joints_have_the_names_of_the_other_side():
    points = np.arange(36.0).reshape(18, 2)
    turned = crops.moved(points, np.eye(2, 3), 100, H36M18.mirror)
    left, right = H36M18.indices("left_knee", "right_knee")
    np.testing.assert_allclose(turned[left], [100 - points[right, 0] - 1, points[right, 1]])


def test_cells_and_what_is_outside():
    cells, inside = crops.pose_cells(np.array([[0, 0, -1.0], [128, 64, 0.0], [256, 10, 0], [10, 10, 1.0], [10, -1, 0]]), 256)
    np.testing.assert_allclose(cells[1], [32, 16, DEPTH / 2])
    assert inside.tolist() == [True, True, False, False, False]


def test_hidden_rectangles_lie_inside_and_leave_the_picture_alone():
    image = np.full((50, 50, 3), 7, np.uint8)
    hidden = crops.hidden(image, (25, 25, 40, 40), np.random.default_rng(2))
    assert (image == 7).all() and 0 < (hidden != 7).any(2).mean() < 0.6
    assert (crops.hidden(image, (500, 500, 40, 40), np.random.default_rng(2)) == 7).all()  # nobody in the picture: nothing to hide


def test_changes_are_drawn_within_their_limits():
    rng = np.random.default_rng(0)
    drawn = [crops.random_change(rng) for _ in range(400)]
    assert all(0.75 <= each.scale <= 1.25 and abs(each.rotation) <= 60 and all(0.8 <= c <= 1.2 for c in each.colour) for each in drawn)
    for share, of in ((0.5, "flip"), (0.5, "hide")):
        assert abs(np.mean([getattr(each, of) for each in drawn]) - share) < 0.1
    assert abs(np.mean([each.rotation != 0 for each in drawn]) - 0.6) < 0.1
    still = [crops.random_change(rng, scale=False, flip=False, hide=False) for _ in range(20)]
    assert all(each.scale == 1 and not each.flip and not each.hide for each in still)


@pytest.mark.parametrize(("spatial", "flat"), [(7, 3), (3, 7), (4, 4)])
def test_sets_are_mixed_half_and_half(spatial, flat):
    rows, most = crops.mixed(spatial, flat, np.random.default_rng(0)), max(spatial, flat)
    assert len(rows) == 2 * most and (rows < spatial).sum() == most and set(rows) == set(range(spatial + flat))
    counts = np.bincount(rows)
    assert counts[:spatial].min() >= most // spatial and counts[spatial:].min() >= most // flat
    assert sorted(crops.mixed(spatial, 0, np.random.default_rng(0))) == list(range(spatial))


# ---- measures


def test_root_errors():
    truth = np.array([[0, 0, 4.0], [0, 0, 2.0]])
    found = mrpe(truth + [[0.003, 0, -0.004], [0, 0, 0]], truth)
    assert found == pytest.approx({"MRPE": 2.5, "x": 1.5, "y": 0, "z": 2})
    assert median_share(truth * 1.1, truth) == pytest.approx(0.1)


def people(*roots, image=0, valid=1):
    return [{"image_id": image, "is_valid": valid, "keypoints_cam": np.tile(root, (17, 1)).tolist()} for root in roots]


def test_ap_of_the_root():
    truth = people([0, 0, 3000], [1000, 0, 3000]) + people([0, 0, 2000], image=1, valid=0)
    found = [{"image_id": 0, "root_cam": [0, 0, 3100], "score": 0.9}, {"image_id": 0, "root_cam": [0, 0, 3010], "score": 0.8},
             {"image_id": 0, "root_cam": [1000, 0, 3000], "score": 0.7}, {"image_id": 1, "root_cam": [0, 0, 2000], "score": 0.99}]
    assert ap_root(found, truth) == pytest.approx(100 * 2 / 3 * 0.5)  # right, taken already, right; the first one's own area is left out
    assert ap_root([], truth) == 0


def annotation(pose, points=None, image=0):
    points = pose[:, :2] * 100 + 500 if points is None else points
    return {"image_id": image, "is_valid": 1, "keypoints_cam": (pose * 1000).tolist(), "keypoints_img": points.tolist()}


@pytest.fixture
def standing():
    rng = np.random.default_rng(3)
    return rng.normal(0, 0.4, (17, 3)) + (0, 0, 4)


def test_people_are_matched_by_joints_that_are_near(standing):
    points = standing[:, :2] * 100 + 500
    far = points + 100
    assert mupots3d.match(np.array([points, far]), np.array([far + 5, points + 39])).tolist() == [1, 0]
    assert mupots3d.match(np.array([points]), np.array([points + 41])).tolist() == [-1]
    assert mupots3d.match(np.array([points, points]), np.array([points])).tolist() == [0, -1]  # nobody is taken twice
    assert mupots3d.match(np.array([points]), np.zeros((0, 17, 2))).tolist() == [-1]


def test_bones_of_true_length_keep_their_direction(standing):
    rng = np.random.default_rng(4)
    root, other = MUPOTS17.root, rng.normal(0, 0.4, (17, 3))
    made = mupots3d.scaled(other, standing)
    np.testing.assert_allclose(made[root], other[root])
    for a, b in mupots3d.BONES:
        bone, true = made[b] - made[a], np.linalg.norm(standing[b] - standing[a])
        np.testing.assert_allclose(bone, (other[b] - other[a]) / np.linalg.norm(other[b] - other[a]) * true, atol=1e-6)
    np.testing.assert_allclose(mupots3d.scaled(standing * 1.3, standing) - 1.3 * standing[root] + standing[root], standing, atol=1e-6)


def test_pck_relative_and_absolute_all_and_matched(standing):
    points = standing[:, :2] * 100 + 500
    images = {0: {"file_name": "TS1/img_000000.jpg"}, 1: {"file_name": "TS2/img_000000.jpg"}}
    truth = [annotation(standing), annotation(standing, points + 1000), annotation(standing, image=1)]
    flat = {"TS1_img_000000": points[None], "TS2_img_000000": points[None]}
    space = {"TS1_img_000000": 1000 * (standing + (0, 0, 1))[None], "TS2_img_000000": 1000 * standing[None]}
    tables = mupots3d.score(images, truth, flat, space)
    assert [tables[True, False][name]["PCK"] for name in ("TS1", "TS2", "all")] == [50, 100, 75]  # one of TS1's two was not found
    assert tables[True, True]["TS1"]["PCK"] == 100 and tables[True, True]["all"]["AUC"] == pytest.approx(100 * 30 / 31)
    assert [tables[False, True][name]["PCK"] for name in ("TS1", "TS2")] == [0, 100]  # a metre too far
    nobody = mupots3d.score(images, truth, {}, {})
    assert nobody[True, False]["all"]["PCK"] == 0 and np.isnan(nobody[True, True]["all"]["PCK"])


def test_pckh():
    truth = np.zeros((2, 16, 2))
    truth[:, MPII16.index("head"), 1] = -10
    found, visible = truth + (4, 0), np.ones((2, 16), bool)
    found[0, 0] += 2
    visible[1, 1] = False
    share, each = pckh(found, truth, visible, head_sizes(truth, visible))
    assert share == pytest.approx(100 * 30 / 31) and each[0] == 50 and each[1] == 100
    assert pckh(found, truth, visible, np.array([30.0, 5.0]))[0] == pytest.approx(100 * 16 / 31)


def test_heads_that_are_not_seen_do_not_count():
    truth, visible = np.ones((1, 16, 2)), np.ones((1, 16), bool)
    visible[0, MPII16.index("head")] = False
    assert np.isnan(head_sizes(truth, visible)).all() and np.isnan(pckh(truth, truth, visible, head_sizes(truth, visible))[0])


def test_processes_share_an_epoch():
    parts = [list(Share(7, rank, 3)) for rank in range(3)]
    assert {len(part) for part in parts} == {3} and set(sum(parts, [])) == set(range(7)) and sum(parts, []).count(0) == 2


@pytest.mark.parametrize(("count", "sizes"), [(9, [4, 4]), (10, [4, 4, 2]), (1, [1]), (8, [4, 4])])
def test_a_last_batch_of_one_is_left_out(count, sizes):
    batches = Batches(torch.utils.data.TensorDataset(torch.arange(count)), 4, torch.device("cpu"))
    assert [len(batch[0]) for batch in batches] == sizes and len(batches) == len(sizes)


class Unreadable(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, place):
        raise InputError("x.jpg: cannot be read as a picture")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_picture_is_one_line_whoever_reads_it(workers):
    with pytest.raises(InputError) as error:
        list(Batches(Unreadable(), 2, torch.device("cpu"), workers))
    assert str(error.value) == "x.jpg: cannot be read as a picture"


def test_oks_ap(picture_sets):
    pytest.importorskip("pycocotools")
    from training.datasets import mppe_coco

    persons = mppe_coco.load(picture_sets, "test")
    rows = [{"image_id": int(number), "points": points[:17, :2], "score": 1.0}
            for number, points in zip(persons.image_ids, persons.points, strict=True)]
    path = picture_sets / "MSCOCO" / "annotations" / "person_keypoints_val2017.json"
    assert oks_ap(path, rows)["AP"] == pytest.approx(100)
    away = [row | {"points": row["points"] + 40} for row in rows]
    assert oks_ap(path, away)["AP"] < 20
    for row in away:  # a network without eyes and ears is judged by the rest
        row["points"][5:] -= 40
    assert oks_ap(path, away, COCO17.joints[5:])["AP"] == pytest.approx(100) and oks_ap(path, away)["AP"] < 100


def test_figures_of_the_fifth_system():
    truth = np.random.default_rng(0).normal(0, 0.3, (4, 17, 3))
    truth -= truth[:, :1]
    found = figures(truth * 1.2 + (0, 0, 0.01) * (np.arange(17) > 0)[:, None], truth)
    assert found["PA-MPJPE"] < 15 < found["MPJPE"] and found["z"] > 10 and found["PCK150"] > 60
    exact = figures(truth, truth)
    assert all(exact[name] == pytest.approx(0, abs=1e-9) for name in exact if name != "PCK150") and exact["PCK150"] == 100
