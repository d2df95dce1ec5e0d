"""What the lifters learn from, whatever file it came in: 3D motion and 2D keypoints of several cameras, and the choice of clips from them.

Subjects, actions, `subset` and `downsample` choose exactly as VideoPose3D's programs do, so that the same flags give the same frames.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from core.errors import InputError
from core.skeletons import Skeleton
from training.datasets.rigs import RigCamera, to_camera, to_screen


@dataclass(frozen=True)
class Layout:
    """The joints of the 2D keypoints: how many, and which are partners on the person's left and right. `name` may be empty."""

    joints: int
    left: tuple
    right: tuple
    name: str = ""

    @property
    def mirror(self):
        """For each joint the one on the other side."""
        partner = list(range(self.joints))
        for a, b in zip(self.left, self.right, strict=True):
            partner[a], partner[b] = b, a
        return tuple(partner)


@dataclass(frozen=True)
class Clip:
    """One recording through one camera: points (T, J, 2 or 3) in screen units (and scores), joints (T, K, 3) m in camera axes or None.

    Joint 0 of `joints` is where the root is, the others are relative to it.
    """

    subject: str
    action: str
    index: int
    camera: RigCamera
    points: np.ndarray
    joints: np.ndarray | None

    def __len__(self):
        return len(self.points)

    @property
    def kind(self):
        """The action without the number of the take: "Walking" of "Walking 1"."""
        return self.action.split(" ")[0]


@dataclass(frozen=True)
class LiftingSet:
    """A data set: `joints` {subject: {action: (T, K, 3) m, world axes}}, `points` {subject: {action: [(T, J, 2 or 3) px of each camera]}}.

    `cameras` are those of each subject; `keypoints` names the kind of 2D ("gt", "cpn_ft_h36m_dbb", ...).
    """

    name: str
    keypoints: str
    skeleton: Skeleton
    layout: Layout
    fps: float | None
    cameras: dict
    joints: dict
    points: dict
    source: str = field(default="", compare=False)

    def clips(self, subjects, actions=None, subset=1.0, downsample=1, truth=True):
        """The Clips of subjects, in the order of the 2D file, whose action begins with one of `actions` (all without).

        `subset` keeps that share of each clip, one piece at a place that only its length decides; `downsample` every n-th frame; without
        `truth` the 3D is left away. Raises InputError for unknown subjects and where nothing is left.
        """
        if unknown := [subject for subject in subjects if subject not in self.points]:
            raise InputError(f"{self.source or self.name}: no subject {', '.join(unknown)}; there are {', '.join(self.points)}")
        found = [clip for subject in subjects for action in self.points[subject] if self._wanted(action, actions)
                 for clip in self._views(subject, action, truth)]
        if not found:
            raise InputError(f"{self.source or self.name}: no action of {', '.join(subjects)} begins with {' or '.join(actions or ())}")
        return [part for part in (_part(clip, subset, downsample) for clip in found) if len(part)]

    def _wanted(self, action, actions):
        return actions is None or any(action.startswith(name) for name in actions)

    def _views(self, subject, action, truth):
        world = self.joints.get(subject, {}).get(action) if truth else None
        for index, (points, camera) in enumerate(zip(self.points[subject][action], self.cameras[subject], strict=True)):
            yield Clip(subject, action, index, camera, to_screen(points, camera), None if world is None else seen(world, camera))


def seen(world, camera):
    """Joints (T, K, 3) m of the world in a camera's axes: joint 0 absolute, the others relative to it."""
    joints = to_camera(np.ascontiguousarray(world, np.float32), camera)
    joints[:, 1:] -= joints[:, :1]
    return joints


def _part(clip, subset, downsample):
    start, stop = 0, len(clip)
    if subset < 1:
        kept = int(round(len(clip) // downsample * subset) * downsample)
        start = drawn(0, len(clip) - kept + 1, str(len(clip)))
        stop = start + kept
    rows = slice(start, stop, downsample)
    return Clip(clip.subject, clip.action, clip.index, clip.camera, clip.points[rows], None if clip.joints is None else clip.joints[rows])


def drawn(low, high, text):
    """A whole number from low to below high that a text alone decides: the first four bytes of its SHA-256 as a share of the range."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
    return int(number / (2**32 - 1) * (high - low)) + low


def fitted(name, keypoints, skeleton, layout, fps, cameras, joints, points, source):
    """The LiftingSet of 3D and 2D that belong together; 2D that goes on after the 3D is cut. Raises InputError that names the first misfit."""
    kept = {subject: {action: list(views) for action, views in actions.items()} for subject, actions in points.items()}
    for subject in kept:
        if subject not in cameras:
            raise InputError(f"{source}: no cameras are known for subject {subject}; there are {', '.join(cameras)}")
    for subject, actions in joints.items():
        if subject not in kept:
            raise InputError(f"{source}: subject {subject} of the 3D file has no 2D keypoints")
        for action, world in actions.items():
            if action not in kept[subject]:
                raise InputError(f"{source}: {subject} {action} of the 3D file has no 2D keypoints")
            views = kept[subject][action]
            if len(views) != len(cameras[subject]):
                raise InputError(f"{source}: {subject} {action} has {len(views)} cameras, expected {len(cameras[subject])}")
            for index, view in enumerate(views):
                if len(view) < len(world):
                    raise InputError(f"{source}: {subject} {action}, camera {index}: {len(view)} frames of 2D for {len(world)} of 3D")
                views[index] = view[: len(world)]
    return LiftingSet(name, keypoints, skeleton, layout, fps, cameras, joints, kept, str(source))
