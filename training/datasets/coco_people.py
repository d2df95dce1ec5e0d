"""Regions of COCO photographs with people: `coco_people/persons.npz` (COCO-17 joints, v = 1 hidden, 2 visible) and `coco_people/images`."""

import numpy as np

from core.skeletons import BODY21, COCO17, conversion
from training.datasets import people

# Joints that COCO has no label for follow from those it has; rough ones weigh less.
DERIVED = {"pelvis": 1.0, "thorax": 0.5, "spine": 0.2, "head_top": 0.2}
HIDDEN = 2.0  # weight of a joint that is marked as hidden: one in eight, and the hardest to place


def rows(root, split):
    """(person number, file, box (4,), keypoints (17, 3) px and v) of the main people of a split, "train" or "val", in the order of the files.

    COCO's keypoints are numbers of pixels, its boxes are not (as Detectron2 reads them).
    """
    data = dict(np.load(root / "coco_people" / "persons.npz"))
    chosen = np.flatnonzero(data["main"] & (data["split"] == split)[data["image_index"]])
    for i in chosen:
        file = root / "coco_people" / "images" / str(data["name"][data["image_index"][i]])
        yield i, file, data["box_xyxy"][i], people.centred(data["keypoints"][i])


def load(root, split="train"):
    """The main people of a split as `People`."""
    return people.from_rows((people.read(path), box.astype(float), to_body(keypoints)) for _, path, box, keypoints in rows(root, split))


def to_body(keypoints):
    """COCO keypoints (17, 3) x, y, v as BODY21 joints (21, 3) x, y, weight."""
    matrix = conversion(COCO17, BODY21)
    known = (keypoints[:, 2] > 0).astype(float)
    complete = ((matrix != 0) @ (1 - known)) == 0
    weight = complete * np.array([DERIVED.get(joint, 1.0) for joint in BODY21.joints])
    weight[: len(COCO17)] *= np.where(keypoints[:, 2] == 1, HIDDEN, 1)
    return np.concatenate([(matrix @ keypoints[:, :2]) * complete[:, None], weight[:, None]], 1)
