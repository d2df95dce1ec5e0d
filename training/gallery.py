"""Pictures on the training device, and crops of them in batches: what decoding and warping one by one would make the bottleneck."""

import numpy as np
import torch
from torch.nn import functional as F

SHRUNK = 0.6  # crops that shrink the picture more are averaged over finer ones (no aliasing)


class Gallery:
    """RGB uint8 pictures of any sizes as one tensor (N, 3, S, S), each in the top left of a square filled with `border`; `sizes` (N, 2) w, h px."""

    def __init__(self, images, device="cpu", border=0):
        side = max(max(image.shape[:2]) for image in images)
        self.pixels = torch.full((len(images), 3, side, side), border, dtype=torch.uint8, device=device)
        self.sizes = torch.tensor([image.shape[1::-1] for image in images], dtype=torch.float32, device=device)
        self.border, self.device = border, torch.device(device)
        for row, image in zip(self.pixels, images, strict=True):
            row[:, : image.shape[0], : image.shape[1]] = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(device)

    def __len__(self):
        return len(self.pixels)

    def crops(self, rows, matrices, size):
        """Pictures `rows` (B,) under affine maps (B, 2, 3) to crops of `size` (width, height): (B, 3, h, w) float32 from 0 to 255."""
        zoom = torch.linalg.det(matrices[:, :, :2].float()).abs().sqrt()
        fine = zoom < SHRUNK
        if not bool(fine.any()):
            return self._sample(rows, matrices, size)
        out = torch.empty(len(rows), 3, size[1], size[0], device=self.device)
        if not bool(fine.all()):
            out[~fine] = self._sample(rows[~fine], matrices[~fine], size)
        out[fine] = F.avg_pool2d(self._sample(rows[fine], 2 * matrices[fine], (2 * size[0], 2 * size[1])), 2)
        return out

    def _sample(self, rows, matrices, size):
        grid = cell_centres(size, self.device)
        points = apply(invert(matrices), grid.expand(len(rows), -1, -1)).view(len(rows), size[1], size[0], 2)
        pixels = self.pixels[rows].float() - self.border
        return F.grid_sample(pixels, points * (2 / pixels.shape[-1]) - 1, align_corners=False) + self.border


def cell_centres(size, device, stride=1):
    """The centres (h * w, 2) px of the cells of a picture of `size` (width, height), row by row."""
    x, y = ((torch.arange(n // stride, device=device) + 0.5) * stride for n in size)
    return torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], -1).view(-1, 2)


def apply(matrices, points):
    """Points (B, N, 2) under affine maps (B, 2, 3)."""
    return points @ matrices[:, :, :2].transpose(1, 2) + matrices[:, None, :, 2]


def invert(matrices):
    """The inverses of affine maps (B, 2, 3)."""
    linear = torch.linalg.inv(matrices[:, :, :2])
    return torch.cat([linear, -linear @ matrices[:, :, 2:]], 2)
