"""The picture sets of 3DMPPE and of the fifth system: what is drawn is what is written, and what is written is what is read."""

import json
import pathlib
import pickle
import shutil

import cv2
import numpy as np
import pytest

from core.errors import InputError
from core.skeletons import COCO19, H36M18, MUCO21
from training import crops, occlusion
from training.datasets import mppe, mppe_coco, mppe_human36m, mppe_mpii, mppe_muco, mppe_mupots, pose_pickles, refiner_pickles
from training.prepare import drawn

SETS = {"Human36M": mppe_human36m, "MPII": mppe_mpii, "MSCOCO": mppe_coco, "MuCo": mppe_muco, "MuPoTS": mppe_mupots}


@pytest.mark.parametrize("name", SETS)
def test_people_are_where_the_files_say(picture_sets, name):
    persons = SETS[name].load(picture_sets, "test" if name == "MuPoTS" else "train")
    assert len(persons) >= 2
    for row in range(len(persons)):
        assert pathlib.Path(persons.paths[row]).is_file()
        x, y, side = persons.squares[row]
        seen = persons.points[row, persons.visible[row], :2]
        seen = seen[((seen > 0) & (seen < 120)).all(1)]  # MuPoTS takes all joints for visible, those outside the picture, too
        assert (np.abs(seen - (x, y)) < 0.75 * side).all()
    if persons.depth:
        plane = persons.space[..., :2] / persons.space[..., 2:] * persons.focal[:, None] + persons.centre[:, None]
        np.testing.assert_allclose(persons.points[..., :2], plane, atol=0.01)
        np.testing.assert_allclose(persons.roots, persons.space[:, persons.skeleton.root])
        assert ((persons.roots[:, 2] > 1.5) & (persons.roots[:, 2] < 15)).all()


def test_a_person_is_seen_in_the_picture(picture_sets):
    """Skin, clothes and hair are other than the background where the joints are: pictures and joints belong together."""
    persons = mppe_human36m.load(picture_sets, "test")
    image = crops.picture(persons.paths[0]).astype(float)
    x, y = persons.points[0, 0, :2].astype(int)
    assert np.abs(image[y, x] - np.median(image.reshape(-1, 3), 0)).sum() > 15


def test_subjects_of_the_protocols(picture_sets):
    count = {key: len(mppe_human36m.load(picture_sets, *key)) for key in (("train", 1), ("train", 2), ("test", 1), ("test", 2))}
    assert count == {("train", 1): 24, ("train", 2): 20, ("test", 1): 4, ("test", 2): 8}


def test_thorax_and_pelvis_of_coco(picture_sets):
    persons = mppe_coco.load(picture_sets)
    left, right, thorax = COCO19.indices("left_shoulder", "right_shoulder", "thorax")
    both = persons.visible[:, [left, right]].all(1)
    assert both.any()
    np.testing.assert_array_equal(persons.visible[:, thorax], both)
    np.testing.assert_allclose(persons.points[both, thorax], persons.points[both][:, [left, right]].mean(1))


def test_people_too_near_to_others_are_left_out():
    roots = np.array([[0, 0, 4.0], [0.3, 0, 5.0], [2.0, 0, 6.0], [2.1, 0, 9.0]])
    assert mppe_muco.chosen(roots) == [0]
    assert mppe_muco.chosen(np.array([[0, 0, 4.0], [1.0, 0, 3.0], [2.0, 0, 6.0]])) == [1, 0, 2]


@pytest.mark.parametrize("file", ["bbox_root_mupots_output.json", "bbox_mupots_output.json"])
def test_both_names_of_the_boxes_with_roots(picture_sets, tmp_path, file):
    persons = mppe_mupots.load(picture_sets)
    rows = [{"image_id": int(persons.image_ids[0]), "bbox": persons.boxes[0].tolist(), "root_cam": [1.0, 2.0, 3000.0], "score": 0.5}]
    (tmp_path / file).write_text(json.dumps(rows))
    found = mppe_mupots.load(picture_sets, boxes=mppe.found_boxes(tmp_path, "bbox_root", "mupots"))
    np.testing.assert_allclose(found.squares, persons.squares[:1])  # extended once, not twice
    np.testing.assert_allclose(found.roots, [[0.001, 0.002, 3.0]])
    assert found.scores[0] == 0.5


def test_boxes_of_a_detector_are_extended(picture_sets):
    rows = mppe.found_boxes(picture_sets / "MuPoTS" / "bbox", "bbox", "mupots")
    found = mppe_mupots.load(picture_sets, boxes=rows)
    sides = np.array([max(row["bbox"][2:]) for row in rows])
    assert (found.squares[:, 2] > 1.1 * sides).mean() > 0.5 and len(found) == len(rows)


@pytest.mark.parametrize(("break_it", "says"), [
    (lambda p: p.unlink(), "no such file"), (lambda p: p.write_text("{"), "not a JSON file"), (lambda p: p.write_text("{}"), "COCO's form"),
    (lambda p: p.write_text(json.dumps({"images": [{"id": 1}], "annotations": []})), "picture 0 has no 'file_name'"),
    (lambda p: p.write_text(json.dumps({"images": [], "annotations": [{"image_id": 7, "bbox": [], "keypoints": [], "num_keypoints": 1}]})),
     "annotations of picture 7"), (lambda p: p.write_text(json.dumps({"images": [], "annotations": []})), "nobody with a box")])
def test_faults_are_one_line(picture_sets, tmp_path, break_it, says):
    shutil.copytree(picture_sets / "MPII" / "annotations", tmp_path / "MPII" / "annotations")
    break_it(tmp_path / "MPII" / "annotations" / "train.json")
    with pytest.raises(InputError, match=says) as error:
        mppe_mpii.load(tmp_path)
    assert "\n" not in str(error.value)


