"""The camera of the 3D view: one framing for a whole video, turning about the scene's upright axis. World: z up, floor at 0, metres."""

from dataclasses import dataclass

import numpy as np

from app.people import to_world


@dataclass(frozen=True)
class View:
    """A pinhole camera that circles the upright axis through `centre` at `distance` m; heading and elevation in radians.

    `heading` is the direction in which it looks, along the floor, at time 0; it grows by `turn` radians a second.
    """

    width: int
    height: int
    centre: np.ndarray
    distance: float
    heading: float
    elevation: float
    turn: float
    focal: float
    cx: float
    cy: float
    radius: float

    def axes(self, time):
        """The camera's right, up and forward directions as rows (3, 3), and its place (3,)."""
        axes = _axes(self.heading + self.turn * time, self.elevation)
        return axes, self.centre - self.distance * axes[2]

    def project(self, points, time):
        """Pixels (..., 2) and depths (...) in metres of world points (..., 3); NaN nearer than 10 cm."""
        axes, eye = self.axes(time)
        seen = (points - eye) @ axes.T
        depth = np.where(seen[..., 2] > 0.1, seen[..., 2], np.nan)
        return np.stack([self.cx + self.focal * seen[..., 0] / depth, self.cy - self.focal * seen[..., 1] / depth], -1), depth

    def floor_distance(self, reduced=1):
        """For each pixel of the picture `reduced` times: the distance on the floor from the centre, over the scene's radius; inf in the sky."""
        axes, eye = self.axes(0)
        x = ((np.arange(-(-self.width // reduced)) + 0.5) * reduced - self.cx) / self.focal
        y = (self.cy - (np.arange(-(-self.height // reduced)) + 0.5) * reduced) / self.focal
        rays = x[None, :, None] * axes[0] + y[:, None, None] * axes[1] + axes[2]
        down = np.where(rays[..., 2] < -1e-4, rays[..., 2], np.nan)
        hit = eye[:2] + rays[..., :2] * (-eye[2] / down)[..., None]
        return np.nan_to_num(np.linalg.norm(hit - self.centre[:2], axis=-1) / self.radius, nan=np.inf)


def _axes(heading, elevation):
    cosine, sine = np.cos(elevation), np.sin(elevation)
    x, y = np.cos(heading), np.sin(heading)
    return np.array([[y, -x, 0.0], [sine * x, sine * y, cosine], [cosine * x, cosine * y, -sine]])


def frame_motion(motion, width, height, azimuth=30.0, elevation=15.0, turn=0.0, select=None):
    """The view that holds everybody of a motion over its whole length.

    azimuth in degrees from the direction of the video's camera (0 = as filmed, positive = the viewer walks to the right), elevation
    in degrees above the floor, turn in degrees a second.
    """
    world = motion.world_from_camera
    forward = world[:2, 2] if np.linalg.norm(world[:2, 2]) > 0.1 else world[:2, 1]
    heading = np.arctan2(forward[1], forward[0]) + np.radians(azimuth)
    points = _content(motion, select)
    flat = np.arctan2(forward[1], forward[0])
    if not len(points):
        ahead = world[:2, 3] + 4 * np.array([np.cos(flat), np.sin(flat)])
        points = np.array([[*ahead, 0.0], [*ahead, 1.7]])
    return fit_view(points, width, height, heading, np.radians(elevation), np.radians(turn))


def _content(motion, select, most=4000):
    """World points (N, 3) of everybody over time, wild ones left out."""
    chosen = [track for track in motion.tracks.values() if select is None or track.id in select]
    groups = []
    for track in chosen:
        step = max(1, len(track) * len(motion.skeleton3d) * len(chosen) // (most * 5))
        joints = track.joints3d[::step].astype(np.float64) + track.root[::step, None]
        groups += [to_world(pose, motion.world_at(frame)) for pose, frame in zip(joints, track.frames[::step], strict=True)]
    poses = np.array(groups).reshape(-1, len(motion.skeleton3d), 3)
    poses = poses[np.isfinite(poses).all((1, 2))]
    if not len(poses):
        return np.zeros((0, 3))
    middle = poses.mean(1)
    away = np.linalg.norm(middle - np.median(middle, 0), axis=1)
    return poses[away <= 4 * np.median(away) + 4].reshape(-1, 3)


def fit_view(points, width, height, heading, elevation, turn=0.0):
    """A view that holds world points (N, 3) and their places on the floor, at every angle when it turns."""
    low, high = np.percentile(points, 0.2, 0), np.percentile(points, 99.8, 0)
    centre = np.append((low[:2] + high[:2]) / 2, max(high[2], 1.2) / 2)
    inside = points[((points >= low - 0.2) & (points <= high + 0.2)).all(1)]
    offsets = inside - centre
    reach = max(np.linalg.norm(offsets[:, :2], axis=1).max(initial=0), 0.8)
    distance = 2.4 * reach + 3.0
    ring = _ring(0.8, centre[2])
    content = np.concatenate([offsets, offsets * (1, 1, 0) - (0, 0, centre[2]), ring])
    planes = [_plane(content, heading + angle, elevation, distance) for angle in (np.linspace(0, 2 * np.pi, 13) if turn else (0.0,))]
    plane = np.concatenate(planes)
    (left, top), (right, bottom) = plane.min(0), plane.max(0)
    focal = min(width * 0.88 / (right - left), height * 0.80 / (bottom - top))
    cx = width / 2 - focal * (left + right) / 2 if not turn else width / 2
    cy = height * 0.53 - focal * (top + bottom) / 2
    return View(width, height, centre, distance, heading, elevation, turn, focal, cx, cy, reach + 1.2)


def _plane(offsets, heading, elevation, distance):
    seen = offsets @ _axes(heading, elevation).T + (0, 0, distance)
    return seen[:, :2] * (1, -1) / seen[:, 2:]


def _ring(radius, half):
    angle = np.linspace(0, 2 * np.pi, 13)
    ring = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(13)], -1)
    return np.concatenate([ring - (0, 0, half), ring + (0, 0, half)])
