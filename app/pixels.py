"""From a decoded PyAV frame to an upright RGB picture."""

import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import Colorspace

TAGGED = {1, 4, 5, 6, 7, 9, 10}  # the values of AVColorSpace that name a matrix


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

    Transparency is laid on white, untagged HD is taken for BT.709, HDR is not tone-mapped. One `converter` (VideoReformatter) serves a whole video:
    making it costs as much as using it.
    """
    untagged = frame.colorspace not in TAGGED
    options = {"src_colorspace": Colorspace.ITU709} if untagged and max(size) >= 1280 else {}
    clear = any(part.is_alpha for part in frame.format.components)
    image = converter.reformat(frame, *size, "rgba" if clear else "rgb24", threads=1, **options).to_ndarray()
    if clear:
        image = _on_white(image)
    return np.ascontiguousarray(_upright(image, turn(frame)))


def _on_white(image):
    alpha = image[..., 3:]
    if alpha.min() == 255:
        return image[..., :3]
    return ((image[..., :3].astype(np.uint16) * alpha + 255 * (255 - alpha.astype(np.uint16)) + 127) // 255).astype(np.uint8)
