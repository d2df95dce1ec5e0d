"""Scenes put together by chance from a seed: who, wearing what, doing what, under which light, before which camera."""

from fractions import Fraction

import numpy as np

from core.geometry import project
from core.records import Camera
from synthetic import backgrounds
from synthetic.bodies import Body
from synthetic.kinematics import Step, perform
from synthetic.looks import random_look
from synthetic.motions import ACTIONS, random_style
from synthetic.raster import Light
from synthetic.scenes import Person, Scene
from synthetic.shapes import KEY, random_shape

PELVIS = KEY["pelvis"]


def look_at(position, target, roll=0.0):
    """world_from_camera (4, 4) of a camera at `position` looking at `target` (3,) m, turned by `roll` radians about its axis."""
    forward = np.asarray(target, float) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1.0))
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    turned = np.cos(roll) * right + np.sin(roll) * down
    pose = np.eye(4)
    pose[:3] = np.column_stack([turned, np.cross(forward, turned), forward, position])
    return pose


def random_camera(rng, width, height, near=3.5, far=8.0):
    """A Camera and its world_from_camera that looks at about the origin: 35 to 80 degrees across the longer side, eye to ceiling height."""
    camera = Camera.from_fov(width, height, rng.uniform(35, 80), guessed=False)
    distance = rng.uniform(near, far) * 0.26 * camera.fy / height * 2
    distance, azimuth = np.clip(distance, 2.2, 14), rng.uniform(0, 2 * np.pi)
    rise = np.clip(rng.normal(1.5, 0.45), 0.5, 2.9)
    position = np.array([distance * np.cos(azimuth), distance * np.sin(azimuth), rise])
    return camera, look_at(position, (*rng.normal(0, 0.15, 2), rng.uniform(0.75, 1.05)), rng.normal(0, 0.02))


def random_light(rng):
    """A lamp from above at 30 to 80 degrees, sun or overcast, a little warm or cold; axes of the world."""
    height, azimuth = np.radians(rng.uniform(30, 80)), rng.uniform(0, 2 * np.pi)
    towards = np.array([np.cos(height) * np.cos(azimuth), np.cos(height) * np.sin(azimuth), np.sin(height)])
    direct = rng.uniform(0.1, 0.8)
    return Light(towards, np.array([0, 0, 1.0]), direct, rng.uniform(0.95, 1.25) - 0.65 * direct, 1 + rng.uniform(-0.12, 0.12) * np.array([1, 0.2,
                                                                                                                                           -1]))


def random_body(rng):
    return Body(random_shape(rng), random_look(rng))


def random_plan(rng, seconds):
    """Steps that fill about `seconds`: walking half of the time, turning, and the other actions."""
    plan, left = [], seconds
    while left > 0:
        action = "walk" if rng.random() < 0.45 else str(rng.choice(list(ACTIONS)))
        span = min(rng.uniform(1.5, 3.5), max(left, 0.8))
        turn = rng.normal(0, 70) if action in ("walk", "run", "sidestep") else rng.normal(0, 15)
        plan.append(Step(action, span, turn))
        left -= span
    return plan


def place(points, spot, yaw):
    """Key points (T, 27, 3) turned by `yaw` radians about the vertical, the middle of the pelvis' path moved over `spot` (2,)."""
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    points = points @ turn.T
    return points - np.array([*(points[:, PELVIS, :2].mean(0) - spot), 0])


def _apart(points, others):
    """The least distance in metres between the pelvis of one and those of the others at any time; infinite without others."""
    if not others:
        return np.inf
    return min(np.linalg.norm(points[:, PELVIS, :2] - other[:, PELVIS, :2], axis=1).min() for other in others)


def in_picture(points, camera, to_camera):
    """The share of the key points (T, K, 3) of each frame that lie in the picture (T,)."""
    seen = points @ to_camera[:3, :3].T + to_camera[:3, 3]
    pixels = project(seen, camera)
    with np.errstate(invalid="ignore"):
        return ((pixels > 0) & (pixels < (camera.width, camera.height))).all(-1).mean(1)


def in_view(points, camera, to_camera):
    """The share of key points of all frames that lie in the picture."""
    return in_picture(points[::5], camera, to_camera).mean()


def cast(rng, count, frames, rate, camera, pose, plans, spread, tries=8, wish=in_view):
    """`count` Persons who keep apart and are as wished as far as `tries` motions in 25 places each allow.

    wish(key points (T, 27, 3), camera, to_camera) is 1 where a motion is as it should be, else less.
    """
    to_camera, chosen, people = np.linalg.inv(pose), [], []
    for _ in range(count):
        shape, style, best = random_shape(rng), random_style(rng), (-np.inf, None)
        for attempt in range(25 * tries):
            if attempt % 25 == 0:
                motion = perform(shape, plans(rng), rate, style)[:frames]
            placed = place(motion, rng.normal(0, spread, 2), rng.uniform(0, 2 * np.pi))
            merit = wish(placed, camera, to_camera) - 3 * max(0, 0.55 - _apart(placed, chosen))
            best = max(best, (merit, placed), key=lambda pair: pair[0])
            if merit > 0.99:
                break
        chosen.append(best[1])
        people.append(Person(Body(shape, random_look(rng)), best[1]))
    return tuple(people)


def random_scene(seed, people=3, width=640, height=360, seconds=4.0, fps=25, shake=None, background=None, camera=None):
    """A Scene of `people` doing this and that.

    `camera` is a (Camera, world_from_camera) pair instead of a random one, `shake` degrees of wandering (None: sometimes), `background` a
    picture (height, width, 3) uint8 RGB instead of a random place. The same seed gives the same scene.
    """
    rng, rate = np.random.default_rng(seed), float(fps)
    camera, pose = camera or random_camera(rng, width, height)
    frames = max(1, round(seconds * rate))
    chosen = cast(rng, people, frames, rate, camera, pose, lambda rng: random_plan(rng, seconds + 0.1), 0.9)
    wander = shake if shake is not None else rng.choice([0, 0, 0.4])
    return scene(rng, chosen, camera, pose, fps, wander, background, seed, frames)


def crossing_scene(seed, people=3, width=640, height=360, seconds=6.0, fps=25, background=None, shake=0.0):
    """A Scene of people who walk, turn round and cross each other's way before a camera (still but for `shake`), all in view nearly all the time."""
    rng, rate = np.random.default_rng(seed), float(fps)
    camera, pose = random_camera(rng, width, height, 6.0, 8.5)

    def plan(rng):
        first, turning = seconds * rng.uniform(0.28, 0.42), seconds * rng.uniform(0.22, 0.3)
        return [Step("walk", first, rng.normal(0, 15)), Step("walk", turning, rng.choice([-1, 1]) * rng.uniform(140, 190)),
                Step("walk", seconds - first - turning + 0.1, rng.normal(0, 15))]

    frames = max(1, round(seconds * rate))
    chosen = cast(rng, people, frames, rate, camera, pose, plan, 0.5)
    return scene(rng, chosen, camera, pose, fps, shake, background, seed, frames)


def scene(rng, people, camera, pose, fps, shake, background, seed, frames):
    """A Scene of Persons under a random light; `background` None draws a random place."""
    light = random_light(rng)
    behind = backgrounds.place(rng, camera, pose) if background is None else np.asarray(background, np.float32) / 255
    return Scene(people, camera, pose, light, behind, Fraction(fps), float(shake), float(rng.uniform(0.004, 0.02)), True, seed, frames)
