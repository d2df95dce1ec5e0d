"""Reads 2D detections as VideoPose3D's tools leave them: one .npz a video of Detectron or CPN, one .h5 of stacked hourglass."""

import pathlib

import numpy as np

from core.errors import InputError
from training.datasets.pickles import load_npz


def need(package):
    """An optional package. Raises InputError that says how to get it."""
    try:
        return __import__(package)
    except ImportError as error:
        raise InputError(f"this conversion needs the package {package}: `make training` installs it") from error


def frames_of(path):
    """[(boxes (M, 5), keypoints (M, 4, J)) of each frame] of a Detectron file, for people alone."""
    data = load_npz(path, "boxes", "keypoints")
    return [(np.asarray(boxes[1], np.float32).reshape(-1, 5), np.asarray(points[1], np.float32))
            for boxes, points in zip(data["boxes"], data["keypoints"], strict=True)]


def best_person(frames, rows):
    """The keypoints (T, J, len(rows)) of the person with the best box in each frame, those `rows` of them; NaN where nobody is."""
    joints = next((points.shape[2] for boxes, points in frames if len(boxes) and len(points)), None)
    if joints is None:
        raise InputError("nobody was detected in any frame")
    found = np.full((len(frames), joints, len(rows)), np.nan, np.float32)
    for frame, (boxes, points) in zip(found, frames, strict=True):
        if len(boxes) and len(points):
            frame[:] = points[boxes[:, 4].argmax()][rows].T
    return found


def detectron(path):
    """(T, J, 2 or 3) px of Detectron's files for Human3.6M and HumanEva: with their soft maxima where they hold them, else x, y and probability.

    Frames without anybody keep the last pose. Raises InputError where the first is such a frame.
    """
    frames = frames_of(path)
    numbers = next((points.shape[1] for boxes, points in frames if len(boxes) and len(points)), 4)
    found = best_person(frames, [4, 5] if numbers >= 6 else [0, 1, 3])
    if np.isnan(found[0]).any():
        raise InputError(f"{path}: nobody was detected in the first frame")
    known = np.maximum.accumulate(np.where(np.isfinite(found[:, 0, 0]), np.arange(len(found)), 0))
    return found[known]


def cpn(path):
    """(T, J, 2) px of CPN's files."""
    return np.asarray(load_npz(path, "keypoints")["keypoints"], np.float32)[..., :2]


def hourglass(path):
    """(T, 16, 2) px of an .h5 of stacked hourglass."""
    return h5(path, "poses").astype(np.float32)


def h5(path, name):
    """An array of an HDF5 file. Raises InputError where it is not there."""
    try:
        with need("h5py").File(path) as file:
            return file[name][()]
    except (OSError, KeyError) as error:
        raise InputError(f"{path} has no '{name}' that can be read: {error}") from error


def reader(kind):
    """The reader of a kind of detections by its name ("detectron_pt_coco"). Raises InputError for another."""
    readers = {"detectron": detectron, "cpn": cpn, "sh": hourglass}
    for name, read in readers.items():
        if name in kind:
            return read
    raise InputError(f"-o {kind}: expected a name that contains one of {', '.join(readers)}")


def files(folder, pattern):
    """The files of a folder, sorted. Raises InputError where there is none."""
    found = sorted(pathlib.Path(folder).glob(pattern))
    if not found:
        raise InputError(f"{folder}: no files {pattern}")
    return found
