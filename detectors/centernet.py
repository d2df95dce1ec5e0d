"""CentreNet: our own person detector, score maps and side distances on a small U-shaped network.

Every cell of three maps (strides 8, 16, 32) says how surely a person is centred there and how far the four sides of the box are: "Objects as
Points" (Zhou et al. 2019) with the distances and levels of FCOS (Tian et al. 2019).
"""

import numpy as np
import torch
from torch import nn

import weights as files
from core.errors import InputError
from core.geometry import apply_affine, area, clip_boxes, coverage, invert_affine, iou, letterbox_matrix, nms, soft_nms, warp
from core.networks import MobileUNet, block, fuse, pick_device
from core.records import Detections
from core.runtime import runnable

WEIGHTS = {"mobile": "detector-centernet", "dla34": "centernet-dla-2x"}  # by arch
STRIDES = (32, 16, 8)
BORDER = 114  # grey of the letterbox
APART, AGREED = 0.6, 0.8  # IoU up to which a box has no say in that of another, and from which it has its whole
GRAIN = 1 / 16  # px of a box: what a network says of a picture differs in its last digits from batch to batch, what comes after must not
SCALES = {"mobile": (1, 1.25, 1.5, 0.5), "dla34": (1,)}  # by arch
SHORT, TALL = 50, 240  # px in the first look below and above which people are seen better in another
NEIGHBOURS, FADE = 0.25, 0.1  # IoU that two people may have, and how soon a box that shares more with a better one counts less
SURE = 0.3  # score of such a person that makes it worth the time
INSIDE, PART = 0.8, 0.03  # share of a box in a better one, and of the other's area, from which and up to which it is a part


class CentreNet(nn.Module):
    """Pictures (B, 3, H, W) -> score logits (B, N) and boxes (B, N, 4) xyxy in input pixels, of the cells of strides 32, 16, 8 in turn."""

    def __init__(self, channels=96):
        super().__init__()
        self.body = MobileUNet(channels, finest=8, kernel=3)
        self.score = nn.ModuleList(nn.Sequential(block(channels), nn.Conv2d(channels, 1, 1)) for _ in STRIDES)
        self.sides = nn.ModuleList(nn.Sequential(block(channels), nn.Conv2d(channels, 4, 1)) for _ in STRIDES)
        for score, sides in zip(self.score, self.sides, strict=True):
            nn.init.constant_(score[-1].bias, -4.6)  # focal losses start from "nobody, 99%"
            nn.init.constant_(sides[-1].bias, 2.0)

    def forward(self, x):
        logits, boxes = [], []
        for feature, stride, score, sides in zip(self.body.pyramid(x), STRIDES, self.score, self.sides, strict=True):
            logits.append(score(feature).flatten(1))
            distances = nn.functional.softplus(sides(feature).float()).flatten(2).transpose(1, 2) * stride
            points = cells(*feature.shape[2:], stride, x.device)
            boxes.append(torch.cat([points - distances[..., :2], points + distances[..., 2:]], -1))
        return torch.cat(logits, 1).float(), torch.cat(boxes, 1)


