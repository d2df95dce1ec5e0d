"""Anti-aliased shapes with sub-pixel positions: tapered capsules, number tags, and the colours of identities."""

from functools import lru_cache

import cv2
import numpy as np

SHIFT = 4  # fractional bits of OpenCV's drawing coordinates
INK = (16, 17, 22)
_CAP = np.linspace(-np.pi / 2, np.pi / 2, 9)
_COLOURS = np.array([(255, 107, 87), (46, 196, 240), (255, 205, 70), (106, 214, 110), (176, 132, 255),
                     (255, 122, 200), (255, 155, 48), (90, 144, 255), (196, 226, 72), (60, 220, 186)], np.float64)


def mix(colour, other, share):
    """`share` of the second colour in the first, RGB 0-255; `share` may be an array (N, 1)."""
    return np.asarray(colour, np.float64) * (1 - share) + np.asarray(other, np.float64) * share


@lru_cache(64)
def shades(number, sides):
    """The colours (N, 3) of a track's parts by their sides; read only."""
    return np.array([side_colour(identity_colour(number), side) for side in sides]).reshape(-1, 3)


def identity_colour(number):
    """RGB of a track id. Ten colours that stay apart on dark and on video; later ids use them again, their number tells them apart."""
    return _COLOURS[(number - 1) % len(_COLOURS)]


def side_colour(colour, side):
    """The shade of a body side ("left", "right" or "" for the midline): left is light, right is deep."""
    if side == "left":
        return mix(colour, (255, 255, 255), 0.62)
    return mix(colour, (0, 0, 40), 0.16) if side == "right" else mix(colour, (255, 255, 255), 0.22)


def capsules(start, end, start_radius, end_radius):
    """Outlines (N, 18, 2) of tapered capsules between pixel points (N, 2) with radii (N,); coordinates as OpenCV draws them."""
    axis = end - start
    angle = np.arctan2(axis[:, 1], axis[:, 0])[:, None]
    fore = np.stack([np.cos(angle + _CAP), np.sin(angle + _CAP)], -1)
    aft = np.stack([np.cos(angle + _CAP + np.pi), np.sin(angle + _CAP + np.pi)], -1)
    outline = np.concatenate([end[:, None] + fore * end_radius[:, None, None], start[:, None] + aft * start_radius[:, None, None]], 1)
    return fixed(outline)


def fixed(points):
    """Pixel points (centres at + 0.5) as OpenCV's fixed-point integers (centres at integers)."""
    return np.rint((np.clip(points, -30000, 30000) - 0.5) * (1 << SHIFT)).astype(np.int32)


def fill(image, outline, colour):
    """Fill one convex outline in fixed-point coordinates, in place."""
    cv2.fillConvexPoly(image, outline, colour, cv2.LINE_AA, SHIFT)


def rgb(colours):
    """Colours (N, 3) as the tuples of whole numbers that OpenCV wants."""
    return [tuple(row) for row in np.clip(np.rint(colours), 0, 255).astype(int).tolist()]


def tag(image, number, anchor, height, colour):
    """A rounded tag with a number, its lower middle at pixel `anchor`, `height` px high, kept inside the picture; in place."""
    glyphs = _glyphs(str(number), round(height * 0.62))
    half = max((glyphs.shape[1] + height * 0.7) / 2, height * 0.5)
    x = np.clip(anchor[0], half, max(image.shape[1] - half, half))
    y = np.clip(anchor[1] - height / 2, height / 2, max(image.shape[0] - height / 2, height / 2))
    ends = np.array([[x - half + height / 2 - 0.01, y]]), np.array([[x + half - height / 2, y]])
    for radius, shade in ((height / 2 + max(1, height / 14), INK), (height / 2, rgb([colour])[0])):
        fill(image, capsules(*ends, np.array([radius]), np.array([radius]))[0], shade)
    top, left = round(y - glyphs.shape[0] / 2), round(x - glyphs.shape[1] / 2)
    part = image[max(top, 0) : top + glyphs.shape[0], max(left, 0) : left + glyphs.shape[1]]
    share = glyphs[: part.shape[0], : part.shape[1], None] / 255
    part[:] = np.rint(mix(part, INK, share))


@lru_cache(256)
def _glyphs(text, height):
    """A text's coverage (height, width) uint8, cut to its ink: OpenCV's fonts, and so its own measures, differ between versions."""
    canvas = np.zeros((120, 60 * len(text) + 60), np.uint8)
    cv2.putText(canvas, text, (30, 90), cv2.FONT_HERSHEY_DUPLEX, 2.4, 255, 4, cv2.LINE_AA)
    x, y, width, tall = cv2.boundingRect(canvas)
    height = max(height, 4)
    return cv2.resize(canvas[y : y + tall, x : x + width], (max(round(width * height / tall), 2), height), interpolation=cv2.INTER_AREA)
