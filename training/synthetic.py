"""Synthetic people for training: crops for the pose networks and pictures for the detector, drawn from pools that are made once.

Bodies, motions and backdrops are pure functions of a small number, so that every worker keeps its own cache and the same generator
gives the same samples.
"""

import functools
from typing import NamedTuple

import cv2
import numpy as np

from core.geometry import apply_affine, crop_matrix, project
from core.records import Camera
from synthetic import backgrounds, stage
from synthetic.kinematics import Step, perform
from synthetic.motions import ACTIONS, random_style
from synthetic.scenes import Person, Scene
from synthetic.shapes import KEY, random_shape
from training.datasets.mocap import body21

BODIES, MOTIONS, BACKDROPS = 400, 300, 120
PELVIS = KEY["pelvis"]
PASSING = 0.4  # of the people in a picture: close before or behind somebody, as when they meet


class Sample(NamedTuple):
    """A crop of one person: image (h, w, 3) uint8, points (21, 2) px in it, visible (21,), joints (21, 3) m in camera axes, the crop's camera."""

    image: np.ndarray
    points: np.ndarray
    visible: np.ndarray
    joints: np.ndarray
    camera: Camera


@functools.lru_cache(BODIES)
def _body(number):
    return stage.random_body(np.random.default_rng((1, number)))


@functools.lru_cache(MOTIONS)
def _motion(number):
    """Some seconds (T, 27, 3) of one action melting into another."""
    rng = np.random.default_rng((2, number))
    first, second = rng.choice(list(ACTIONS), 2)
    return perform(random_shape(rng), [Step(str(first), 2, rng.normal(0, 60)), Step(str(second), 2, rng.normal(0, 30))], 12, random_style(rng))


@functools.lru_cache(BACKDROPS)
def _backdrop(number):
    """A background (480, 640, 3) uint8 RGB of one of our kinds."""
    rng = np.random.default_rng((3, number))
    kind = rng.choice(["place", "clutter", "blotches", "gradient"], p=[0.45, 0.3, 0.15, 0.1])
    image = backgrounds.place(rng, *stage.random_camera(rng, 640, 480), 2) if kind == "place" else getattr(backgrounds, kind)(rng, 640, 480)
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


def backdrop(rng, size, pictures=None):
    """A background of `size` (width, height): a part of one of ours, or mostly of `pictures` (RGB uint8 arrays without people) when given."""
    image = pictures[rng.integers(len(pictures))] if pictures and rng.random() < 0.8 else _backdrop(int(rng.integers(BACKDROPS)))
    height, width = image.shape[:2]
    scale = max(size[0] / width, size[1] / height) * np.exp(rng.uniform(0, 1.0))
    spare = np.array([width * scale - size[0], height * scale - size[1]])
    shift = -rng.random(2) * np.maximum(spare, 0)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    if rng.random() < 0.5:
        matrix = np.array([[-scale, 0, size[0] - shift[0]], [0, scale, shift[1]]])
    return cv2.warpAffine(image, matrix, tuple(map(int, size)), borderMode=cv2.BORDER_REFLECT)


def recorded(path, split="train", stride=10):
    """Key points (N, 27, 3) m of every `stride`-th frame of a mocap npz in Human3.6M's layout; heels and finger tips are guessed."""
    with np.load(path) as data:
        count = len(data["clip_start"]) - 1
        splits = data["clip_split"] if "clip_split" in data else np.full(count, "train")
        rows = np.concatenate([np.arange(*data["clip_start"][i:i + 2], stride) for i in np.flatnonzero(splits == split)])
        old, root = data["joints_rel"][rows].astype(np.float32), data["root"][rows]
        joints = body21(old, data["head_forward"][rows].astype(np.float32))
        ball = data["toes_rel"][rows].astype(np.float32)
    points = np.concatenate([joints, np.zeros((len(rows), 6, 3))], 1)
    for k, side in enumerate(("left", "right")):
        knee, ankle, elbow, wrist = (points[:, KEY[f"{side}_{name}"]] for name in ("knee", "ankle", "elbow", "wrist"))
        down = (ankle - knee) / np.linalg.norm(ankle - knee, axis=1, keepdims=True)
        along = ball[:, k] - ankle
        along -= down * (along * down).sum(1, keepdims=True) * 0.75
        along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
        sole = np.cross(np.cross(along, down), along)
        sole /= np.maximum(np.linalg.norm(sole, axis=1, keepdims=True), 1e-6)
        points[:, KEY[f"{side}_heel"]] = ankle - 0.065 * along + 0.068 * sole
        points[:, KEY[f"{side}_toe"]] = ankle + 0.19 * along + 0.068 * sole
        points[:, KEY[f"{side}_hand"]] = wrist + (wrist - elbow) / np.linalg.norm(wrist - elbow, axis=1, keepdims=True) * 0.17
    return points + root[:, None]


def _pose(rng, poses):
    """Key points (27, 3) of a random moment, standing at the origin, facing anywhere; from `poses` (N, 27, 3) half of the time when given."""
    if poses is not None and rng.random() < 0.6:
        points = poses[rng.integers(len(poses))]
    else:
        motion = _motion(int(rng.integers(MOTIONS)))
        points = motion[rng.integers(len(motion))]
    return stage.place(points[None], np.zeros(2), rng.uniform(0, 2 * np.pi))


