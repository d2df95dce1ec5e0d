"""The fifth system's pose network: 3D joints from crops by SE-ResNeXt, with its refiner as an option (weights by its author or your own).

It gives root-relative 3D by itself: `--lifter none` shows it as it is. The joints are Human3.6M's 17 (or MPII's 16, by the file). Pham, "3D Human
Pose Estimation with simple Self-Supervised Learning".
"""

import numpy as np
import torch

from core.errors import InputError
from core.graph_networks import semgcn_state
from core.networks import pick_device, to_tensor
from core.skeletons import H36M17, MPII16
from poses._crops import SIZE, as_poses, batches, everybody, half_precision, normalised, placed, to_pixels
from poses._posenet import BODY, MEAN, STD, k_values, rootnet_from_state
from poses._posenet import DEPTH as CELLS
from poses._refine import Refiner, lower_from_state, upper_from_state
from poses._senet import senet_from_state
from poses._volumes import fitted

SETS = {len(skeleton): skeleton for skeleton in (H36M17, MPII16)}


def build(weights="senet-h36m", refine=None, root=None, scale=1.15, batch=8, device="auto", half=False):
    """SENet of a checkpoint, by file or manifest name; the trunk (SE-ResNet or SE-ResNeXt, 50 or 101) and the joints are read from it.

    refine: two files, upper and lower branch ("GCN.pth.tar,LINEAR.pth.tar"). root: a snapshot of 3DMPPE's RootNet, by which crops are the 2 m
    square around the pelvis that the network was trained on. Without it a crop is the box, made square and enlarged by `scale` (a standing adult
    then fills it as in training), taken for 2 m, and the root's depth is left to the application. `batch` crops at a time.
    Raises InputError where weights cannot be had or do not fit.
    """
    device = pick_device(device)
    refiner = None if refine is None else load_refiner(refine, device)
    rootnet = None if root is None else fitted(rootnet_from_state, root, device)
    return SENetEstimator(fitted(senet_from_state, weights, device), refiner, rootnet, scale, batch, device, half)


def load_refiner(files, device):
    """The Refiner of two files, "UPPER,LOWER". Raises InputError."""
    names = files.split(",") if isinstance(files, str) else files
    if len(names) != 2:
        raise InputError(f"senet: refine={files}: expected two files, refine=UPPER,LOWER")
    return Refiner(fitted(upper_from_state, names[0], device, semgcn_state), fitted(lower_from_state, names[1], device)).eval()


class SENetEstimator:
    """A PoseEstimator of a SENet and, or None, a Refiner and a RootNet."""

    def __init__(self, network, refiner, rootnet, scale, batch, device, half):
        if network.joints not in SETS:
            raise InputError(f"senet: a checkpoint of {network.joints} joints is not known; there are: {', '.join(map(str, sorted(SETS)))}")
        self.network, self.refiner, self.rootnet, self.skeleton = network, refiner, rootnet, SETS[network.joints]
        if refiner is not None and self.skeleton != H36M17:
            raise InputError(f"senet: the refiner is for the 17 joints of Human3.6M, this checkpoint has {network.joints}")
        self.scale, self.batch, self.device, self.half = scale, batch, device, half

    def __call__(self, images, boxes, cameras):
        """The poses in boxes (N, 4) px of each RGB picture, one `Poses` a picture; rows are the boxes."""
        owner, squares = everybody(images, boxes, self.scale)
        if self.rootnet is not None:
            squares = self._around_roots(images, boxes)
        shares, refined = (np.full((len(owner), len(self.skeleton), 3), np.nan) for _ in range(2))
        for rows, crops in batches(images, owner, squares, self.batch):
            shares[rows], refined[rows] = self.read(crops)
        points = to_pixels(shares[..., :2] + 0.5, squares)
        depth = k_values(cameras, owner, squares)[:, None] + shares[..., 2] * BODY
        relative, root = placed(points, depth, cameras, owner, self.skeleton.root)
        return as_poses(self.skeleton, owner, len(images), points, relative if self.refiner is None else refined,
                        None if self.rootnet is None else root)

    @torch.inference_mode()
    def read(self, crops):
        """Joints (B, J, 3) in shares of the crops (B, 256, 256, 3) uint8, from the middle, and refined (B, J, 3) m, NaN without refiner."""
        x = to_tensor(crops, self.device)
        with half_precision(self.device, self.half):
            shares = self.network(x)
        refined = torch.full_like(shares, torch.nan)
        if self.refiner is not None:
            refined = self.refiner((shares + shares.new_tensor([0.5, 0.5, 0.0])) * SIZE) / 1000
        return shares.cpu().numpy(), refined.cpu().numpy()

    @torch.inference_mode()
    def _around_roots(self, images, boxes):
        """The squares (N, 3) of 2 m around the roots that RootNet sees, NaN where it sees them behind the camera."""
        owner, squares = everybody(images, boxes)
        found = np.full(squares.shape, np.nan)
        for rows, crops in batches(images, owner, squares, self.batch):
            with half_precision(self.device, self.half):
                roots = self.rootnet(normalised(crops, self.device, MEAN, STD), torch.ones(len(rows), 1, device=self.device)).cpu().numpy()
            middle = to_pixels(roots[:, None, :2] / CELLS, squares[rows])[:, 0] - 0.5
            side = squares[rows, 2] / np.where(roots[:, 2] > 0, roots[:, 2], np.nan)  # at gamma times k the square is gamma times smaller
            found[rows] = np.column_stack([middle, side])
        return found
