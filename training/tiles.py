"""Training tiles of the person detector, cut and put together on the training device, a batch at a time."""

import numpy as np
import torch

from core.geometry import coverage
from detectors.centernet import STRIDES
from training import looks
from training.box_teachers import BORDER
from training.datasets import boxes as data
from training.gallery import Gallery, apply

NOBODY, PERSON, IGNORE, ROUGH = 0, 1, 2, 3  # ROUGH: a person whose box is not exact
SHARES = (0.46, 0.31, 0.11, 0.12)  # of labelled, teacher-labelled and drawn pictures, and of those with one rough box
SURE, MAYBE = 0.45, 0.2  # score from which a teacher's box is a person, and from which it is at least not background
SINGLE, MOSAIC = (256, 800), (128, 576)  # px of a photograph's longer side, whatever the tile's: the detector looks at 512


class Tiles:
    """Photographs with boxes on one device. `boxes` (N, G, 4) px and `kinds` (N, G); `drawn` says which pictures we made ourselves."""

    def __init__(self, photographs, drawn, device, found=None):
        """`found`: [(boxes, scores)] of a teacher for the photographs that nobody labelled, in their order."""
        self.gallery = Gallery([data.decode(p) for p in photographs], device, BORDER)
        found, places = iter(found or []), []
        for photograph in photographs:
            places.append(labels(photograph) if photograph.marked else taught(*next(found, (np.zeros((0, 4)), np.zeros(0)))))
        most = max(1, max(len(kinds) for _, kinds in places))
        self.boxes, self.kinds = torch.zeros(len(places), most, 4, device=device), torch.zeros(len(places), most, dtype=torch.long, device=device)
        for i, (boxes, kinds) in enumerate(places):
            self.boxes[i, : len(boxes)], self.kinds[i, : len(kinds)] = torch.from_numpy(boxes).to(device), torch.from_numpy(kinds).to(device)
        self.square = torch.tensor([p.square for p in photographs], device=device)
        group = np.where(drawn, 2, [0 if p.labelled else 3 if p.partly else 1 for p in photographs])
        self.weights = torch.from_numpy(np.array(SHARES)[group] / np.bincount(group, minlength=4)[group]).to(device)

    def batch(self, count, size, draw):
        """(tiles (B, 3, S, S) from 0 to 255, boxes (B, G, 4) px, kinds (B, G)): one photograph, or a mosaic of four around a random point."""
        single = draw.chance(0.5, count)
        centre = torch.where(single[:, None], size, (size * draw.rand(count, 2, low=0.3, high=0.7)).round())
        canvas = torch.full((count, 3, size, size), float(BORDER), device=draw.device)
        parts = []
        for across in (0, 1):
            for down in (0, 1):
                corner = torch.tensor([across, down], device=draw.device)
                region = torch.cat([centre * corner, torch.where(corner > 0, size, centre)], 1)
                rows = torch.multinomial(self.weights, count, replacement=True, generator=draw.generator)
                matrices = self._placed(rows, region, torch.where(single, _log(draw, count, SINGLE), _log(draw, count, MOSAIC)), draw)
                here = (region[:, 2:] > region[:, :2]).all(1)
                canvas[here] = torch.where(_inside(region[here], size), self.gallery.crops(rows[here], matrices[here], (size, size)), canvas[here])
                parts.append(_cut(self.boxes[rows], self.kinds[rows], matrices, region))
        boxes, kinds = (torch.cat(values, 1) for values in zip(*parts, strict=True))
        order = (kinds > 0).long().argsort(dim=1, descending=True, stable=True)[:, : max(1, int((kinds > 0).sum(1).max()))]
        return canvas, boxes.gather(1, order[..., None].expand(-1, -1, 4)), kinds.gather(1, order)

    def _placed(self, rows, region, side, draw):
        """Affine maps (B, 2, 3) of photographs into regions (B, 4) of the tile: longer side `side` px, anywhere in it, at random mirrored."""
        count, sizes = len(rows), self.gallery.sizes[rows]
        stretch = torch.where(self.square[rows], draw.rand(count, low=-0.1, high=0.45), 0.1 * draw.randn(count)).exp().sqrt()
        zoom = (side / sizes.amax(1))[:, None] * torch.stack([stretch, 1 / stretch], 1)
        extent = sizes * zoom
        shift = region[:, :2] + (region[:, 2:] - region[:, :2] - extent) * draw.rand(count, 2)
        flip = draw.chance(0.5, count)
        matrices = torch.zeros(count, 2, 3, device=draw.device)
        matrices[:, 0, 0], matrices[:, 1, 1] = torch.where(flip, -zoom[:, 0], zoom[:, 0]), zoom[:, 1]
        matrices[:, 0, 2], matrices[:, 1, 2] = shift[:, 0] + torch.where(flip, extent[:, 0], 0), shift[:, 1]
        return matrices


