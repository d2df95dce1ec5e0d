"""Stand-ins for what the fifth system reads besides pictures of people: objects that hide them, and what a pose network says of them."""

import pathlib
import xml.etree.ElementTree as Xml

import cv2
import numpy as np
from PIL import Image

from core.records import Camera
from core.skeletons import H36M17
from synthetic import stage
from training import drawn
from training.datasets import refiner_pickles
from training.datasets.mppe_human36m import ACTIONS
from training.datasets.pose_pickles import BODY, SUBJECTS

OFF, SHRUNK, SHIFT = (2.5, 2.5, 9.0), 0.75, 6.0  # px of the crop of 256: noise of each joint in x, y, z; depth is shrunk, and bent by the height


def write_voc(root, options, count=6):
    """VOC2012/{Annotations,JPEGImages,SegmentationObject} of striped ellipses."""
    folder, rng = pathlib.Path(root) / "VOC2012", np.random.default_rng((90, options.seed))
    for part in ("Annotations", "JPEGImages", "SegmentationObject"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in range(1, count + 1):
        high, wide = 120, 160
        y, x = np.mgrid[:high, :wide]
        axes, colour = rng.uniform(20, 50, 2), rng.uniform(0, 255, 3)
        mask = (((x - wide / 2) / axes[0]) ** 2 + ((y - high / 2) / axes[1]) ** 2 < 1).astype(np.uint8)
        stripes = 0.7 + 0.3 * np.sin((x + y) * rng.uniform(0.1, 0.6))[..., None]
        picture = np.where(mask[..., None], colour * stripes, 200).astype(np.uint8)
        name = f"2012_{number:06d}"
        cv2.imwrite(str(folder / "JPEGImages" / f"{name}.jpg"), picture[..., ::-1])
        labels = Image.fromarray(mask, mode="P")
        labels.putpalette([0, 0, 0, 128, 0, 0] + [0] * 762)
        labels.save(folder / "SegmentationObject" / f"{name}.png")
        box = (x[mask > 0].min(), y[mask > 0].min(), x[mask > 0].max() + 1, y[mask > 0].max() + 1)
        Xml.ElementTree(_annotation(name, box)).write(folder / "Annotations" / f"{name}.xml")


def _annotation(name, box):
    root = Xml.Element("annotation")
    for tag, text in (("filename", f"{name}.jpg"), ("segmented", "1")):
        Xml.SubElement(root, tag).text = text
    thing = Xml.SubElement(root, "object")
    for tag, text in (("name", "bottle"), ("difficult", "0"), ("truncated", "0")):
        Xml.SubElement(thing, tag).text = text
    bounds = Xml.SubElement(thing, "bndbox")
    for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
        Xml.SubElement(bounds, tag).text = str(int(value))
    return root


def write_refiner(root, options):
    """refiner/data/{train,valid}.pkl beside `data`: true poses of drawn people, and what a pose network with a known error would say of them.

    Its depth is shrunk and leans with the height in the picture, every joint has noise; its 3D is the way back from its crop.
    """
    for name, subjects in SUBJECTS.items():
        parts = [_guesses(subject, action, options) for subject in subjects for action in range(2, 2 + 4 * options.actions)]
        joined = refiner_pickles.Guesses(sum((part.images for part in parts), ()), *(np.concatenate([getattr(part, field) for part in parts])
                                                                                 for field in ("patch", "own", "truth")))
        refiner_pickles.write(pathlib.Path(root).parent / "refiner" / "data" / f"{'train' if name == 'train' else 'valid'}.pkl", joined)


def _guesses(subject, action, options, seconds=2.0):
    rng = np.random.default_rng((91, options.seed, subject, action))
    moves = drawn.motion(1000 + subject + (100_000 if subject in SUBJECTS["valid"] else 0), action, seconds)[::5]
    angle = rng.uniform(0, 2 * np.pi)
    inner = np.linalg.inv(stage.look_at(np.array([4.6 * np.cos(angle), 4.6 * np.sin(angle), 1.5]), (0, 0, 0.9)))
    space = drawn.joints_of(moves @ inner[:3, :3].T + inner[:3, 3], H36M17)
    lens, pelvis = Camera(1000, 1000, 1145.0, 1143.8, 512.0, 515.0), space[:, :1]
    pixels = space[..., :2] / space[..., 2:] * (lens.fx, lens.fy) + (lens.cx, lens.cy)
    middle, side = pixels[:, :1], BODY * np.array([lens.fx, lens.fy]) / pelvis[..., 2:]
    patch = np.concatenate([((pixels - middle) / side + 0.5) * 256, (space[..., 2:] - pelvis[..., 2:]) / BODY * 256], -1)
    patch[..., 2] = SHRUNK * patch[..., 2] + SHIFT * (patch[..., 1] / 128 - 1)
    patch = patch + rng.normal(0, OFF, patch.shape)
    z = patch[..., 2:] / 256 * BODY + pelvis[..., 2:]
    own = np.concatenate([((patch[..., :2] / 256 - 0.5) * side + middle - (lens.cx, lens.cy)) / (lens.fx, lens.fy) * z, z], -1)
    names = tuple(f"s_{subject:02d}_act_{2 + (action - 2) % len(ACTIONS):02d}_subact_01_ca_01_{i:06d}" for i in range(len(space)))
    return refiner_pickles.Guesses(names, patch, own - own[:, :1], space - pelvis)
