"""Photographs with person boxes, kept as JPEG in memory, and the training tiles that are cut from them."""

import dataclasses
import pathlib

import cv2
import numpy as np

from core.errors import InputError
from core.geometry import apply_affine, area, warp

GREY = 114
WHOLE = np.array([[-1e4, -1e4, 1e4, 1e4]], np.float32)  # the ignore box of a picture that nobody labelled


@dataclasses.dataclass(frozen=True)
class Photograph:
    """A JPEG picture, boxes (N, 4) of its people in its pixels, boxes (M, 4) to ignore; `square`: its aspect was lost when it was stored."""

    jpeg: bytes
    boxes: np.ndarray
    ignore: np.ndarray
    square: bool = False

    @property
    def labelled(self):
        """Whether somebody looked for the people in it."""
        return not np.array_equal(self.ignore, WHOLE)


def load(folder, split):
    """The labelled photographs of a folder with boxes.npz and images/, of a split ("train", "val"), in the order of the table."""
    folder = pathlib.Path(folder)
    if not (folder / "boxes.npz").exists():
        raise InputError(f"{folder}: no boxes.npz there")
    table = np.load(folder / "boxes.npz")
    boxes, ignore, owner, names = table["box_xyxy"], table["ignore"].astype(bool), table["box_image_index"], table["name"]
    rows = np.flatnonzero(table["split"] == split)
    return [Photograph((folder / "images" / str(names[i])).read_bytes(), boxes[(owner == i) & ~ignore], boxes[(owner == i) & ignore]) for i in rows]


def rows(folder, split):
    """The rows of boxes.npz that `load` gives."""
    return np.flatnonzero(np.load(pathlib.Path(folder) / "boxes.npz")["split"] == split)


def load_unlabelled(folder):
    """Photographs without labels (for a teacher): every .jpg under `folder`; a square one is taken as squeezed."""
    nobody = np.zeros((0, 4), np.float32)
    return [Photograph(path.read_bytes(), nobody, WHOLE, True) for path in sorted(pathlib.Path(folder).rglob("*.jpg"))]


def pack(path, photographs):
    """Write photographs into one .npz file."""
    counts = [[len(p.jpeg), len(p.boxes), len(p.ignore), p.square] for p in photographs]
    np.savez(path, counts=np.array(counts), jpeg=np.frombuffer(b"".join(p.jpeg for p in photographs), np.uint8),
             boxes=np.concatenate([p.boxes for p in photographs]), ignore=np.concatenate([p.ignore for p in photographs]))


def unpack(path):
    """The photographs of a file written by `pack`."""
    table = np.load(path)
    ends = table["counts"].cumsum(0)
    jpeg, boxes, ignore = (table[name] for name in ("jpeg", "boxes", "ignore"))
    return [Photograph(jpeg[a[0]:b[0]].tobytes(), boxes[a[1]:b[1]], ignore[a[2]:b[2]], bool(b[3] - a[3]))
            for a, b in zip(np.vstack([np.zeros_like(ends[:1]), ends[:-1]]), ends, strict=True)]


def shrunk(photograph, side=288, quality=60):
    """The photograph with at most `side` px on its longer side, encoded again: a third of the bytes."""
    image = decode(photograph)
    zoom = min(1, side / max(image.shape[:2]))
    small = encode(cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA), quality)
    return dataclasses.replace(photograph, jpeg=small, boxes=photograph.boxes * np.float32(zoom), ignore=photograph.ignore * np.float32(zoom))


