"""The fifth system's pickles of Human3.6M: h36m/annot/{train,valid}_5hz.pkl, a list of people or {camera: list}, pictures relative to h36m/.

Pixel centres are counted from 0; files are in millimetres, records in metres.
"""

import os
import pathlib
import pickle
from dataclasses import dataclass

import numpy as np

from core.errors import InputError
from core.files import whole
from core.skeletons import H36M17
from training.datasets import mppe, mppe_human36m, pickles

ORIGIN = "the author's links are empty; `python -m training.prepare h36m-images` makes it from the data set's videos"
BODY = 2.0  # m, side of the square around the pelvis that is cut out
PARENTS = (0, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
FIELDS = ("image", "center_x", "center_y", "width", "height", "joints_3d", "joints_3d_vis", "pelvis", "fl", "c_p")
SUBJECTS = {"train": (1, 5, 6, 7, 8), "valid": (9, 11)}


@dataclass(frozen=True)
class Figures:
    """Rows = people: paths; rects (N, 4) centre x, y, width, height px; points (N, 17, 3) px, px, m to the pelvis; visible (N, 17, 3) weights;
    pelvis (N, 3) m in camera axes; focal, centre (N, 2) px; actions (N,) from 0."""

    paths: tuple
    rects: np.ndarray
    points: np.ndarray
    visible: np.ndarray
    pelvis: np.ndarray
    focal: np.ndarray
    centre: np.ndarray
    actions: np.ndarray

    def __len__(self):
        return len(self.paths)


def read(path, origin=ORIGIN):
    """What a pickle of plain values holds. Raises InputError."""
    if not pathlib.Path(path).is_file():
        raise InputError(f"{path}: no such file; {origin}")
    return pickles.load(path)


def load(root, name):
    """Figures of annot/<name>.pkl in the folder `root` (DATASET.ROOT). Raises InputError."""
    root = pathlib.Path(root)
    found = read(root / "annot" / f"{name}.pkl")
    rows = [row for camera in sorted(found) for row in found[camera]] if isinstance(found, dict) else found
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{root / 'annot' / name}.pkl: expected a list of people, or one for each camera")
    mppe.check(f"{root / 'annot' / name}.pkl", "person", rows, FIELDS)

    def column(*names, shape=(-1,)):
        return np.array([np.concatenate([np.ravel(row[each]) for each in names]) for row in rows], np.float64).reshape(len(rows), *shape)

    points = column("joints_3d", shape=(17, 3)) / (1, 1, 1000)
    return Figures(tuple(str(root / row["image"]) for row in rows), column("center_x", "center_y", "width", "height"), points,
                   column("joints_3d_vis", shape=(17, 3)), column("pelvis") / 1000, column("fl")[:, :2], column("c_p")[:, :2],
                   np.array([action_of(row["image"]) for row in rows]))


def action_of(name):
    """The action, from 0, of a picture named s_xx_act_xx_...; -1 where it says none."""
    digits = name.partition("act_")[2][:2]
    return int(digits) - 2 if digits.isdigit() else -1


def write(path, rows):
    """Write people, dicts with FIELDS, as such a file."""
    with whole(path) as partial:
        partial.write_bytes(pickle.dumps(rows, protocol=4))


def convert(data, output, every=10):
    """Make both pickles of Human3.6M in 3DMPPE's form in `data`, of each `every`-th frame, and put its pictures in reach of `output`/images."""
    output = pathlib.Path(output)
    for split, subjects in SUBJECTS.items():
        persons = mppe_human36m.load(data, subjects=subjects, every=every)
        write(output / "annot" / f"{split}_5hz.pkl", [_row(persons, i, pathlib.Path(data)) for i in range(len(persons))])
    pictures = output / "images"
    if not pictures.exists():
        pictures.symlink_to(os.path.relpath(pathlib.Path(data) / "Human36M" / "images", output))


def _row(persons, i, data):
    """The author's label: a square of 2 m around the pelvis, parallel to the picture, projected."""
    pelvis, focal, centre = persons.space[i, 0], persons.focal[i], persons.centre[i]
    middle, extent = pelvis[:2] / pelvis[2] * focal + centre, BODY * focal / pelvis[2]
    left, right = (H36M17.left, H36M17.right)
    return {"image": str(pathlib.Path("images") / pathlib.Path(persons.paths[i]).relative_to(data / "Human36M" / "images")),
            "center_x": float(middle[0]), "center_y": float(middle[1]), "width": float(extent[0]), "height": float(extent[1]),
            "joints_3d": persons.points[i, :17] * (1, 1, 1000), "joints_3d_vis": np.ones((17, 3)), "pelvis": pelvis * 1000, "fl": focal,
            "c_p": centre, "flip_pairs": np.column_stack([right, left]), "parent_ids": np.array(PARENTS)}
