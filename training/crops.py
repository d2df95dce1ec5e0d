"""What PoseNet, RootNet and the fifth system learn from: random crops of people with their joints, one by one, a pure function of a seed.

Pixel centres are counted from 0 and half a pixel is lost on the way to the crop, as in the authors' programs (Moon et al., ICCV 2019, section 7).
"""

from typing import NamedTuple

import cv2
import numpy as np
import torch

from core.errors import InputError
from poses._posenet import BODY, DEPTH, HALF_DEPTH, k_value

ROTATION, SCALE, COLOUR = 30.0, 0.25, 0.2
STRIDE = 4  # px of the crop to a cell of the volume
TRIES = 100  # an occluding rectangle that must lie in the picture, where the person hardly does


class Change(NamedTuple):
    """How a crop is changed: enlargement of its box, degrees, mirrored or not, factors of the colours, whether a rectangle hides a part."""

    scale: float = 1.0
    rotation: float = 0.0
    flip: bool = False
    colour: tuple = (1.0, 1.0, 1.0)
    hide: bool = False


def random_change(rng, scale=True, flip=True, hide=True):
    """A Change as the authors draw it; what a program does not do is switched off."""
    size = np.clip(rng.standard_normal(), -1, 1) * SCALE + 1 if scale else 1.0
    turn = np.clip(rng.standard_normal(), -2, 2) * ROTATION if rng.random() <= 0.6 else 0.0
    mirrored = flip and rng.random() <= 0.5
    return Change(float(size), float(turn), bool(mirrored), tuple(rng.uniform(1 - COLOUR, 1 + COLOUR, 3)), bool(hide and rng.random() <= 0.5))


def crop_map(rect, size, scale=1.0, rotation=0.0):
    """The affine map (2, 3) from a picture to the crop, `size` (width, height) px, of a rectangle (centre x, y, width, height) turned by degrees."""
    x, y, width, height = (float(value) for value in rect)
    angle = np.radians(rotation)
    down, right = height * scale / 2 * np.array([-np.sin(angle), np.cos(angle)]), width * scale / 2 * np.array([np.cos(angle), np.sin(angle)])
    linear = np.diag(np.array(size) / 2) @ np.linalg.inv(np.column_stack([right, down]))
    return np.column_stack([linear, np.array(size) / 2 - linear @ (x, y)])


def cut(image, matrix, size):
    """The crop (h, w, 3) uint8 of a picture: bilinear, black outside."""
    return cv2.warpAffine(image, matrix, tuple(size), flags=cv2.INTER_LINEAR)


