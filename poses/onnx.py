"""Top-down 2D pose networks as ONNX files (needs onnxruntime), heat maps or SimCC as RTMPose gives: onnx:file=rtmpose.onnx.

A name of the manifest serves as file. The input is RGB with ImageNet's mean and deviation, as with all networks of this kind that we know.
SimCC: "SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation" (Li et al. 2022); RTMPose (Jiang et al. 2023).
"""

import numpy as np

from core.errors import InputError
from core.geometry import apply_affine, crop_matrix, invert_affine, warp
from core.networks import MEAN, STD
from core.records import Poses
from core.skeletons import COCO17, SKELETONS
from weights._onnx import family, input_size, open_network, y_first


def build(file=None, skeleton=None, scale=1.25, flip=False, size=None, batch=32, device="auto"):
    """The pose network of a file. `skeleton` names its joints (coco17 where there are 17), `scale` enlarges the box as its training did.

    flip: also look at the mirror image and average. `size` (width, height) px where the file leaves it free; `batch` crops at a time where it
    leaves that free. Raises InputError for a missing onnxruntime, a file that cannot be had, and outputs that are neither of both kinds.
    """
    network = open_network(file, device, "pose network", batch)
    size = input_size(network, size)
    decoder = chosen(network, size)
    return OnnxPose(network, decoder, size, joints_of(network, skeleton), scale, flip)


def joints_of(network, name):
    """The Skeleton of that name, or COCO's for a network of 17 joints. Raises InputError where it does not fit or is needed."""
    count = network.outputs[0][1][1]
    fitting = [known for known, skeleton in SKELETONS.items() if len(skeleton) == count]
    if name is None and count == len(COCO17):
        return COCO17
    if name not in fitting:
        reason = "give" if name is None else f"skeleton={name} does not fit:"
        raise InputError(f"'{network.name}' has {count} joints; {reason} skeleton={' or skeleton='.join(fitting) or '(none that is known)'}")
    return SKELETONS[name]


class OnnxPose:
    """A PoseEstimator of an ONNX network; scores are the peaks of its maps, held within 0..1. See `build`."""

    def __init__(self, network, decoder, size, skeleton, scale=1.25, flip=False):
        self.network, self.decoder, self.size = network, decoder, size
        self.skeleton, self.scale, self.flip = skeleton, scale, flip

    def __call__(self, images, boxes, cameras=None):
        """The poses in boxes (N, 4) px of each RGB picture, one `Poses` a picture; rows are the boxes. Cameras are not used."""
        boxes = [np.asarray(b, np.float32).reshape(-1, 4) for b in boxes]
        owner = np.repeat(np.arange(len(images)), [len(b) for b in boxes])
        flat = np.concatenate(boxes) if boxes else np.zeros((0, 4), np.float32)
        points = np.zeros((len(flat), len(self.skeleton), 2), np.float32)
        scores = np.zeros(points.shape[:2], np.float32)
        for start in range(0, len(flat), self.network.limit):
            rows = range(start, min(start + self.network.limit, len(flat)))
            matrices = [crop_matrix(flat[i], self.size, self.scale) for i in rows]
            crops = np.stack([warp(images[owner[i]], matrix, self.size) for i, matrix in zip(rows, matrices, strict=True)])
            for i, matrix, (found, sure) in zip(rows, matrices, self.read(crops), strict=True):
                points[i], scores[i] = apply_affine(invert_affine(matrix), found), sure
        return [Poses(self.skeleton, points[owner == i], scores[owner == i]) for i in range(len(images))]

    def read(self, crops):
        """For each of crops (B, H, W, 3) uint8: points (J, 2) in crop px and scores (J,)."""
        x = ((crops / np.float32(255) - np.float32(MEAN)) / np.float32(STD)).transpose(0, 3, 1, 2)
        answers = self.network(x)
        if self.flip:
            mirrored = self.network(x[..., ::-1])
            answers = [self.decoder.averaged(*both, list(self.skeleton.mirror)) for both in zip(answers, mirrored, strict=True)]
        return [self.decoder(answer) for answer in answers]


def chosen(network, size):
    """The decoder of a network by the shapes of its outputs. Raises InputError that lists them where they are of another kind."""
    found = family(network, size)
    if found == "heatmaps":
        return HeatMaps(size)
    if found == "simcc":
        return SimCC(size, y_first(network))
    raise InputError(f"'{network.name}' gives neither heat maps (joints, h, w) nor SimCC (joints, k x width) and (joints, k x height), "
                     f"but {network.described()}")


# Both count crop pixels from the corner as their training did from COCO's labels: on 3,179 sure joints of SimplePose half a pixel more is 0.49 and
# 0.37 px too far.


class HeatMaps:
    """Maps (J, h, w); cell i stands for i * stride px. The highest cell, a quarter of a cell towards its larger neighbour."""

    def __init__(self, size):
        self.size = size

    def __call__(self, outputs):
        """Points (J, 2) in crop px and scores (J,)."""
        maps = outputs[0]
        count, height, width = maps.shape
        best, j = maps.reshape(count, -1).argmax(1), np.arange(count)
        y, x = best // width, best % width
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge")
        dx = np.sign(padded[j, y + 1, x + 2] - padded[j, y + 1, x])
        dy = np.sign(padded[j, y + 2, x + 1] - padded[j, y, x + 1])
        cells = np.stack([x + dx / 4, y + dy / 4], 1)
        return cells * np.divide(self.size, (width, height)), np.clip(maps.reshape(count, -1).max(1), 0, 1)

    def averaged(self, outputs, mirrored, partners):
        """With the maps of the mirrored crop: turned back, these lie 1 - 1 / stride cells too far left."""
        back = mirrored[0][partners][..., ::-1]
        return [(outputs[0] + _moved(back, round(1 - back.shape[-1] / self.size[0]))) / 2]


class SimCC:
    """A row for each joint over k x width positions and one over k x height; position i stands for i / k px. `turned`: y comes first."""

    def __init__(self, size, turned=False):
        self.size, self.turned = size, turned

    def __call__(self, outputs):
        """Points (J, 2) in crop px and scores (J,), the lesser of both peaks."""
        rows = outputs[::-1] if self.turned else outputs
        places = [row.argmax(-1) * side / row.shape[-1] for row, side in zip(rows, self.size, strict=True)]
        return np.stack(places, 1), np.clip(np.minimum(rows[0].max(-1), rows[1].max(-1)), 0, 1)

    def averaged(self, outputs, mirrored, partners):
        """With the rows of the mirrored crop: turned back, those over the width lie k - 1 positions too far right."""
        back, across = [rows[partners] for rows in mirrored], int(self.turned)
        back[across] = _moved(back[across][..., ::-1], 1 - back[across].shape[-1] // self.size[0])
        return [(a + b) / 2 for a, b in zip(outputs, back, strict=True)]


def _moved(rows, places):
    """Values (..., n) moved to the right; the end that comes in is repeated."""
    count = rows.shape[-1]
    return rows[..., np.clip(np.arange(count) - places, 0, count - 1)]
