"""Temporal convolution network: our bundled lifters (81 frames centred, 27 causal), and VideoPose3D's checkpoints by weights=FILE."""

import numpy as np
import torch

from core import geometry, normal
from core.errors import InputError
from core.networks import pick_device
from core.normal import mirrored
from core.protocols import Lifted
from core.skeletons import BODY21
from lifters._published import SKELETONS, Published, named, window_index
from lifters._tcn import Stream, from_state, widths
from weights import load, load_strict, resolve

HEIGHT = 1.77  # metres from crown to sole, by the bones of motion capture, of a person of whom nothing is known
WINDOWS = 256  # of the bundled lifters at once: bounds the memory of long tracks
CHUNK = 2048  # frames of a track at once: bounds the memory
H36M_FOCAL = 2.2947  # mean focal length of Human3.6M's cameras in half picture widths
OUTPUTS = {len(SKELETONS[name]): name for name in ("h36m17", "h36m16", "humaneva15")}


class ViewRay:
    """The bundled lifters: body21 in and out by the normal form of normal.py, metres of a body of HEIGHT, expected error of each joint."""

    fps_range = (24, 60)
    skeleton_in = skeleton_out = BODY21

    def __init__(self, network, header, flip, device, half):
        self.half = half and device.type == "cuda"
        self.network = network.to(device, torch.float16 if self.half else torch.float32).eval().requires_grad_(False)
        self.device, self.flip = device, flip
        self.receptive_field, self.causal = network.receptive_field, network.causal
        self.zoom = HEIGHT / float(header["stature"])

    def __call__(self, windows, cameras):
        """3D of windows (B, R, J, 3) of x px, y px, score, each under its own camera. A joint without score or not finite counts as missing."""
        windows = np.asarray(windows, np.float32)
        if windows.shape[1:] != (self.receptive_field, len(self.skeleton_in), 3) or len(windows) != len(cameras):
            raise ValueError(f"windows: expected ({len(cameras)}, {self.receptive_field}, {len(self.skeleton_in)}, 3), got {windows.shape}")
        plane = np.array([geometry.rays(w[..., :2], camera) for w, camera in zip(windows, cameras, strict=True)], np.float32)
        return self._batches(plane.reshape(windows.shape[:3] + (2,)), windows[..., 2], np.arange(len(windows))[:, None])

    def sequence(self, points, scores, camera):
        """3D of every frame of a track: points (T, J, 2) px, scores (T, J). The ends repeat the end pose."""
        plane = geometry.rays(np.asarray(points, np.float32), camera).astype(np.float32)
        index = window_index(len(plane), self.receptive_field, self.causal)
        return self._batches(plane, np.asarray(scores, np.float32), index)

    def _batches(self, plane, scores, index):
        """Windows by `index`, (T, R) into frames or (B, 1) into windows, a bounded number at a time."""
        joints, sigma = [np.zeros((0, len(BODY21), 3), np.float32)], [np.zeros((0, len(BODY21)), np.float32)]
        for rows in np.split(index, range(WINDOWS, len(index), WINDOWS)) if len(index) else []:
            rows = rows if plane.ndim == 3 else rows[:, 0]
            with torch.inference_mode():
                lifted = self._lift(*(torch.from_numpy(array[rows]).to(self.device) for array in (plane, scores)))
            joints.append(lifted[0].cpu().numpy())
            sigma.append(lifted[1].cpu().numpy())
        return Lifted(np.concatenate(joints), np.concatenate(sigma))

    def _lift(self, plane, scores):
        target = self.receptive_field - 1 if self.causal else self.receptive_field // 2
        x, turn = normal.normal_form(plane, scores, BODY21.root, target)
        y = self._averaged(x)
        joints = normal.turn_back(y[..., :3] - y[:, BODY21.root, None, :3], turn) * self.zoom
        sigma = y[..., 3].clamp(*normal.LOG_SIGMA).exp() * self.zoom
        sigma[:, BODY21.root] = 0
        return joints, sigma

    def _averaged(self, x):
        """The network's answer (B, J, F) to features (B, R, J, F), averaged with the mirrored answer to the mirrored features."""
        dtype = torch.float16 if self.half else torch.float32
        y = self.network.one_frame(x.to(dtype)).float()
        if not self.flip:
            return y
        return (y + mirrored(self.network.one_frame(mirrored(x, self.skeleton_in).to(dtype)).float(), self.skeleton_out)) / 2


