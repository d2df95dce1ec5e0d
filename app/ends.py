"""How well the beginning of one track continues the end of another: place, motion and pose, in space where they are known there; the body; looks.

A term is 1 at its limit, and a pair of tracks is possible where no term is above it. In the picture lengths are in heights of the person's box. In
space they are metres of a body of common size, which a box cut by the picture's edge or by something in front does not change, and whoever was
hidden while walking on is found where they walked to.
"""

from typing import NamedTuple

import numpy as np

from core.geometry import project

WINDOW, WINDOW_IN_SPACE = 0.5, 0.7  # s at the end of a track from which its motion and size are taken
FADING, POSE_FADING = 0.5, 0.1  # s for which the velocity that a person or a joint had is believed
LONGEST, LONGEST_IN_SPACE, LONGEST_WITH_LOOKS = 2.0, 3.0, 8.0  # s of absence
TURNING = 1.6  # s of absence after which only those are found who walked on
LOOKS = 0.35  # largest cosine distance of appearances
HEIGHT = 1.77  # m that are a height
DEPTH = 0.15  # how much less a metre along the line of sight counts, for each metre from the camera
BODY = 0.25  # root mean square of the logarithms of the ratios of bones
PACE = (1.0, 2.5)  # m, m/s: further away nobody comes back


class End(NamedTuple):
    """A track at its first or last frame: time s, centre (2,) px, velocity (2,) px/s, height px, points (J, 2) px, and where it is in space."""

    time: float
    centre: np.ndarray
    velocity: np.ndarray
    height: float
    points: np.ndarray
    space: object = None


class Space(NamedTuple):
    """An end in camera axes: root (3,) m and its velocity (3,) m/s, joints (J, 3) m about the root and theirs, bones (B,) m of the whole track."""

    root: np.ndarray
    velocity: np.ndarray
    joints: np.ndarray
    motion: np.ndarray
    bones: np.ndarray


def end_of(track, side):
    """The End of a track at its last (-1) or first (0) frame."""
    near = np.abs(track.times - track.times[side]) <= WINDOW
    boxes = track.boxes[near].astype(np.float64)
    centres, heights = (boxes[:, :2] + boxes[:, 2:]) / 2, np.maximum(boxes[:, 3] - boxes[:, 1], 1)
    return End(float(track.times[side]), centres[side], _slope(track.times[near], centres), float(np.median(heights)), track.points[side])


def end_in_space(track, side, camera, bones):
    """The End of a track with joints3d and root, whose centre is then that of the body, seen or not; `bones` (B, 2) are (parent, child) joints.

    Without them it is that of `end_of`.
    """
    end = end_of(track, side)
    known = np.isfinite(track.root).all(1) & np.isfinite(track.joints3d).all((1, 2))
    near = known & (np.abs(track.times - track.times[side]) <= WINDOW_IN_SPACE)
    if not near.any():
        return end
    times, root, joints = track.times[near], track.root[near].astype(np.float64), track.joints3d[near].astype(np.float64)
    velocity = _slope(times, root)
    place = root.mean(0) + (end.time - times.mean()) * velocity
    soon = project(np.stack([place, place + 0.1 * velocity]), camera)
    lengths = np.median(np.linalg.norm(track.joints3d[known][:, bones[:, 1]] - track.joints3d[known][:, bones[:, 0]], axis=-1), axis=0)
    close = np.abs(times - times[side]) <= POSE_FADING + 1e-6
    motion = _slope(times[close], joints[close].reshape(close.sum(), -1)).reshape(joints.shape[1:])
    space = Space(place, velocity, joints[side], motion, np.maximum(lengths, 1e-3))
    return end._replace(space=space) if np.isnan(soon).any() else end._replace(space=space, centre=soon[0], velocity=10 * (soon[1] - soon[0]))


def _slope(times, values):
    """The velocity (D,) of values (T, D)."""
    since = times - times.mean()
    return since @ (values - values.mean(0)) / (since**2).sum() if len(times) > 2 else np.zeros(values.shape[1])


