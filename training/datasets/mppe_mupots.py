"""MuPoTS-3D in 3DMPPE's form: MuPoTS/data/MuPoTS-3D.json and MuPoTS/data/MultiPersonTestSet/TS1..TS20."""

import pathlib

import numpy as np

from core.errors import InputError
from core.skeletons import MUPOTS17
from training.datasets import mppe

ORIGIN = f"pictures from gvv.mpi-inf.mpg.de/projects/SingleShotMultiPerson, annotations by the links in {mppe.HOME}"
ROOT = MUPOTS17.root


def annotations(root):
    """({id: picture}, [annotation]) as the file has them: what the measures compare with."""
    keys = ("keypoints_cam", "keypoints_img", "keypoints_vis", "bbox", "is_valid")
    return mppe.tables(pathlib.Path(root) / "MuPoTS" / "data" / "MuPoTS-3D.json", ORIGIN, ("intrinsic",), keys)


def load(root, split="test", boxes=None):
    """Persons: the valid annotated people, or those of `boxes` (rows of `mppe.found_boxes`), without joints."""
    images, people = annotations(root)
    folder = pathlib.Path(root) / "MuPoTS" / "data" / "MultiPersonTestSet"
    if boxes is None:
        return mppe.collect("MuPoTS", MUPOTS17, True, [_row(folder, images[each["image_id"]], each) for each in people if each["is_valid"]])
    if lost := {box["image_id"] for box in boxes} - images.keys():
        raise InputError(f"the file of boxes names picture {min(lost)}, which MuPoTS-3D.json has not")
    return mppe.collect("MuPoTS", MUPOTS17, True, [_found(folder, images[box["image_id"]], box) for box in boxes])


def _row(folder, image, annotation):
    space = np.array(annotation["keypoints_cam"], float) / 1000
    return _picture(folder, image) | {
        "squares": mppe.square(annotation["bbox"], image), "points": mppe.relative(np.array(annotation["keypoints_img"], float), space, ROOT),
        "space": space, "roots": space[ROOT], "root_visible": bool(annotation["keypoints_vis"][ROOT])}


def _found(folder, image, box):
    root = box.get("root_cam")
    return _picture(folder, image) | {
        "squares": mppe.square(box["bbox"], image) if root is None else mppe.whole_square(box["bbox"]), "points": np.zeros((17, 3)),
        "visible": np.zeros(17, bool), "root_visible": False, "scores": box.get("score", 1.0),
        "roots": np.full(3, np.nan) if root is None else np.reshape(root, 3) / 1000}


def _picture(folder, image):
    fx, fy, cx, cy = image["intrinsic"]
    return {"paths": folder / image["file_name"], "image_ids": image["id"], "focal": (fx, fy), "centre": (cx, cy)}
