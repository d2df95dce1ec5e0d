"""How people look, as unit vectors whose dot product says how alike two boxes are: pictures and boxes -> features, by any of several networks.

Which network a file holds is read from the file: our own (safetensors, `network: EmbedNet`), the one of centerNet-deep-sort (a checkpoint with
its tensors' names), or an ONNX graph (needs onnxruntime): pictures of floats (B, 3, H, W) as OSNet and torchreid take them, or of bytes
(B, 128, 64, 3) as the published DeepSORT's network does.
"""

from typing import NamedTuple

import numpy as np

import weights as files
from core.errors import InputError
from core.geometry import warp
from core.networks import MEAN, STD, fuse, pick_device
from core.runtime import runnable
from trackers._embednet import SIZE, EmbedNet
from trackers._reid import sized_like
from weights._onnx import family, open_network

BATCH = 64  # crops at once, whatever the number of people: memory stays flat


class Crops(NamedTuple):
    """What a network wants to see: `size` (width, height) px, how a box becomes the part of the picture that is seen, and pixels its input."""

    size: tuple
    region: object
    prepare: object


def build_embedder(name, device="auto", half=False):
    """The Embedder of a weights file, by name or path. Raises InputError for a file that cannot be had, or holds no network known here."""
    path, device = files.resolve(name), pick_device(device)
    if path.suffix == ".onnx":
        return Embedder(*_onnx(path, device))
    state, header = files.load(path)
    if header.get("network") == "EmbedNet":
        network, crops, scale = files.load_strict(fuse(EmbedNet()), state, name), Crops(SIZE, whole, np.asarray), 1
    elif "layer4.1.conv2.weight" in state and "classifier.4.weight" in state:
        # it learned pictures from 0 to 255 with the mean and deviation of pictures from 0 to 1
        network, crops, scale = files.load_strict(sized_like(state), state, name), Crops((64, 128), inside, blue_first), 1 / 255
    else:
        raise InputError(f"{path} is no appearance network: it holds neither EmbedNet nor the network of centerNet-deep-sort")
    run = runnable(fuse(network), device, half, [scale * v for v in MEAN], [scale * v for v in STD])
    return Embedder(crops, lambda pictures: run(pictures).float().cpu().numpy())


class Embedder:
    """Unit features of boxes in pictures. `run` maps inputs (B, ...) to vectors (B, D)."""

    def __init__(self, crops, run):
        self.crops, self.run = crops, run
        blank = np.zeros((1, *crops.size[::-1], 3), np.uint8)
        self.dimensions = run(crops.prepare(blank)).shape[1]

    def __call__(self, images, boxes):
        """Features (N, D) float32 for the boxes (N, 4) xyxy px of each RGB picture: a list; all boxes of all pictures share batches.

        A box outside its picture or without an area has NaN for features.
        """
        seen = [(i, box) for i, rows in enumerate(boxes) for box in np.asarray(rows, np.float64).reshape(-1, 4)]
        shown = [self._crop(images[i], box) for i, box in seen]
        known = np.array([crop is not None for crop in shown], bool)
        vectors = self._features([crop for crop in shown if crop is not None])
        features = np.full((len(seen), self.dimensions), np.nan, np.float32)
        features[known] = vectors
        return np.split(features, np.cumsum([len(rows) for rows in boxes])[:-1]) if len(boxes) else []

    def _crop(self, image, box):
        height, width = image.shape[:2]
        if not np.isfinite(box).all():
            return None
        x0, y0, x1, y1 = self.crops.region(box, width, height)
        if min(x1, width) - max(x0, 0) < 1 or min(y1, height) - max(y0, 0) < 1:
            return None
        scale = np.array(self.crops.size) / (x1 - x0, y1 - y0)
        return warp(image, np.array([[scale[0], 0, -x0 * scale[0]], [0, scale[1], -y0 * scale[1]]]), self.crops.size)

    def _features(self, crops):
        parts = [self.run(self.crops.prepare(np.stack(crops[i : i + BATCH]))) for i in range(0, len(crops), BATCH)]
        vectors = np.concatenate(parts).astype(np.float32) if parts else np.zeros((0, self.dimensions), np.float32)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def whole(box, width, height):
    """The box as it is; what lies outside the picture is black."""
    return box


def inside(box, width, height):
    """The box in whole pixels, cut at the picture's edges."""
    return np.clip(box.astype(int), 0, (width, height, width, height)).astype(float)


def half_as_wide(box, width, height):
    """The box made half as wide as high about its centre, in whole pixels, cut at the last pixels of the picture."""
    x0, y0, x1, y1 = box
    reach = (y1 - y0) / 4
    wide = np.array([(x0 + x1) / 2 - reach, y0, (x0 + x1) / 2 + reach, y1])
    return np.clip(wide.astype(int), 0, (width - 1, height - 1, width - 1, height - 1)).astype(float)


def normalised(crops):
    """RGB / 255 less the mean, divided by the deviation: (B, 3, H, W) float32."""
    return (((crops / np.float32(255)) - np.float32(MEAN)) / np.float32(STD)).transpose(0, 3, 1, 2)


def blue_first(crops):
    """Bytes (B, H, W, 3), blue first."""
    return np.ascontiguousarray(crops[..., ::-1])


def _onnx(path, device):
    """(Crops, run) of an ONNX graph."""
    network = open_network(path, device, limit=BATCH, raw=True)
    if network.size is None or family(network) != "vectors":
        raise InputError(f"{path} is no appearance network: expected pictures of one size and a vector for each, it gives {network.described()}")
    crops = Crops(network.size, half_as_wide, blue_first) if network.raw else Crops(network.size, whole, normalised)
    return crops, lambda inputs: np.stack([vector for vector, in network(inputs)])