def picture(path):
    """An RGB picture as it is stored, orientation marks ignored. Raises InputError."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise InputError(f"{path}: cannot be read as a picture")
    return image[..., ::-1]


def hidden(image, rect, rng):
    """A copy of the picture with a rectangle of noise over up to 0.7 of the rectangle (centre x, y, width, height), all of it in the picture."""
    high, wide = image.shape[:2]
    left, top, width, height = rect[0] - rect[2] / 2, rect[1] - rect[3] / 2, rect[2], rect[3]
    for _ in range(TRIES):
        area, ratio = rng.uniform(0, 0.7) * width * height, rng.uniform(0.3, 1 / 0.3)
        h, w = (area * ratio) ** 0.5, (area / ratio) ** 0.5
        x, y = rng.random() * (width - w - 1) + left, rng.random() * (height - h - 1) + top
        if x >= 0 and y >= 0 and x + w < wide and y + h < high:
            image = image.copy()
            spot = image[int(y): int(y) + int(h), int(x): int(x) + int(w)]
            spot[:] = rng.random(spot.shape) * 255
            return image
    return image


def patch(image, rect, size, change, rng=None):
    """(crop (3, h, w) float32 of 0..255, map (2, 3) into it from the picture, mirrored first where the change says so)."""
    if change.hide:
        image = hidden(image, rect, rng)
    if change.flip:
        image, rect = np.ascontiguousarray(image[:, ::-1]), (image.shape[1] - rect[0] - 1, *rect[1:])
    matrix = crop_map(rect, size, change.scale, change.rotation)
    crop = cut(image, matrix, size).astype(np.float32) * np.float32(change.colour)
    return np.ascontiguousarray(np.clip(crop, 0, 255).transpose(2, 0, 1)), matrix


def moved(points, matrix, flip=None, mirror=None):
    """Points (J, D) of the picture in the crop, columns after x and y as they are; mirrored in a picture `flip` px wide, names of sides exchanged."""
    points = np.array(points, np.float64)
    if flip is not None:
        points[:, 0] = flip - points[:, 0] - 1
        points = points[list(mirror)]
    points[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return points


# ---- samples


class PoseSamples:
    """sample(row, rng) of Persons: crop (3, s, s), joints (J, 3) of `skeleton` in cells of the volume, visible (J, 1), has_depth (1,)."""

    def __init__(self, persons, skeleton, size):
        self.persons, self.size = persons, size
        self.rows = [persons.skeleton.joints.index(name) if name in persons.skeleton.joints else -1 for name in skeleton.joints]

    def __len__(self):
        return len(self.persons)

    def __call__(self, row, rng):
        persons, known = self.persons, np.array(self.rows) >= 0
        image, change = picture(persons.paths[row]), random_change(rng)
        crop, matrix = patch(image, _rect(persons, row), (self.size, self.size), change, rng)
        mirror = persons.skeleton.mirror
        points = moved(persons.points[row], matrix, image.shape[1] if change.flip else None, mirror)
        seen = persons.visible[row][list(mirror)] if change.flip else persons.visible[row]
        cells, inside = pose_cells(points, self.size)
        visible = (seen & inside)[self.rows] & known
        return crop, np.float32(cells[self.rows] * known[:, None]), np.float32(visible[:, None]), np.float32([persons.depth])


class RootSamples:
    """sample(row, rng) of Persons: crop (3, s, s), k (1,) mm, root (3,) as cells of the crop and mm, visible (1,), has_depth (1,)."""

    def __init__(self, persons, size):
        self.persons, self.size, self.root = persons, size, persons.skeleton.root

    def __len__(self):
        return len(self.persons)

    def __call__(self, row, rng):
        persons = self.persons
        image, change = picture(persons.paths[row]), random_change(rng, scale=False, hide=False)
        crop, matrix = patch(image, _rect(persons, row), (self.size, self.size), change)
        x, y = moved(persons.points[row, [self.root], :2], matrix, image.shape[1] if change.flip else None, [0])[0]
        inside = 0 <= x < self.size and 0 <= y < self.size
        depth = 1000 * persons.space[row, self.root, 2] if persons.depth else 0.0
        k = 1000 * k_value(*persons.focal[row], persons.squares[row, 2] ** 2, BODY * BODY)
        return (crop, np.float32([k]), np.float32([x / STRIDE, y / STRIDE, depth]), np.float32([persons.root_visible[row] and inside]),
                np.float32([persons.depth]))


def _rect(persons, row):
    x, y, side = persons.squares[row]
    return x, y, side, side


def pose_cells(points, size):
    """(cells (J, 3) of the volume, inside (J,)) of joints (J, 3) in px of a crop of `size` and metres to the root."""
    z = (points[:, 2] / HALF_DEPTH + 1) / 2
    inside = ((points[:, :2] >= 0) & (points[:, :2] < size)).all(1) & (z >= 0) & (z < 1)
    return np.column_stack([points[:, :2] / STRIDE, z * DEPTH]), inside


# ---- batches


def mixed(spatial, flat, rng):
    """Rows (2N,) of the joined sets of an epoch, shuffled: as many of the first `spatial` (with depth) as of the `flat` ones that follow them.

    The smaller part is repeated, what is left over drawn at random. Without `flat` the epoch is the first part alone.
    """
    most = max(spatial, flat) if flat else spatial
    parts = [np.arange(most) if count == most else np.concatenate([np.tile(np.arange(count), most // count), rng.integers(count, size=most % count)])
             for count in (spatial, flat)[: 1 + bool(flat)]]
    rows = np.concatenate([part + start for part, start in zip(parts, (0, spatial), strict=False)])
    return rng.permutation(rows)


class Epoch(torch.utils.data.Dataset):
    """The samples of an epoch, in order: `rows` count through `sets`; the same seed and epoch give the same crops, however they are read."""

    def __init__(self, sets, rows, seed):
        self.sets, self.rows, self.seed = sets, rows, seed
        self.ends = np.cumsum([len(each) for each in sets])

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, place):
        row = int(self.rows[place])
        which = int(np.searchsorted(self.ends, row, side="right"))
        return self.sets[which](row - int(self.ends[which]) + len(self.sets[which]), np.random.default_rng((*self.seed, place)))
