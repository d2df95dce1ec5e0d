"""Scenes of moving people with exact truth: cameras, lights, backgrounds, rendering."""

import functools
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from core.geometry import project
from core.records import Camera, VideoInfo
from core.skeletons import BODY21
from synthetic import raster
from synthetic.bodies import Body
from synthetic.shapes import KEY, KEYPOINTS

JOINTS = len(BODY21)
# How far inside the body a joint may lie and still count as seen, in metres.
_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
_TRUNK = ("left_hip", "right_hip", "pelvis", "spine", "thorax")
_FLESH = np.array([0.05 if name in _FACE else 0.20 if name in _TRUNK else 0.13 for name in BODY21.joints])


@dataclass(frozen=True)
class Truth:
    """What is really in a frame. Rows = the people of whom any part projects into the picture, nearest last.

    ids (N,) from 1; boxes (N, 4) px tight around the whole body's projection, hidden parts included, cut at the picture's edge;
    seen_boxes (N, 4) px around what can be seen of it, NaN where that is nothing; points (N, 21, 2) px; joints (N, 21, 3) m in camera axes (body21);
    root_depth (N,) m, z of the pelvis; visible (N, 21) bool, joints inside the
    picture that nothing hides; shown (N,) the share of the body's pixels in the picture that can be seen; world_from_camera (4, 4) with z up
    and the floor at 0.
    """

    index: int
    time: float
    ids: np.ndarray
    boxes: np.ndarray
    seen_boxes: np.ndarray
    points: np.ndarray
    joints: np.ndarray
    root_depth: np.ndarray
    visible: np.ndarray
    shown: np.ndarray
    camera: Camera
    world_from_camera: np.ndarray

    def __len__(self):
        return len(self.ids)


@dataclass(frozen=True)
class Person:
    """A body and its key points (T, 27, 3) in world metres."""

    body: Body
    points: np.ndarray


