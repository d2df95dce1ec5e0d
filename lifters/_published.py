"""What the lifters of published weights share: pixels to the units of their training, missing joints, mirrored answers, windows and tracks.

They were all trained on whole pictures of Human3.6M's or HumanEva's cameras, both coordinates divided by half the picture's width.
"""

import numpy as np
import torch

from core.errors import InputError
from core.normal import mirrored
from core.protocols import Lifted
from core.skeletons import COCO17, H36M16, H36M17, HUMANEVA15

WINDOWS = 64  # at once: bounds the memory of wide networks
SKELETONS = {skeleton.name: skeleton for skeleton in (COCO17, H36M17, H36M16, HUMANEVA15)}


def named(name, allowed=tuple(SKELETONS), option="input"):
    """The skeleton that an option names. Raises InputError for another."""
    if name not in allowed:
        raise InputError(f"{option}={name}: expected one of {', '.join(allowed)}")
    return SKELETONS[name]


def of_joints(count, name):
    """The skeleton of a network that reads and gives `count` joints. Raises InputError for a number that none has."""
    found = {len(skeleton): skeleton for skeleton in (H36M17, HUMANEVA15)}
    if count not in found:
        raise InputError(f"'{name}' reads {count} joints, expected the {' or '.join(map(str, found))} of Human3.6M or HumanEva")
    return found[count]


def window_index(count, field, causal):
    """Indices (T, R) of the frames in the window of each of `count` frames: the ends are repeated, a causal window ends at its own frame."""
    target = field - 1 if causal else field // 2
    return np.clip(np.arange(count)[:, None] + np.arange(field) - target, 0, max(count - 1, 0))


def screen(points, camera):
    """Pixels (..., 2) in the units of the published programs: x from -1 to 1, y in the same scale."""
    return points / camera.width * 2 - (1, camera.height / camera.width)


def held(plane, scores):
    """Points (..., T, J, 2) with missing ones put where the joint was last seen, before that amid the joints seen in the frame, or else at zero."""
    valid = (scores > 0) & np.isfinite(plane).all(-1)
    plane = np.where(valid[..., None], plane, 0)
    amid = plane.sum(-2, keepdims=True) / np.maximum(valid.sum(-1), 1)[..., None, None]
    time = np.arange(plane.shape[-3])
    last = np.maximum.accumulate(np.where(valid, time[:, None], -1), -2)
    past = np.take_along_axis(plane, np.maximum(last, 0)[..., None], -3)
    return np.where((last >= 0)[..., None], past, amid)


class Published:
    """A lifter whose network answers in root-relative metres of its training's cameras. A subclass says how windows are lifted, and may lift tracks.

    `features` are the numbers of each joint that the network reads: x, y, and with 3 the score.
    """

    fps_range = (24, 60)
    causal, whole_track = False, False

    def __init__(self, network, skeletons, features, flip, device, half):
        self.device, self.dtype = device, torch.float16 if half and device.type == "cuda" else torch.float32
        self.network = self._ready(network)
        self.skeleton_in, self.skeleton_out = skeletons
        self.features, self.flip = features, flip

    def _ready(self, network):
        return network.to(self.device, self.dtype).eval().requires_grad_(False)

    def __call__(self, windows, cameras):
        """3D of windows (B, R, J, 3) of x px, y px, score, each under its own camera."""
        windows = self._checked(windows, cameras)
        read = [self._read(window[..., :2], window[..., 2], camera) for window, camera in zip(windows, cameras, strict=True)]
        index = np.arange(len(windows))
        parts = [self._averaged(self._windows, self._tensor(np.stack([read[i] for i in rows]))) for rows in _rows(index)]
        return self._answer(parts, cameras)

    def sequence(self, points, scores, camera):
        """3D of every frame of a track: points (T, J, 2) px, scores (T, J). The ends repeat the end pose."""
        read = self._read(np.asarray(points, np.float32), np.asarray(scores, np.float32), camera)
        if not len(read):
            return self._answer([], [])
        return self._answer([self._track(read)], [camera] * len(read))

    def lift(self, read):
        """The network's own answer (T, J, 3) m to a track as it reads it, (T, J, F) float32 in the units of `screen`: joint 0 is not put to zero."""
        return self._track(read).cpu().numpy()

    def _checked(self, windows, cameras):
        windows = np.asarray(windows, np.float32)
        if windows.shape[1:] != (self.receptive_field, len(self.skeleton_in), 3) or len(windows) != len(cameras):
            raise ValueError(f"windows: expected ({len(cameras)}, {self.receptive_field}, {len(self.skeleton_in)}, 3), got {windows.shape}")
        return windows

    def _track(self, read):
        """The network's answer (T, J, 3) to all frames (T, J, F): by default window by window."""
        index = window_index(len(read), self.receptive_field, self.causal)
        return torch.cat([self._averaged(self._windows, self._tensor(read[rows])) for rows in _rows(index)])

    def _read(self, points, scores, camera):
        """What the network reads of a track: (T, J, F) float32."""
        scores = np.nan_to_num(scores).astype(np.float32)
        plane = held(screen(points, camera), scores)
        return np.concatenate([plane, scores[..., None]], -1)[..., : self.features].astype(np.float32)

    def _tensor(self, array):
        return torch.from_numpy(array).to(self.device, self.dtype)

    def _averaged(self, lift, x):
        """The answer (B, ..., 3) of `lift` to x (B, ..., J, F), averaged with the mirrored answer to the mirrored x."""
        with torch.inference_mode():
            if not self.flip:
                return lift(x).float()
            plain, other = lift(torch.cat([x, mirrored(x, self.skeleton_in)])).float().chunk(2)
            return (plain + mirrored(other, self.skeleton_out)) / 2

    def _answer(self, parts, cameras):
        """Root-relative joints from the network's answers (B, J, 3)."""
        joints = torch.cat(parts).cpu().numpy() if parts else np.zeros((0, len(self.skeleton_out), 3), np.float32)
        return Lifted(joints - joints[:, [self.skeleton_out.root]])


def _rows(index):
    return np.split(index, range(WINDOWS, len(index), WINDOWS)) if len(index) else []
