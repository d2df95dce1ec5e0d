"""A few COCO train photographs: `coco_small/person_keypoints.json` in COCO's form and `coco_small/images`."""

import json

import numpy as np

from training.datasets import people
from training.datasets.coco_people import to_body

LEAST = 8  # labelled joints


def rows(root):
    """(file, box (4,), keypoints (17, 3)) of the people with enough joints."""
    folder = root / "coco_small"
    labels = json.loads((folder / "person_keypoints.json").read_text())
    files = {image["id"]: folder / "images" / image["file_name"] for image in labels["images"]}
    for person in labels["annotations"]:
        keypoints = np.array(person["keypoints"], float).reshape(17, 3)
        if (keypoints[:, 2] > 0).sum() >= LEAST:
            x, y, width, height = person["bbox"]
            yield files[person["image_id"]], np.array([x, y, x + width, y + height], float), people.centred(keypoints)


def load(root):
    """All of them are training people."""
    return people.from_rows(((people.read(path), box, to_body(keypoints)) for path, box, keypoints in rows(root)), "coco_small")
