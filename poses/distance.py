"""How far away everybody is, from their joints: RootNet's formulation (Moon et al., ICCV 2019, section 5) with a network that reads the pose.

    distance along the ray to the root = k x gamma,  k = 1 / (mean distance of the joints from the root, on the unit plane)

k holds the focal lengths and the size in the picture, as RootNet's does with the area of the box; hidden limbs disturb it less. gamma, metres, is
what the posture, the view and the joints that were found make of it.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from core import parts
from core.errors import InputError
from core.geometry import rays
from core.networks import pick_device
from core.normal import mirrored, normal_form
from core.skeletons import BODY21, convert
from weights import load, load_strict, resolve

LEAST = 5  # joints from which somebody's distance is told
BODY = 1.685  # m: stature, as `app.body.stature` measures it, of the people whose distance it tells; on drawn people of any stature true to .5 %


class DistanceNet(nn.Module):
    """Normal forms of one frame (B, J + 1, 3) -> the logarithm of gamma (B,)."""

    def __init__(self, channels=256, blocks=3):
        super().__init__()
        self.first = nn.Linear(3 * (len(BODY21) + 1), channels)
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, channels), nn.GELU(), nn.Linear(channels, channels))
                                    for _ in range(blocks))
        self.last = nn.Linear(channels, 1)

    def forward(self, x):
        x = self.first(x.flatten(1))
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)[:, 0]


def observed(plane, scores):
    """What DistanceNet reads of points (B, 21, 2) of the unit plane and scores (B, 21): features (B, 22, 3), k (B,), the rays' z (B,)."""
    x, turn = normal_form(plane[:, None], scores[:, None], BODY21.root, 0)
    return x[:, 0], (2 - x[:, 0, -1, 2]).exp(), turn[:, 2, 2]


class Ranged:
    """The PoseEstimator `pose` with the depth of the root of everybody of whom LEAST joints were found."""

    def __init__(self, pose, network, zoom, device):
        self.pose, self.network, self.zoom, self.device = pose, network.to(device).eval(), zoom, device
        self.skeleton = pose.skeleton
        if hasattr(pose, "nobody"):
            self.nobody = pose.nobody

    def __call__(self, images, boxes, cameras):
        """The poses in boxes (N, 4) px of each RGB picture that the cameras took, one `Poses` a picture; rows are the boxes."""
        found = self.pose(images, boxes, cameras)
        return [replace(people, root_depth=self.depth(people, camera)) for people, camera in zip(found, cameras, strict=True)]

    def depth(self, people, camera):
        """Depth (N,) m of the roots of Poses, NaN where too little is seen."""
        points, scores = convert(people.points, people.scores, self.skeleton, BODY21)
        scores = np.where(np.isfinite(points).all(-1), np.nan_to_num(scores), 0)
        plane = torch.from_numpy(rays(points, camera)).to(self.device, torch.float32)
        depth = self._read(plane, torch.from_numpy(scores).to(self.device, torch.float32)).cpu().numpy() * self.zoom
        return np.where((scores > 0).sum(1) >= LEAST, depth, np.nan)

    @torch.inference_mode()
    def _read(self, plane, scores):
        x, k, z = observed(plane, scores)
        gamma = (self.network(x) + self.network(mirrored(x, BODY21))).div(2).exp()
        return gamma * k * z


def build(weights="root-distance", of="body21", height=None, device="auto", half=False):
    """Root depths beside the pose network `of` (one option of it may follow: of=body21:flip=true), by a bundled or own weights file.

    `height` is the people's in metres, where it is known. Raises InputError where weights cannot be had or do not fit.
    """
    if parts.parse(of)[0] in ("distance", "rootnet"):
        raise InputError(f"distance: of={of} gives distances already; name another pose network")
    network = load_strict(DistanceNet(), load(resolve(weights))[0], weights)
    return Ranged(parts.make("pose", of, device=device, half=half), network.float(), (height or BODY) / BODY, pick_device(device))
