"""Random changes of pictures and joints. All take a numpy Generator; pictures are RGB uint8 (H, W, 3)."""

import cv2
import numpy as np

from core.geometry import apply_affine, crop_matrix, warp


def placement(box, size, generator, turn=1.0):
    """A random crop around the box (4,): the affine map (2, 3) to `size` (width, height). `turn` scales the share of strong rotations."""
    extent = (box[2:] - box[:2]).max()
    shift = generator.normal(0, 0.04, 2) * extent
    scale = 1.25 * np.exp(np.clip(generator.normal(0, 0.18), -0.4, 0.4))
    draw = generator.random()
    if draw < 0.25 * turn:
        angle = generator.uniform(-np.pi, np.pi)
    elif draw < 0.25 * turn + 0.5:
        angle = np.clip(generator.normal(0, np.radians(25)), -np.pi / 2, np.pi / 2)
    else:
        angle = 0.0
    return crop_matrix(box + np.tile(shift, 2), size, scale, angle)


def half_body(box, joints, halves, generator, least=5):
    """The box of the joints (J, 3) of one of two `halves` (index lists), or the box itself where too few of them are known."""
    chosen = joints[halves[generator.integers(2)]]
    chosen = chosen[chosen[:, 2] > 0.3, :2]
    if len(chosen) < least:
        return box
    low, high = chosen.min(0), chosen.max(0)
    centre, half = (low + high) / 2, np.maximum((high - low) * 0.65, (high - low).max() * 0.3)
    return np.concatenate([centre - half, centre + half])


def flip(matrix, joints, width, mirror):
    """The map (2, 3) followed by a mirror of a crop `width` px wide, and the joints (J, 3) under their new names."""
    mirrored = matrix.copy()
    mirrored[0] = -mirrored[0]
    mirrored[0, 2] += width
    return mirrored, joints[list(mirror)]


def moved(matrix, joints):
    """Joints (J, 3) x, y, weight under an affine map."""
    return np.concatenate([apply_affine(matrix, joints[:, :2]), joints[:, 2:]], 1)


def colour(image, generator):
    """Brightness, contrast, tint, saturation and gamma at once, by a matrix and a table."""
    if generator.random() < 0.2:
        return image
    gain = np.exp(generator.normal(0, 0.15)) * np.exp(generator.normal(0, 0.06, 3))
    grey = np.clip(generator.normal(0, 0.25), -0.4, 0.4) if generator.random() < 0.9 else 1.0
    matrix = np.diag(gain) @ ((1 - grey) * np.eye(3) + grey * np.array([0.299, 0.587, 0.114]))
    gamma, lift = np.exp(generator.normal(0, 0.2)), generator.normal(0, 12)
    table = np.clip(255 * (np.arange(256) / 255) ** gamma + lift, 0, 255).astype(np.uint8)
    return cv2.LUT(cv2.transform(image, matrix), table)


def degrade(image, generator):
    """One of: blur, motion blur, low resolution, JPEG, noise; mostly nothing."""
    draw, (height, width) = generator.random(), image.shape[:2]
    if draw < 0.08:
        return cv2.GaussianBlur(image, (0, 0), generator.uniform(0.5, 1.5))
    if draw < 0.14:
        length = int(generator.integers(2, max(3, width // 16)))
        kernel = np.zeros((length, length), np.float32)
        cv2.line(kernel, *[tuple(int(v) for v in generator.integers(0, length, 2)) for _ in range(2)], 1)
        return cv2.filter2D(image, -1, kernel / kernel.sum())
    if draw < 0.24:
        zoom = generator.uniform(0.3, 0.8)
        small = cv2.resize(image, (int(width * zoom), int(height * zoom)), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if draw < 0.32:
        return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(generator.integers(15, 60))])[1], cv2.IMREAD_COLOR)
    if draw < 0.40:
        noise = generator.normal(0, generator.uniform(3, 15), image.shape).astype(np.float32)
        return np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def cut_out(image, joints, generator):
    """Hide a spot, mostly at a joint, behind a plain or noisy patch; the joints stay to be guessed."""
    height, width = image.shape[:2]
    centre = generator.random(2) * (width, height)
    if generator.random() < 0.6 and (joints[:, 2] > 0).any():
        known = joints[joints[:, 2] > 0, :2]
        centre = known[generator.integers(len(known))] + generator.normal(0, 0.04 * height, 2)
    half = generator.uniform(0.04, 0.14, 2) * height
    (x0, y0), (x1, y1) = np.clip(centre - half, 0, (width, height)).astype(int), np.clip(centre + half, 0, (width, height)).astype(int)
    image[y0:y1, x0:x1] = generator.integers(0, 256, (y1 - y0, x1 - x0, 3) if generator.random() < 0.3 else 3)
    return image


def person(image, box, joints, size, mirror, halves, generator, strength=1.0):
    """A random crop of a person: picture (H, W, 3) of `size` (width, height) and joints (J, 3) in its pixels.

    `strength` in 0..1 scales how often strong rotations, half bodies and hidden spots occur.
    """
    if generator.random() < 0.25 * strength:
        box = half_body(box, joints, halves, generator)
    matrix = placement(box, size, generator, strength)
    if generator.random() < 0.5:
        matrix, joints = flip(matrix, joints, size[0], mirror)
    joints = moved(matrix, joints)
    crop = degrade(colour(warp(image, matrix, size), generator), generator)
    if generator.random() < 0.4 * strength:
        crop = cut_out(crop, joints, generator)
    return crop, joints
