"""Synthetic occlusion: objects of Pascal VOC 2012 over the crops (Sarandi et al., "How Robust is 3D Human Pose Estimation to Occlusion?", 2018)."""

import pathlib
import xml.etree.ElementTree

import cv2
import numpy as np
from PIL import Image

from core.errors import InputError

LEAST = 500  # px of an object's mask
EDGE = 192  # opacity along the border


def load(folder):
    """[RGBA (h, w, 4) uint8], half as large, of the segmented objects of a VOC2012 folder that are no people, not difficult, not cut off."""
    folder = pathlib.Path(folder)
    if not (folder / "Annotations").is_dir():
        raise InputError(f"{folder}: no Annotations there; Pascal VOC 2012 (host.robots.ox.ac.uk/pascal/VOC/voc2012) or OCCLUSION: false is needed")
    paths = sorted((folder / "Annotations").glob("*.xml"))
    found = [each for path in paths for each in _objects(folder, xml.etree.ElementTree.parse(path).getroot())]
    if not found:
        raise InputError(f"{folder}: no segmented objects of {LEAST} px or more there")
    return found


def _objects(folder, root):
    if root.findtext("segmented", "0") == "0":
        return
    boxes = [(number, [int(float(item.findtext(f"bndbox/{side}"))) for side in ("xmin", "ymin", "xmax", "ymax")])
             for number, item in enumerate(root.findall("object"), 1)
             if item.findtext("name") != "person" and item.findtext("difficult") == "0" and item.findtext("truncated") == "0"]
    if not boxes:
        return
    name = root.findtext("filename")
    image = np.asarray(Image.open(folder / "JPEGImages" / name))
    labels = np.asarray(Image.open(folder / "SegmentationObject" / name.replace("jpg", "png")))
    for number, (left, top, right, bottom) in boxes:
        mask = (labels[top:bottom, left:right] == number).astype(np.uint8) * 255
        if cv2.countNonZero(mask) >= LEAST:
            inner = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (8, 8)))
            mask[inner < mask] = EDGE
            yield resized(np.dstack([image[top:bottom, left:right], mask]), 0.5)


def resized(image, factor):
    """The picture `factor` times as large: bilinear upwards, area averages downwards."""
    size = np.maximum(np.round(np.array(image.shape[1::-1]) * factor).astype(int), 1)
    return cv2.resize(image, tuple(int(n) for n in size), interpolation=cv2.INTER_LINEAR if factor > 1 else cv2.INTER_AREA)


def paste(picture, thing, centre):
    """The picture (H, W, 3) uint8, in place, with an RGBA thing around `centre` (x, y) px blended in; what lies outside is left out."""
    size, limit = np.array(thing.shape[1::-1]), np.array(picture.shape[1::-1])
    first = np.round(centre).astype(int) - size // 2
    low, high = np.clip(first, 0, limit), np.clip(first + size, 0, limit)
    part = thing[low[1] - first[1]: high[1] - first[1], low[0] - first[0]: high[0] - first[0]]
    spot = picture[low[1]: high[1], low[0]: high[0]]
    alpha = part[..., 3:].astype(np.float32) / 255
    spot[:] = alpha * part[..., :3] + (1 - alpha) * spot
    return picture


def occlude(picture, things, rng):
    """A copy of the picture with one to seven of the things pasted over it."""
    picture, side = np.array(picture), min(picture.shape[:2])
    for _ in range(rng.integers(1, 8)):
        thing = resized(things[rng.integers(len(things))], rng.uniform(0.2, 1.0) * side / 256)
        paste(picture, thing, rng.uniform((0, 0), picture.shape[1::-1]))
    return picture

