"""People with joints, cut out of their photographs: the common form of all pose data sets, in memory and in one file."""

from dataclasses import dataclass

import cv2
import numpy as np

from core.errors import InputError
from core.files import save_arrays
from core.skeletons import BODY21

LONGEST = 288  # px of a stored cut-out: enough for 256x192 crops
CONTEXT = 1.6  # side of the stored cut-out over the longer side of the box
SETS = ("coco_people", "lspet", "coco_small", "drawn", "squeezed", "unlabelled", "mpii")  # what the numbers in `source` mean


@dataclass(frozen=True)
class People:
    """Rows = people: images (N) of RGB cut-outs, `decoded` or not, boxes (N, 4) px, joints (N, 21, 3) of BODY21 x, y px and weight in the loss (0 =
    unknown), depth (N, 21) m behind the pelvis, NaN where it is not known, and `source` (N) the number of the data set in SETS."""

    images: list
    boxes: np.ndarray
    joints: np.ndarray
    depth: np.ndarray
    source: np.ndarray

    def __len__(self):
        return len(self.images)

    def __getitem__(self, rows):
        rows = np.arange(len(self))[rows]
        return People([self.images[i] for i in rows], self.boxes[rows], self.joints[rows], self.depth[rows], self.source[rows])


def centred(joints):
    """Joints (..., 3) whose labels number the pixels from 0, in our coordinates, in which the centre of pixel 0 lies at 0.5."""
    return joints + (0.5, 0.5, 0)


def with_pelvis(body):
    """Joints (21, 3) x, y, weight whose pelvis is the middle of the hips where both are known, and unknown elsewhere."""
    hips = body[BODY21.indices("left_hip", "right_hip")]
    body[BODY21.root] = hips.mean(0) if (hips[:, 2] > 0).all() else 0
    return body


def join(parts):
    """The people of several sets as one."""
    return People(sum((part.images for part in parts), []), *(np.concatenate([getattr(part, name) for part in parts])
                                                              for name in ("boxes", "joints", "depth", "source")))


def read(path):
    """An image file as RGB. Raises InputError where there is none."""
    image = cv2.imread(str(path))
    if image is None:
        raise InputError(f"{path}: no readable picture")
    return image[..., ::-1]


def decoded(image):
    """An RGB picture (H, W, 3), or the file (n,) uint8 of one, as an RGB picture."""
    return image if image.ndim == 3 else np.ascontiguousarray(cv2.imdecode(image, cv2.IMREAD_COLOR)[..., ::-1])


def cut(image, box, joints, context=CONTEXT, longest=LONGEST):
    """The surroundings of a box (4,) as a small picture of its own, and box and joints (21, 3) in it."""
    height, width = image.shape[:2]
    centre, half = (box[:2] + box[2:]) / 2, max(box[2:] - box[:2]) * context / 2
    x0, y0 = np.floor(np.clip(centre - half, 0, None)).astype(int)
    x1, y1 = np.ceil(np.minimum(centre + half, (width, height))).astype(int)
    part = image[y0:y1, x0:x1]
    zoom = min(1.0, longest / max(part.shape[:2]))
    size = (max(1, round(part.shape[1] * zoom)), max(1, round(part.shape[0] * zoom)))
    part = cv2.resize(part, size, interpolation=cv2.INTER_AREA) if zoom < 1 else part.copy()
    offset, scale = np.array([x0, y0]), np.array(size) / (x1 - x0, y1 - y0)
    moved = np.concatenate([(joints[:, :2] - offset) * scale, joints[:, 2:]], 1)
    return part, ((box.reshape(2, 2) - offset) * scale).reshape(4), np.where(joints[:, 2:] > 0, moved, 0)


def from_rows(rows, source="coco_people"):
    """People of an iterable of (image, box, joints), of the data set `source`."""
    cuts = [cut(*row) for row in rows]
    boxes, joints = np.array([box for _, box, _ in cuts]).reshape(-1, 4), np.array([joints for *_, joints in cuts]).reshape(-1, len(BODY21), 3)
    return made([image for image, *_ in cuts], boxes, joints, source)


def made(images, boxes, joints, source, depth=None):
    """People of cut-outs; without `depth` it is unknown."""
    depth = np.full((len(images), len(BODY21)), np.nan) if depth is None else depth
    return People(images, boxes.astype(np.float32), joints.astype(np.float32), depth.astype(np.float32),
                  np.full(len(images), SETS.index(source), np.int16))


def save(people, path, longest=192, quality=60):
    """All people in one file: WebP pictures of at most `longest` px, boxes, joints, depth."""
    images = [decoded(image) for image in people.images]
    small = [cut(image, np.array([0, 0, image.shape[1], image.shape[0]], float), np.zeros((1, 3)), 9, longest)[0] for image in images]
    scale = np.array([[s.shape[1] / i.shape[1], s.shape[0] / i.shape[0]] for s, i in zip(small, images, strict=True)], np.float32)
    files = [cv2.imencode(".webp", image[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])[1].ravel() for image in small]
    joints = people.joints * np.concatenate([scale, np.ones_like(scale[:, :1])], 1)[:, None]
    save_arrays(path, pictures=np.concatenate(files), ends=np.cumsum([len(f) for f in files]), boxes=people.boxes * np.tile(scale, 2),
                joints=joints.astype(np.float32), depth=people.depth, source=people.source, skeleton=BODY21.name)


def load(path):
    """The people of a file that `save` wrote, their pictures not yet decoded. Raises InputError where there is none."""
    try:
        data = np.load(path)
    except OSError as error:
        raise InputError(f"{path}: no packed people") from error
    return People(np.split(data["pictures"], data["ends"][:-1]), data["boxes"], data["joints"], data["depth"], data["source"])
