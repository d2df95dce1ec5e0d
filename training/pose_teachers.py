"""Public pose networks to learn from and to compare with, as PoseEstimators: `pp-tinypose` and `simplepose`, run by torch."""

import pathlib

import numpy as np
import torch

from core.geometry import apply_affine, crop_matrix, invert_affine, warp
from core.networks import to_tensor
from core.records import Poses
from core.skeletons import COCO17
from training import graphs

SIZE, STRIDE, SCALE = (192, 256), 4, 1.25
FILES = {"pp-tinypose": ("tinypose_256_192_fp16.xml", "conv2d_441.tmp_1"), "simplepose": ("ultralight_simplepose.onnx", None)}


class Teacher:
    """COCO-17 poses of a public network; scores are the peaks of its heat maps. `flip` averages with the mirror image."""

    skeleton = COCO17

    def __init__(self, network, flip=False, device="cpu"):
        self.network, self.flip, self.device = network, flip, device

    def __call__(self, images, boxes, cameras=None):
        """The poses in boxes (N, 4) of each RGB picture."""
        return [self._poses(image, np.asarray(some, float).reshape(-1, 4)) for image, some in zip(images, boxes, strict=True)]

    def _poses(self, image, boxes):
        if not len(boxes):
            return Poses.empty(COCO17)
        matrices = [crop_matrix(box, SIZE, SCALE) for box in boxes]
        crops = np.stack([warp(image, matrix, SIZE) for matrix in matrices])
        points, scores = (value.cpu().numpy() for value in peaks(self.maps(to_tensor(crops, self.device))))
        return Poses(COCO17, [apply_affine(invert_affine(m), p) for m, p in zip(matrices, points, strict=True)], scores)

    @torch.inference_mode()
    def maps(self, x):
        """Heat maps (B, 17, 64, 48) of normalised crops (B, 3, 256, 192)."""
        found = self.network(x)[0]
        if not self.flip:
            return found
        mirrored = self.network(x.flip(3))[0][:, list(COCO17.mirror)].flip(3)
        return (found + torch.cat([mirrored[..., :1], mirrored[..., :-1]], -1)) / 2


def peaks(maps):
    """Highest cell of maps (B, J, h, w), a quarter cell towards the larger neighbour: points (B, J, 2) in crop px, values (B, J)."""
    height, width = maps.shape[2:]
    value, best = maps.flatten(2).max(-1)
    y, x = best // width, best % width
    padded = torch.nn.functional.pad(maps, (1, 1, 1, 1), mode="replicate").flatten(2)

    def at(row, column):
        return padded.gather(2, (row * (width + 2) + column)[..., None])[..., 0]

    dx, dy = (at(y + 1, x + 2) - at(y + 1, x)).sign(), (at(y + 2, x + 1) - at(y, x + 1)).sign()
    return torch.stack([x + dx / 4, y + dy / 4], -1) * STRIDE, value


def build(name, folder, flip=False, device="cpu"):
    """A teacher by name from the folder of public weights. Raises InputError where its file is missing."""
    file, output = FILES[name]
    return Teacher(graphs.fastest(pathlib.Path(folder) / file, [output] if output else None, device), flip, device)
