"""The linear network of Martinez et al. on one frame; weights=FILE, and stats=FILE where it learned from standardised numbers.

Reads x, y of 16 joints of Human3.6M (without neck_nose). Without stats its units are those of SemGCN's authors, who trained it again: half picture
widths in, metres of the same 16 joints out. With stats they are those of Martinez: pixels of a picture 1000 wide in, millimetres of Human3.6M's 17
joints around the hip out (the hip itself left out). stats: an .npz with mean_2d, std_2d (16, 2) and mean_3d, std_3d (16, 3).
"""

import pathlib
import zipfile

import numpy as np
import torch

from core.errors import InputError
from core.graph_networks import linear_from_state
from core.networks import pick_device
from core.skeletons import H36M16, H36M17
from lifters._single import SingleFrame
from weights import load, load_strict, resolve

SHAPES = {"mean_2d": (16, 2), "std_2d": (16, 2), "mean_3d": (16, 3), "std_3d": (16, 3)}
HALF = 500  # px: half the width of the pictures that Martinez' numbers are of


class Linear(SingleFrame):
    def __init__(self, network, stats, fit, flip, device, half):
        super().__init__(network, H36M17 if stats else H36M16, fit, flip, device, half)
        self.stats = stats and {name: torch.tensor(value, device=device, dtype=self.dtype) for name, value in stats.items()}

    def _frames(self, x):
        if not self.stats:
            return self.network(x.flatten(1)).unflatten(1, (-1, 3))
        x = ((x + 1) * HALF - self.stats["mean_2d"]) / self.stats["std_2d"]
        y = self.network(x.flatten(1)).unflatten(1, (-1, 3)) * self.stats["std_3d"] + self.stats["mean_3d"]
        return torch.cat([torch.zeros_like(y[:, :1]), y / 1000], 1)


def _read_stats(path):
    """The means and deviations of an .npz. Raises InputError where it is none, or has other arrays."""
    try:
        with np.load(pathlib.Path(path).expanduser(), allow_pickle=False) as data:
            stats = {name: np.asarray(data[name], np.float32) for name in SHAPES}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"stats={path}: expected an .npz with {', '.join(SHAPES)} ({error})") from error
    for name, shape in SHAPES.items():
        if stats[name].shape != shape or not np.isfinite(stats[name]).all() or (name.startswith("std") and (stats[name] <= 0).any()):
            raise InputError(f"stats={path}: {name} is not {shape} finite numbers, above 0 where they are deviations")
    return stats


def build(weights="linear-h36m", stats=None, fit=True, flip=True, device="auto", half=False):
    """A lifter from a checkpoint.

    `fit` turns the view to the person and brings them to the size of the training; `flip` averages with the mirrored input.
    """
    stats = None if stats is None else _read_stats(stats)
    state, _ = load(resolve(weights))
    network = load_strict(linear_from_state(state), state, weights)
    sizes = network.w1.in_features, network.w2.out_features
    if sizes != (32, 48):
        raise InputError(f"'{weights}' goes from {sizes[0]} to {sizes[1]} numbers, expected a lifter from 32 (16 joints) to 48")
    return Linear(network, stats, fit, flip, pick_device(device), half)
