"""Scenes in which people are out of sight for a while and come back: out of the picture, or behind something that stands before everybody."""

from dataclasses import replace

import numpy as np

from synthetic import backgrounds, stage
from synthetic.kinematics import Step


def leaving_scene(seed, people=3, width=640, height=360, seconds=8.0, fps=25, background=None, away=(0.8, 4.0)):
    """A Scene of people who walk out of the picture, turn round and come back, each after `away` seconds as far as chance allows."""
    rng, rate = np.random.default_rng(seed), float(fps)
    camera, pose = stage.random_camera(rng, width, height, 6.0, 8.5)

    def plan(rng):
        first, turning = seconds * rng.uniform(0.25, 0.4), seconds * rng.uniform(0.12, 0.25)
        return [Step("walk", first, rng.normal(0, 10)), Step("walk", turning, rng.choice([-1, 1]) * rng.uniform(150, 200)),
                Step("walk", seconds - first - turning + 0.1, rng.normal(0, 10))]

    def wish(points, camera, to_camera):
        seen = stage.in_picture(points[::3], camera, to_camera)
        second = max(1, round(rate / 3))
        gone = longest(seen < 0.02) * 3 / rate
        return (seen[:second].mean() + seen[-second:].mean() + (away[0] <= gone <= away[1])) / 3

    frames = max(1, round(seconds * rate))
    chosen = stage.cast(rng, people, frames, rate, camera, pose, plan, 1.8, wish=wish)
    return stage.scene(rng, chosen, camera, pose, fps, 0.0, background, seed, frames)


def hidden_scene(seed, people=3, width=640, height=360, seconds=6.0, fps=25, background=None, hidden=(0.7, 1.4)):
    """A Scene of people who walk behind a wall in the middle of the picture, each wholly hidden for `hidden` seconds as far as chance allows."""
    rng, rate = np.random.default_rng(seed), float(fps)
    camera, pose = stage.random_camera(rng, width, height, 6.0, 8.5)
    reach = np.hypot(*pose[:2, 3])
    half = 0.95 * camera.fx / reach  # the wall is 1.9 m wide where people walk
    left, right = int(width / 2 - half), int(width / 2 + half)

    def wish(points, camera, to_camera):
        return stage.in_view(points, camera, to_camera) - (0 if hidden[0] <= longest(_between(points[::3], camera, to_camera, left, right)) * 3 / rate
                                                           <= hidden[1] else 0.5)

    frames = max(1, round(seconds * rate))
    chosen = stage.cast(rng, people, frames, rate, camera, pose, lambda rng: [Step("walk", seconds + 0.1, rng.normal(0, 20))], 1.2, wish=wish)
    front = np.zeros((height, width, 4), np.float32)
    front[:, left:right] = np.concatenate([backgrounds.gradient(rng, right - left, height), np.ones((height, right - left, 1))], 2)
    scene = stage.scene(rng, chosen, camera, pose, fps, 0.0, background, seed, frames)
    return replace(scene, front=front)


def longest(flags):
    """The length of the longest run of True in flags (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _between(points, camera, to_camera, left, right):
    """In which frames all key points (T, K, 3) lie between two columns of the picture."""
    seen = points @ to_camera[:3, :3].T + to_camera[:3, 3]
    column = camera.fx * seen[..., 0] / seen[..., 2] + camera.cx
    return ((seen[..., 2] > 0) & (column > left) & (column < right)).all(1)
