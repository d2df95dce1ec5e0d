"""COCO's people beyond `coco_people`: those of pictures of its train split that lie in some folder under their own names, with COCO's labels
(`coco_keypoint_labels.npz`), and those who have a box in `person_boxes` but no joints, for a teacher to look at."""

import json
import re

import cv2
import numpy as np

from core.errors import InputError
from core.geometry import iou
from core.skeletons import BODY21
from training.datasets import people
from training.datasets.coco_people import to_body

LEAST = 6  # labelled joints
SHORTEST, SHORTEST_BOXED = 48, 60  # px of the longer side of a box
SAME = 0.5  # intersection over union from which two boxes are of one person
CERTAIN, POINTS = 0.97, 4  # of a recovered picture size
NUMBER = re.compile(r"(?<!\d)(\d{12})(?!\d)")


def labelled(folder, root):
    """The people of all train2017 pictures under `folder` (any format, shape and size; found by the twelve digits in the name) as `People`; without
    pictures of unknown size, pictures of val splits and `coco_small`, and people whom `coco_people` has. Raises InputError where there are none."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".jpg", ".jpeg", ".png") and (number := NUMBER.search(path.name)):
            files.setdefault(int(number[1]), path)
    found = people.from_rows(_labelled(files, root))
    if not len(found):
        raise InputError(f"{folder}: no picture of COCO's train split with people who are new")
    return found


def _labelled(files, root):
    """(image, box (4,), joints (21, 3)) of those people in the files {number: path}."""
    labels, sizes, known = np.load(root / "coco_keypoint_labels.npz"), _sizes(root), _known(root)
    numbers, boxes, places, seen, whole = (labels[name] for name in ("image_id", "bbox_cxcywh", "xy", "v", "scale"))
    for number in sorted(files.keys() & sizes.keys() - _held_back(root)):
        image, size = _restored(people.read(files[number]), sizes[number])
        for row in np.flatnonzero(numbers == number):
            centre, extent = (boxes[row] / whole).reshape(2, 2) * sizes[number]
            box = np.concatenate([centre - extent / 2, centre + extent / 2])
            scale = size / sizes[number]
            if (seen[row] > 0).sum() >= LEAST and (extent * scale).max() >= SHORTEST and _new(box, known.get(number, ())):
                joints = np.round(places[row] / whole * sizes[number])  # whole numbers of pixels
                yield image, box * np.tile(scale, 2), to_body(np.column_stack([(joints + 0.5) * scale, seen[row]]))


def boxed(root):
    """The training people of `person_boxes` of whom `coco_people` has no joints, as `People` without joints."""
    return people.from_rows(_boxed(root), "unlabelled")


def _boxed(root):
    """(image, box (4,), no joints (21, 3)) of these people."""
    table, known = dict(np.load(root / "person_boxes" / "boxes.npz")), _known(root)
    owner, sides = table["box_image_index"], (table["box_xyxy"][:, 2:] - table["box_xyxy"][:, :2]).max(1)
    wanted = ~table["ignore"].astype(bool) & (sides >= SHORTEST_BOXED) & (table["split"] == "train")[owner]
    for row in np.flatnonzero(wanted):
        picture, box = owner[row], table["box_xyxy"][row].astype(float)
        scale = np.array([table[f"original_{side}"][picture] / table[side][picture] for side in ("width", "height")])
        if _new(box * np.tile(scale, 2), known.get(int(table["coco_id"][picture]), ())):
            yield people.read(root / "person_boxes" / "images" / str(table["name"][picture])), box, np.zeros((len(BODY21), 3))


def _sizes(root):
    """{COCO picture number: (width, height)} of those that are certain."""
    table = np.load(root / "coco_people" / "coco_train_sizes.npz")
    sure = (table["certainty"] > CERTAIN) & (table["points"] >= POINTS)
    return dict(zip(table["image_id"][sure].tolist(), np.column_stack([table["width"], table["height"]])[sure].astype(float), strict=True))


def _known(root):
    """{COCO picture number: [box (4,) in the pixels of the original picture]} of everybody in `coco_people`."""
    table, found = dict(np.load(root / "coco_people" / "persons.npz")), {}
    for picture, box in zip(table["image_index"], table["box_xyxy"], strict=True):
        corner, scale = table["crop_xyxy"][picture, :2], table["scale_xy"][picture]
        found.setdefault(int(table["coco_id"][picture]), []).append((box.reshape(2, 2) / scale + corner).ravel())
    return found


def _held_back(root):
    """The COCO numbers of pictures that are tested on, or are training pictures as a whole already."""
    tables = [np.load(root / folder) for folder in ("coco_people/persons.npz", "person_boxes/boxes.npz")]
    small = json.loads((root / "coco_small" / "person_keypoints.json").read_text())["images"]
    names = (NUMBER.search(image["file_name"]) for image in small)
    return {int(i) for table in tables for i in table["coco_id"][table["split"] == "val"]} | {int(name[1]) for name in names if name}


def _restored(image, size):
    """A picture with the aspect of its original `size` (width, height) again, made smaller in one axis only; and its new size."""
    stored = np.array(image.shape[1::-1])
    new = np.maximum(1, np.round(size * (stored / size).min())).astype(int)
    return (image if (new == stored).all() else cv2.resize(image, tuple(int(n) for n in new), interpolation=cv2.INTER_AREA)), new


def _new(box, boxes):
    """Whether none of the boxes is of the same person."""
    return iou(box, boxes).max(initial=0) < SAME
