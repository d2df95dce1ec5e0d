"""The camera's own motion between two pictures, as a similarity: shift, turn and zoom, from points of the background."""

import cv2
import numpy as np

SIDE = 256  # px of the longer side of what is compared
STILL = 1.5  # grey levels: pictures whose background differs by less were taken by a camera at rest
POINTS, ENOUGH = 80, 12
FIND = {"maxCorners": POINTS, "qualityLevel": 0.01, "minDistance": 6, "blockSize": 5}
FOLLOW = {"winSize": (15, 15), "maxLevel": 3, "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)}


class CameraMotion:
    """Remembers the last picture. A similarity is a (2, 3) matrix on pixels (column points) of the last picture; None: at rest, or unknown."""

    def __init__(self):
        self.last = None

    def __call__(self, image, people):
        """The similarity from the last RGB picture to this one; `people` (N, 4) px, where they are expected, do not belong to the background."""
        factor = max(1, round(max(image.shape[:2]) / SIDE))
        grey = np.ascontiguousarray(image[factor // 2 :: factor, factor // 2 :: factor, 1])  # green is nearly the luminance
        last, self.last = self.last, grey
        if last is None or last.shape != grey.shape:
            return None
        background = _background(grey.shape, people / factor)
        if cv2.mean(cv2.absdiff(last, grey), background)[0] < STILL:
            return None
        return _similarity(last, grey, background, factor)


def _background(shape, people):
    """255 where nobody is expected, else 0: (H, W) uint8."""
    mask = np.full(shape, 255, np.uint8)
    for x0, y0, x1, y1 in np.nan_to_num(people).clip(0, max(shape)).astype(int):
        mask[y0 : y1 + 1, x0 : x1 + 1] = 0
    return mask


def _similarity(last, grey, background, factor):
    points = cv2.goodFeaturesToTrack(last, mask=background, **FIND)
    if points is None or len(points) < ENOUGH:
        return None
    there, found, _ = cv2.calcOpticalFlowPyrLK(last, grey, points, None, **FOLLOW)
    found = found[:, 0] == 1
    if found.sum() < ENOUGH:
        return None
    matrix, kept = cv2.estimateAffinePartial2D(points[found], there[found], method=cv2.RANSAC, ransacReprojThreshold=1.0)
    if matrix is None or kept.sum() < max(ENOUGH, found.sum() / 2):
        return None
    matrix[:, 2] *= factor
    return matrix


def moved(motion, state):
    """States (N, 4, K) of (cx, cy, width, height), values in the first place and velocities in the others, after a similarity."""
    turn, state = motion[:, :2], state.copy()
    state[:, :2] = turn @ state[:, :2]
    state[:, :2, 0] += motion[:, 2]
    state[:, 2:] *= np.sqrt(abs(np.linalg.det(turn)))
    return state
