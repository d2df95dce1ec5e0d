"""3DMPPE's RootNet beside any other pose network: how far away everybody is (official snapshots, MIT).

`--pose rootnet:weights=FILE,of=body21` gives the joints of body21 and the depth of their root by RootNet, which places people in space in place
of the fit of their 3D to the picture. PoseNet takes RootNet as an option of its own. Moon et al., ICCV 2019.
"""

from dataclasses import replace

import numpy as np
import torch

from core import parts
from core.errors import InputError
from core.networks import pick_device
from poses._crops import batches, everybody, half_precision, normalised
from poses._posenet import MEAN, STD, k_values, rootnet_from_state
from poses._volumes import fitted


def build(weights="rootnet-muco", of="body21", flip=False, batch=8, device="auto", half=False):
    """RootNet of a snapshot, by file or manifest name, beside the pose network `of` (one option of it may follow: of=body21:flip=true).

    flip: look at the mirror image, too, and average. `batch` crops at a time. Raises InputError where weights cannot be had or do not fit.
    """
    if parts.parse(of)[0] == "rootnet":
        raise InputError("rootnet: of=rootnet is no pose network; name another one")
    network = fitted(rootnet_from_state, weights, pick_device(device))
    return RootedEstimator(parts.make("pose", of, device=device, half=half), network, flip, batch, pick_device(device), half)


class RootedEstimator:
    """The PoseEstimator `pose` with the root's depth by a RootNet."""

    def __init__(self, pose, rootnet, flip, batch, device, half):
        self.pose, self.rootnet, self.skeleton = pose, rootnet, pose.skeleton
        self.flip, self.batch, self.device, self.half = flip, batch, device, half
        if hasattr(pose, "nobody"):
            self.nobody = pose.nobody

    def __call__(self, images, boxes, cameras):
        """The poses in boxes (N, 4) px of each RGB picture, one `Poses` a picture; rows are the boxes. A depth behind the camera is NaN."""
        owner, squares = everybody(images, boxes)
        gamma = np.full(len(owner), np.nan)
        for rows, crops in batches(images, owner, squares, self.batch):
            gamma[rows] = self.read(crops)
        depth = gamma * k_values(cameras, owner, squares)
        depth = np.where(depth > 0, depth, np.nan)
        found = self.pose(images, boxes, cameras)
        return [replace(people, root_depth=depth[owner == i]) for i, people in enumerate(found)]

    @torch.inference_mode()
    def read(self, crops):
        """gamma (B,) for crops (B, 256, 256, 3) uint8."""
        x = normalised(crops, self.device, MEAN, STD)
        with half_precision(self.device, self.half):
            gamma = self.rootnet.gamma(x)
            if self.flip:
                gamma = (gamma + self.rootnet.gamma(x.flip(3))) / 2
        return gamma[:, 0].cpu().numpy()
