"""MuCo-3DHP in 3DMPPE's form: MuCo/data/MuCo-3DHP.json, pictures in MuCo/data by their file names."""

import itertools
import operator
import pathlib

import numpy as np

from core.skeletons import MUCO21
from training.datasets import mppe

ORIGIN = f"parsed and composited MuCo-3DHP by the links in {mppe.HOME}"
APART = 0.5  # m between the roots of two people, at least
ROOT = MUCO21.root


def load(root, split="train"):
    """Persons: in each picture the nearest to the camera, and whoever is apart from all others."""
    folder = pathlib.Path(root) / "MuCo" / "data"
    keys = ("keypoints_cam", "keypoints_img", "keypoints_vis", "bbox")
    images, annotations = mppe.tables(folder / "MuCo-3DHP.json", ORIGIN, ("f", "c"), keys)
    by_picture = operator.itemgetter("image_id")
    rows = []
    for number, people in itertools.groupby(sorted(annotations, key=by_picture), by_picture):
        people = list(people)
        roots = np.array([each["keypoints_cam"][ROOT] for each in people], float) / 1000
        rows += [_row(folder, images[number], people[i]) for i in chosen(roots)]
    return mppe.collect("MuCo", MUCO21, True, rows)


def chosen(roots):
    """The rows of roots (N, 3) m that are used: the nearest first, then those APART from all others, across the view and in space."""
    gap = roots[:, None] - roots
    near = np.minimum(np.linalg.norm(gap[..., :2], axis=2), np.linalg.norm(gap, axis=2)) + np.diag(np.full(len(roots), np.inf))
    nearest = int(roots[:, 2].argmin())
    return [nearest] + [i for i in range(len(roots)) if i != nearest and (near[i] >= APART).all()]


def _row(folder, image, annotation):
    space = np.array(annotation["keypoints_cam"], float) / 1000
    return {"paths": folder / image["file_name"], "image_ids": image["id"], "squares": mppe.square(annotation["bbox"], image), "space": space,
            "points": mppe.relative(np.array(annotation["keypoints_img"], float), space, ROOT), "roots": space[ROOT], "focal": image["f"],
            "centre": image["c"], "root_visible": bool(annotation["keypoints_vis"][ROOT])}
