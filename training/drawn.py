"""Pictures of drawn people for the trainers that learn from pictures with 3D: what the camera, the boxes and every joint are is known exactly.

Who is in them is a pure function of seeds; people of other seeds are other bodies in other clothes.
"""

import functools
from typing import NamedTuple

import numpy as np

from core.geometry import project
from core.records import Camera
from core.skeletons import BODY21, H36M17, MPII16, MUCO21, MUPOTS17, conversion
from synthetic import stage
from synthetic.bodies import Body
from synthetic.kinematics import Step, perform
from synthetic.looks import random_look
from synthetic.motions import ACTIONS, random_style
from synthetic.scenes import Person, Scene
from synthetic.shapes import KEY, KEYPOINTS, random_shape
from training.synthetic import backdrop

RATE = 50  # frames a second of a motion
NEAREST = 3.2  # m from the camera to the middle of a group


class Shot(NamedTuple):
    """A picture (H, W, 3) uint8 RGB of N people, rows by depth, farthest first: key points (N, 27, 3) m in camera axes, boxes (N, 4) px, which of
    body21's joints are seen (N, 21), the camera and world_from_camera (4, 4)."""

    image: np.ndarray
    keypoints: np.ndarray
    boxes: np.ndarray
    visible: np.ndarray
    camera: Camera
    pose: np.ndarray


def shoot(people, camera, pose, index, rng):
    """The Shot of `people` at a frame `index` of their motion."""
    light, behind = stage.random_light(rng), backdrop(rng, (camera.width, camera.height)).astype(np.float32) / 255
    scene = Scene(tuple(people), camera, pose, light, behind, grain=rng.uniform(0.004, 0.02), seed=int(rng.integers(1 << 30)))
    image, truth = scene.frame(index)
    rows, inner = truth.ids - 1, np.linalg.inv(pose)
    world = np.array([person.points[min(index, len(person.points) - 1)] for person in people])[rows].reshape(-1, len(KEYPOINTS), 3)
    return Shot(image, world @ inner[:3, :3].T + inner[:3, 3], truth.boxes, truth.visible, camera, pose)


@functools.lru_cache(64)
def actor(number):
    """(Body, its Shape, its style) of a person."""
    rng = np.random.default_rng((71, number))
    shape = random_shape(rng)
    return Body(shape, random_look(rng)), shape, random_style(rng)


@functools.lru_cache(256)
def motion(number, seed, seconds):
    """Key points (T, 27, 3) of what person `number` does for some seconds, around the origin, facing anywhere."""
    rng = np.random.default_rng((73, number, seed))
    _, shape, style = actor(number)
    first, second = rng.choice(list(ACTIONS), 2)
    steps = [Step(str(first), seconds / 2, rng.normal(0, 60)), Step(str(second), seconds / 2 + 0.1, rng.normal(0, 30))]
    return stage.place(perform(shape, steps, RATE, style), np.zeros(2), rng.uniform(0, 2 * np.pi))


def random_view(rng, width, height):
    """(Camera, world_from_camera) from which a standing adult in the middle fills 40 to 75% of the picture's height."""
    lens = Camera.from_fov(width, height, rng.uniform(35, 65), guessed=False)
    distance, azimuth = max(NEAREST, 1.7 * lens.fy / (rng.uniform(0.4, 0.75) * height)), rng.uniform(0, 2 * np.pi)
    place = np.array([distance * np.cos(azimuth), distance * np.sin(azimuth), np.clip(rng.normal(1.5, 0.4), 0.6, 2.6)])
    return lens, stage.look_at(place, (0, 0, rng.uniform(0.8, 1.0)), rng.normal(0, 0.02))


def group(rng, numbers, camera, pose, seconds=1.0):
    """Persons of `numbers` (of actors) side by side or behind each other, apart, each in view."""
    distance = np.linalg.norm(pose[:2, 3])
    towards = pose[:2, 3] / distance
    aside, chosen = np.array([-towards[1], towards[0]]), []
    for number in numbers:
        points = motion(number, int(rng.integers(40)), seconds)
        for _ in range(20):
            far = rng.uniform(-1.2, 0.5) if len(numbers) > 1 else rng.normal(0, 0.15)
            reach = (distance - far) * camera.width / camera.fx * (0.28 if len(numbers) > 1 else 0.08)
            spot = towards * far + aside * rng.uniform(-reach, reach)
            if all(np.linalg.norm(spot - other) > 0.75 for other, _ in chosen):
                break
        chosen.append((spot, Person(actor(number)[0], points + [*spot, 0])))
    return [person for _, person in chosen]


def random_shot(seed, numbers, size=(320, 240), index=0, camera=None):
    """The Shot of people `numbers` before a random camera, or (Camera, world_from_camera) `camera`; the same seed gives the same scene."""
    rng = np.random.default_rng((74, seed))
    view = camera or random_view(rng, *size)
    return shoot(group(rng, numbers, *view), *view, index, np.random.default_rng((75, seed, index)))


# ---- joints of other sets


def joints_of(keypoints, skeleton):
    """Joints (..., J, 3) of the sets of 3DMPPE, or of Human3.6M's 17, from key points (..., 27, 3)."""
    h36m = conversion(BODY21, H36M17)
    if skeleton == H36M17:
        return np.tensordot(keypoints[..., : len(BODY21), :], h36m, ([-2], [1])).swapaxes(-1, -2)
    matrix = np.zeros((len(skeleton), len(KEYPOINTS)))
    for row, name in enumerate(skeleton.joints):
        if (other := _NAMES.get((skeleton.name, name))) is not None:
            matrix[row, : len(BODY21)] = h36m[H36M17.index(other)]
        else:
            matrix[row, KEY["head_top" if (skeleton, name) == (MPII16, "head") else name]] = 1
    return np.tensordot(keypoints, matrix, ([-2], [1])).swapaxes(-1, -2)


_NAMES = {(MPII16.name, "neck"): "neck_nose", (MUCO21.name, "head"): "head", (MUPOTS17.name, "head"): "head"}


def pixels(keypoints, skeleton, camera):
    """Joints (..., J, 2) px, pixel centres counted from 0."""
    return project(joints_of(keypoints, skeleton), camera) - 0.5


def seen(shot, row, skeleton):
    """Which joints (J,) of a set can be seen; those that no joint of body21 is the same as are taken to be seen inside the picture."""
    points = pixels(shot.keypoints[row], skeleton, shot.camera)
    inside = ((points >= 0) & (points < (shot.camera.width, shot.camera.height))).all(1)
    known = np.array([shot.visible[row, BODY21.index(name)] if name in BODY21.joints else True for name in skeleton.joints])
    return inside & known

