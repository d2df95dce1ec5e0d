"""CenterNet's detector around DLA-34: its pictures, the peaks of its maps, its boxes ("Objects as Points", Zhou et al. 2019, section 4)."""

import cv2
import numpy as np
import torch
from torch.nn import functional as F

import weights as files
from core import geometry
from core.errors import InputError
from core.geometry import apply_affine, clip_boxes, invert_affine, warp
from core.networks import pick_device
from core.records import Detections
from detectors._dla import STRIDE, dla_from_state, dla_state

MEAN, STD = (0.408, 0.447, 0.470), (0.289, 0.274, 0.278)  # of blue, green, red / 255
MOST = 100  # boxes a picture
PERSON = 0  # its map of scores


def build(weights, size, threshold, scales, flip, keep_res, device, half):
    """The detector of a `ctdet_coco_dla` checkpoint. Raises InputError for weights that cannot be had or do not fit, and for an odd size."""
    if size % 32 and not keep_res:
        raise InputError(f"centernet: arch=dla34: size={size}: expected a multiple of 32")
    state = dla_state(files.load(files.resolve(weights))[0])
    network = files.load_strict(dla_from_state(state), state, weights).eval().requires_grad_(False)
    return CtdetDetector(network, size, threshold, scales, flip, keep_res, pick_device(device), half)


class CtdetDetector:
    """A DLA34 with what surrounds it: the people of the 80 classes."""

    def __init__(self, network, size, threshold, scales, flip, keep_res, device, half):
        self.network = network.to(device)
        self.size, self.threshold, self.scales, self.flip, self.keep_res = size, threshold, scales, flip, keep_res
        self.device, self.half = device, half

    def __call__(self, images):
        """The people of each RGB picture, best first: boxes in its pixels, scores 0..1."""
        found = [Detections.empty()] * len(images)
        for shape in sorted({image.shape for image in images}):
            rows = [i for i, image in enumerate(images) if image.shape == shape]
            looks = [self._look([images[i] for i in rows], scale) for scale in self.scales]
            for i, several in zip(rows, zip(*looks, strict=True), strict=True):
                found[i] = self._people(np.concatenate(several), shape)
        return found

    @torch.inference_mode()
    def _look(self, images, scale):
        """Rows (100, 6) of x1, y1, x2, y2 px, score, class of each picture, seen at one scale."""
        matrix, extent = view(*images[0].shape[1::-1], self.size, self.keep_res, scale)
        x = torch.from_numpy(np.stack([prepared(image, matrix, extent, scale) for image in images])).to(self.device)
        with torch.autocast(self.device.type, torch.float16, enabled=self.half):
            maps = [part.float() for part in self.network(torch.cat([x, x.flip(3)]) if self.flip else x)]
        scores, sizes, offsets = unflipped(*maps) if self.flip else (maps[0].sigmoid(), *maps[1:])
        return [to_picture(rows, matrix, scale) for rows in decode(scores, sizes, offsets).cpu().numpy()]

    def _people(self, rows, shape):
        rows = rows[rows[:, 5] == PERSON, :5]
        if len(self.scales) > 1:
            rows = soft_nms(rows)
        rows = rows[np.argsort(-rows[:, 4], kind="stable")][:MOST]
        boxes = clip_boxes(rows[:, :4], *shape[1::-1])
        keep = (rows[:, 4] >= self.threshold) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        return Detections(boxes[keep], rows[keep, 4])


def view(width, height, size, keep_res=False, scale=1.0):
    """(matrix (2, 3) from the resized picture to the network's input, its extent (w, h)), pixel centres counted from 0.

    The picture, resized by `scale`, is fitted into a square of `size` px as if it had not been resized; with `keep_res` it lies in the middle of an
    extent in multiples of 32, always larger than itself.
    """
    w, h = int(width * scale), int(height * scale)
    extent = ((w | 31) + 1, (h | 31) + 1) if keep_res else (size, size)
    centre = (w // 2, h // 2) if keep_res else (w / 2, h / 2)
    zoom = 1.0 if keep_res else size / max(width, height)
    return np.array([[zoom, 0, extent[0] / 2 - zoom * centre[0]], [0, zoom, extent[1] / 2 - zoom * centre[1]]]), extent


def prepared(image, matrix, extent, scale=1.0):
    """What the network is shown of an RGB picture: (3, H, W) float32 blue, green, red, normalised."""
    if scale != 1:
        image = cv2.resize(image, (int(image.shape[1] * scale), int(image.shape[0] * scale)))
    seen = shown(image, matrix, extent)[..., ::-1]
    return ((seen / 255.0 - MEAN) / STD).astype(np.float32).transpose(2, 0, 1)


def shown(image, matrix, extent):
    """The picture under a matrix of `view`, black outside, without averaging: as the network was trained."""
    moved = matrix.copy()
    moved[:, 2] += 0.5 - matrix[:, :2] @ (0.5, 0.5)  # to our pixels, on both sides
    return warp(image, moved, extent, average=False)


def unflipped(scores, sizes, offsets):
    """(scores, sizes, offsets) of pictures from the maps of the pictures and, behind them, of their mirror images: offsets are the pictures' own."""
    n = len(scores) // 2

    def mean(maps):
        return (maps[:n] + maps[n:].flip(3)) / 2

    return mean(scores.sigmoid()), mean(sizes), offsets[:n]


def decode(scores, sizes, offsets=None, most=MOST):
    """The peaks of scores (B, C, h, w): rows (B, most, 6) of x1, y1, x2, y2 in cells, score, class, best first; score 0 where there are no more."""
    b, classes, h, w = scores.shape
    peaks = torch.where(F.max_pool2d(scores, 3, 1, 1) == scores, scores, 0).flatten(2)
    best, cell = peaks.topk(min(most, h * w), 2)
    best, index = best.flatten(1).topk(most if classes * h * w >= most else best[0].numel(), 1)
    kind, cell = index // cell.shape[2], cell.flatten(1).gather(1, index)

    def at(maps):
        return maps.flatten(2).gather(2, cell[:, None].expand(-1, maps.shape[1], -1)).transpose(1, 2)

    middle = torch.stack([cell % w, cell // w], 2) + (0.5 if offsets is None else at(offsets))
    half = at(sizes) / 2
    return torch.cat([middle - half, middle + half, best[..., None], kind[..., None].to(best.dtype)], 2)


def to_picture(rows, matrix, scale=1.0):
    """Rows (N, 6) in cells with their boxes in px of the picture, by a matrix of `view`."""
    corners = apply_affine(invert_affine(matrix), rows[:, :4].reshape(-1, 2, 2).astype(np.float64) * STRIDE) / scale
    return np.concatenate([corners.reshape(-1, 4), rows[:, 4:]], 1).astype(np.float32)


def soft_nms(rows, sigma=0.5, least=0.001):
    """The boxes that survive, rows (K, 5) of x1, y1, x2, y2, score in the order taken: each lowers the scores of what it overlaps (Bodla et al.).

    Sides count one pixel more than their difference, as published.
    """
    order, scores = geometry.soft_nms(rows[:, :4] + np.array([0, 0, 1, 1]), rows[:, 4], 0, sigma)
    kept = (scores == rows[order, 4]) | (scores >= least)
    return np.column_stack([rows[order, :4], scores])[kept].astype(np.float32)