def encode(image, quality=90):
    """The JPEG bytes of an RGB picture."""
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def decode(photograph):
    """The RGB picture (H, W, 3)."""
    return cv2.imdecode(np.frombuffer(photograph.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)


def unlike(photographs, held_out, bits=50):
    """The photographs whose difference hash (256 bits, whatever the aspect) is `bits` or more from those of held-out ones and their mirror images."""
    known = np.stack([_hash(image) for p in held_out for image in (decode(p), decode(p)[:, ::-1])])
    return [p for p in photographs if (known != _hash(decode(p))).sum(1).min() >= bits]


def _hash(image):
    grey = cv2.resize(image.mean(-1), (17, 16), interpolation=cv2.INTER_AREA)
    return (grey[:, 1:] > grey[:, :-1]).ravel()


# ---- tiles


def tile(photographs, size, rng):
    """A random training tile: (size, size, 3) RGB, boxes (N, 4), ignore (M, 4). One photograph, or a mosaic of four around a random point."""
    canvas = np.full((size, size, 3), GREY, np.uint8)
    if rng.random() < 0.5:
        cut, spread = [(0, 0, size, size)], (0.5, 2.0)
    else:
        x, y = (int(size * rng.uniform(0.3, 0.7)) for _ in range(2))
        cut, spread = [(0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)], (0.3, 1.2)
    parts = [_place(canvas, region, photographs[rng.integers(len(photographs))], size * np.exp(rng.uniform(*np.log(spread))), rng) for region in cut]
    return canvas, np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _place(canvas, region, photograph, side, rng):
    """Draw a photograph with its longer side at `side` px into a region (x0, y0, x1, y1) of the canvas; its boxes and ignore boxes there."""
    image = decode(photograph)
    x0, y0, x1, y1 = region
    stretch = np.exp(rng.uniform(-0.4, 0.4) if photograph.square else rng.uniform(-0.12, 0.12))
    zoom = side / max(image.shape[:2]) * np.array([np.sqrt(stretch), 1 / np.sqrt(stretch)])
    extent = np.array([image.shape[1], image.shape[0]]) * zoom
    slack = np.array([x1 - x0, y1 - y0]) - extent
    shift = slack * rng.random(2)
    flip = rng.random() < 0.5
    matrix = np.array([[-zoom[0] if flip else zoom[0], 0, shift[0] + extent[0] * flip], [0, zoom[1], shift[1]]])
    canvas[y0:y1, x0:x1] = warp(image, matrix, (x1 - x0, y1 - y0), border=GREY)
    matrix[:, 2] += (x0, y0)
    boxes, seen = _cut(photograph.boxes, matrix, region)
    ignore, _ = _cut(photograph.ignore, matrix, region)
    small = (seen < 0.2) | ((boxes[:, 2:] - boxes[:, :2]).min(-1, initial=1e9) < 4)
    return boxes[~small], np.concatenate([ignore, boxes[small]])


def _cut(boxes, matrix, region):
    """Boxes under a map, cut at a region, without those that miss it; and the share of each that is left."""
    corners = apply_affine(matrix, boxes.reshape(-1, 2, 2))
    moved = np.concatenate([corners.min(1), corners.max(1)], -1).reshape(-1, 4)
    inside = np.clip(moved, np.tile(region[:2], 2), np.tile(region[2:], 2))
    there = area(inside) > 0
    return inside[there].astype(np.float32), (area(inside) / np.maximum(area(moved), 1e-6))[there]


def degrade(image, rng):
    """The picture as a worse camera would have taken it: gain, contrast, colour, low light, blur, noise, compression, each at random."""
    image = image.astype(np.float32)
    image = (image - 128) * rng.uniform(0.7, 1.3) + 128 * rng.uniform(0.75, 1.25) * rng.uniform(0.92, 1.08, 3)
    grey = image.mean(-1, keepdims=True)
    image = grey + (image - grey) * (0 if rng.random() < 0.05 else rng.uniform(0.5, 1.5))
    if rng.random() < 0.1:
        image = 255 * (np.clip(image, 0, 255) / 255) ** rng.uniform(1.3, 2.5) * rng.uniform(0.3, 0.9)
    if rng.random() < 0.1:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.6))
    if rng.random() < 0.1:
        image = image + rng.normal(0, rng.uniform(3, 15), image.shape)
    image = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 70))])[1], cv2.IMREAD_COLOR)
    return image
