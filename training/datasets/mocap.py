"""Motion capture in body21: `cmu.npz` and its like, or one packed file. Metres, z up, every body scaled to one stature."""

import pathlib
from dataclasses import dataclass

import numpy as np
import torch

from core.errors import InputError
from core.files import save_arrays
from core.normal import STATURE
from core.skeletons import BODY21, H36M17

PERMISSIVE = ("cmu", "cmu2", "acro30")  # may be used and given on freely; hdm05 asks for more
NEAR = 0.3  # metres, over ten joints: how far apart two postures are that count as alike
_SOLE, _CROWN = 0.08, 0.075  # ankle to sole, Human3.6M's head to the crown


@dataclass(frozen=True)
class Mocap:
    """Clips one after another: joints (N, 21, 3) m relative to the pelvis, root (N, 3) m, `start` (C + 1,) first frames.

    Bodies are scaled to STATURE; `stature` (C,) m is what each had. fps (C,) Hz.
    """

    joints: np.ndarray
    root: np.ndarray
    start: np.ndarray
    fps: np.ndarray
    stature: np.ndarray

    def __len__(self):
        return len(self.joints)


def load(folder, files=PERMISSIVE, split="train"):
    """The clips of a split ("train" or "val") in the npz files of a folder, or of its folder "mocap". Raises InputError where a file is missing."""
    parts, folder = [], pathlib.Path(folder)
    folder = folder / "mocap" if (folder / "mocap").is_dir() else folder
    for name in files:
        path = folder / f"{name}.npz"
        if not path.is_file():
            raise InputError(f"no motion file {path}")
        with np.load(path) as arrays:
            parts += _clips(arrays, split)
    if not parts:
        raise InputError(f"{folder}: no '{split}' clips in {', '.join(files)}")
    return _join(parts)


def _clips(arrays, split):
    """(joints, root, fps, stature) of each clip of a split."""
    data = {name: arrays[name] for name in ("root", "joints_rel", "head_forward", "clip_start")}
    count = len(data["clip_start"]) - 1
    rates = np.broadcast_to(arrays["fps"], count).astype(float)
    splits = arrays["clip_split"] if "clip_split" in arrays else np.full(count, "train")
    found = []
    for i in np.flatnonzero(splits == split):
        rows = slice(*data["clip_start"][i : i + 2])
        old = data["joints_rel"][rows].astype(np.float32)
        size = stature(old)
        zoom = STATURE / size
        found.append((body21(old, data["head_forward"][rows].astype(np.float32)) * zoom, data["root"][rows] * zoom, rates[i], size))
    return found


def _join(parts):
    joints, root, fps, size = zip(*parts, strict=True)
    start = np.cumsum([0] + [len(part) for part in joints])
    return Mocap(np.concatenate(joints).astype(np.float16), np.concatenate(root).astype(np.float32), start, np.array(fps), np.array(size))


def stature(joints):
    """Height in metres of the person of joints (T, 17, 3) in Human3.6M's order, from crown to sole along the bones."""

    def length(a, b):
        return np.median(np.linalg.norm(joints[:, H36M17.index(a)] - joints[:, H36M17.index(b)], axis=-1))

    legs = [length(f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in (("hip", "knee"), ("knee", "foot"))]
    trunk = [length(a, b) for a, b in (("hip", "spine"), ("spine", "thorax"), ("thorax", "neck_nose"), ("neck_nose", "head"))]
    return float(sum(legs) / 2 + sum(trunk) + _CROWN + _SOLE)


def body21(joints, forward):
    """body21 (T, 21, 3) of Human3.6M joints (T, 17, 3) and the unit vector out of the face (T, 3); a mean head stands for the face points."""

    def unit(v):
        return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-6)

    forward = unit(forward)
    head, neck = joints[:, H36M17.index("head")], joints[:, H36M17.index("neck_nose")]
    up = unit((head - neck) - ((head - neck) * forward).sum(-1, keepdims=True) * forward)
    right = np.cross(forward, up)
    ears = head - 0.035 * up
    eyes = ears + 0.085 * forward + 0.025 * up
    found = {"nose": ears + 0.10 * forward - 0.01 * up, "left_eye": eyes - 0.032 * right, "right_eye": eyes + 0.032 * right,
             "left_ear": ears - 0.073 * right, "right_ear": ears + 0.073 * right, "head_top": head + _CROWN * up}
    old = {"pelvis": "hip", "left_ankle": "left_foot", "right_ankle": "right_foot"}
    points = [found[name] if name in found else joints[:, H36M17.index(old.get(name, name))] for name in BODY21.joints]
    return np.stack(points, 1)


def rarity(mocap, every=10, power=0.5):
    """Weights (N,) float64 of mean 1 of the frames: the rarer a posture, turned about the vertical or not, the larger.

    `power` 1 would make all postures alike, 0 all frames. The density is that of the nearest of every `every`-th frame among all of these.
    """
    joints = torch.from_numpy(mocap.joints[::every]).float()
    limbs = [f"{side}_{name}" for side in ("left", "right") for name in ("elbow", "wrist", "knee", "ankle")]
    ends = joints[:, BODY21.indices(*limbs, "thorax", "nose")]
    across = joints[:, BODY21.index("left_hip")] - joints[:, BODY21.index("right_hip")]
    angle = torch.atan2(across[:, 1], across[:, 0])[:, None]
    x, y, z = ends.unbind(-1)
    flat = torch.stack([x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin(), z], -1).flatten(1)
    crowd = torch.cat([torch.exp(-(torch.cdist(part, flat) / NEAR).square()).sum(1) for part in flat.split(1024)])
    weights = crowd.double().pow(-power).repeat_interleave(every)[: len(mocap)].numpy()
    return weights / weights.mean()


def pack(mocap, path):
    """Write clips as one compressed file."""
    save_arrays(path, compress=True, joints=mocap.joints, root=mocap.root, start=mocap.start, fps=mocap.fps, stature=mocap.stature)


def unpack(path):
    """The clips of a packed file. Raises InputError where it is missing."""
    if not pathlib.Path(path).is_file():
        raise InputError(f"no packed motion file {path}")
    with np.load(path) as arrays:
        return Mocap(**{name: arrays[name] for name in ("joints", "root", "start", "fps", "stature")})
