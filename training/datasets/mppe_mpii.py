"""MPII in 3DMPPE's form: MPII/annotations/train.json, pictures in MPII/ by their file names. Joints in the picture alone."""

import pathlib

import numpy as np

from core.skeletons import MPII16
from training.datasets import mppe

ORIGIN = f"pictures from human-pose.mpi-inf.mpg.de, annotations by the links in {mppe.HOME}"


def load(root, split="train"):
    """Persons of a file of annotations."""
    folder = pathlib.Path(root) / "MPII"
    images, annotations = mppe.tables(folder / "annotations" / f"{split}.json", ORIGIN, (), ("bbox", "keypoints", "num_keypoints"))
    return mppe.collect("MPII", MPII16, False, [row(folder, images[each["image_id"]], each) for each in annotations if each["num_keypoints"]])


def row(folder, image, annotation):
    """What is known of one person."""
    keypoints = np.reshape(annotation["keypoints"], (-1, 3)).astype(float)
    seen = keypoints[:, 2] > 0
    return {"paths": folder / image["file_name"], "image_ids": image["id"], "squares": mppe.square(annotation["bbox"], image), "visible": seen,
            "points": keypoints * (1, 1, 0), "root_visible": seen[MPII16.root], "centre": (image["width"] / 2, image["height"] / 2)}
