"""Temporal convolution network: our bundled lifters (81 frames centred, 27 causal), and VideoPose3D's checkpoints by weights=FILE."""

import numpy as np
import torch

from core import geometry
from core.errors import InputError
from core.networks import pick_device
from core.protocols import Lifted
from core.skeletons import BODY21, COCO17, H36M17
from lifters import _normal
from lifters._normal import mirrored
from lifters._tcn import from_state
from weights import load, load_strict, resolve

HEIGHT = 1.77  # metres from crown to sole of a person of whom nothing is known
WINDOWS = 256  # at once: bounds the memory of long tracks
INPUTS = {"coco17": COCO17, "h36m17": H36M17}


def padded(count, field, causal):
    """Indices (T, R) of the frames in the window of each of `count` frames: the ends are repeated, a causal window ends at its own frame."""
    target = field - 1 if causal else field // 2
    return np.clip(np.arange(count)[:, None] + np.arange(field) - target, 0, max(count - 1, 0))


class _Tcn:
    """What both kinds of lifter share: the network, its device, and flipped copies."""

    fps_range = (24, 60)

    def __init__(self, network, flip, device, half):
        self.half = half and device.type == "cuda"
        self.network = network.to(device, torch.float16 if self.half else torch.float32).eval().requires_grad_(False)
        self.device, self.flip = device, flip
        self.receptive_field, self.causal = network.receptive_field, network.causal

    def __call__(self, windows, cameras):
        """3D of windows (B, R, J, 3) of x px, y px, score, each under its own camera. A joint without score or not finite counts as missing."""
        windows = np.asarray(windows, np.float32)
        if windows.shape[1:] != (self.receptive_field, len(self.skeleton_in), 3) or len(windows) != len(cameras):
            raise ValueError(f"windows: expected ({len(cameras)}, {self.receptive_field}, {len(self.skeleton_in)}, 3), got {windows.shape}")
        plane = np.array([self._plane(w[..., :2], w[..., 2], camera) for w, camera in zip(windows, cameras, strict=True)], np.float32)
        return self._batches(plane.reshape(windows.shape[:3] + (2,)), windows[..., 2], np.arange(len(windows))[:, None])

    def sequence(self, points, scores, camera):
        """3D of every frame of a track: points (T, J, 2) px, scores (T, J). The ends repeat the end pose."""
        plane = self._plane(np.asarray(points, np.float32), scores, camera)
        index = padded(len(plane), self.receptive_field, self.causal)
        return self._batches(plane, np.asarray(scores, np.float32), index)

    def _batches(self, plane, scores, index):
        """Windows by `index`, (T, R) into frames or (B, 1) into windows, a bounded number at a time."""
        whole = [np.zeros((0, len(self.skeleton_out), 3), np.float32), np.zeros((0, len(self.skeleton_out)), np.float32)]
        parts = [whole]
        for rows in np.split(index, range(WINDOWS, len(index), WINDOWS)) if len(index) else []:
            rows = rows if plane.ndim == 3 else rows[:, 0]
            with torch.inference_mode():
                parts.append(self._lift(*(torch.from_numpy(array[rows]).to(self.device) for array in (plane, scores))))
        joints, sigma = zip(*parts, strict=True)
        return Lifted(np.concatenate(joints), None if sigma[-1] is None else np.concatenate(sigma))

    def _averaged(self, x):
        """The network's answer (B, J, F) to features (B, R, J, F), averaged with the mirrored answer to the mirrored features."""
        dtype = torch.float16 if self.half else torch.float32
        y = self.network.one_frame(x.to(dtype)).float()
        if not self.flip:
            return y
        return (y + mirrored(self.network.one_frame(mirrored(x, self.skeleton_in).to(dtype)).float(), self.skeleton_out)) / 2


