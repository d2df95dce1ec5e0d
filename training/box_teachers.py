"""Small public person detectors (ONNX) to compare with and to learn from; the files are the user's."""

import cv2
import numpy as np

from core.geometry import letterbox_matrix, warp

MEAN, STD = np.array([123.675, 116.28, 103.53], np.float32), np.array([58.395, 57.12, 57.375], np.float32)


class RtmdetNano:
    """RTMDet-nano (Lyu et al. 2022) of MMPose, persons only, 640 x 640."""

    size = 640

    def __init__(self, path):
        cv2.setNumThreads(1)
        self.net = cv2.dnn.readNet(str(path))
        self.outputs = self.net.getUnconnectedOutLayersNames()

    def dense(self, image):
        """Of an RGB picture (640, 640, 3): for strides 8, 16, 32 a map of scores and boxes (S, S, 5): score, xyxy px."""
        x = ((image.astype(np.float32) - MEAN) / STD)[..., ::-1]
        self.net.setInput(np.ascontiguousarray(x.transpose(2, 0, 1))[None])
        outputs = self.net.forward(self.outputs)
        return [self._level(logits[0, 0], sides[0]) for logits, sides in zip(outputs[:3], outputs[3:], strict=True)]

    def _level(self, logits, sides):
        y, x = np.mgrid[: len(logits), : len(logits)] * (self.size // len(logits))
        return np.stack([1 / (1 + np.exp(-logits)), x - sides[0], y - sides[1], x + sides[2], y + sides[3]], -1).astype(np.float32)
