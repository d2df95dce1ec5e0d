"""Boxes, affine crops and their inverse, the camera model, rotations and alignment.

Pixels: the centre of the first pixel is (0.5, 0.5). Boxes are xyxy. An affine map is a (2, 3) matrix on column points.
"""

import cv2
import numpy as np

# ---- boxes


def iou(a, b):
    """Intersection over union of boxes a (N, 4) and b (M, 4): (N, M)."""
    a, b = np.asarray(a, np.float64).reshape(-1, 4), np.asarray(b, np.float64).reshape(-1, 4)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    total = area(a)[:, None] + area(b)[None] - shared
    return np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)


def nms(boxes, scores, overlap):
    """Greedy non-maximum suppression: rows of boxes (N, 4) with scores (N,), best first, that no better one shares more than `overlap` (IoU) with."""
    kept, left = [], np.argsort(-np.asarray(scores), kind="stable")
    while len(left):
        kept.append(left[0])
        left = left[1:][iou(boxes[left[:1]], boxes[left[1:]])[0] <= overlap]
    return np.array(kept, np.intp)


def soft_nms(boxes, scores, apart, fade):
    """Rows of boxes (N, 4) best first, and their scores (N,), each lowered by every better box for what they share (IoU) beyond `apart`, by Gaussians
    of variance `fade` / 2 (soft non-maximum suppression: Bodla et al., ICCV 2017)."""
    shared = np.clip(iou(boxes, boxes).astype(np.float64) - apart, 0, None)
    keep, scores, rows = np.exp(-(shared**2) / fade), np.array(scores, np.float64), []
    left = np.ones(len(boxes), bool)
    for _ in range(len(boxes)):
        best = int(np.where(left, scores, -1).argmax())
        left[best] = False
        rows.append(best)
        scores[left] *= keep[best, left]
    rows = np.array(rows, np.intp)
    return rows, scores[rows]


def coverage(boxes, others):
    """Share of each box (N, 4) that lies in each of the others (M, 4): COCO's measure for crowds."""
    low, high = np.maximum(boxes[:, None, :2], others[None, :, :2]), np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.clip(high - low, 0, None).prod(2) / np.maximum(area(boxes)[:, None], 1e-9)


def area(boxes):
    """Areas (N,) of boxes (N, 4), zero where a box is turned inside out."""
    return np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(-1)


def clip_boxes(boxes, width, height):
    """Boxes (N, 4) cut at the picture's edges."""
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32)).astype(np.float32)


# ---- crops


def crop_matrix(box, size, scale=1.25, rotation=0.0):
    """The affine map from picture to crop pixels.

    The box (4,) is widened to the aspect of `size` (width, height), enlarged by `scale`; `rotation` (radians) turns the
    content of the crop clockwise on the screen.
    """
    box = np.asarray(box, np.float64)
    centre, extent = (box[:2] + box[2:]) / 2, np.maximum(box[2:] - box[:2], 1e-3)
    zoom = 1 / (scale * max(extent[0] / size[0], extent[1] / size[1]))
    cosine, sine = np.cos(rotation) * zoom, np.sin(rotation) * zoom
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([linear, np.asarray(size, np.float64) / 2 - linear @ centre])


def letterbox_matrix(width, height, size):
    """The affine map that fits a picture of width x height into the top left of `size` (width, height), aspect kept."""
    zoom = min(size[0] / width, size[1] / height)
    return np.array([[zoom, 0, 0], [0, zoom, 0]], np.float64)


