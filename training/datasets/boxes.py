"""Photographs with person boxes, kept as JPEG or WebP in memory, and packed into one file."""

import dataclasses
import pathlib

import cv2
import numpy as np

from core.errors import InputError
from core.files import save_arrays
from training.datasets import lspet

WHOLE = np.array([[-1e4, -1e4, 1e4, 1e4]], np.float32)  # the ignore box of a picture in which nobody looked for everybody


@dataclasses.dataclass(frozen=True)
class Photograph:
    """A JPEG or WebP picture, boxes (N, 4) of its people in its pixels, boxes (M, 4) to ignore; `square`: its aspect was lost when it was stored.

    `labelled`: somebody looked for everybody in it. `partly`: somebody marked a person, roughly, and did not look for others.
    """

    jpeg: bytes
    boxes: np.ndarray
    ignore: np.ndarray
    square: bool = False

    @property
    def labelled(self):
        return not np.array_equal(self.ignore, WHOLE)

    @property
    def partly(self):
        return not self.labelled and len(self.boxes) > 0

    @property
    def marked(self):
        """Somebody marked people in it, or looked for them."""
        return self.labelled or self.partly


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


def load_sports(root):
    """The training pictures of Leeds Sports Pose: one person each, in a box about their joints."""
    return [Photograph(path.read_bytes(), box[None].astype(np.float32), WHOLE) for _, path, box, _ in lspet.rows(pathlib.Path(root), "train")]


def load_unlabelled(folder):
    """Photographs without labels (for a teacher): every .jpg under `folder`; the square ones are taken as squeezed to that shape."""
    nobody = np.zeros((0, 4), np.float32)
    found = [Photograph(path.read_bytes(), nobody, WHOLE) for path in sorted(pathlib.Path(folder).rglob("*.jpg"))]
    return [dataclasses.replace(p, square=len(set(decode(p).shape[:2])) == 1) for p in found]


def pack(path, photographs):
    """Write photographs into one .npz file."""
    counts = [[len(p.jpeg), len(p.boxes), len(p.ignore), p.square] for p in photographs]
    save_arrays(path, counts=np.array(counts), jpeg=np.frombuffer(b"".join(p.jpeg for p in photographs), np.uint8),
                boxes=np.concatenate([p.boxes for p in photographs]), ignore=np.concatenate([p.ignore for p in photographs]))


def unpack(path):
    """The photographs of a file written by `pack`."""
    table = np.load(path)
    ends = table["counts"].cumsum(0)
    jpeg, boxes, ignore = (table[name] for name in ("jpeg", "boxes", "ignore"))
    return [Photograph(jpeg[a[0]:b[0]].tobytes(), boxes[a[1]:b[1]], ignore[a[2]:b[2]], bool(b[3] - a[3]))
            for a, b in zip(np.vstack([np.zeros_like(ends[:1]), ends[:-1]]), ends, strict=True)]


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
