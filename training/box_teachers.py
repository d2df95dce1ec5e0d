"""Small public person detectors (ONNX) to compare with and to learn from; the files are the user's."""

import importlib.util
import pathlib

import cv2
import numpy as np
import torch
from torchvision.ops import nms

from core.errors import InputError
from core.geometry import clip_boxes, letterbox_matrix, warp
from core.records import Detections

MEAN, STD = np.array([123.675, 116.28, 103.53], np.float32), np.array([58.395, 57.12, 57.375], np.float32)


def _runner(path):
    """Input -> outputs of an ONNX network on one thread: onnxruntime where it is installed, else the slower OpenCV."""
    if importlib.util.find_spec("onnxruntime"):
        import onnxruntime
        threads = onnxruntime.SessionOptions()
        threads.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, threads)
        return lambda x: session.run(None, {session.get_inputs()[0].name: x})
    net = cv2.dnn.readNet(path)

    def forward(x):
        net.setInput(x)
        return net.forward(net.getUnconnectedOutLayersNames())
    return forward


class _Network:
    """An ONNX detector of a fixed square input `size`; its `everything(image)` gives the boxes and scores of all cells."""

    def __init__(self, path):
        if not pathlib.Path(path).exists():
            raise InputError(f"{path}: no such teacher")
        self.forward = _runner(str(path))

    def __call__(self, images):
        """The people of each RGB picture, scores from 0.01."""
        return [self._people(image) for image in images]

    def _people(self, image):
        height, width = image.shape[:2]
        matrix = letterbox_matrix(width, height, (self.size, self.size))
        boxes, scores = self.everything(warp(image, matrix, (self.size, self.size), border=114))
        boxes = clip_boxes(boxes[scores > 0.01] / matrix[0, 0], width, height)
        scores = scores[scores > 0.01].astype(np.float32)
        rows = nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.5).numpy()
        return Detections(boxes[rows], scores[rows])


class YoloxNano(_Network):
    """YOLOX-nano (Ge et al. 2021), 80 classes, 416 x 416."""

    size = 416

    def everything(self, image):
        """Boxes (N, 4) px and scores (N,) of an RGB picture (416, 416, 3)."""
        cells = self.forward(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)[None], np.float32))[0].reshape(-1, 85)
        grids = [(np.mgrid[: self.size // s, : self.size // s][::-1].reshape(2, -1).T, s) for s in (8, 16, 32)]
        corner, stride = np.concatenate([g for g, _ in grids]), np.concatenate([np.full(len(g), s) for g, s in grids])[:, None]
        centre, extent = (cells[:, :2] + corner) * stride, np.exp(cells[:, 2:4]) * stride
        return np.hstack([centre - extent / 2, centre + extent / 2]), cells[:, 4] * cells[:, 5]


class RtmdetNano(_Network):
    """RTMDet-nano (Lyu et al. 2022) of MMPose, persons only, 640 x 640."""

    size = 640

    def everything(self, image):
        """Boxes (N, 4) px and scores (N,) of an RGB picture (640, 640, 3)."""
        cells = np.concatenate([level.reshape(-1, 5) for level in self.dense(image)])
        return cells[:, 1:], cells[:, 0]

    def dense(self, image):
        """Of an RGB picture (640, 640, 3): for strides 8, 16, 32 a map of scores and boxes (S, S, 5): score, xyxy px."""
        x = ((image.astype(np.float32) - MEAN) / STD)[..., ::-1]
        outputs = self.forward(np.ascontiguousarray(x.transpose(2, 0, 1))[None])
        return [self._level(logits[0, 0], sides[0]) for logits, sides in zip(outputs[:3], outputs[3:], strict=True)]

    def _level(self, logits, sides):
        y, x = np.mgrid[: len(logits), : len(logits)] * (self.size // len(logits))
        return np.stack([1 / (1 + np.exp(-logits)), x - sides[0], y - sides[1], x + sides[2], y + sides[3]], -1).astype(np.float32)


TEACHERS = {"rtmdet-nano": ("rtmdet_nano_person.onnx", RtmdetNano), "yolox-nano": ("yolox_nano_416.onnx", YoloxNano)}
