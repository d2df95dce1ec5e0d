"""Human3.6M in 3DMPPE's form: Human36M/annotations/Human36M_subject{n}_{data,camera,joint_3d}.json and Human36M/images.

A camera's t is already -R times its place. `python -m training.prepare h36m-images` makes these files from the data set's videos.
"""

import pathlib

import numpy as np

from core.errors import InputError
from core.geometry import project
from core.records import Camera
from core.skeletons import H36M18
from training.datasets import mppe

ORIGIN = f"parsed Human3.6M: links in {mppe.HOME}, or `python -m training.prepare h36m-images` with a licence of vision.imar.ro/human3.6m"
SUBJECTS = {1: {"train": (1, 5, 6, 7, 8, 9), "test": (11,)}, 2: {"train": (1, 5, 6, 7, 8), "test": (9, 11)}}  # by 3DMPPE's protocol
EVERY = {"train": 5, "test": 64}  # frames
ACTIONS = ("Directions", "Discussion", "Eating", "Greeting", "Phoning", "Posing", "Purchases", "Sitting", "SittingDown", "Smoking", "Photo",
           "Waiting", "Walking", "WalkDog", "WalkTogether")
SHOULDERS = H36M18.indices("left_shoulder", "right_shoulder")
ROOT = H36M18.root


def load(root, split="train", protocol=2, boxes=None, every=None, subjects=None):
    """Persons of the subjects of a protocol, or of `subjects`; `boxes` (rows of `mppe.found_boxes`), with roots or without, instead of the true."""
    given = None if boxes is None else {row["image_id"]: row for row in boxes}
    rows = []
    for subject in subjects or SUBJECTS[protocol][split]:
        rows += _subject(pathlib.Path(root) / "Human36M", subject, every or EVERY[split], given)
    return mppe.collect("Human36M", H36M18, True, rows)


def _subject(folder, number, every, given):
    start = folder / "annotations" / f"Human36M_subject{number}"
    keys = ("action_idx", "subaction_idx", "cam_idx", "frame_idx")
    images, annotations = mppe.tables(f"{start}_data.json", ORIGIN, ("subject", *keys), ("bbox", "keypoints_vis"))
    cameras, joints = (mppe.read(f"{start}_{what}.json", ORIGIN) for what in ("camera", "joint_3d"))
    for annotation in annotations:
        image = images[annotation["image_id"]]
        if image["frame_idx"] % every:
            continue
        action, part, camera, frame = (str(image[key]) for key in keys)
        try:
            space = to_camera(np.array(joints[action][part][frame]), cameras[camera])
            lens = {name: np.array(cameras[camera][name]) for name in ("f", "c")}
        except KeyError as error:
            where = f"action {action}, subaction {part}, camera {camera}, frame {frame}"
            raise InputError(f"{start}_*.json: no joints or camera {error} of {where}") from error
        yield _row(folder / "images" / image["file_name"], image, annotation, space, lens, given)


def to_camera(joints, camera):
    """(18, 3) m in camera axes of joints (17, 3) mm in the world; the thorax is the middle of the shoulders."""
    joints = np.concatenate([joints, joints[SHOULDERS].mean(0, keepdims=True)])
    return (joints @ np.array(camera["R"]).T + np.reshape(camera["t"], 3)) / 1000


def _row(path, image, annotation, space, lens, given):
    pixels = project(space, Camera(image["width"], image["height"], *lens["f"], *lens["c"]))
    box, root = mppe.square(annotation["bbox"], image), space[ROOT]
    if given is not None:
        found = given.get(image["id"])
        if found is None:
            raise InputError(f"the file of boxes has none of picture {image['id']} ({image['file_name']})")
        root = np.array(found["root_cam"]) / 1000 if "root_cam" in found else root
        box = mppe.whole_square(found["bbox"]) if "root_cam" in found else mppe.square(found["bbox"], image)
    return {"paths": path, "image_ids": image["id"], "squares": box, "points": mppe.relative(pixels, space, ROOT), "space": space, "roots": root,
            "root_visible": bool(annotation["keypoints_vis"][ROOT]), "focal": lens["f"], "centre": lens["c"], "actions": image["action_idx"] - 2}
