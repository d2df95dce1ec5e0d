"""MSCOCO in 3DMPPE's form: MSCOCO/annotations/person_keypoints_{train,val}2017.json and MSCOCO/images/{train,val}2017.

Thorax and pelvis are the middles of shoulders and hips. The lens is unknown: 1500 px, the principal point in the middle.
"""

import pathlib

import numpy as np

from core.errors import InputError
from core.skeletons import COCO17, COCO19
from training.datasets import mppe

ORIGIN = "pictures and annotations of 2017 from cocodataset.org"
PAIRS = COCO17.indices("left_shoulder", "right_shoulder"), COCO17.indices("left_hip", "right_hip")


def load(root, split="train", boxes=None):
    """Persons of a split ("train", "test" is COCO's val); `boxes` (rows of `mppe.found_boxes`) instead of the annotated ones: then without joints."""
    folder, part = pathlib.Path(root) / "MSCOCO", {"train": "train2017", "test": "val2017"}[split]
    images, annotations = mppe.tables(folder / "annotations" / f"person_keypoints_{part}.json", ORIGIN, (), ("bbox", "keypoints", "num_keypoints"))
    if boxes is not None:
        return mppe.collect("MSCOCO", COCO19, False, [_found(folder / "images" / part, images, box) for box in boxes])
    people = [each for each in annotations if each["num_keypoints"] and not each.get("iscrowd")]
    return mppe.collect("MSCOCO", COCO19, False, [_row(folder / "images" / part, images[each["image_id"]], each) for each in people])


def _row(folder, image, annotation):
    keypoints = np.reshape(annotation["keypoints"], (17, 3)).astype(float)
    middles = [[*keypoints[pair, :2].mean(0), keypoints[pair, 2].prod()] for pair in PAIRS]
    keypoints = np.concatenate([keypoints, middles])
    seen = keypoints[:, 2] > 0
    return _picture(folder, image) | {"squares": mppe.square(annotation["bbox"], image), "points": keypoints * (1, 1, 0), "visible": seen,
                                      "root_visible": seen[COCO19.root]}


def _found(folder, images, box):
    if box["image_id"] not in images:
        raise InputError(f"the file of boxes names picture {box['image_id']}, which {folder.name} has not")
    image, root = images[box["image_id"]], box.get("root_cam")
    return _picture(folder, image) | {
        "squares": mppe.square(box["bbox"], image) if root is None else mppe.whole_square(box["bbox"]), "points": np.zeros((19, 3)),
        "visible": np.zeros(19, bool), "root_visible": False, "scores": box.get("score", 1.0),
        "roots": np.full(3, np.nan) if root is None else np.reshape(root, 3) / 1000}


def _picture(folder, image):
    return {"paths": folder / image["file_name"], "image_ids": image["id"], "centre": (image["width"] / 2, image["height"] / 2)}