def labels(photograph):
    """Boxes (G, 4) and kinds (G,) of what somebody marked."""
    kinds = np.concatenate([np.full(len(photograph.boxes), ROUGH if photograph.partly else PERSON), np.full(len(photograph.ignore), IGNORE)])
    return np.concatenate([photograph.boxes, photograph.ignore]).astype(np.float32), kinds.astype(np.int64)


def taught(boxes, scores):
    """Boxes (G, 4) and kinds (G,) of what a teacher found."""
    parts = (coverage(boxes, boxes[scores > SURE]).max(1, initial=0) > 0.8) & (scores <= SURE)  # a leg is not a person, nor is it ignored
    kept = (scores > MAYBE) & ~parts
    return boxes[kept].astype(np.float32), np.where(scores[kept] > SURE, PERSON, IGNORE).astype(np.int64)


def is_person(kinds):
    return (kinds == PERSON) | (kinds == ROUGH)


def _log(draw, count, limits):
    low, high = np.log(limits)
    return draw.rand(count, low=low, high=high).exp()


def _inside(region, size):
    """Masks (B, 1, S, S) of regions (B, 4) of tiles."""
    place = torch.arange(size, device=region.device) + 0.5
    across = (place > region[:, :1]) & (place < region[:, 2:3])
    down = (place > region[:, 1:2]) & (place < region[:, 3:])
    return (down[:, :, None] & across[:, None])[:, None]


def _cut(boxes, kinds, matrices, region):
    """Boxes (B, G, 4) and kinds under maps, cut at regions (B, 4); people of whom little is left or who are tiny are ignored there."""
    corners = torch.stack([apply(matrices, boxes[..., :2]), apply(matrices, boxes[..., 2:])], 2)
    moved = torch.cat([corners.amin(2), corners.amax(2)], -1)
    inside = torch.minimum(torch.maximum(moved, region[:, None, :2].repeat(1, 1, 2)), region[:, None, 2:].repeat(1, 1, 2))
    extent, whole = (inside[..., 2:] - inside[..., :2]), (moved[..., 2:] - moved[..., :2]).clamp(min=1e-6)
    left = extent.clamp(min=0).prod(-1) / whole.prod(-1)
    kinds = torch.where(is_person(kinds) & ((left < 0.2) | (extent.amin(-1) < 4)), IGNORE, kinds)
    return inside, torch.where((extent > 0).all(-1), kinds, NOBODY)


def mirrored(size, boxes, taught=None):
    """Boxes (B, G, 4), and what a teacher says of the cells (B, N, 5), of the mirror images of square tiles of `size` px."""
    turned = torch.stack([size - boxes[..., 2], boxes[..., 1], size - boxes[..., 0], boxes[..., 3]], -1)
    if taught is None:
        return turned, None
    sides = [size // stride for stride in STRIDES]
    levels = taught.split([side**2 for side in sides], 1)
    maps = torch.cat([level.unflatten(1, (side, side)).flip(2).flatten(1, 2) for level, side in zip(levels, sides, strict=True)], 1)
    return turned, torch.cat([maps[..., :1], mirrored(size, maps[..., 1:])[0]], -1)


def worn(tiles, draw):
    """Tiles as worse cameras would have taken them."""
    return looks.degrade(looks.colour(tiles, draw, calm=0.15), draw, share=0.4)
