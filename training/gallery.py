"""Pictures, and crops of them in batches on the training device: what warping one by one would make the bottleneck."""

import functools

import numpy as np
import torch
from torch.nn import functional as F

from training.datasets.people import decoded

SHRUNK = 0.6  # crops that shrink the picture more are averaged over finer ones (no aliasing)


class Gallery:
    """RGB uint8 pictures of any sizes, `decoded` or not, and `border` around them. A GPU holds them all as one tensor; on a CPU, which decodes a
    picture in a fraction of the time that it learns from it, they stay as they are, and training fits into little memory."""

    def __init__(self, images, device="cpu", border=0):
        self.images, self.border, self.device = images, border, torch.device(device)
        self.pixels = None if self.device.type == "cpu" else self._squares(range(len(images)))

    def __len__(self):
        return len(self.images)

    @functools.cached_property
    def sizes(self):
        """(N, 2) width, height px."""
        return torch.tensor([decoded(image).shape[1::-1] for image in self.images], dtype=torch.float32, device=self.device)

    def _squares(self, rows):
        """Pictures `rows` as one tensor (B, 3, S, S), each in the top left of a square filled with `border`."""
        images = [decoded(self.images[i]) for i in rows]
        side = max((max(image.shape[:2]) for image in images), default=1)
        out = torch.full((len(images), 3, side, side), self.border, dtype=torch.uint8, device=self.device)
        for row, image in zip(out, images, strict=True):
            row[:, : image.shape[0], : image.shape[1]] = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(self.device)
        return out

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
        pixels = (self._squares(rows.tolist()) if self.pixels is None else self.pixels[rows]).float() - self.border
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