def invert_affine(matrix):
    """The inverse of an affine map (2, 3)."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def apply_affine(matrix, points):
    """Points (..., 2) under an affine map (2, 3)."""
    return points @ np.asarray(matrix[:, :2]).T + matrix[:, 2]


def warp(image, matrix, size, border=0, interpolation=cv2.INTER_LINEAR, average=True):
    """The picture under an affine map, as `size` (width, height) pixels; outside is `border`. Shrinking averages (no aliasing) if `average`."""
    zoom = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if zoom < 0.5 and average:
        image, matrix = _reduce(image, matrix, int(1 / zoom), size)
    shifted = np.array(matrix, np.float64)
    shifted[:, 2] += shifted[:, :2] @ (0.5, 0.5) - 0.5  # OpenCV counts pixel centres at integers
    value = (border,) * 3
    return cv2.warpAffine(image, shifted, tuple(int(n) for n in size), flags=interpolation, borderMode=cv2.BORDER_CONSTANT, borderValue=value)


def _reduce(image, matrix, factor, size):
    """The part of the picture that the output can show, reduced `factor` times by area averaging, and the map from it."""
    corners = apply_affine(invert_affine(matrix), np.array([[0, 0], [size[0], 0], [0, size[1]], size], np.float64))
    x0, y0 = (int(v) for v in np.clip(corners.min(0) // factor * factor - factor, 0, None))
    x1, y1 = (int(v) for v in np.clip(corners.max(0) + 2 * factor, 1, image.shape[1::-1]))
    width, height = max(x1 - x0, 0) // factor, max(y1 - y0, 0) // factor
    if not width or not height:
        return np.zeros((1, 1, 3), np.uint8), np.array([[1, 0, -1e6], [0, 1, -1e6]])  # nothing of the picture is in view
    small = cv2.resize(image[y0 : y0 + height * factor, x0 : x0 + width * factor], (width, height), interpolation=cv2.INTER_AREA)
    return small, np.column_stack([matrix[:, :2] * factor, matrix[:, 2] + matrix[:, :2] @ (x0, y0)])


# ---- cameras


def project(points, camera):
    """Pixels (..., 2) of camera-space points (..., 3) in metres; NaN behind the camera."""
    depth = points[..., 2:3]
    with np.errstate(invalid="ignore", divide="ignore"):
        plane = np.where(depth > 1e-6, points[..., :2] / depth, np.nan)
    if camera.distortion is not None:
        plane = distort(plane, camera.distortion)
    return plane * (camera.fx, camera.fy) + (camera.cx, camera.cy)


def distort(plane, coefficients):
    """OpenCV's lens model on points (..., 2) of the unit plane."""
    k1, k2, p1, p2, k3 = coefficients
    x, y = plane[..., 0], plane[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return np.stack([x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], -1)


def rays(pixels, camera):
    """Points (..., 2) of the unit plane (depth 1) seen at pixels (..., 2), lens distortion removed (fixed-point iteration)."""
    observed = (np.asarray(pixels, np.float64) - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    if camera.distortion is None:
        return observed
    plane = observed
    for _ in range(20):
        plane = plane - (distort(plane, camera.distortion) - observed)
    return plane


def back_project(pixels, depth, camera):
    """Camera-space points (..., 3) in metres of pixels (..., 2) at depth (...) metres."""
    plane = rays(pixels, camera)
    return np.concatenate([plane, np.ones_like(plane[..., :1])], -1) * np.asarray(depth)[..., None]


# ---- rotations and alignment


def rotation_between(a, b):
    """The smallest rotation (..., 3, 3) that turns unit vectors a (..., 3) onto b (..., 3)."""
    a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    v, c = np.cross(a, b), (a * b).sum(-1)[..., None, None]
    skew = np.zeros(v.shape[:-1] + (3, 3))
    skew[..., 0, 1], skew[..., 0, 2], skew[..., 1, 2] = -v[..., 2], v[..., 1], -v[..., 0]
    skew = skew - np.swapaxes(skew, -1, -2)
    return np.eye(3) + skew + skew @ skew / np.maximum(1 + c, 1e-9)


def procrustes(source, target, scale=True):
    """source (..., J, 3) moved, turned and (by default) scaled onto target (..., J, 3) by least squares; no reflection.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991, eq. 40-42.
    """
    mean_s, mean_t = source.mean(-2, keepdims=True), target.mean(-2, keepdims=True)
    a, b = source - mean_s, target - mean_t
    u, values, vt = np.linalg.svd(np.swapaxes(a, -1, -2) @ b)
    sign = np.sign(np.linalg.det(u @ vt))[..., None]
    fix = np.concatenate([np.ones_like(values[..., :2]), sign], -1)
    rotation = (u * fix[..., None, :]) @ vt
    factor = (values * fix).sum(-1) / np.maximum((a * a).sum((-1, -2)), 1e-12) if scale else np.ones(values.shape[:-1])
    return factor[..., None, None] * (a @ rotation) + mean_t


def mpjpe(predicted, truth):
    """Mean per-joint position error of (..., J, 3), in the unit given."""
    return float(np.linalg.norm(predicted - truth, axis=-1).mean())


def pa_mpjpe(predicted, truth):
    """Mean per-joint position error after a similarity alignment of every pose."""
    return mpjpe(procrustes(predicted, truth), truth)
