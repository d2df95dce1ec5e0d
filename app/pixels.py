"""From a decoded PyAV frame to an upright RGB picture of square pixels, whole lines and ordinary brightness."""

import functools

import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc

TAGGED = {1, 4, 5, 6, 7, 9, 10}  # the values of AVColorSpace that name a matrix
SQUARE, STRETCH = 0.01, 4  # relative difference of a pixel's sides that is none, and ratio beyond which the file errs
TORN = 150  # product of a line's differences from both its neighbours (of 255) from which on it is of another moment than they
WHITE, KNEE, GAMMA = 203.0, 0.75, 2.4  # cd/m2 of HDR's white (BT.2408), the share of ordinary white up to which it is kept, gamma (BT.1886)
TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)  # from BT.2020 (BT.2087)


def square(frame, ratio):
    """(width, height) of a stored picture whose pixels are `ratio` (None: 1) times as wide as high, made square: never smaller than it is."""
    ratio = float(ratio or 1)
    if abs(ratio - 1) <= SQUARE or not 1 / STRETCH <= ratio <= STRETCH:
        ratio = 1.0
    return round(frame.width * max(ratio, 1)), round(frame.height / min(ratio, 1))


def turn(frame):
    """The 2x2 part of the display matrix as -1, 0, 1: (x, y) shown = turn.T @ (x, y) stored, up to a shift."""
    try:
        values = np.frombuffer(bytes(frame.side_data[Type.DISPLAYMATRIX]), np.int32).reshape(3, 3)[:2, :2].astype(float)
    except KeyError:
        return np.eye(2)
    largest = np.abs(values).max()
    turn = np.round(values / largest) if largest else np.eye(2)
    return turn if abs(np.linalg.det(turn)) == 1 else np.eye(2)


def degrees(turn):
    """By how many degrees clockwise the stored picture is turned (after mirroring, where it is mirrored)."""
    return int(np.degrees(np.arctan2(turn[0, 1], turn[0, 0]) if np.linalg.det(turn) > 0 else np.arctan2(-turn[1, 0], turn[1, 1]))) % 360


def _upright(image, turn):
    """A stored picture as it is to be shown."""
    if turn[0, 0] == 0:
        image, across, down = cv2.transpose(image), turn[1, 0], turn[0, 1]
    else:
        across, down = turn[0, 0], turn[1, 1]
    if across < 0 or down < 0:
        image = cv2.flip(image, -1 if across < 0 and down < 0 else 1 if across < 0 else 0)
    return image


def rgb(frame, size, converter):
    """(H, W, 3) uint8 RGB of a decoded frame, upright; `size` (width, height) is that of the stored picture.

    Transparency is laid on white, untagged HD is taken for BT.709, HDR (HLG, PQ) is brought to BT.709 and ordinary brightness, the torn lines of
    interlaced frames are mended. One `converter` (VideoReformatter) serves a whole video: making it costs as much as using it.
    """
    image = _stored(frame, size, converter)
    if image.shape[2] == 4:
        image = _on_white(image)
    return np.ascontiguousarray(_upright(_dimmed(image, frame), turn(frame)))


def _stored(frame, size, converter):
    """RGB, with transparency where there is one, of a frame as it is stored, at `size`."""
    untagged = frame.colorspace not in TAGGED
    options = {"src_colorspace": Colorspace.ITU709} if untagged and max(size) >= 1280 else {}
    options |= {"format": "rgba" if any(part.is_alpha for part in frame.format.components) else "rgb24", "threads": 1}
    if not frame.interlaced_frame:
        return converter.reformat(frame, *size, **options).to_ndarray()
    image = _mended(converter.reformat(frame, **options).to_ndarray())  # before scaling mixes the lines
    return image if image.shape[1::-1] == size else cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)


def _on_white(image):
    alpha = image[..., 3:]
    if alpha.min() == 255:
        return image[..., :3]
    return ((image[..., :3].astype(np.uint16) * alpha + 255 * (255 - alpha.astype(np.uint16)) + 127) // 255).astype(np.uint8)


def _mended(image):
    """A picture (H, W, C) whose odd lines are of another moment: where they lie outside the range of both neighbours, the mean of these stands."""
    above, below = image[:-2:2], image[2::2]
    between = image[1:-1:2]
    line = between.astype(np.int16)
    torn = ((line - above) * (line - below).astype(np.int32)).max(-1) > TORN
    torn = cv2.dilate(torn.astype(np.uint8), np.ones((3, 5), np.uint8)) > 0
    mended = image.copy()
    mended[1:-1:2] = np.where(torn[..., None], cv2.addWeighted(above, 0.5, below, 0.5, 0), between)
    return mended


def _dimmed(image, frame):
    """The picture of an HDR frame for an ordinary screen; others as they are."""
    table = _ordinary(frame.color_trc)
    if table is None:
        return image
    image = cv2.LUT(image, table)
    if frame.color_primaries != ColorPrimaries.BT2020:
        return image
    return cv2.transform(image, TO_BT709)  # on coded values: the same as on light where colours are not strong


@functools.cache
def _ordinary(transfer):
    """The value for ordinary screens (256,) uint8 of each coded value of an HDR transfer function (BT.2100), None for others.

    White of 203 cd/m2 is white nearly, what is brighter is pressed into the rest.
    """
    code = np.arange(256) / 255
    if transfer == ColorTrc.ARIB_STD_B67:  # HLG, as on a screen of 1000 cd/m2
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = 1000 * np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12) ** 1.2
    elif transfer == ColorTrc.SMPTE2084:  # PQ
        power = code ** (32 / 2523)
        light = 10000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (16384 / 2610)
    else:
        return None
    level = (light / WHITE) ** (1 / GAMMA)
    pressed = KNEE + (1 - KNEE) * (1 - np.exp((KNEE - level) / (1 - KNEE)))
    return np.round(255 * np.where(level < KNEE, level, pressed)).astype(np.uint8)
