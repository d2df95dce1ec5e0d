"""Leeds Sports Pose, extended: `lspet/train.npz` (14 joints, 0 = not marked) and `lspet/train/imNNNNN.jpg`.

S. Johnson, M. Everingham, "Learning Effective Human Pose Estimation from Inaccurate Annotation", CVPR 2011.
"""

import numpy as np

from core.skeletons import BODY21
from training.datasets import people

JOINTS = ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist", "right_elbow", "right_shoulder",
          "left_shoulder", "left_elbow", "left_wrist", "thorax", "head_top")
WHERE = BODY21.indices(*JOINTS)
PADDING = 1.25  # tight joint box to person box
NECK = 0.5  # its neck lies a little above our thorax


def rows(root, split):
    """(number, file, box (4,), joints (14, 3) x, y, marked) of the images of a split, "train" or "val"."""
    data = np.load(root / "lspet" / f"{split}.npz")
    for number, joints in zip(data["index"], data["joints"], strict=True):
        yield number, root / "lspet" / split / f"im{number:05d}.jpg", tight_box(joints), people.centred(joints)


def tight_box(joints):
    """The box (4,) of the marked joints, enlarged by PADDING in both axes."""
    marked = joints[joints[:, 2] > 0, :2].astype(float)
    low, high = marked.min(0), marked.max(0)
    centre, half = (low + high) / 2, (high - low) * PADDING / 2
    return np.concatenate([centre - half, centre + half])


def load(root, split="train"):
    """The people of a split as `People`."""
    return people.from_rows(((people.read(path), box, to_body(joints)) for _, path, box, joints in rows(root, split)), "lspet")


def to_body(joints):
    """LSP joints (14, 3) as BODY21 joints (21, 3) x, y, weight; the pelvis is the middle of the hips."""
    body = np.zeros((len(BODY21), 3))
    body[WHERE] = joints * (joints[:, 2:] > 0)
    body[BODY21.index("thorax"), 2] *= NECK
    return people.with_pelvis(body)
