"""3DMPPE's PoseNet: 3D joints of everybody from crops, and with its RootNet their place in space (official snapshots, MIT).

It gives root-relative 3D by itself: `--lifter none` shows it as it is. Moon et al., ICCV 2019; the joints are those of the snapshot (18 of
Human3.6M, 21 of MuCo, 17 of MuPoTS, 19 of COCO, 16 of MPII).
"""

import numpy as np
import torch

from core.errors import InputError
from core.networks import pick_device
from poses._crops import as_poses, batches, everybody, half_precision, normalised, placed, to_pixels
from poses._posenet import DEPTH, HALF_DEPTH, JOINT_SETS, MEAN, STD, k_values, posenet_from_state, rootnet_from_state
from poses._volumes import fitted


def build(weights="posenet-muco", root=None, flip=False, batch=8, device="auto", half=False):
    """PoseNet of a snapshot, by file or manifest name; `root` is RootNet's.

    Without RootNet people are as far away as a body of 2 m that fills the box (its k, uncorrected), and the root's depth is left to the application.
    flip: look at the mirror image, too, and average. `batch` crops at a time. Raises InputError where weights cannot be had or do not fit.
    """
    device = pick_device(device)
    rootnet = None if root is None else fitted(rootnet_from_state, root, device)
    return PoseNetEstimator(fitted(posenet_from_state, weights, device), rootnet, flip, batch, device, half)


class PoseNetEstimator:
    """A PoseEstimator of a PoseNet and, or None, a RootNet, both of which look at the same crops."""

    def __init__(self, network, rootnet, flip, batch, device, half):
        if network.joints not in JOINT_SETS:
            raise InputError(f"posenet: a snapshot of {network.joints} joints is not known; there are: {', '.join(map(str, sorted(JOINT_SETS)))}")
        self.network, self.rootnet, self.skeleton = network, rootnet, JOINT_SETS[network.joints]
        self.flip, self.batch, self.device, self.half = flip, batch, device, half

    def __call__(self, images, boxes, cameras):
        """The poses in boxes (N, 4) px of each RGB picture, one `Poses` a picture; rows are the boxes."""
        owner, squares = everybody(images, boxes)
        cells, gamma = np.full((len(owner), len(self.skeleton), 3), np.nan), np.full(len(owner), np.nan)
        for rows, crops in batches(images, owner, squares, self.batch):
            cells[rows], gamma[rows] = self.read(crops)
        points = to_pixels(cells[..., :2] / DEPTH, squares)
        depth = (gamma * k_values(cameras, owner, squares))[:, None] + (cells[..., 2] / DEPTH * 2 - 1) * HALF_DEPTH
        relative, root = placed(points, depth, cameras, owner, self.skeleton.root)
        return as_poses(self.skeleton, owner, len(images), points, relative, None if self.rootnet is None else root)

    @torch.inference_mode()
    def read(self, crops):
        """Cells (B, J, 3) of PoseNet and gamma (B,) of RootNet, 1 without it, for crops (B, 256, 256, 3) uint8."""
        x = normalised(crops, self.device, MEAN, STD)
        with half_precision(self.device, self.half):
            cells, gamma = self._look(x)
            if self.flip:
                mirrored = self._look(x.flip(3))
                cells, gamma = (cells + unmirrored(mirrored[0], self.skeleton)) / 2, (gamma + mirrored[1]) / 2
        return cells.cpu().numpy(), gamma.cpu().numpy()

    def _look(self, x):
        return self.network(x), x.new_ones(len(x)) if self.rootnet is None else self.rootnet.gamma(x)[:, 0]


def unmirrored(cells, skeleton):
    """Cells (B, J, 3) seen in mirrored crops as those of the crops. The mirror image of cell 0 is the last cell, 63."""
    x, rest = cells[..., :1], cells[..., 1:]
    return torch.cat([DEPTH - x - 1, rest], -1)[:, list(skeleton.mirror)]
