"""People in pictures as 3DMPPE knows them (Moon et al., ICCV 2019), and how its JSON files are read.

Its files count pixel centres from 0, and so do these records: the networks were trained that way. Files are in millimetres, records in metres.
"""

import json
import pathlib
from dataclasses import dataclass, replace

import numpy as np

from core.errors import InputError
from core.skeletons import Skeleton
from poses._crops import squares

HOME = "github.com/mks0601/3DMPPE_POSENET_RELEASE"
FOCAL = 1500.0  # px, of pictures whose lens nobody knows


@dataclass(frozen=True)
class Persons:
    """Rows = people. `depth` says whether this set knows the joints' depth.

    paths: the picture of each; image_ids (N,); squares (N, 3) centre x, y and side px of the crop; points (N, J, 3) px, px, m to the root (0 where
    depth is unknown); visible (N, J) bool; root_visible (N,) bool; space (N, J, 3) m in camera axes, NaN where unknown; roots (N, 3) m, those of the
    file of boxes where there was one; focal, centre (N, 2) px; scores (N,) of the boxes; actions (N,) from 0, -1 where there is none.
    """

    name: str
    skeleton: Skeleton
    depth: bool
    paths: tuple
    image_ids: np.ndarray
    squares: np.ndarray
    points: np.ndarray
    visible: np.ndarray
    root_visible: np.ndarray
    space: np.ndarray
    roots: np.ndarray
    focal: np.ndarray
    centre: np.ndarray
    scores: np.ndarray
    actions: np.ndarray

    def __post_init__(self):
        count, joints = len(self.paths), len(self.skeleton)
        shapes = {"squares": (count, 3), "points": (count, joints, 3), "visible": (count, joints), "space": (count, joints, 3), "roots": (count, 3),
                  "focal": (count, 2), "centre": (count, 2)} | dict.fromkeys(("image_ids", "root_visible", "scores", "actions"), (count,))
        for field, shape in shapes.items():
            if (found := np.shape(getattr(self, field))) != shape:
                raise ValueError(f"Persons.{field}: expected shape {shape}, got {found}")

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, rows):
        rows = np.arange(len(self))[rows]
        arrays = {name: value[rows] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, paths=tuple(self.paths[i] for i in rows), **arrays)

    @property
    def boxes(self):
        """The squares as their files have them: (N, 4) left, top, width, height px."""
        return np.column_stack([self.squares[:, :2] - self.squares[:, 2:] / 2, self.squares[:, 2:], self.squares[:, 2:]])


def collect(name, skeleton, depth, rows):
    """Persons of a list of dicts with a value for each field, those without a square left out. What a row does not say is unknown."""
    joints = len(skeleton)
    blank = {"visible": np.ones(joints, bool), "root_visible": True, "space": np.full((joints, 3), np.nan), "roots": np.full(3, np.nan),
             "focal": (FOCAL, FOCAL), "scores": 1.0, "actions": -1}
    rows = [blank | row for row in rows if np.isfinite(row["squares"]).all()]
    if not rows:
        raise InputError(f"{name}: nobody with a box in the chosen files")
    types = {"image_ids": np.int64, "actions": np.int64, "visible": bool, "root_visible": bool}
    arrays = {field: np.array([row[field] for row in rows], types.get(field, np.float64)) for field in rows[0] if field != "paths"}
    return Persons(name, skeleton, depth, tuple(str(row["paths"]) for row in rows), **arrays)


def square(box, image):
    """The crop (3,) of a box (left, top, width, height) of a picture's row {width, height}; NaN where the box is empty."""
    left, top, width, height = (float(value) for value in box)
    return squares(np.array([[left, top, left + width, top + height]]), image["width"], image["height"])[0]


def relative(points, space, root):
    """(J, 3): points (J, 2) px and the depth of space (J, 3) m to that of joint `root`."""
    return np.column_stack([points, space[:, 2] - space[root, 2]])


# ---- files


def read(path, origin):
    """What a JSON file holds. Raises InputError, which says where the file is to be had."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; {origin}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not a JSON file: {error}") from error


def tables(path, origin, image_keys, annotation_keys):
    """({id: picture}, [annotation]) of a COCO-style file whose rows have all the keys. Raises InputError."""
    found = read(path, origin)
    try:
        images, annotations = {row["id"]: row for row in found["images"]}, found["annotations"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: expected COCO's form with images and annotations: {error!r}") from error
    check(path, "picture", images.values(), ("file_name", "width", "height", *image_keys))
    check(path, "annotation", annotations, ("image_id", *annotation_keys))
    if lost := {row["image_id"] for row in annotations} - images.keys():
        raise InputError(f"{path}: annotations of picture {min(lost)}, which is not among its pictures")
    return images, annotations


def check(path, what, rows, keys):
    """Raises InputError for the first row that lacks a key."""
    for i, row in enumerate(rows):
        if missing := [key for key in keys if key not in row]:
            raise InputError(f"{path}: {what} {i} has no '{missing[0]}'")


def found_boxes(folder, kind, name, origin=f"made by RootNet's evaluation, or from {HOME}"):
    """[{image_id, bbox, and root_cam or score where there}] of a file of boxes in `folder`: `kind` is "bbox" or "bbox_root", `name` that of the set.

    The set's file is called <kind>_<name>_output.json; a plain bbox_<name>_output.json in the folder of roots is read, too, where it has the roots.
    """
    paths = [pathlib.Path(folder) / f"{prefix}_{name}_output.json" for prefix in dict.fromkeys((kind, "bbox"))]
    path = next((path for path in paths if path.is_file()), paths[0])
    rows = read(path, origin)
    if not isinstance(rows, list):
        raise InputError(f"{path}: expected a list of boxes")
    check(path, "box", rows, ("image_id", "bbox", *(("root_cam",) if kind == "bbox_root" else ())))
    return rows


def whole_square(box, path="bbox_root"):
    """The crop (3,) of a box that RootNet has made square already. Raises InputError for one that is not."""
    left, top, width, height = (float(value) for value in np.reshape(box, 4))
    if abs(width - height) > 1e-3 * max(width, height):
        raise InputError(f"{path}: box {width:.1f} x {height:.1f} is not square: PoseNet's boxes are those that RootNet writes")
    return np.array([left + width / 2, top + height / 2, width])
