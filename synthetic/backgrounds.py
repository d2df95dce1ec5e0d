"""What stands behind the people: rooms and open ground by ray casting, gradients, noise and blotches. RGB float32 (H, W, 3) from 0 to 1."""

import cv2
import numpy as np

from core.geometry import rays
from synthetic.looks import _cloth as colour


def noise(rng, height, width, coarse=6, octaves=4):
    """Smooth random texture (H, W) of mean 0 and about unit size, `coarse` cells across at its coarsest."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cells = coarse * 2**octave
        grid = rng.normal(size=(max(2, round(cells * height / width)), cells)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 1.7**octave
    return total / 1.6


def gradient(rng, width, height):
    """A slanted run from one colour to another, with some blotches and stripes."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    run = ((x / width - 0.5) * np.cos(angle) + (y / height - 0.5) * np.sin(angle) + 0.5)[..., None]
    first, second = colour(rng), colour(rng)
    image = first + run * (second - first) + rng.uniform(0, 0.12) * noise(rng, height, width)[..., None]
    return np.clip(image, 0, 1).astype(np.float32)


def blotches(rng, width, height):
    """Irregular areas of a few colours, as of foliage, crowds or walls out of focus."""
    levels, image = noise(rng, height, width, int(rng.integers(3, 14))), np.zeros((height, width, 3), np.float32)
    image[:] = colour(rng)
    for cut in np.sort(rng.normal(0, 0.9, rng.integers(2, 6))):
        image[levels > cut] = colour(rng)
    image += rng.uniform(0.02, 0.12) * noise(rng, height, width, 40, 3)[..., None]
    blur = rng.uniform(0.3, 3)
    return np.clip(cv2.GaussianBlur(image, (0, 0), blur), 0, 1)


def clutter(rng, width, height):
    """Overlapping boxes, discs and strokes of many sizes over one of the plain backgrounds."""
    image = gradient(rng, width, height) if rng.random() < 0.5 else blotches(rng, width, height)
    for _ in range(rng.integers(3, 25)):
        middle, size = rng.uniform(0, (width, height)), rng.uniform(0.02, 0.4, 2) * height
        tone, kind = tuple(map(float, colour(rng))), rng.random()
        box = cv2.boxPoints((tuple(map(float, middle)), tuple(map(float, size)), float(rng.uniform(0, 90) if kind < 0.4 else 0)))
        if kind < 0.7:
            cv2.fillConvexPoly(image, np.rint(box).astype(np.int32), tone, cv2.LINE_AA)
        elif kind < 0.85:
            cv2.ellipse(image, tuple(map(int, middle)), tuple(map(int, size / 2)), 0, 0, 360, tone, -1, cv2.LINE_AA)
        else:
            cv2.line(image, tuple(map(int, box[0])), tuple(map(int, box[2])), tone, int(rng.integers(1, 12)), cv2.LINE_AA)
    return image


# ---- places seen by a camera


def _surface(rng, u, v, fineness):
    """Colours (N, 3) of a plane at metres u, v (N,): plain, tiles, planks, stripes or bricks, with stains; `fineness` (N,) fades detail far away."""
    base = colour(rng, 0.75)
    base = np.clip(base + rng.uniform(0.2, 0.8) * (base.mean() - base), 0.15, 0.92)
    kind = rng.choice(["plain", "tiles", "planks", "stripes", "bricks"])
    size, tone = rng.uniform(0.25, 1.2), np.zeros_like(u)
    if kind == "tiles":
        tone = ((np.floor(u / size) + np.floor(v / size)) % 2 - 0.5) * rng.uniform(0.05, 0.5)
    elif kind == "planks":
        tone = np.sin(np.floor(u / (size / 4)) * 91.7) * 0.09 + ((u / (size / 4)) % 1 < 0.05) * -0.2
    elif kind == "stripes":
        tone = ((u / (size / 2)) % 1 < 0.5) * rng.uniform(-0.25, 0.25)
    elif kind == "bricks":
        row = np.floor(v / 0.08)
        tone = -0.25 * (((v / 0.08) % 1 < 0.12) | (((u + 0.12 * (row % 2)) / 0.24) % 1 < 0.05)) + 0.06 * np.sin(row * 37 + np.floor(u / 0.24) * 17)
    stains = sum(np.sin(u * rng.uniform(0.3, 3) + v * rng.uniform(-3, 3) + rng.uniform(0, 6)) for _ in range(5)) * 0.02
    return base * (1 + (tone * fineness + stains))[:, None]


def place(rng, camera, world_from_camera, coarse=1, open_air=None):
    """The floor and what is around it, seen by a camera: a furnished room, or open ground under a sky.

    `world_from_camera` (4, 4) has its floor at z = 0. Walls stand at least 3 m from the origin. `coarse` pixels are made as one.
    """
    y, x = np.mgrid[:camera.height:coarse, :camera.width:coarse] + coarse / 2
    plane = rays(np.stack([x, y], -1), camera)
    direction = np.concatenate([plane, np.ones_like(plane[..., :1])], -1).reshape(-1, 3) @ world_from_camera[:3, :3].T
    outside = rng.random() < 0.4 if open_air is None else open_air
    image = (_ground if outside else _room)(rng, world_from_camera[:3, 3], direction).reshape(*x.shape, 3).astype(np.float32)
    soft = cv2.GaussianBlur(image, (0, 0), 0.7)
    return np.clip(cv2.resize(soft, (camera.width, camera.height), interpolation=cv2.INTER_LINEAR), 0, 1)


