"""Anatomy3D's `score.pkl`: how well each 2D joint of Human3.6M is seen, a pickled {"S1_Walking 1.0": (T, J, 1)} for each recording and camera."""

import dataclasses
import pathlib
import pickle

import numpy as np

from core.errors import InputError
from core.files import whole
from training.datasets import pickles

TO_HAVE = ("Anatomy3D's authors give AlphaPose's scores of Human3.6M (`python -m weights list` says where, under anatomy3d-scores); "
           "a stand-in is made with `python -m training.prepare written`")


def name(subject, action, camera):
    """The key of a recording through the camera of a number."""
    return f"{subject}_{action}.{camera}"


def read(path):
    """{name: (T, J) float32} of a file. Raises InputError for one that is missing, damaged or holds something else."""
    if not pathlib.Path(path).is_file():
        raise InputError(f"no visibility scores {path}; {TO_HAVE}")
    found = pickles.load(path)
    if not isinstance(found, dict) or not found:
        raise InputError(f"{path}: expected a dictionary of scores")
    return {key: _scores(value, f"{path}: {key}") for key, value in found.items()}


def _scores(value, place):
    scores = np.asarray(value)
    if scores.dtype.kind not in "fiu" or not len(scores) or scores.ndim not in (2, 3) or not np.isfinite(scores).all():
        raise InputError(f"{place}: scores of shape {scores.shape}, expected finite ones (frames, joints, 1)")
    return scores.reshape(len(scores), -1).astype(np.float32)


def seen(data, scores, subjects):
    """The LiftingSet with x, y and score of these subjects alone. Scores that go on too long are cut, the last one stands for missing ones.

    Raises InputError where a recording has no scores, or scores of another number of joints.
    """
    points = {subject: {action: [_scored(view, name(subject, action, camera), scores) for camera, view in enumerate(views)]
                        for action, views in data.points[subject].items()} for subject in subjects if subject in data.points}
    return dataclasses.replace(data, points=points)


def _scored(view, key, scores):
    if key not in scores:
        raise InputError(f"the visibility scores lack '{key}'; {TO_HAVE}")
    found = scores[key]
    if found.shape[1] != view.shape[1]:
        raise InputError(f"the visibility scores of '{key}' are of {found.shape[1]} joints, expected {view.shape[1]}")
    rows = np.minimum(np.arange(len(view)), len(found) - 1)
    return np.concatenate([view[..., :2], found[rows, :, None]], -1)


def write(path, scores):
    """Write {name: (T, J)} as the authors' file, whole or not at all."""
    with whole(path) as partial:
        partial.write_bytes(pickle.dumps({key: np.asarray(value, np.float32)[..., None] for key, value in scores.items()}, protocol=4))