def possible(last, first, looks):
    """Whether two ends of `end_of` are worth a look in space: within time and reach, and not unlike."""
    gap, height = first.time - last.time, max(last.height, first.height)
    near = np.linalg.norm(first.centre - last.centre) / height <= PACE[0] + PACE[1] * gap
    return near and gap <= LONGEST_IN_SPACE if looks is None else looks <= LOOKS and gap <= LONGEST_WITH_LOOKS


def cost(last, first, looks, picture):
    """How badly a track that begins as `first` continues one that ended as `last`; infinite where a limit is passed.

    `looks` is the cosine distance of their appearances or None, `picture` (width, height) px.
    """
    gap, space = first.time - last.time, last.space is not None and first.space is not None
    longest = LONGEST_IN_SPACE if space else LONGEST
    if gap > (longest if looks is None else LONGEST_WITH_LOOKS):
        return np.inf
    reach = FADING * (1 - np.exp(-gap / FADING))
    ahead, back = last.centre + reach * last.velocity, first.centre - reach * first.velocity
    far = ((ahead < 0) | (ahead > picture)).any() or ((back < 0) | (back > picture)).any() or gap > longest  # out of sight: only looks tell
    if far and looks is None:
        return np.inf
    terms = _in_space(last.space, first.space, gap, far) if space else _in_picture(last, first, gap, ahead, back, far)
    terms += [] if looks is None else [looks / LOOKS]
    return float(np.sum(np.square(terms))) if max(terms) <= 1 else np.inf


def _in_picture(last, first, gap, ahead, back, far):
    size = abs(np.log(first.height / last.height)) / min(0.25 + 0.15 * gap, 0.5)
    if far:
        return [size]
    height = (last.height + first.height) / 2
    distance = (np.linalg.norm(ahead - first.centre) + np.linalg.norm(back - last.centre)) / 2
    return [distance / height / _room(gap), size, _pose_distance(last, first) / height / (0.12 + 0.2 * gap)]


def _in_space(last, first, gap, far):
    """Body, place and pose. Who walked on is where the way went; who stopped or turned is half way between, and is believed half as much."""
    body = np.sqrt(np.mean(np.log(first.bones / last.bones) ** 2)) / BODY
    depth, way = (last.root[2] + first.root[2]) / 2, first.root - last.root
    less = 1 / np.array([1, 1, 1 + DEPTH * depth])
    miss = np.stack([way - gap * last.velocity, way - gap * first.velocity])
    on = np.linalg.norm(less * miss, axis=1).mean() / (0.3 + 0.3 * gap)
    turned = np.linalg.norm(less * miss.mean(0)) / (HEIGHT * _room(gap))
    place = on if on <= 1 or gap > TURNING else np.sqrt((1 + turned**2) / 2)
    if far:  # the place only says who is the likelier one
        distance = np.hypot(np.linalg.norm(way[:2]), max(abs(way[2]) - 2 * DEPTH * depth, 0))
        return [body, min(place, 1), distance / (PACE[0] + PACE[1] * gap)]
    reach = POSE_FADING * (1 - np.exp(-gap / POSE_FADING)) / 2
    pose = np.linalg.norm(last.joints + reach * last.motion - first.joints + reach * first.motion, axis=1).mean()
    return [body, place, pose / HEIGHT / (0.12 + 0.2 * gap)]


def _room(gap):
    """How far, in heights, from where they were expected people may be."""
    return min(0.25 + 0.4 * gap, 0.8)


def _pose_distance(last, first):
    """Mean distance px of the joints known at both ends, both about their own centre; 0 when there are fewer than three."""
    both = np.isfinite(last.points).all(-1) & np.isfinite(first.points).all(-1)
    if both.sum() < 3:
        return 0.0
    a, b = last.points[both], first.points[both]
    return float(np.linalg.norm((a - a.mean(0)) - (b - b.mean(0)), axis=1).mean())
