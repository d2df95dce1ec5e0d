"""MPII Human Pose in the form in which it is mostly passed on: `images` and `annot/train.json`, [{image, joints (16, 2), joints_vis (16,)}].

Andriluka et al., "2D Human Pose Estimation: New Benchmark and State of the Art Analysis", CVPR 2014; the form is HRNet's (Sun et al., CVPR 2019).
"""

import json

import numpy as np

from core.errors import InputError
from core.skeletons import BODY21, MPII16
from training.datasets import people
from training.datasets.lspet import tight_box

NAMES = [{"head": "head_top"}.get(name, name) for name in MPII16.joints]  # its upper neck is none of ours
ROUGH = {"head_top": 0.3, "thorax": 0.5}  # weights: the one is the edge of a box, the other lies a little above ours
LEAST = 6  # marked joints
FIRST = 0.5  # its pixels are counted from 1


def load(folder, file="annot/train.json"):
    """The people of a folder with at least LEAST marked joints as `People`.

    Raises InputError for a file that is missing, none of MPII's or of nobody.
    """
    rows = [row for row in _rows(folder / file) if (row[1][:, 2] > 0).sum() >= LEAST]
    if not rows:
        raise InputError(f"{folder / file}: nobody with {LEAST} joints")
    return people.from_rows(((people.read(folder / "images" / name), tight_box(joints), to_body(joints)) for name, joints in rows), "mpii")


def _rows(path):
    """[(name of the picture, joints (16, 3) x, y px, marked)]."""
    try:
        return [(str(row["image"]), _marked(row)) for row in json.loads(path.read_text())]
    except FileNotFoundError as error:
        raise InputError(f"{path}: no annotations of MPII there") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a list of image, joints (16, 2) and joints_vis (16)") from error


def _marked(row):
    seen = np.array(row["joints_vis"], float).reshape(len(MPII16), 1)
    return np.concatenate([np.array(row["joints"], float).reshape(len(MPII16), 2) - FIRST, seen], 1) * (seen > 0)


def to_body(joints):
    """MPII joints (16, 3) as BODY21 joints (21, 3) x, y, weight; the pelvis is the middle of the hips."""
    body = np.zeros((len(BODY21), 3))
    for name, joint in zip(NAMES, joints, strict=True):
        if name in BODY21.joints and joint[2] > 0:
            body[BODY21.index(name)] = (*joint[:2], ROUGH.get(name, 1.0))
    return people.with_pelvis(body)