def cells(height, width, stride, device):
    """The centres (height * width, 2) of a map's cells in input pixels, row by row."""
    y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    return (torch.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride


def build(weights=None, arch="mobile", size=512, threshold=0.35, overlap=0.65, scales=None, flip=False, keep_res=False, device="auto", half=False):
    """The bundled detector (arch=mobile), or the official CenterNet of a `ctdet_coco_dla` checkpoint (arch=dla34, MIT, COCO 2017).

    Pictures are scaled to `size` px on the longer side, times the first of `scales`; those with small people are seen at larger scales, too, those
    with tall people at smaller ones, and each look answers for the heights that it sees best (as SNIP: Singh and Davis, CVPR 2018). The official one
    sees every picture at all scales. Boxes that share more than `overlap` (IoU) with a better one are dropped, those that share less count less,
    and those scored below `threshold` then are dropped; the official one has its own way with overlaps, and two options more: `flip` looks at the
    mirror image, too, `keep_res` takes pictures in their own size. Raises InputError for an option that cannot be, and for weights that cannot be
    had or do not fit.
    """
    if arch not in WEIGHTS:
        raise InputError(f"centernet: no arch '{arch}'; there are: {', '.join(WEIGHTS)}")
    weights = weights or WEIGHTS[arch]
    scales = (scales,) if isinstance(scales, (int, float)) else scales or SCALES[arch]
    if not size * min(scales) >= 32 or not size * max(scales) <= 8192:
        raise InputError(f"centernet: size={size}, scales={scales}: the longer side must be 32 to 8192 px")
    if arch == "dla34":
        from detectors import _ctdet  # only here: importing torchvision takes two seconds

        return _ctdet.build(weights, size, threshold, scales, flip, keep_res, device, half)
    if flip or keep_res:
        raise InputError("centernet: flip and keep_res are options of arch=dla34")
    state, _ = files.load(files.resolve(weights))
    device = pick_device(device)
    network = runnable(fuse(files.load_strict(CentreNet(), state, weights)), device, half)
    return CentreNetDetector(network, [round(size * scale) for scale in scales], threshold, overlap)


class CentreNetDetector:
    """A `runnable` CentreNet with what surrounds it: letterbox to `sizes` (px of the longer side, the first for all), suppression, the way back."""

    def __init__(self, network, sizes, threshold, overlap):
        self.network, self.sizes, self.threshold, self.overlap = network, sizes, threshold, overlap

    def __call__(self, images):
        """The people of each RGB picture, best first: boxes in its pixels, scores 0..1."""
        shapes = sorted({image.shape for image in images})
        found = [Detections.empty()] * len(images)
        for rows in ([i for i, image in enumerate(images) if image.shape == shape] for shape in shapes):
            for i, people in zip(rows, self._one_size([images[i] for i in rows]), strict=True):
                found[i] = people
        return found

    def _one_size(self, images):
        height, width = images[0].shape[:2]
        first, *others = self.sizes
        boxes, scores, tall = self._look(images, first)
        sure = scores > SURE
        # the pictures with people who are seen better larger, or smaller: there other looks answer for them
        short = (sure & (tall < SHORT)).any(1) & any(size > first for size in others)
        high = (sure & (tall > TALL)).any(1) & any(size < first for size in others)
        kept = ~(short[:, None] & (tall < SHORT) | high[:, None] & (tall > TALL))
        looks = [[look] for look in self._above(boxes, scores, kept)]
        for size in others:
            rows = np.flatnonzero(short if size > first else high)
            if len(rows):
                boxes, scores, tall = self._look([images[i] for i in rows], size)
                for i, look in zip(rows, self._above(boxes, scores, tall <= 2 * SHORT if size > first else tall >= 0.6 * TALL), strict=True):
                    looks[i].append(look)
        whole = [map(np.concatenate, zip(*several, strict=True)) for several in looks]
        return [self._suppress(clip_boxes(boxes, width, height), scores) for boxes, scores in whole]

    def _look(self, images, size):
        """Of every cell of pictures of one size, seen at `size`: boxes (B, N, 4) px, scores (B, N), heights (B, N) in px of the first size."""
        matrix, extent = letterbox(*images[0].shape[1::-1], size)
        logits, boxes = (x.float().cpu().numpy() for x in self.network(np.stack([warp(image, matrix, extent, border=BORDER) for image in images])))
        tall = (boxes[..., 3] - boxes[..., 1]) * (self.sizes[0] / size)
        boxes = apply_affine(invert_affine(matrix), boxes.reshape(len(images), -1, 2, 2)).reshape(boxes.shape)
        return boxes, 1 / (1 + np.exp(-logits)), tall

    def _above(self, boxes, scores, kept):
        """(boxes, scores) above the threshold among those kept, of each picture."""
        return [(b[k], s[k]) for b, s, k in zip(boxes, scores, kept & (scores >= self.threshold), strict=True)]

    def _suppress(self, boxes, scores):
        """The people among overlapping boxes, best first, without parts of them: small boxes inside a better one are arms and stripes of a wall."""
        rows = nms(boxes, scores, self.overlap)
        ranked, left = soft_nms(boxes[rows], scores[rows], NEIGHBOURS, FADE)
        rows, best = rows[ranked], boxes[rows[ranked]]
        parts = np.tri(len(best), k=-1, dtype=bool) & (coverage(best, best) > INSIDE) & (area(best)[:, None] < PART * area(best))
        people = ~parts.any(1) & (left >= self.threshold)
        found = voted(boxes, scores, rows[people])
        return Detections(np.round(found / GRAIN).astype(np.float32) * np.float32(GRAIN), left[people].astype(np.float32))


def voted(boxes, scores, rows):
    """`rows` of boxes (N, 4), each the mean of those that agree with it, weighted by score: nearer to the truth and steadier in time.

    Box voting (Gidaris and Komodakis, "Object detection via a multi-region and semantic segmentation-aware CNN model", ICCV 2015, section 4).
    """
    agree = np.clip((iou(boxes[rows], boxes) - APART) / (AGREED - APART), 0, 1) * scores.astype(np.float64)
    agree[np.arange(len(rows)), rows] = scores[rows]  # where a box has no area, too
    return agree @ boxes.astype(np.float64) / agree.sum(1, keepdims=True)


def letterbox(width, height, size):
    """The map that scales a picture to `size` px on its longer side, and the smallest (width, height) in multiples of 32 that holds it."""
    zoom = size / max(width, height)
    extent = tuple(max(32, int(np.ceil(side * zoom / 32 - 1e-6)) * 32) for side in (width, height))
    return letterbox_matrix(width, height, (width * zoom, height * zoom)), extent
