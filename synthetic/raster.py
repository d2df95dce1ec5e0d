"""Painting bodies: quads from far to near into an index picture, twice as fine, then colours, coverage and depth for every pixel."""

from typing import NamedTuple

import cv2
import numpy as np

from core.geometry import project

NEAR = 0.25
_SHIFT = 4


class Layer(NamedTuple):
    """One body alone: colour (h, w, 3) times coverage, alpha (h, w) coverage from 0 to 1, depth (h, w) m (inf outside); its top left at (x, y)."""

    x: int
    y: int
    colour: np.ndarray
    alpha: np.ndarray
    depth: np.ndarray


class Light(NamedTuple):
    """A sun or lamp: unit vectors towards it and straight up (camera axes or world, as the user says), strengths, and its tint (3,)."""

    towards: np.ndarray
    up: np.ndarray
    direct: float
    ambient: float
    tint: np.ndarray


def paint(body, vertices, camera, light, fine=2):
    """The layer of a body whose vertices (V, 3) are in camera axes, cut at the picture's edge; None where it is not in the picture."""
    pixels = project(vertices, camera)
    corner, place = vertices[body.quads], pixels[body.quads]
    across, along = place[:, 2] - place[:, 0], place[:, 3] - place[:, 1]
    facing = across[:, 0] * along[:, 1] - across[:, 1] * along[:, 0]
    seen = (facing < 0) & (corner[..., 2].min(1) > NEAR)
    if not seen.any():
        return None
    quads = place[seen]
    low = np.maximum(np.floor(quads.min((0, 1))).astype(int) - 1, 0)
    high = np.minimum(np.ceil(quads.max((0, 1))).astype(int) + 1, (camera.width, camera.height))
    if (high <= low).any():
        return None
    index = _paint_index(quads, corner[seen, :, 2].mean(1) - body.bias[seen], low, high, fine)
    colour = shade(corner[seen], body.colours[seen], light)
    return _gather(index, colour, corner[seen, :, 2].mean(1), low, fine)


def _paint_index(quads, depth, low, high, fine):
    """1 + the number of the nearest quad for every fine pixel of the window low..high, 0 where there is none."""
    width, height = (high - low) * fine
    index = np.zeros((height, width), np.int32)
    corners = np.rint(((quads - low) * fine - 0.5) * (1 << _SHIFT)).astype(np.int32)
    inside = ((quads.max(1) > low) & (quads.min(1) < high)).all(1)
    fill = cv2.fillConvexPoly
    for number in np.argsort(-depth):
        if inside[number]:
            fill(index, corners[number], int(number) + 1, cv2.LINE_8, _SHIFT)
    return index


def shade(corner, albedo, light):
    """Colours (F, 3) of quads (F, 4, 3) under a light: Lambert's law for the lamp, a half sphere of sky for the rest."""
    across, along = corner[:, 2] - corner[:, 0], corner[:, 3] - corner[:, 1]
    normal = across[:, (1, 2, 0)] * along[:, (2, 0, 1)] - across[:, (2, 0, 1)] * along[:, (1, 2, 0)]
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    lamp = np.clip(normal @ light.towards * 0.9 + 0.1, 0, None)
    sky = 0.72 + 0.28 * (normal @ light.up)
    return albedo * (light.ambient * sky[:, None] + light.direct * lamp[:, None] * light.tint)


def _gather(index, colour, depth, low, fine):
    """Colours, coverage and depth of an index picture, averaged down `fine` times."""
    height, width = index.shape[0] // fine, index.shape[1] // fine
    table = np.concatenate([np.zeros((1, 3)), colour]).astype(np.float32)
    alpha = cv2.resize((index > 0).astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    mixed = cv2.resize(table[index], (width, height), interpolation=cv2.INTER_AREA)
    far = np.concatenate([[np.inf], depth]).astype(np.float32)
    return Layer(int(low[0]), int(low[1]), mixed, alpha, far[index[fine // 2::fine, fine // 2::fine]])


def compose(image, layer):
    """Put a layer over a float32 picture (H, W, 3) from 0 to 1, in place."""
    height, width = layer.alpha.shape
    window = image[layer.y:layer.y + height, layer.x:layer.x + width]
    window *= 1 - layer.alpha[..., None]
    window += layer.colour


def shadow(body, vertices, camera, to_camera, light, reduce=2):
    """The shadow (H / reduce, W / reduce) from 0 to 1 that world vertices (V, 3) throw on the ground z = 0, soft at its edge.

    `to_camera` (4, 4) turns world into camera axes; light.towards is in world axes.
    """
    sun = light.towards / max(light.towards[2], 0.15)
    ground = vertices - vertices[:, 2:] * sun
    ground = ground @ to_camera[:3, :3].T + to_camera[:3, 3]
    pixels = project(ground, camera) / reduce
    mask = np.zeros((-(-camera.height // reduce), -(-camera.width // reduce)), np.uint8)
    for hull in body.hulls:
        if ground[hull, 2].min() > 2 * NEAR:
            outline = cv2.convexHull(np.clip(pixels[hull], -4000, 4000).astype(np.float32))
            cv2.fillConvexPoly(mask, np.rint(outline * 16).astype(np.int32), 255, cv2.LINE_8, 4)
    if not mask.any():
        return None
    blur = max(1.0, 0.02 * camera.fx / max(ground[:, 2].mean(), 0.5) / reduce)
    return cv2.GaussianBlur(mask, (0, 0), blur).astype(np.float32) / 255
