"""Windows of motion as random cameras see them, all windows of a batch at once. A camera looks along y of a z-up world before it is tilted."""

import math
from dataclasses import dataclass

import torch

from core.normal import STATURE
from core.skeletons import BODY21
from training.datasets.variety import varied
from training.looks import Draw


@dataclass(frozen=True)
class Views:
    """plane (B, R, 21, 2): points of the unit plane, NaN behind the camera; truth (B, 21, 3) m, the target frame in camera axes around the pelvis.

    frame (B, 2): half width and height of the picture on the unit plane; distance (B,) m of the pelvis in the target frame.
    """

    plane: torch.Tensor
    truth: torch.Tensor
    frame: torch.Tensor
    distance: torch.Tensor


class Sampler(Draw):
    """Draws windows from motion capture. Everything comes from `generator`, so that the same seed gives the same views."""

    def __init__(self, mocap, field, causal, seed, device="cpu", weights=None):
        """`weights` (N,) say how often each frame is a target; by default all are alike."""
        super().__init__(seed, device)
        self.bounds = None if weights is None else torch.as_tensor(weights, device=device).double().cumsum(0)
        self.joints = torch.from_numpy(mocap.joints).to(device)
        self.root = torch.from_numpy(mocap.root).to(device)
        self.start, self.fps, self.stature = (torch.as_tensor(v, device=device) for v in (mocap.start, mocap.fps, mocap.stature))
        self.field, self.target = field, field - 1 if causal else field // 2

    def windows(self, count, vary):
        """Joints (B, R, 21, 3) around the pelvis, and the pelvis' path (B, R, 3) from the target frame, at 24 to 60 frames a second.

        `vary` adds other speeds, track ends inside the window, other people and postures (variety.py); without it bodies have their own stature.
        """
        middle = self._targets(count)
        clip = torch.searchsorted(self.start, middle, right=True) - 1
        step = self.fps[clip] / self.rand(count, low=24, high=60)
        first, last = self.start[clip].float(), self.start[clip + 1].float() - 1
        if vary:
            step = step * self.rand(count, low=-0.2, high=0.2).exp()
            first, last = self._ends(middle, first, step, -1), self._ends(middle, last, step, 1)
        offset = torch.arange(self.field, device=self.device) - self.target
        time = (middle[:, None] + offset * step[:, None]).clamp(first[:, None], last[:, None]).double()
        low = time.floor().long()
        high, part = (low + 1).minimum(last[:, None].ceil().long()), (time - low).float()[..., None]
        root = torch.lerp(self.root[low], self.root[high], part)
        joints = torch.lerp(self.joints[low].float(), self.joints[high].float(), part[..., None])
        root = root - root[:, self.target, None]
        if not vary:
            zoom = (self.stature[clip] / STATURE).float()[:, None, None]
            return joints * zoom[..., None], root * zoom
        return varied(joints, root, self.target, self)

    def _targets(self, count):
        if self.bounds is None:
            return self.integers(len(self.joints), count)
        spot = torch.rand(count, generator=self.generator, device=self.device, dtype=torch.float64) * self.bounds[-1]
        return torch.searchsorted(self.bounds, spot, right=True).clamp(max=len(self.bounds) - 1)

    def _ends(self, middle, limit, step, sign):
        """Let one track in five begin (sign -1) or end (1) inside the window."""
        cut = middle + sign * self.rand(len(middle)) * self.field * step
        inner = torch.maximum(cut, limit) if sign < 0 else torch.minimum(cut, limit)
        return torch.where(self.chance(0.2, len(middle)), inner, limit)

    def views(self, count, vary=True):
        """Windows under random cameras: field of view 30 to 90 degrees, any distance, people anywhere in the picture, tilted and rolled."""
        joints, root = self.windows(count, vary)
        yaw, wide = self.rand(count, high=2 * math.pi), self.rand(count, low=30, high=90).deg2rad().div(2).tan()
        aspect = torch.where(self.chance(0.3, count), 1 / self.rand(count, low=1.3, high=1.8), self.rand(count, low=1.3, high=1.8))
        frame = torch.stack([wide * aspect.clamp(max=1), wide / aspect.clamp(min=1)], 1)
        share = self.rand(count, low=math.log(0.15), high=math.log(1.3)).exp()
        distance = (1.7 / (2 * frame[:, 1] * share)).clamp(1.3, 30)
        spot = self.rand(count, 2, low=-1, high=1) * self.rand(count, 1, low=0.4, high=1) * frame
        tilt = self._elevation(distance) - spot[:, 1].atan()
        rotation = _camera(yaw, tilt, self._roll(count))
        ray = torch.nn.functional.normalize(torch.cat([spot, torch.ones_like(spot[:, :1])], 1), dim=1)
        points = (joints + root[:, :, None]) @ rotation.transpose(1, 2)[:, None] + (ray * distance[:, None])[:, None, None]
        if vary:
            points = self._panned(points)
        seen = points[..., 2:] > 0.1
        plane = torch.where(seen, points[..., :2] / points[..., 2:].clamp(min=0.1), torch.nan)
        return Views(plane, joints[:, self.target] @ rotation.transpose(1, 2), frame, distance)

    def _elevation(self, distance):
        """Radians by which cameras look down on people: mostly few, never from below the floor."""
        count, kind = len(distance), self.rand(len(distance))
        angle = torch.where(kind < 0.65, 6 + 10 * self.randn(count), self.rand(count, low=-15, high=55))
        angle = torch.where(kind > 0.92, self.rand(count, low=-30, high=80), angle).deg2rad()
        return torch.maximum(angle, -(0.85 / distance).clamp(max=0.9).asin())

    def _roll(self, count):
        kind = self.rand(count)
        roll = torch.where(kind < 0.8, 4 * self.randn(count), self.rand(count, low=-25, high=25))
        return torch.where(kind > 0.97, self.rand(count, low=-180, high=180), roll).deg2rad()

    def _panned(self, points):
        """One camera in five follows the person: points (B, R, J, 3) turned about the camera's y axis by part of the pelvis' angle."""
        pelvis = points[:, :, BODY21.root]
        angle = torch.atan2(pelvis[..., 0], pelvis[..., 2].clamp(min=0.1))
        follow = torch.where(self.chance(0.2, len(points)), self.rand(len(points), low=0.3, high=1.0), 0)
        angle = ((angle - angle[:, self.target, None]) * follow[:, None])[..., None]
        x, y, z = points.unbind(-1)
        return torch.stack([x * angle.cos() - z * angle.sin(), y, x * angle.sin() + z * angle.cos()], -1)


def _camera(yaw, tilt, roll):
    """Rotations (B, 3, 3) from the world to camera axes: the world turned by `yaw`, the camera tilted down and rolled."""

    def about(axis, angle):
        matrix = torch.zeros(len(angle), 3, 3, device=angle.device)
        i, j = [k for k in range(3) if k != axis]
        matrix[:, axis, axis] = 1
        matrix[:, i, i], matrix[:, j, j], matrix[:, i, j], matrix[:, j, i] = angle.cos(), angle.cos(), -angle.sin(), angle.sin()
        return matrix

    base = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]], device=yaw.device)
    return about(2, roll) @ about(0, tilt) @ base @ about(2, yaw)