class Official(Published):
    """VideoPose3D's own checkpoints: 17 or 15 joints in and out, and the root's path where the file holds the network for it."""

    def __init__(self, network, trajectory, skeletons, flip, device, half):
        super().__init__(network, skeletons, network.expand_conv.in_channels // len(skeletons[0]), flip, device, half)
        self.networks = [self.network] if trajectory is None else [self.network, self._ready(trajectory)]
        self.receptive_field, self.causal = network.receptive_field, network.causal

    def _windows(self, x):
        """Joints of windows, and the root's place as one more."""
        return torch.cat([network.one_frame(x) for network in self.networks], 1)

    def _track(self, read):
        """All frames by one pass of the dilated network, CHUNK at a time."""
        field = self.receptive_field
        before = field - 1 if self.causal else field // 2
        index = np.clip(np.arange(len(read) + field - 1) - before, 0, len(read) - 1)
        pieces = [index[i: i + CHUNK + field - 1] for i in range(0, len(read), CHUNK)]
        return torch.cat([self._averaged(self._pass, self._tensor(read[piece][None]))[0] for piece in pieces])

    def _pass(self, x):
        return torch.cat([network(x) for network in self.networks], 2)

    def _answer(self, parts, cameras):
        lifted = super()._answer([part[:, : len(self.skeleton_out)] for part in parts], cameras)
        if len(self.networks) == 1:
            return lifted
        path = torch.cat([part[:, -1] for part in parts]).cpu().numpy() if parts else np.zeros((0, 3), np.float32)
        focal = np.array([2 * camera.fx / camera.width for camera in cameras], np.float32)
        return lifted._replace(root=path * np.column_stack([np.ones((len(path), 2)), focal / H36M_FOCAL]).astype(np.float32))

    def stream(self, camera):
        """The lifter for one track that comes frame by frame, for the work of one frame at each."""
        return TrackStream(self, camera)


class TrackStream:
    """One track, frame by frame: all answers together are those of `sequence`, each `delay` frames after its frame (0 when causal)."""

    def __init__(self, lifter, camera):
        self.lifter, self.camera = lifter, camera
        self.streams = [Stream(network) for network in lifter.networks]
        self.delay, self.frames = self.streams[0].delay, 0
        self.seen = np.full((len(lifter.skeleton_in), 2), np.nan, np.float32)  # where each joint was last

    def step(self, points, scores):
        """Lifted of one row for points (J, 2) px and scores (J,), of none while the first answer is not due."""
        track = np.stack([self.seen, np.asarray(points, np.float32)])
        read = self.lifter._read(track, np.stack([np.ones(len(scores)), scores]), self.camera)[1:]
        known = np.isfinite(track[1]).all(-1) & (np.asarray(scores) > 0)
        self.seen, self.read = np.where(known[:, None], track[1], self.seen), read
        return self._push()

    def rest(self):
        """Lifted of the last `delay` frames, when no more come."""
        parts = [self._push() for _ in range(self.delay if self.frames else 0)]
        return Lifted(*(None if column[0] is None else np.concatenate(column) for column in zip(*parts, self.lifter._answer([], []), strict=True)))

    def _push(self):
        y = self.lifter._averaged(lambda x: torch.cat([stream.step(x) for stream in self.streams], 1), self.lifter._tensor(self.read))
        self.frames += 1
        return self.lifter._answer([y], [self.camera]) if self.frames > self.delay else self.lifter._answer([], [])


def build(weights="lifter-tcn81", arc=None, causal=None, flip=True, device="auto", half=False, input="coco17", trajectory=True):
    """A lifter from a bundled file or an official checkpoint.

    arc and causal are read from a bundled file and from the shapes of an official one (which does not tell whether it is causal); `flip`
    averages with the mirrored input; `input` names the 2D joints of an official checkpoint (coco17, h36m17, humaneva15); `trajectory`
    takes the root's path from its second network where it has one.
    """
    arc, place, skeleton = widths(arc), pick_device(device), named(input)
    path = resolve(weights)
    state, header = load(path)
    if header.get("input") == "view-ray":
        if causal not in (None, header["causal"] == "True"):
            raise InputError(f"causal={causal}, but '{weights}' is {'causal' if header['causal'] == 'True' else 'centred'}")
        network = from_state(state, arc, header["causal"] == "True", joints_in=len(BODY21) + 1, features_out=4)
        return ViewRay(load_strict(network, state, weights), header, flip, place, half)
    network = load_strict(from_state(state, arc, bool(causal), len(skeleton)), state, weights)
    if network.joints_out not in OUTPUTS:
        raise InputError(f"'{weights}' gives {network.joints_out} joints, expected the {' or '.join(map(str, OUTPUTS))} of Human3.6M or HumanEva")
    path_network = None
    if trajectory and "model_traj" in header.get("parts", "").split(","):
        path_state, _ = load(path, "model_traj")
        path_network = load_strict(from_state(path_state, network.arc, bool(causal), len(skeleton)), path_state, f"{weights}: model_traj")
    return Official(network, path_network, (skeleton, SKELETONS[OUTPUTS[network.joints_out]]), flip, place, half)
