"""Drawn people as training people: crops of `training.synthetic` in front of photographs without people, in poses of motion capture."""

import cv2
import numpy as np

from core.skeletons import BODY21
from training import synthetic
from training.datasets.people import made, read

SIZE, MARGIN = (216, 288), 0.1  # the crops have room around the person for rotation and shift
HIDDEN = 0.7  # weight of a joint that cannot be seen


def load(root, count, seed=0):
    """`count` drawn people; photographs and poses come from the data folder where it has them."""
    generator = np.random.default_rng(seed)
    pictures, poses = empty_pictures(root), recorded(root)
    samples = [synthetic.random_sample(generator, SIZE, pictures, poses) for _ in range(count)]
    joints = np.array([np.column_stack([sample.points, np.where(sample.visible, 1, HIDDEN)]) for sample in samples])
    depth = np.array([sample.joints[:, 2] - sample.joints[BODY21.root, 2] for sample in samples])
    low, high = joints[..., :2].min(1), joints[..., :2].max(1)
    grow = MARGIN * (high - low).max(1, keepdims=True) / 2
    return made([sample.image for sample in samples], np.concatenate([low - grow, high + grow], 1), joints, "drawn", depth)


def empty_pictures(root, most=200):
    """Photographs of `person_boxes` that surely show nobody, or None."""
    if not (root / "person_boxes" / "boxes.npz").exists():
        return None
    data = np.load(root / "person_boxes" / "boxes.npz")
    names = data["name"][data["negatives"] & (data["split"] == "train")][:: 3][:most]
    return [cv2.resize(read(root / "person_boxes" / "images" / str(name)), None, fx=1.5, fy=1.5) for name in names]


def recorded(root):
    """Key points of recorded motion of the train split, or None."""
    path = root / "mocap" / "cmu.npz"
    return synthetic.recorded(path, stride=40) if path.exists() else None
