"""Our own small top-down network: 21 joints with calibrated scores, any posture."""

import numpy as np
import torch
from scipy.special import expit, logit

from core.errors import InputError
from core.geometry import apply_affine, crop_matrix, invert_affine, warp
from core.networks import fuse, pick_device
from core.records import Poses
from core.runtime import runnable
from core.skeletons import BODY21
from poses import _depth
from poses._body21 import PoseNet, probabilities
from weights import load, load_strict, resolve

STRIDE = 4
REACH = 0.1  # a joint is "right" within this share of the box's longer side; scores are the probability of that
BROAD = 3.0  # cells: standard deviation of the Gaussian that tells around which cell most lies
WIDTH, STEPS, SPAN = 1.5, 7, 6  # of the Gaussian, in cells; steps towards a mode, which is no more than so many cells from there
APART = 4  # cells between two places where a joint may be
TURNS = (np.pi / 2, np.pi, -np.pi / 2)
CUT = 0.5  # chance of a joint to be in the crop below which it is outside
WIDER, LITTLE, FOUND = 0.35, 0.08, 2.0  # by how much of its longer side a box grows; at least, or it stays; and by how much the sum of scores must
HARD, CLEARER = 0.4, 0.1  # people whose mean score is below HARD are looked at turned, too; the best look wins if it is better by CLEARER


def decode(maps, radius):
    """Joints of probability maps (B, J, h, w): points (B, J, 2) in crop px and mass (B, J), the probability within `radius` (B,) px of them.

    The point is the mode at the cell around which most lies, and not at the highest one, which for a hidden joint is often a lonely peak: the mean of
    the cells around it, weighted by a Gaussian around the point itself (mean shift; Comaniciu and Meer 2002). So it does not jump when two
    neighbouring cells are alike.
    """
    points = modes(maps)
    near = _near(maps, points, (radius / STRIDE)[:, None, None, None])
    return points, (maps * near).sum((2, 3)).clamp(0, 1)


def modes(maps):
    """The mode (B, J, 2) px at the cell of each map (B, J, h, w) around which most lies."""
    best, w = broadened(maps).flatten(2).argmax(-1), maps.shape[3]
    rows, columns, index, inside = around(best, maps.shape[2:], SPAN)
    cells = maps.flatten(2).gather(2, index.flatten(2)).view(index.shape) * inside
    columns, rows = columns + 0.5, rows + 0.5
    x, y = best % w + 0.5, best // w + 0.5
    for _ in range(STEPS):
        near_x, near_y = (torch.exp(-((axis - at[..., None]) / WIDTH).square() / 2) for axis, at in ((columns, x), (rows, y)))
        across, down = (cells * near_y[..., None]).sum(2) * near_x, (cells * near_x[..., None, :]).sum(3) * near_y
        total = across.sum(-1).clamp_min(1e-12)
        x, y = (across * columns).sum(-1) / total, (down * rows).sum(-1) / total
    return torch.stack([x, y], -1) * STRIDE


def broadened(maps):
    """Maps (B, J, h, w) blurred by a Gaussian of BROAD cells; nothing lies outside."""
    down, across = (torch.exp(-((at[:, None] - at) / BROAD).square() / 2) for at in (torch.arange(n, device=maps.device) for n in maps.shape[2:]))
    return down @ maps @ across