def random_sample(rng, size=(192, 256), pictures=None, poses=None):
    """A Sample of `size` (width, height): one body, sometimes others and things before and behind it, its box 1.25 times enlarged on average."""
    camera, pose = stage.random_camera(rng, 640, 480, 2.5, 7)
    pose = _tilted(rng, pose)
    person = Person(_body(int(rng.integers(BODIES))), _pose(rng, poses))
    inner = np.linalg.inv(pose)
    pixels = project(person.points[0] @ inner[:3, :3].T + inner[:3, 3], camera)
    box = np.concatenate([pixels.min(0), pixels.max(0)])
    extent = (box[2:] - box[:2]).max()
    box = box + np.tile(rng.normal(0, 0.04, 2) * extent, 2) + np.array([-0.03, -0.03, 0.03, 0.03]) * extent
    matrix = crop_matrix(box, size, 1.25 * np.exp(np.clip(rng.normal(0, 0.15), -0.4, 0.4)))
    near = Camera(*size, camera.fx * matrix[0, 0], camera.fy * matrix[1, 1], *apply_affine(matrix, np.array([camera.cx, camera.cy])))
    people = [person] + [_neighbour(rng, poses, pose) for _ in range(rng.choice(3, p=[0.65, 0.25, 0.10]))]
    behind = backdrop(rng, size, pictures).astype(np.float32) / 255
    scene = Scene(tuple(people), near, pose, stage.random_light(rng), behind, grain=rng.uniform(0, 0.03), floor=bool(rng.random() < 0.6),
                  seed=int(rng.integers(1 << 30)))
    image, truth = scene.frame(0)
    row = np.flatnonzero(truth.ids == 1)
    if not len(row):
        return random_sample(rng, size, pictures, poses)
    visible = truth.visible[row[0]].copy()
    if rng.random() < 0.2:
        _cover(rng, image, truth.points[row[0]], visible)
    return Sample(image, truth.points[row[0]], visible, truth.joints[row[0]], near)


def _tilted(rng, pose):
    """The camera now and then high above or low below, still looking at the body."""
    if rng.random() > 0.15:
        return pose
    distance, azimuth, height = np.linalg.norm(pose[:2, 3]), rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(-15, 65))
    position = distance * np.array([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)]) + (0, 0, 0.9)
    return stage.look_at(position, (0, 0, 0.9), rng.normal(0, 0.1))


def _neighbour(rng, poses, pose):
    """Somebody else within a metre or two, before or behind, but not between the camera's nose and its lens."""
    towards = pose[:2, 3] / np.linalg.norm(pose[:2, 3])
    spot = towards * rng.uniform(-2.5, 0.7) + np.array([-towards[1], towards[0]]) * rng.normal(0, 0.5)
    return Person(_body(int(rng.integers(BODIES))), _pose(rng, poses) + np.array([*spot, 0]))


def _cover(rng, image, points, visible):
    """A thing in front of a part of the body, in place."""
    height, width = image.shape[:2]
    middle = points[rng.integers(len(points))] + rng.normal(0, 10, 2)
    corners = cv2.boxPoints((tuple(map(float, middle)), tuple(map(float, rng.uniform(0.08, 0.45, 2) * height)), float(rng.uniform(0, 90))))
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, np.rint(corners).astype(np.int32), 255)
    image[mask > 0] = backdrop(rng, (width, height))[mask > 0]
    inside = ((points >= 0) & (points < (width, height))).all(1)
    column, row = points[inside].astype(int).T
    visible[inside] &= mask[row, column] == 0


def random_picture(rng, size=(640, 480), pictures=None, poses=None, least=0.2, crowd=6):
    """(image (h, w, 3) uint8, boxes (N, 4) px around what can be seen) of up to `crowd` people; those shown less than `least` have no box."""
    camera, pose = stage.random_camera(rng, *size, 3, 11)
    reach = np.linalg.norm(pose[:2, 3])
    towards, spots = pose[:2, 3] / reach, []
    for _ in range(rng.integers(0, crowd + 1)):
        if spots and rng.random() < PASSING:
            far, aside = spots[rng.integers(len(spots))] + rng.normal(0, (0.8, 0.3))
        else:
            far = rng.uniform(-1.2 * reach, 0.6 * reach)
            aside = (reach - far) * size[0] / camera.fx * rng.uniform(-0.52, 0.52)
        spots.append((min(far, 0.7 * reach), aside))
    places = [towards * far + np.array([-towards[1], towards[0]]) * aside for far, aside in spots]
    people = [Person(_body(int(rng.integers(BODIES))), _pose(rng, poses) + np.array([*place, 0])) for place in places]
    own = rng.random() < 0.3 and not pictures
    behind = backgrounds.place(rng, camera, pose, 2) if own else backdrop(rng, size, pictures).astype(np.float32) / 255
    if not people:
        return (behind * 255).astype(np.uint8), np.zeros((0, 4), np.float32)
    image, truth = Scene(tuple(people), camera, pose, stage.random_light(rng), behind, grain=rng.uniform(0, 0.03),
                         seed=int(rng.integers(1 << 30))).frame(0)
    return image, truth.seen_boxes[truth.shown >= least]