@dataclass(frozen=True)
class Scene:
    """People before a camera, for `frames` frames (None: until the last has stopped moving); who stops earlier stands still.

    `light.towards` is in world axes; `background` (H, W, 3) float32 from 0 to 1 as the camera sees it when it is still and has no distortion;
    `shake` in degrees of slow wandering of the camera's direction; `grain` the standard deviation of the sensor's noise; `floor` whether shadows
    fall on z = 0; `front` (H, W, 4) float32, colour times coverage and coverage, stands before everybody and moves with the background.
    """

    people: tuple[Person, ...]
    camera: Camera
    world_from_camera: np.ndarray
    light: raster.Light
    background: np.ndarray
    fps: Fraction = Fraction(25)
    shake: float = 0.0
    grain: float = 0.012
    floor: bool = True
    seed: int = 0
    frames: int | None = None
    front: np.ndarray | None = None

    def __len__(self):
        return self.frames or max(len(person.points) for person in self.people)

    @property
    def info(self):
        return VideoInfo(self.camera.width, self.camera.height, self.fps, len(self))

    def pose(self, index):
        """world_from_camera (4, 4) of a frame."""
        if not self.shake:
            return self.world_from_camera
        time, amount = float(index / self.fps), np.radians(self.shake)
        tilt = [np.sin(2 * np.pi * rate * time + self.seed + k) for k, rate in enumerate((0.31, 0.47, 0.23))]
        turned = np.array(self.world_from_camera)
        turned[:3, :3] = turned[:3, :3] @ cv2.Rodrigues(amount * np.array(tilt) * (1, 1, 0.5))[0]
        return turned

    def frame(self, index):
        """The picture (H, W, 3) uint8 RGB of a frame and its Truth."""
        to_world = self.pose(index)
        to_camera = np.linalg.inv(to_world)
        image, front = (self._turned(picture, to_world) for picture in (self.background, self.front))
        joints = np.array([person.points[min(index, len(person.points) - 1)] for person in self.people])
        meshes = [person.body.vertices(points) for person, points in zip(self.people, joints, strict=True)]
        if self.floor:
            self._shadows(image, meshes, to_camera)
        turn, shift = to_camera[:3, :3], to_camera[:3, 3]
        light = self.light._replace(towards=turn @ self.light.towards, up=turn @ (0, 0, 1))
        layers = [raster.paint(person.body, mesh @ turn.T + shift, self.camera, light) for person, mesh in zip(self.people, meshes, strict=True)]
        joints = joints.reshape(-1, len(KEYPOINTS), 3)[:, :JOINTS] @ turn.T + shift
        order = [i for i in np.argsort(-joints[:, KEY["pelvis"], 2]) if layers[i] is not None]
        for i in order:
            raster.compose(image, layers[i])
        if front is not None:
            image *= 1 - front[..., 3:]
            image += front[..., :3]
        image *= 255
        image += self._noise(index, image.size).reshape(image.shape)
        return np.clip(image, 0, 255, out=image).astype(np.uint8), self._truth(index, order, layers, joints, to_world, front)

    def _noise(self, index, count):
        """Sensor noise (count,) around 0.5 in grey levels: a stretch of one long sequence, another in every frame."""
        start = np.random.default_rng((self.seed, index)).integers(1 << 16)
        white = _white()[start:start + count]
        return (white if len(white) == count else np.resize(white, count)) * np.float32(255 * self.grain) + np.float32(0.5)

    def _turned(self, picture, to_world):
        """A copy of the background or the front as the camera sees it from where it points in a frame."""
        if picture is None or not self.shake:
            return None if picture is None else picture.copy()
        camera = self.camera
        inner = np.array([[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1]])
        turn = to_world[:3, :3].T @ self.world_from_camera[:3, :3]
        return cv2.warpPerspective(picture, inner @ turn @ np.linalg.inv(inner), (camera.width, camera.height), borderMode=cv2.BORDER_REFLECT)

    def _shadows(self, image, meshes, to_camera):
        dark = 0
        for person, mesh in zip(self.people, meshes, strict=True):
            soft = raster.shadow(person.body, mesh, self.camera, to_camera, self.light)
            dark = dark if soft is None else np.maximum(dark, soft)
        if np.ndim(dark):
            share = self.light.direct / (self.light.direct + self.light.ambient)
            image *= 1 - 0.75 * share * cv2.resize(dark, image.shape[1::-1])[..., None]

    def _truth(self, index, order, layers, joints, to_world, front):
        camera = self.camera
        points = project(joints[order], camera)
        covered = np.zeros((camera.height, camera.width), bool) if front is None else front[..., 3] > 0.5
        boxes, seen, shown, visible = [], [], [], []
        for i, pixels in list(zip(order, points, strict=True))[::-1]:
            layer = layers[i]
            window = (slice(layer.y, layer.y + layer.alpha.shape[0]), slice(layer.x, layer.x + layer.alpha.shape[1]))
            mask = layer.alpha > 0.5
            free = mask & ~covered[window]
            boxes.append(_mask_box(mask, layer))
            seen.append(_mask_box(free, layer))
            shown.append(free.sum() / max(mask.sum(), 1))
            visible.append(_visible(layer, covered, pixels, joints[i]))
            covered[window] |= mask
        keep = [k for k, box in enumerate(boxes) if np.isfinite(box).all()][::-1]
        boxes, seen, shown, visible = (np.array(rows).reshape(-1, *shape)[keep] for rows, shape in ((boxes, (4,)), (seen, (4,)), (shown, ()),
                                                                                                    (visible, (JOINTS,))))
        rows = np.array(order, int)[::-1][keep]
        return Truth(index, float(index / self.fps), rows + 1, boxes.astype(np.float32), seen.astype(np.float32), project(joints[rows],
                                                                                                                          camera).astype(np.float32),
                     joints[rows].astype(np.float32), joints[rows, KEY["pelvis"],
                                                             2].astype(np.float32), visible.astype(bool), shown.astype(np.float32), camera, to_world)


@functools.cache
def _white():
    return np.random.default_rng(0).standard_normal(1 << 20, np.float32)


def _mask_box(mask, layer):
    """The box (4,) of a mask in a layer's window, in picture pixels; NaN where it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.full(4, np.nan)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float) + (layer.x, layer.y, layer.x, layer.y)


def _visible(layer, covered, points, joints):
    """Which joints (21,) are inside the picture, not behind somebody nearer and not behind the body itself."""
    column, row = np.floor(np.nan_to_num(points, nan=-1e6)).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < covered.shape[1]) & (row < covered.shape[0])
    seen = inside.copy()
    seen[inside] &= ~covered[row[inside], column[inside]]
    x, y = column - layer.x, row - layer.y
    own = seen & (x >= 0) & (y >= 0) & (x < layer.depth.shape[1]) & (y < layer.depth.shape[0])
    seen[own] &= layer.depth[y[own], x[own]] > joints[own, 2] - _FLESH[own]
    return seen
