"""People beside the shared sets: those of COCO in pictures found by name, those with boxes and no joints, and those of MPII."""

import json

import cv2
import numpy as np
import pytest

from core.errors import InputError
from core.skeletons import BODY21, MPII16
from training import pose
from training.datasets import coco_found, mpii, people

SIZES = {1: (320, 240), 2: (240, 320), 3: (320, 240), 4: (320, 240), 5: (320, 240)}
JOINTS = np.arange(17)[:, None] * (9, 7) + (60, 40)  # px of the original pictures; up to (204, 152)
BOX = (50.0, 30.0, 214.0, 162.0)


def picture(size, stored=None):
    """Black with a white spot at the left shoulder, stored in another shape."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    cv2.circle(image, tuple(int(v) for v in JOINTS[5]), 5, (255, 255, 255), -1)
    return cv2.resize(image, stored, interpolation=cv2.INTER_AREA) if stored else image


@pytest.fixture
def root(tmp_path):
    """A data folder that knows person and picture 3, tests on picture 4, trains on all of 5 already, and is unsure of the size of 2."""
    for folder in ("coco_people", "coco_small", "person_boxes/images"):
        (tmp_path / folder).mkdir(parents=True)
    numbers, sizes = np.array(list(SIZES)), np.array(list(SIZES.values()), float)
    box = np.array(BOX).reshape(2, 2)
    centre, extent = box.mean(0) / sizes, (box[1] - box[0]) / sizes
    np.savez(tmp_path / "coco_keypoint_labels.npz", image_id=numbers, scale=65535, v=np.full((5, 17), 2, np.uint8),
             bbox_cxcywh=np.round(np.hstack([centre, extent]) * 65535).astype(np.uint16),
             xy=np.round(JOINTS / sizes[:, None] * 65535).astype(np.uint16))
    np.savez(tmp_path / "coco_people" / "coco_train_sizes.npz", image_id=numbers, width=sizes[:, 0], height=sizes[:, 1],
             certainty=np.where(numbers == 2, 0.5, 1), points=np.full(5, 17))
    np.savez(tmp_path / "coco_people" / "persons.npz", image_index=[0, 1], coco_id=[3, 4], split=["train", "val"],
             crop_xyxy=[[40, 20, 240, 180], [0, 0, 320, 240]], scale_xy=[[0.5, 0.5], [1, 1]],
             box_xyxy=(np.array([BOX, BOX]) - ((40, 20, 40, 20), (0, 0, 0, 0))) * ((0.5,), (1,)))
    (tmp_path / "coco_small" / "person_keypoints.json").write_text(json.dumps({"images": [{"file_name": "000000000005.jpg"}]}))
    half = np.array(BOX) / 2
    np.savez(tmp_path / "person_boxes" / "boxes.npz", coco_id=[3, 4], split=["train", "val"], name=["3.png", "4.png"], width=[160, 160],
             height=[120, 120], original_width=[320, 320], original_height=[240, 240], box_image_index=[0, 0, 0, 0, 1], ignore=[0, 0, 1, 0, 0],
             box_xyxy=[half, (85, 30, 155, 110), (85, 30, 155, 110), (0, 0, 20, 20), half])
    cv2.imwrite(str(tmp_path / "person_boxes" / "images" / "3.png"), picture((160, 120)))
    return tmp_path


@pytest.fixture
def folder(tmp_path):
    where = tmp_path / "somewhere" / "deep"
    where.mkdir(parents=True)
    for number, size in SIZES.items():
        cv2.imwrite(str(where / f"{number:012d}_jpg.rf.aa.png"), picture(size, (240, 240)))
    cv2.imwrite(str(where / "COCO_train2014_000000000001.png"), picture(SIZES[1]))
    cv2.imwrite(str(where / "000000000009.png"), picture((100, 100)))
    return tmp_path / "somewhere"


def test_pictures_found_by_name_have_their_aspect_and_their_joints_again(root, folder):
    found = coco_found.labelled(folder, root)
    assert len(found) == 1  # not who is known (3), tested on (4), there already (5), of unknown size (2) or without labels (9); and 1 only once
    image, joints = found.images[0], found.joints[0]
    assert np.allclose(found.boxes[0, 2:] - found.boxes[0, :2], (164 * 0.75, 132 * 0.75), atol=0.1)
    rows, columns = np.nonzero(image[..., 0] > 127)
    assert np.allclose(joints[5, :2], (columns.mean() + 0.5, rows.mean() + 0.5), atol=0.6)
    assert (joints[:17, 2] == 1).all()


def test_a_folder_without_any_is_the_users_fault(root, tmp_path):
    with pytest.raises(InputError, match="nowhere: no picture"):
        coco_found.labelled(tmp_path / "nowhere", root)


def test_boxed_people_are_those_without_joints_large_enough_and_not_tested_on(root):
    found = coco_found.boxed(root)
    assert len(found) == 1
    assert np.allclose(found.boxes[0, 2:] - found.boxes[0, :2], (70, 80))
    assert not found.joints[..., 2].any()
    assert people.SETS[found.source[0]] == "unlabelled"


def test_both_can_be_packed_alone(root, folder, tmp_path):
    pose.main(["--data", str(root), "--named", str(folder), "--boxed", "--pack", str(tmp_path / "pack.npz")])
    packed = people.load(tmp_path / "pack.npz")
    assert [people.SETS[n] for n in packed.source] == ["coco_people", "unlabelled"]
    assert packed.joints.shape == (2, len(BODY21), 3)


@pytest.fixture
def marked(tmp_path):
    """A folder of MPII's with one picture and two people: one has all joints but the left wrist, one has five. Its pixels are counted from 1."""
    person = {"image": "a.png", "joints": (np.arange(16)[:, None] * (9, 7) + (61, 41)).tolist()}
    rows = [person | {"joints_vis": [1] * 15 + [0]}, person | {"joints_vis": [1] * 5 + [0] * 11}]
    for name in ("images", "annot"):
        (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), picture(SIZES[1]))
    (tmp_path / "annot" / "train.json").write_text(json.dumps(rows))
    return tmp_path


def test_people_of_mpii_have_the_joints_that_are_marked_where_they_are_marked(marked, tmp_path):
    pose.main(["--mpii", str(marked), "--pack", str(tmp_path / "pack.npz"), "--quality", "100"])
    found = people.load(tmp_path / "pack.npz")
    assert [people.SETS[n] for n in found.source] == ["mpii"]
    image, joints = people.decoded(found.images[0]), found.joints[0]
    known = {name: weight for name, weight in zip(BODY21.joints, joints[:, 2], strict=True) if weight}
    assert known.keys() == {"head_top" if name == "head" else name for name in MPII16.joints} - {"neck", "left_wrist"}
    assert known["head_top"] < known["thorax"] < known["right_knee"] == 1
    rows, columns = np.nonzero(image[..., 0] > 127)  # the spot is at joint 5
    assert np.allclose(joints[BODY21.index("left_ankle"), :2], (columns.mean() + 0.5, rows.mean() + 0.5), atol=0.2)
    assert np.allclose(joints[BODY21.root], joints[BODY21.indices("left_hip", "right_hip")].mean(0))


@pytest.mark.parametrize(("text", "says"), [(None, "no annotations"), ("[{}]", "expected a list"), ("[", "expected a list"), ("[]", "nobody")])
def test_a_folder_that_is_not_mpii_is_one_line(marked, text, says):
    file = marked / "annot" / "train.json"
    file.unlink() if text is None else file.write_text(text)
    with pytest.raises(InputError, match=says):
        mpii.load(marked)