def around(best, shape, reach):
    """Rows and columns (B, J, n) of the square within `reach` of cell number `best` (B, J) of maps of `shape` (h, w); the numbers (B, J, n, n) of its
    cells, held inside the map, and which of them there are."""
    (h, w), steps = shape, torch.arange(-reach, reach + 1, device=best.device)
    columns, rows = (at[..., None] + steps for at in (best % w, best // w))
    index = rows.clamp(0, h - 1)[..., None] * w + columns.clamp(0, w - 1)[..., None, :]
    return rows, columns, index, ((rows >= 0) & (rows < h))[..., None] & ((columns >= 0) & (columns < w))[..., None, :]


def second(maps, points):
    """Where else the joints of probability maps (B, J, h, w) may be than at points (B, J, 2) px: (B, J, 3) x, y in crop px, and the share of that
    mode in the mass of both."""
    taken = _near(maps, points, APART)
    rest = maps * ~taken
    other = modes(rest)
    mass = (rest * _near(maps, other, APART)).sum((2, 3))
    both = mass + (maps * taken).sum((2, 3))
    return torch.cat([other, (mass / both.clamp_min(1e-9))[..., None]], -1)


def _near(maps, points, radius):
    """Which cells (B, J, h, w) lie within a radius, in cells, of points (B, J, 2) px."""
    rows, columns = (torch.arange(n, device=maps.device) + 0.5 for n in maps.shape[2:])
    x, y = (points / STRIDE).unbind(-1)
    return (rows - y[..., None]).square()[..., None] + (columns - x[..., None]).square()[..., None, :] <= radius**2


class Body21:
    """A PoseEstimator of a `runnable` PoseNet. See `build`."""

    skeleton, nobody = BODY21, 0.45  # a pair of feet and a poster in clips had .43 and .40, the darkest people in a crowd .49, a face alone .61

    def __init__(self, network, header, flip=False, upright=False, batch=32, depth=False, widen=False, rivals=True):
        self.network, self.flip, self.upright, self.batch = network, flip, upright, batch
        self.depth, self.widen, self.rivals = depth, widen, rivals
        self.size = tuple(int(n) for n in header["size"].split("x"))
        self.scale = float(header["scale"])
        self.slope, self.offset = (float(n) for n in header["calibration"].split(","))

    def __call__(self, images, boxes, cameras=None):
        """The poses in boxes (N, 4) px of each RGB picture, one `Poses` a picture; rows are the boxes. Cameras are for 3D alone."""
        boxes = [np.asarray(b, np.float32).reshape(-1, 4) for b in boxes]
        owner = np.repeat(np.arange(len(images)), [len(b) for b in boxes])
        flat = np.concatenate(boxes) if boxes else np.zeros((0, 4), np.float32)
        looked = self._look(images, owner, flat, np.zeros(len(flat)))
        if self.widen:
            flat = self._complete(images, owner, flat, looked)
        if self.upright:
            self._turn(images, owner, flat, looked)
        return [self._poses(*(part[owner == i] for part in looked[:4]), cameras and cameras[i]) for i in range(len(images))]

    def _poses(self, points, scores, depth, rivals, camera):
        return Poses(BODY21, points, scores, _depth.relative(points, scores, depth, camera) if self.depth else None, None,
                     rivals if self.rivals else None)

    def _complete(self, images, owner, boxes, looked):
        """Look again, wider, at people of whom joints seem to be outside their box, and keep what finds them; changes the arrays of `_look`. Returns
        the boxes (N, 4) that the looks which count were taken with."""
        wide = np.array([widened(*row, images[i].shape) for *row, i in zip(boxes, looked[0], looked[4] < CUT, owner, strict=True)]).reshape(-1, 4)
        cut = np.flatnonzero((wide != boxes).any(1))
        if len(cut):
            again = self._look(images, owner[cut], wide[cut], np.zeros(len(cut)))
            better = _take(looked, again, cut, again[1].sum(1) > looked[1][cut].sum(1) + FOUND)
            boxes = boxes.copy()
            boxes[better] = wide[better]
        return boxes

    def _turn(self, images, owner, boxes, looked):
        """Look again, turned by quarters, at people who were hard to read, and keep what is clearly clearer; changes the arrays of `_look`."""
        hard = np.flatnonzero(looked[1].mean(1) < HARD)
        for turn in TURNS if len(hard) else ():
            again = self._look(images, owner[hard], boxes[hard], np.full(len(hard), turn))
            _take(looked, again, hard, again[1].mean(1) > looked[1][hard].mean(1) + CLEARER)

    def _look(self, images, owner, boxes, turns):
        """Points (N, 21, 2) px, scores and depth (N, 21), rivals (N, 21, 3), and the chance (N, 21) to be in the crop, of the boxes (N, 4) of
        pictures `owner` (N,), each turned by `turns` (N,) radians."""
        points, scores, depth, rivals, inside = (np.zeros((len(boxes), len(BODY21), *more), np.float32) for more in ((2,), (), (), (3,), ()))
        for start in range(0, len(boxes), self.batch):
            rows = range(start, min(start + self.batch, len(boxes)))
            matrices = [crop_matrix(boxes[i], self.size, self.scale, turns[i]) for i in rows]
            crops = np.stack([warp(images[owner[i]], matrix, self.size) for i, matrix in zip(rows, matrices, strict=True)])
            longer = (boxes[rows, 2:] - boxes[rows, :2]).max(1)
            radius = REACH * longer * [np.hypot(*matrix[0, :2]) for matrix in matrices]
            found, mass, depth[rows], others, inside[rows] = self.read(crops, radius)
            for i, matrix, mine, other in zip(rows, map(invert_affine, matrices), found, others, strict=True):
                points[i], rivals[i] = apply_affine(matrix, mine), np.column_stack([apply_affine(matrix, other[:, :2]), other[:, 2]])
            scores[rows] = calibrated(mass, self.slope, self.offset)
        return points, scores, depth, rivals, inside

    @torch.inference_mode()
    def read(self, crops, radius):
        """Of crops (B, H, W, 3) uint8: points (B, 21, 2) in crop px, mass (B, 21) within radius (B,) px, depth (B, 21) m, NaN without it, rivals (B,
        21, 3) in crop px, 0 without them, and the chance (B, 21) to be in the crop."""
        maps, depth = self._maps(crops)
        if self.flip:
            mirrored, other = (part.flip(3)[:, list(BODY21.mirror)] for part in self._maps(crops[:, :, ::-1]))
            maps, depth = (maps + mirrored) / 2, (depth + other) / 2
        points, mass = decode(maps, torch.as_tensor(radius, dtype=torch.float32, device=maps.device))
        inside = maps.sum((2, 3))
        depth = (depth * maps).sum((2, 3)) / inside.clamp_min(1e-9)
        rivals = second(maps, points) if self.rivals else torch.zeros(*mass.shape, 3)
        return tuple(part.cpu().numpy() for part in (points, mass, depth, rivals, inside))

    def _maps(self, crops):
        """Probabilities and depth (B, 21, h, w) of crops."""
        found = self.network(crops)
        maps = probabilities(found[:, : len(BODY21)])
        return maps, found[:, len(BODY21) : 2 * len(BODY21)].float() if self.depth else torch.full_like(maps, torch.nan)


def _take(looked, again, rows, better):
    """Put the people of a second look at `rows` in place of the first where it is `better`; returns their rows."""
    for mine, new in zip(looked, again, strict=True):
        mine[rows[better]] = new[better]
    return rows[better]


def widened(box, points, outside, shape):
    """A box (4,) that grew, within a picture of `shape`, on the sides at which joints (21, 2) end whose neighbours are `outside` (21,) of the crop;
    the box itself where none are, where all are, or where the picture ends there."""
    ends = [child if outside[parent] else parent for parent, child in BODY21.bones if outside[parent] != outside[child]]
    if not ends:
        return box
    margins = np.column_stack([points[ends] - box[:2], box[2:] - points[ends]]) / np.tile(np.maximum(box[2:] - box[:2], 1e-3), 2)
    side, sides = max(box[2:] - box[:2]), np.isin(np.arange(4), margins.argmin(1))
    low, high = np.minimum(box[:2], 0), np.maximum(box[2:], shape[1::-1])
    grown = np.clip(box + sides * (-1, -1, 1, 1) * WIDER * side, np.tile(low, 2), np.tile(high, 2))
    return grown if np.abs(grown - box).max() > LITTLE * side else box


def calibrated(mass, slope, offset):
    """The probability that a joint is right, from the network's own opinion of it: logistic regression on its log-odds (Platt scaling)."""
    mass = np.clip(mass, 1e-4, 1 - 1e-4)
    return expit(slope * logit(mass) + offset)


def build(weights="pose-body21", flip=False, upright=False, depth=False, widen=True, rivals=True, batch=32, device="auto", half=False):
    """The estimator of a weights file.

    flip: also look at the mirror image and average. upright: look at people who are hard to read in three more rotations. depth: 3D around the
    pelvis from each picture alone, by a file that has learned it; bodies are of a grown-up's size. widen: look again, in a larger box, at people of
    whom joints seem to lie outside their box. rivals: say where else each joint may be, by which left and right are told over time. `batch` crops at
    a time.
    Raises InputError where the weights cannot be had or do not fit.
    """
    device = pick_device(device)
    state, header = load(resolve(weights))
    deep = header.get("depth") == "true"
    if depth and not deep:
        raise InputError(f"body21: weights '{weights}' have not learned depth")
    network = runnable(load_strict(fuse(PoseNet(deep)), state, weights), device, half)
    return Body21(network, header, flip, upright, batch, depth, widen, rivals)
