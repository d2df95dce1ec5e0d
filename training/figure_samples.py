"""What the fifth system's pose network learns from: crops of the 2 m around the pelvis, some with objects pasted over them.

Sun et al., "Integral Human Pose Regression", ECCV 2018; Sarandi et al., 2018. Mirror images are not used, as in the author's program.
"""

import numpy as np
import torch

from core.networks import normalised
from training import crops, occlusion
from training.datasets.pose_pickles import BODY

SIZE = 256.0  # px of a crop in which the refiner's coordinates count, whatever the network's own size is


class FigureSamples:
    """sample(row, rng) of Figures: crop (3, s, s) of 0..255, joints (17, 3) in shares of the crop, -0.5..0.5 and z of 2 m, weights (17, 3)."""

    def __init__(self, figures, size, things=None, weight=1.0, change=True):
        self.figures, self.size, self.things, self.weight, self.change = figures, size, things, weight, change

    def __len__(self):
        return len(self.figures)

    def __call__(self, row, rng):
        change = crops.random_change(rng, flip=False, hide=False) if self.change else crops.Change()
        image, matrix = crops.picture(self.figures.paths[row]), crops.crop_map(self.figures.rects[row], (self.size, self.size), change.scale,
                                                                               change.rotation)
        crop = crops.cut(image, matrix, (self.size, self.size))
        if self.things and self.change:
            crop = occlusion.occlude(crop, self.things, rng)
        crop = np.clip(crop.astype(np.float32) * np.float32(change.colour), 0, 255)
        points = crops.moved(self.figures.points[row], matrix)
        joints = np.column_stack([points[:, :2] / self.size - 0.5, points[:, 2] / (BODY * change.scale)])
        weights = self.figures.visible[row] * (1, 1, self.weight)
        return np.ascontiguousarray(crop.transpose(2, 0, 1)), np.float32(joints), np.float32(weights)


@torch.inference_mode()
def look(network, figures, size, batch, device):
    """The network's joints (N, 17, 3) in shares of everybody's crop."""
    network.eval()
    samples, found = FigureSamples(figures, size, change=False), []
    for start in range(0, len(figures), batch):
        rows = range(start, min(start + batch, len(figures)))
        x = torch.from_numpy(np.stack([samples(row, np.random.default_rng(0))[0] for row in rows])).to(device)
        found.append(network(normalised(x)).float().cpu())
    return torch.cat(found).numpy()


def patch(shares):
    """Joints (N, 17, 3) in px of a crop of 256 and z of 256 for 2 m: the refiner's coordinates."""
    return (shares + (0.5, 0.5, 0)) * SIZE


def to_space(shares, figures):
    """Joints (N, 17, 3) m to the root, camera axes, of shares of the crops; the pelvis' depth is the true one."""
    points = shares[..., :2] * figures.rects[:, None, 2:] + figures.rects[:, None, :2]
    return back(points, shares[..., 2] * BODY, figures)


def truth(figures):
    """The true joints (N, 17, 3) m to the root, camera axes."""
    return back(figures.points[..., :2], figures.points[..., 2], figures)


def back(points, depth, figures):
    """Points (N, 17, 2) px at depths (N, 17) m to the pelvis, in camera axes and from their root."""
    z = depth + figures.pelvis[:, None, 2]
    space = np.concatenate([(points - figures.centre[:, None]) / figures.focal[:, None] * z[..., None], z[..., None]], -1)
    return space - space[:, :1]
