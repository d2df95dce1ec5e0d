"""What every tracker does with boxes before and after it tracks them."""

import numpy as np


def valid(detections):
    """(the detections whose boxes are finite and have an area, how many were not)."""
    boxes = detections.boxes
    good = np.isfinite(boxes).all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1) & np.isfinite(detections.scores)
    return (detections if good.all() else detections[good]), int((~good).sum())


def centred(boxes):
    """(cx, cy, width, height) (N, 4) float64 of boxes (N, 4) xyxy."""
    boxes = np.asarray(boxes, np.float64)
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1)


def corners(centres):
    """Boxes (N, 4) xyxy of (cx, cy, width, height) (N, 4)."""
    half = centres[:, 2:] / 2
    return np.concatenate([centres[:, :2] - half, centres[:, :2] + half], 1)
