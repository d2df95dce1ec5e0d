"""What a pose network said of Human3.6M, for the fifth system's refiner: {image, pred, img_pred, gt}, lists of equal length.

Pixels of a crop of 256 and millimetres in the file, metres in the record.
"""

import pickle
from dataclasses import dataclass

import numpy as np

from core.errors import InputError
from core.files import whole
from training.datasets import pose_pickles

ORIGIN = "`python -m training.evaluate senet --cfg X.yaml --save FILE` writes it"


@dataclass(frozen=True)
class Guesses:
    """Rows = people: images; patch (N, 17, 3) x, y px of a crop of 256, z of 256 for 2 m; own, truth (N, 17, 3) m to the root in camera axes."""

    images: tuple
    patch: np.ndarray
    own: np.ndarray
    truth: np.ndarray

    def __len__(self):
        return len(self.images)


def load(path):
    """Guesses of a file. Raises InputError."""
    found = pose_pickles.read(path, ORIGIN)
    try:
        patch, own, truth = (np.array(found[key], np.float64).reshape(-1, 17, 3) for key in ("img_pred", "pred", "gt"))
        images = tuple(str(name) for name in found["image"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: expected image, pred, img_pred and gt of 17 joints: {error!r}") from error
    if not len(images) == len(patch) == len(own) == len(truth) or not images:
        raise InputError(f"{path}: {len(images)} pictures, {len(patch)}, {len(own)} and {len(truth)} poses: expected as many of each, and some")
    return Guesses(images, patch, own / 1000, truth / 1000)


def write(path, guesses):
    """Write Guesses as such a file."""
    table = {"image": list(guesses.images), "pred": list(guesses.own * 1000), "img_pred": list(guesses.patch), "gt": list(guesses.truth * 1000)}
    with whole(path) as partial:
        partial.write_bytes(pickle.dumps(table, protocol=4))
