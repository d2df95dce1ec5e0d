"""Motions made by hand for the tests of pictures and files: people who walk in circles before a camera."""

from fractions import Fraction

import numpy as np

from core.geometry import project
from core.records import Camera, Motion, Track, VideoInfo
from core.skeletons import BODY21
from training.datasets.mocap import Mocap

_REST = {"nose": (0.11, 0, 1.60), "left_eye": (0.09, 0.03, 1.64), "right_eye": (0.09, -0.03, 1.64), "left_ear": (0, 0.075, 1.61),
         "right_ear": (0, -0.075, 1.61), "left_shoulder": (0, 0.18, 1.42), "right_shoulder": (0, -0.18, 1.42), "left_hip": (0, 0.1, 0.93),
         "right_hip": (0, -0.1, 0.93), "pelvis": (0, 0, 0.95), "spine": (0, 0, 1.2), "thorax": (0, 0, 1.43), "head_top": (0, 0, 1.76)}


def walker(phase, size=1.0):
    """Joints (21, 3) m of a walking body: x ahead, y to its left, z up, feet near 0."""
    joints = {name: np.array(place, float) for name, place in _REST.items()}
    for side, shift in (("left", 0.0), ("right", np.pi)):
        swing, lift = 0.45 * np.sin(phase + shift), 0.5 + 0.5 * np.cos(phase + shift + 0.6)
        joints[f"{side}_knee"] = joints[f"{side}_hip"] + 0.43 * np.array([np.sin(swing + 0.15), 0, -np.cos(swing + 0.15)])
        bend = swing - 0.75 * lift + 0.1
        joints[f"{side}_ankle"] = joints[f"{side}_knee"] + 0.42 * np.array([np.sin(bend), 0, -np.cos(bend)])
        out = 0.08 if side == "left" else -0.08
        joints[f"{side}_elbow"] = joints[f"{side}_shoulder"] + 0.29 * np.array([np.sin(-0.8 * swing), out, -np.cos(0.8 * swing)])
        joints[f"{side}_wrist"] = joints[f"{side}_elbow"] + 0.25 * np.array([np.sin(0.5 - 0.8 * swing), 0, -np.cos(0.5 - 0.8 * swing)])
    pose = np.stack([joints[name] for name in BODY21.joints])
    pose[:, 2] -= min(pose[BODY21.index("left_ankle"), 2], pose[BODY21.index("right_ankle"), 2]) - 0.06
    return pose * size


def filmed(width=640, height=480, height_m=1.5, pitch=8.0):
    """A camera and its world_from_camera: `height_m` above the floor at the world's origin, looking along +y, `pitch` degrees down."""
    camera = Camera.from_fov(width, height, 55.0)
    low = np.radians(pitch)
    world = np.eye(4)
    world[:3, :3] = np.array([[1, 0, 0], [0, -np.sin(low), np.cos(low)], [0, -np.cos(low), -np.sin(low)]])
    world[:3, 3] = (0, 0, height_m)
    return camera, world


def walking(people=2, frames=50, width=640, height=480, fps=Fraction(25)):
    """A motion of people who walk on circles, 4 to 6 metres from the camera."""
    camera, world = filmed(width, height)
    tracks = {i + 1: _track(i, people, frames, fps, camera, world) for i in range(people)}
    return Motion(VideoInfo(width, height, fps, frames), camera, world, BODY21, BODY21, tracks)


def _track(i, people, frames, fps, camera, world):
    times = np.arange(frames) / float(fps)
    heading = 0.8 * times + 2 * np.pi * i / max(people, 1)
    poses = np.stack([walker(5.5 * t + i, 1 - 0.08 * i) for t in times])
    cosine, sine = np.cos(heading + np.pi / 2), np.sin(heading + np.pi / 2)
    turn = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)
    turned = np.concatenate([poses[..., :2] @ np.swapaxes(turn, -1, -2), poses[..., 2:]], -1)
    turned[..., :2] += (np.stack([1.2 * np.cos(heading), 5 + 1.2 * np.sin(heading)], -1))[:, None]
    seen = (turned - world[:3, 3]) @ world[:3, :3]
    root = seen[:, BODY21.root]
    points = project(seen, camera)
    boxes = np.concatenate([points.min(1) - 8, points.max(1) + 8], 1)
    scores = np.full(points.shape[:2], 0.9)
    return Track(i + 1, np.arange(frames), times, boxes, points, scores, seen - root[:, None], root, np.ones(frames, bool))


def swinging(count, seed=0):
    """A procedural body21 (T, 21, 3) m that swings its limbs and turns, z up, facing y at first, and its path (T, 3)."""
    rest = {"pelvis": (0, 0, 0), "left_hip": (-0.1, 0, 0), "left_knee": (-0.1, 0.02, -0.42), "left_ankle": (-0.1, 0, -0.84), "spine": (0, 0, 0.23),
            "thorax": (0, 0, 0.47), "nose": (0, 0.12, 0.64), "left_eye": (-0.03, 0.1, 0.68), "left_ear": (-0.07, 0.02, 0.66),
            "head_top": (0, 0.02, 0.8), "left_shoulder": (-0.18, 0, 0.46), "left_elbow": (-0.22, 0, 0.18), "left_wrist": (-0.22, 0.1, -0.06)}
    rest |= {name.replace("left", "right"): (-x, y, z) for name, (x, y, z) in rest.items() if name.startswith("left")}
    points = np.repeat(np.array([rest[name] for name in BODY21.joints])[None], count, 0)
    phase = np.arange(count) / 30 * 2 * np.pi * 0.9 + seed
    for side, sign in (("left", 1), ("right", -1)):
        for name, reach in (("knee", 0.15), ("ankle", 0.3), ("elbow", -0.1), ("wrist", -0.25)):
            points[:, BODY21.index(f"{side}_{name}"), 1] += sign * reach * np.sin(phase)
    angle = np.arange(count) / 30 * 0.6 + seed
    turn = np.array([[np.cos(angle), -np.sin(angle), 0 * angle], [np.sin(angle), np.cos(angle), 0 * angle], [0 * angle, 0 * angle, 1 + 0 * angle]])
    return np.einsum("ijt,tkj->tki", turn, points), np.stack([np.sin(angle), np.cos(angle), 0 * angle], 1)


def recorded():
    """Motion capture of the one who swings: two clips."""
    parts = [swinging(90), swinging(70, 1)]
    joints, root = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Mocap(joints.astype(np.float16), root.astype(np.float32), np.array([0, 90, 160]), np.array([30.0, 30.0]), np.array([1.7, 1.8]))
