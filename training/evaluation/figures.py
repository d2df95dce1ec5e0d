"""The fifth system's figures of single poses of Human3.6M's 17 joints, from the root: in mm, means over all joints and people."""

import numpy as np

from core.geometry import procrustes
from training.evaluation.errors import mpjpe

FOURTEEN = [0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16]
WITHIN = 0.150  # m


def figures(found, truth):
    """{MPJPE, PA-MPJPE, MPJPE-14, PA-MPJPE-14, x, y, z: mm, PCK150: percent} of poses (N, 17, 3) m from their roots.

    As the author measures: the root itself counts, and an aligned pose is moved back onto the root.
    """
    aligned = procrustes(found, truth)
    aligned = aligned - aligned[:, :1]
    axes = 1000 * np.abs(found - truth).mean((0, 1))
    pairs = {"MPJPE": (found, truth), "PA-MPJPE": (aligned, truth), "MPJPE-14": (found[:, FOURTEEN], truth[:, FOURTEEN]),
             "PA-MPJPE-14": (aligned[:, FOURTEEN], truth[:, FOURTEEN])}
    near = 100 * float((np.linalg.norm(found - truth, axis=-1) < WITHIN).mean())
    return {name: 1000 * mpjpe(*pair) for name, pair in pairs.items()} | dict(zip("xyz", axes.tolist(), strict=True)) | {"PCK150": near}


def lines(table):
    """{name: figures} as text, a line each."""
    names = list(next(iter(table.values())))
    head = f"{'S9, S11; mm, PCK in percent':30s}" + "".join(f"{name:>13s}" for name in names)
    return "\n".join([head] + [f"{title:30s}" + "".join(f"{row[name]:13.2f}" for name in names) for title, row in table.items()])