def test_what_is_missing_says_where_it_is_to_be_had(tmp_path):
    for name, where in (("Human36M", "prepare h36m-images"), ("MPII", "human-pose.mpi-inf.mpg.de"), ("MSCOCO", "cocodataset.org"), ("MuCo", "3DMPPE"),
                        ("MuPoTS", "gvv.mpi-inf.mpg.de")):
        with pytest.raises(InputError, match=where):
            SETS[name].load(tmp_path)


def test_a_box_that_is_not_square_is_not_rootnets():
    with pytest.raises(InputError, match="not square"):
        mppe.whole_square([0, 0, 10, 20])


def test_unknown_set():
    with pytest.raises(InputError, match="--actions 16: expected 1 to 15"):
        drawn.main(["--actions", "16"])
    with pytest.raises(InputError, match="no set 'LSP'"):
        drawn.main(["--sets", "LSP"])


def test_pickles_of_the_fifth_system(picture_sets):
    figures, persons = pose_pickles.load(picture_sets / "h36m", "valid_5hz"), mppe_human36m.load(picture_sets, subjects=(9, 11), every=1)
    assert len(figures) == len(persons) and all(pathlib.Path(path).is_file() for path in figures.paths)
    np.testing.assert_allclose(figures.points, persons.points[:, :17], atol=1e-9)
    np.testing.assert_allclose(figures.rects[:, :2], figures.points[:, 0, :2], atol=1e-9)  # the pelvis is the crop's middle
    np.testing.assert_allclose(figures.rects[:, 2:], 2 * figures.focal / figures.pelvis[:, 2:])
    assert set(figures.actions) == {0}


def test_a_pickle_runs_nothing(tmp_path):
    class Evil:
        def __reduce__(self):
            return pathlib.Path.touch, (tmp_path / "owned",)

    (tmp_path / "annot").mkdir()
    (tmp_path / "annot" / "x.pkl").write_bytes(pickle.dumps([{"image": Evil()}]))
    with pytest.raises(InputError):
        pose_pickles.load(tmp_path, "x")
    assert not (tmp_path / "owned").exists()


def test_pickles_by_camera_and_bad_ones(picture_sets, tmp_path):
    rows = pickle.loads((picture_sets / "h36m" / "annot" / "train_5hz.pkl").read_bytes())
    pose_pickles.write(tmp_path / "annot" / "a.pkl", {1: rows[:2], 2: rows[2:3]})
    assert len(pose_pickles.load(tmp_path, "a")) == 3
    pose_pickles.write(tmp_path / "annot" / "b.pkl", [{key: value for key, value in rows[0].items() if key != "pelvis"}])
    for name, says in (("b", "person 0 has no 'pelvis'"), ("c", "no such file")):
        with pytest.raises(InputError, match=says):
            pose_pickles.load(tmp_path, name)


def test_refiner_pickles(picture_sets, tmp_path):
    guesses = refiner_pickles.load(picture_sets.parent / "refiner" / "data" / "valid.pkl")
    refiner_pickles.write(tmp_path / "x.pkl", guesses)
    again = refiner_pickles.load(tmp_path / "x.pkl")
    for field in ("patch", "own", "truth"):
        np.testing.assert_allclose(getattr(again, field), getattr(guesses, field), atol=1e-12)
    assert 0.03 < np.linalg.norm(guesses.own - guesses.truth, axis=-1).mean() < 0.2
    pose_pickles.write(tmp_path / "y.pkl", {"image": ["a"], "pred": [], "img_pred": [], "gt": []})
    with pytest.raises(InputError, match="expected as many of each"):
        refiner_pickles.load(tmp_path / "y.pkl")


def test_objects_that_hide(picture_sets, tmp_path):
    things = occlusion.load(picture_sets / "VOC2012")
    assert len(things) == 6 and all(thing.shape[2] == 4 for thing in things)
    assert {int(value) for thing in things for value in thing[..., 3].ravel()} >= {0, 255}
    grey = np.full((64, 64, 3), 90, np.uint8)
    hidden = occlusion.occlude(grey, things, np.random.default_rng(0))
    assert (hidden != grey).any() and (grey == 90).all()
    np.testing.assert_array_equal(hidden, occlusion.occlude(grey, things, np.random.default_rng(0)))
    with pytest.raises(InputError, match="voc2012"):
        occlusion.load(tmp_path)


def test_pasting_blends_and_stays_inside():
    thing = np.zeros((4, 4, 4), np.uint8)
    thing[..., 0], thing[..., 3] = 200, 255
    thing[0, 0, 3] = 192
    spot = occlusion.paste(np.zeros((10, 10, 3), np.uint8), thing, (5, 5))
    assert spot[4, 4, 0] == 200 and spot[3, 3, 0] == int(200 * 192 / 255) and spot.sum() == 15 * 200 + int(200 * 192 / 255)
    assert not occlusion.paste(np.zeros((10, 10, 3), np.uint8), thing, (30, 30)).any()
    assert occlusion.paste(np.zeros((10, 10, 3), np.uint8), thing, (0, 0))[0, 0, 0] == 200


def test_drawn_sets_are_the_same_again(picture_sets, tmp_path):
    drawn.main(["--output", str(tmp_path), "--sets", "MuCo", "--pictures", "3", "--width", "120", "--height", "120"])
    for file in ("MuCo-3DHP.json", "augmented_set/000000000001.jpg"):
        assert (tmp_path / "MuCo" / "data" / file).read_bytes() == (picture_sets / "MuCo" / "data" / file).read_bytes()
    assert cv2.imread(str(tmp_path / "MuCo" / "data" / "augmented_set" / "000000000001.jpg")).shape == (120, 120, 3)
    assert len(MUCO21) == 21 and len(H36M18) == 18