def _reach(origin, direction, axis, value):
    """Distance along rays (N, 3) to the plane `axis` = `value`, infinite where they leave it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = (value - origin[axis]) / direction[:, axis]
    return np.where(distance > 1e-3, distance, np.inf)


def _ground(rng, origin, direction):
    """Ground to the horizon, a sky, and a row of trees or houses between."""
    unit = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    top, low = colour(rng, 0.3) * 0.3 + (0.25, 0.4, 0.65), np.array([0.8, 0.83, 0.86])
    image = low + np.clip(unit[:, 2:] * 2.5, 0, 1) * (top - low)
    azimuth = np.arctan2(unit[:, 1], unit[:, 0])
    for _ in range(rng.integers(1, 4)):
        steps, height = rng.integers(4, 30), rng.uniform(0.05, 0.4)
        houses = 0.6 + 0.4 * np.sin(np.floor(azimuth * steps) * 12.9898)
        hills = 0.7 + 0.3 * np.sin(azimuth * steps) * np.sin(azimuth * 7.3)
        skyline = height * (houses if rng.random() < 0.5 else hills)
        hidden = unit[:, 2] < skyline
        windows = 0.12 * ((azimuth * 60 % 1 < 0.5) & (unit[:, 2] * 60 % 1 < 0.5))
        image[hidden] = (colour(rng) * 0.8 * np.ones((len(unit), 1)) + windows[:, None])[hidden]
    far = _reach(origin, direction, 2, 0.0)
    floor = np.isfinite(far) & (far < 400)
    hit = origin + direction[floor] * far[floor, None]
    image[floor] = _surface(rng, hit[:, 0], hit[:, 1], 1 / (1 + (far[floor] / 15) ** 2))
    return image


def _room(rng, origin, direction):
    """Floor, ceiling, four walls with pictures and windows, and boxes of furniture along them."""
    half = np.maximum(np.abs(origin[:2]) + 0.5, rng.uniform(3, 7, 2))
    ceiling = max(rng.uniform(2.4, 4), origin[2] + 0.3)
    nearest, image = np.full(len(direction), np.inf), np.zeros((len(direction), 3))
    planes = [(2, 0.0, 1.0), (2, ceiling, 1.15), (0, half[0], 0.95), (0, -half[0], 0.9), (1, half[1], 1.0), (1, -half[1], 0.85)]
    wall_seed = rng.integers(1 << 30)
    for number, (axis, value, shade) in enumerate(planes):
        distance = _reach(origin, direction, axis, value)
        hit = distance < nearest
        spot = origin + direction[hit] * distance[hit, None]
        u, v = spot[:, 1 if axis == 0 else 0], spot[:, 1 if axis == 2 else 2]
        texture = rng if number < 2 else np.random.default_rng(wall_seed)
        image[hit] = _surface(texture, u, v, 1 / (1 + (distance[hit] / 12) ** 2)) * shade
        if number >= 2:
            image[hit] = _hang(rng, image[hit], u, v)
        nearest[hit] = distance[hit]
    for _ in range(rng.integers(0, 6)):
        _furniture(rng, origin, direction, half, nearest, image)
    return image


def _hang(rng, wall, u, v):
    """Windows, doors and pictures on a wall."""
    for _ in range(rng.integers(0, 4)):
        left, wide, low, high = rng.uniform(-4, 4), rng.uniform(0.4, 1.6), rng.choice([0.0, 0.9, 1.2]), rng.uniform(1.7, 2.3)
        inside = (u > left) & (u < left + wide) & (v > low) & (v < high)
        frame = inside & ((u < left + 0.06) | (u > left + wide - 0.06) | (v > high - 0.06) | (v < low + 0.06))
        wall = np.where(inside[:, None], colour(rng) if rng.random() < 0.6 else np.array([0.85, 0.9, 0.97]), wall)
        wall = np.where(frame[:, None], colour(rng), wall)
    return wall


def _furniture(rng, origin, direction, half, nearest, image):
    """One box on the floor beside a wall, drawn where it is nearer than what is there."""
    size, axis = rng.uniform((0.4, 0.4, 0.4), (1.8, 0.9, 2.0)), rng.integers(2)
    centre = np.array([*rng.uniform(-half, half), size[2] / 2])
    centre[axis] = np.sign(centre[axis]) * (half[axis] - size[axis] / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (centre - size / 2 - origin) / direction, (centre + size / 2 - origin) / direction
    enter, leave = np.minimum(first, second), np.maximum(first, second)
    near = enter.max(1)
    hit = (near < leave.min(1)) & (near > 0.1) & (near < nearest)
    face = enter[hit].argmax(1)
    image[hit] = colour(rng, 0.7) * np.array([0.9, 0.75, 1.1])[face][:, None]
    nearest[hit] = near[hit]
