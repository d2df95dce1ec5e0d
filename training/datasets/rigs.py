"""The cameras of Human3.6M and HumanEva-I, and the lens and screen units that the lifters' data sets are kept in (rigs.toml holds the numbers).

World and camera axes are in metres. Screen units divide both coordinates by half the picture's width: x from -1 to 1, y in the same scale.
A lens is (fx, fy, cx, cy, k1, k2, k3, p1, p2) in screen units; its tangential numbers are used as VideoPose3D does, not in OpenCV's order.
"""

import functools
import pathlib
import tomllib
from dataclasses import dataclass

import numpy as np
import torch

from core.errors import InputError
from lifters._published import screen

FACTS = tomllib.loads((pathlib.Path(__file__).parent / "rigs.toml").read_text(encoding="utf-8"))
MIRRORED_LENS = (2, 7)  # cx and p1 change sign in a mirrored picture


@dataclass(frozen=True)
class RigCamera:
    """A camera of a data set: `turn` (4,) unit quaternion (w, x, y, z) from camera to world axes, `place` (3,) m, `lens` (9,) screen units or None.

    `azimuth` is the angle in degrees from which its 3D view is drawn. A camera of which only the picture is known has a turn, for drawing alone.
    """

    name: str
    width: int
    height: int
    azimuth: float
    turn: np.ndarray | None = None
    place: np.ndarray | None = None
    lens: np.ndarray | None = None


@functools.cache
def rig(name):
    """{subject: its cameras in their published order} of "h36m" or "humaneva15"."""
    facts = FACTS[name]
    return {subject: tuple(_camera(camera, row, pose) for (camera, row), pose in zip(facts["cameras"].items(), poses, strict=True))
            for subject, poses in facts["poses"].items()}


def _camera(name, row, pose):
    width, height = row["size"]
    pose = np.array(pose, np.float32)
    return RigCamera(name, width, height, row["azimuth"], pose[:4], pose[4:] / 1000, _lens(row["lens"], width, height) if "lens" in row else None)


def _lens(row, width, height):
    values = np.array(row, np.float32)
    values[:2] = values[:2] / width * 2
    values[2:4] = values[2:4] / width * 2 - (1, height / width)
    return values


def video_camera(name, width, height):
    """The camera of a video of which only the picture's size is known; it is drawn as if it hung where Human3.6M's first one does."""
    if not (width > 0 and height > 0):
        raise InputError(f"video '{name}': its size {width} x {height} is no picture's")
    first = rig("h36m")["S1"][0]
    return RigCamera(name, int(width), int(height), first.azimuth, first.turn, np.zeros(3, np.float32))


# ---- axes


def turned(q, v):
    """Vectors v (..., 3) turned by a unit quaternion q (w, x, y, z) (..., 4)."""
    u = q[..., 1:].expand_as(v) if q.dim() > 1 else q[1:].expand_as(v)
    once = torch.linalg.cross(u, v)
    return v + 2 * (q[..., :1] * once + torch.linalg.cross(u, once))


def inverse(q):
    """The quaternion that turns back."""
    return q * q.new_tensor([1, -1, -1, -1])


def to_camera(world, camera):
    """World points (..., 3) m, numpy float32, in the axes of a RigCamera."""
    turn, place = torch.from_numpy(camera.turn), torch.from_numpy(camera.place)
    return turned(inverse(turn), torch.from_numpy(world) - place).numpy()


def to_world(points, camera):
    """Points (..., 3) m in camera axes, numpy float32, in the world's."""
    return (turned(torch.from_numpy(camera.turn), torch.from_numpy(points)) + torch.from_numpy(camera.place)).numpy()


# ---- the picture


def pixels(points, camera):
    """Screen units (..., 2) as pixels: the inverse of `screen`."""
    return (points + (1, camera.height / camera.width)) * camera.width / 2


def to_screen(points, camera):
    """Keypoints (T, J, 2 or 3) px in screen units, float32; a third number, the score, stays."""
    return np.concatenate([screen(points[..., :2], camera), points[..., 2:]], -1).astype(np.float32)


def project(points, lens):
    """Screen points (B, ..., 2) of camera-space points (B, ..., 3) under lenses (B, 9), differentiable.

    The unit plane is cut at -1 and 1, as in the published program, so that points far outside the picture do not blow up.
    """
    f, c, radial, tangential = _parts(points, lens)
    plane = (points[..., :2] / points[..., 2:]).clamp(-1, 1)
    r2 = (plane**2).sum(-1, keepdim=True)
    stretch = 1 + (radial * torch.cat([r2, r2**2, r2**3], -1)).sum(-1, keepdim=True)
    return f * (plane * (stretch + (tangential * plane).sum(-1, keepdim=True)) + tangential * r2) + c


def project_linear(points, lens):
    """`project` without the lens' distortion."""
    f, c, _, _ = _parts(points, lens)
    return f * (points[..., :2] / points[..., 2:]).clamp(-1, 1) + c


def _parts(points, lens):
    lens = lens.reshape(len(lens), *[1] * (points.dim() - 2), 9)
    return lens[..., :2], lens[..., 2:4], lens[..., 4:7], lens[..., 7:]
