"""YOLOX and RTMDet person detectors as ONNX files (needs onnxruntime): onnx:file=yolox.onnx; a name of the manifest serves as file.

YOLOX (Ge et al. 2021) gives one row a cell, RTMDet (Lyu et al. 2022) score and distance maps; both may come with the suppression inside the file,
as OpenMMLab publishes them (outputs `dets` and `labels`).
"""

import numpy as np

from core.errors import InputError
from core.geometry import clip_boxes, letterbox_matrix, nms, warp
from core.records import Detections
from weights._onnx import STRIDES, family, input_size, open_network

BORDER = 114  # grey of the letterbox
PERSON = 0  # the class, of COCO's 80 and where it is the only one
# What the networks of each family subtract from and divide the channels blue, green, red by.
PIXELS = {"yolox": (0.0, 1.0), "rtmdet": (np.array([103.53, 116.28, 123.675], np.float32), np.array([57.375, 57.12, 58.395], np.float32))}


def build(file=None, decoder=None, threshold=0.3, overlap=0.5, size=None, device="auto"):
    """The detector of a file. `decoder` (yolox, rtmdet) is only needed where its outputs do not tell; `size` where it leaves its input free.

    Boxes scored below `threshold` are dropped, and those that share more than `overlap` (IoU) with a better one. Raises InputError for a missing
    onnxruntime, for a file that cannot be had, and for outputs that are of neither family.
    """
    network = open_network(file, device, "detector")
    size = input_size(network, size)
    family, decode = chosen(network, size, decoder)
    return OnnxDetector(network, size, PIXELS[family], decode, threshold, overlap)


class OnnxDetector:
    """A network with what surrounds it: letterbox to `size`, `pixels` (mean, std) of its BGR input, `decode`, suppression, the way back."""

    def __init__(self, network, size, pixels, decode, threshold, overlap):
        self.network, self.size, self.pixels, self.decode = network, size, pixels, decode
        self.threshold, self.overlap = threshold, overlap

    def __call__(self, images):
        """The people of each RGB picture, best first: boxes in its pixels, scores 0..1."""
        found = []
        for start in range(0, len(images), self.network.limit):
            some = images[start : start + self.network.limit]
            maps = [letterbox_matrix(image.shape[1], image.shape[0], self.size) for image in some]
            small = np.stack([self._prepared(warp(image, matrix, self.size, border=BORDER)) for image, matrix in zip(some, maps, strict=True)])
            answers = self.network(small)
            found += [self._people(*self.decode(answer, self.size), image, matrix)
                      for answer, image, matrix in zip(answers, some, maps, strict=True)]
        return found

    def _prepared(self, image):
        mean, std = self.pixels
        return ((image[..., ::-1].astype(np.float32) - mean) / std).transpose(2, 0, 1)

    def _people(self, boxes, scores, image, matrix):
        """What is sure enough of boxes (N, 4) in input pixels, in the picture's, without doubles."""
        keep = scores >= self.threshold
        boxes = clip_boxes(boxes[keep] / matrix[0, 0], image.shape[1], image.shape[0])
        scores = np.clip(scores[keep], 0, 1).astype(np.float32)
        rows = nms(boxes, scores, self.overlap)
        return Detections(boxes[rows], scores[rows])


def chosen(network, size, decoder=None):
    """(family, decode) of a network by the shapes of its outputs; `decode` turns those of one picture into boxes (N, 4) px and scores (N,).

    Raises InputError for outputs of another kind, and where they leave open which family it is and `decoder` does not say it.
    """
    if decoder not in (None, *PIXELS):
        raise InputError(f"decoder={decoder}: expected one of {', '.join(PIXELS)}")
    found = family(network, size)
    if found == "suppressed":
        if decoder is None:
            raise InputError(f"'{network.name}' has the suppression inside, so that its outputs do not tell how it wants the pixels: "
                             f"give decoder={' or decoder='.join(PIXELS)}")
        return decoder, suppressed
    if found not in PIXELS or decoder not in (None, found):
        claimed = f" as decoder={decoder} says" if decoder else ""
        raise InputError(f"'{network.name}' is neither YOLOX nor RTMDet{claimed}; it gives {network.described()}")
    return found, {"yolox": yolox, "rtmdet": rtmdet}[found]


def yolox(outputs, size):
    """Rows (N, 5 + classes): centre offset from the cell and logarithm of the extent, in strides; how sure anything is there; the classes."""
    rows = outputs[0]
    corners = [np.mgrid[: size[1] // s, : size[0] // s][::-1].reshape(2, -1).T for s in STRIDES]
    stride = np.repeat(np.float32(STRIDES), [len(corner) for corner in corners])[:, None]
    centre, half = (rows[:, :2] + np.concatenate(corners)) * stride, np.exp(rows[:, 2:4]) * stride / 2
    return np.hstack([centre - half, centre + half]), rows[:, 4] * rows[:, 5 + PERSON]


def rtmdet(outputs, size):
    """Three maps (classes, h, w) of logits, then three (4, h, w) of the distances in pixels from the cell's corner to the four sides."""
    boxes, scores = [], []
    for logits, sides, stride in zip(outputs[:3], outputs[3:], STRIDES, strict=True):
        y, x = np.mgrid[: sides.shape[1], : sides.shape[2]] * stride
        boxes.append(np.stack([x - sides[0], y - sides[1], x + sides[2], y + sides[3]], -1).reshape(-1, 4))
        scores.append(1 / (1 + np.exp(-logits[PERSON].ravel())))
    return np.concatenate(boxes), np.concatenate(scores)


def suppressed(outputs, size):
    """Rows (N, 5) of box and score, and their classes (N,): what is left after the suppression inside the file."""
    rows = outputs[0][outputs[1] == PERSON]
    return rows[:, :4], rows[:, 4]