class ViewRay(_Tcn):
    """The bundled lifters: body21 in and out by the normal form of _normal.py, metres of a body of `height`, expected error of each joint."""

    skeleton_in = skeleton_out = BODY21

    def __init__(self, network, header, flip, height, device, half):
        super().__init__(network, flip, device, half)
        self.zoom = (height or HEIGHT) / float(header["stature"])

    def _plane(self, points, scores, camera):
        return geometry.rays(points, camera).astype(np.float32)

    def _lift(self, plane, scores):
        target = self.receptive_field - 1 if self.causal else self.receptive_field // 2
        x, turn = _normal.normal_form(plane, scores, BODY21.root, target)
        y = self._averaged(x)
        joints = _normal.turn_back(y[..., :3] - y[:, BODY21.root, None, :3], turn) * self.zoom
        sigma = y[..., 3].clamp(*_normal.LOG_SIGMA).exp() * self.zoom
        sigma[:, BODY21.root] = 0
        return joints.cpu().numpy(), sigma.cpu().numpy()


class Official(_Tcn):
    """VideoPose3D's own checkpoints: 17 joints in, Human3.6M's out; both coordinates divided by half the picture's width.

    A missing joint stands where it was last seen in the window, or else next seen, or in the middle of the picture.
    """

    skeleton_out = H36M17

    def __init__(self, network, features, skeleton, flip, device, half):
        super().__init__(network, flip, device, half)
        self.skeleton_in, self.features = skeleton, features

    def _plane(self, points, scores, camera):
        return points / camera.width * 2 - (1, camera.height / camera.width)

    def _lift(self, plane, scores):
        x = torch.cat([_held(plane, scores), scores.nan_to_num()[..., None]], -1)[..., : self.features]
        y = self._averaged(x.float())
        return (y - y[:, H36M17.root, None]).cpu().numpy(), None


def _held(plane, scores):
    """Points (B, R, J, 2) with missing ones put where the joint is next to be seen, the past before the future; zero where it never is."""
    valid = (scores > 0) & plane.isfinite().all(-1)
    time = torch.arange(plane.shape[1], device=plane.device)
    past = torch.where(valid, time[:, None], -1).cummax(1).values
    future = torch.where(valid, time[:, None], len(time)).flip(1).cummin(1).values.flip(1)
    nearest = torch.where(past >= 0, past, future).clamp(max=len(time) - 1)
    plane = torch.where(valid[..., None], plane, 0)
    return plane.gather(1, nearest[..., None].expand_as(plane))


def _widths(arc):
    return tuple(int(n) for n in str(arc).strip("()[] ").split(",") if n.strip()) if isinstance(arc, str) else (arc,) if isinstance(arc, int) else arc


def build(weights="lifter-tcn81", arc=None, causal=None, flip=True, height=None, device="auto", half=False, input="coco17"):
    """A lifter from a bundled file or an official checkpoint.

    arc and causal are read from a bundled file and from the shapes of an official one (which does not tell whether it is causal); `height` in metres
    is the person's, where it is known; `flip` averages with the mirrored input; `input` names the 2D joints of an official checkpoint.
    """
    state, header = load(resolve(weights))
    arc, place = None if arc is None else _widths(arc), pick_device(device)
    if header.get("input") == "view-ray":
        if causal not in (None, header["causal"] == "True"):
            raise InputError(f"causal={causal}, but '{weights}' is {'causal' if header['causal'] == 'True' else 'centred'}")
        network = from_state(state, arc, header["causal"] == "True", joints_in=len(BODY21) + 1, features_out=4)
        return ViewRay(load_strict(network, state, weights), header, flip, height, place, half)
    if height is not None:
        raise InputError(f"height= works with the bundled lifters; '{weights}' gives its own metres")
    if input not in INPUTS:
        raise InputError(f"input={input}: expected one of {', '.join(INPUTS)}")
    network = from_state(state, arc, bool(causal))
    if network.joints_out != len(H36M17):
        raise InputError(f"'{weights}' gives {network.joints_out} joints, expected the {len(H36M17)} of Human3.6M")
    features = state["expand_conv.weight"].shape[1] // len(H36M17)
    return Official(load_strict(network, state, weights), features, INPUTS[input], flip, place, half)
