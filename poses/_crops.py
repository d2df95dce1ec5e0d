"""Square crops as the published top-down networks take them, of all people of all pictures in one row.

Their authors count pixel centres from 0 where we count them from 0.5; a square is (x, y, side) of its centre in their pixels.
"""

import numpy as np
import torch

from core.geometry import back_project, clip_boxes, warp
from core.records import Poses

SIZE = 256  # px, side of a crop


def everybody(images, boxes, scale=1.25):
    """(owner (N,), squares (N, 3)): the picture of each person and the square around the box (M, 4) px of each picture, enlarged by `scale`.

    A square is NaN where the box has no pixel of the picture. Boxes are cut at the picture's edges, squares are not.
    """
    owner = np.repeat(np.arange(len(images)), [len(each) for each in boxes])
    found = [squares(clip_boxes(np.reshape(each, (-1, 4)), *image.shape[1::-1]), *image.shape[1::-1], scale)
             for image, each in zip(images, boxes, strict=True)]
    return owner, np.concatenate(found) if found else np.zeros((0, 3))


def squares(boxes, width, height, scale=1.25):
    """The squares (N, 3) around boxes (N, 4) px of a picture, as published: from a box's first pixel to its last it is one less than its width, and
    a box that begins before the picture is moved into it."""
    boxes = np.asarray(boxes, np.float64)
    first, extent = np.maximum(boxes[:, :2], 0), boxes[:, 2:] - boxes[:, :2]
    last = np.minimum(first + np.maximum(extent - 1, 0), (width - 1, height - 1))
    centre, side = (first + last) / 2, np.maximum((last - first).max(1), 1) * scale
    there = (extent > 0).all(1) & (last >= first).all(1) & np.isfinite(boxes).all(1)
    return np.where(there[:, None], np.column_stack([centre, side]), np.nan)


def crop(image, square, size=SIZE):
    """The square of an RGB picture as (size, size, 3) uint8, bilinear without averaging, black outside: as the networks were trained."""
    x, y, side = square
    zoom = size / side
    matrix = np.array([[zoom, 0, size / 2 - zoom * x], [0, zoom, size / 2 - zoom * y]])
    matrix[:, 2] += 0.5 - zoom * 0.5  # to our pixels, on both sides
    return warp(image, matrix, (size, size), average=False)


def batches(images, owner, found, count):
    """(rows, crops (B, SIZE, SIZE, 3)) of the people who have a square, up to `count` at a time."""
    known = np.flatnonzero(np.isfinite(found).all(1))
    for start in range(0, len(known), count):
        rows = known[start : start + count]
        yield rows, np.stack([crop(images[owner[i]], found[i]) for i in rows])


def to_pixels(shares, found):
    """Points (N, J, 2) in shares of their crops' sides (0..1) as pixels of the pictures, by the squares (N, 3)."""
    return found[:, None, :2] + (shares - 0.5) * found[:, None, 2:] + 0.5


def normalised(crops, device, mean, std):
    """RGB crops (B, H, W, 3) uint8 as a float tensor (B, 3, H, W): 0..255, minus the mean, divided by the deviation of each channel."""
    x = torch.from_numpy(crops).to(device).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (mean, std))
    return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


def half_precision(device, half):
    """Within, convolutions compute in half precision where `half`; normalisation keeps its statistics, which are beyond what 16 bits hold."""
    return torch.autocast(device.type, torch.float16, enabled=half)


def placed(points, depth, cameras, owner, root):
    """(relative (N, J, 3) m to joint `root`, depth (N,) m of it) of points (N, J, 2) px at depths (N, J) m; NaN behind the camera."""
    depth = np.where((depth > 0).all(1, keepdims=True), depth, np.nan)
    joints = np.full((*depth.shape, 3), np.nan)
    for i, camera in enumerate(cameras):
        joints[owner == i] = back_project(points[owner == i], depth[owner == i], camera)
    return joints - joints[:, [root]], depth[:, root]


def as_poses(skeleton, owner, count, points, relative, depth=None):
    """The Poses of `count` pictures from everybody's points (N, J, 2), 3D (N, J, 3) and root depth (N,). These networks give no scores: what they
    found has 1, what they did not look at 0."""
    scores = np.isfinite(points).all(2)
    return [Poses(skeleton, points[mine], scores[mine], relative[mine], None if depth is None else depth[mine])
            for mine in (owner == i for i in range(count))]
