"""What Anatomy3D learns from (Chen et al., 2020, section 3): windows, random frames of the same clips, and those frames of bodies re-made.

Poses are tensors (B, N, J, 3) in metres, camera axes, root at zero; screen units are the published ones (x from -1 to 1, y in the same scale).
"""

import random
from typing import NamedTuple

import numpy as np
import torch

from core.errors import InputError
from lifters._bones import bones, lengthened, lengths
from training.datasets.rigs import project, project_linear
from training.datasets.windows import mirrored, rooted

PLACE, SCATTER = (0.0, -0.3, 5.0), 0.5  # metres: where re-made bodies stand before the camera on the average, and how far off


class Lesson(NamedTuple):
    """A batch: windows (B, R, J, 3) of x, y, visibility, their poses (B, R, J, 3) m, root at zero; N random frames of the same people, 2D
    (B, N, J, 2) and 3D (B, N, J, 3); the same frames of bodies elsewhere whose bones have `new_lengths` (B, bones). Of the random frames, the
    rough pose of the one numbered `compared` is compared with the truth."""

    points: torch.Tensor
    poses: torch.Tensor
    frames: torch.Tensor
    frame_poses: torch.Tensor
    new_frames: torch.Tensor
    new_poses: torch.Tensor
    new_lengths: torch.Tensor
    compared: int


class Lessons:
    """The Lessons of an epoch of `windows` (stride 1, with 3D and lenses): `number` random frames each, bones changed by `degree`.

    `aliased` compares the rough poses of the frames as they are with those of the re-made bodies, as the authors' program does by an oversight.
    `linear` projects without the lens' distortion. Like the authors, it draws from Python's and numpy's own generators, unless others are given.
    """

    def __init__(self, windows, skeleton, number=50, degree=0.6, pairs=None, aliased=False, linear=False, frames=random, bodies=np.random):
        if windows.stride != 1 or windows.joints is None or windows.lenses is None:
            raise ValueError("windows: expected a stride of 1, 3D joints and lenses")
        self.windows, self.skeleton, self.number, self.degree, self.pairs = windows, skeleton, number, degree, pairs
        self.aliased, self.project, self.frames, self.bodies = aliased, project_linear if linear else project, frames, bodies
        sampled(windows.lengths.tolist(), number, random.Random(0))  # says at once where a clip is too short

    def __len__(self):
        return len(self.windows)

    def __iter__(self):
        return (self.lesson(batch) for batch in self.windows)

    def lesson(self, batch):
        windows, rows = self.windows, batch.rows
        chosen = sampled(windows.lengths[rows[:, 0]].tolist(), self.number, self.frames)
        chosen = torch.from_numpy(chosen).to(windows.device)
        points, poses = self._frames("points", rows, chosen)[..., :2], rooted(self._frames("joints", rows, chosen))
        new, sizes = resized(poses, self.degree, self.skeleton, self.bodies, self.pairs)
        seen = self.project(placed(new, self.bodies), batch.lens)
        around = rows[:, 1, None] + torch.arange(-windows.pad - windows.shift, 1 + windows.pad - windows.shift, device=windows.device)
        window = rooted(self._frames("joints", rows, around))
        return Lesson(batch.points, window, points, new if self.aliased else poses, seen, new, sizes, self.frames.randint(0, self.number - 1))

    def _frames(self, name, rows, times):
        """Frames of `points` or `joints` (B, W, J, D) at times (B, W), mirrored where the chunk is."""
        x = self.windows.frames(getattr(self.windows, name), rows, times)
        if self.windows.mirrors is None:
            return x
        return torch.where(rows[:, 3, None, None, None] > 0, mirrored(x, getattr(self.windows.mirrors, name)), x)


def sampled(counts, number, draw):
    """Indices (B, number) of different frames of sequences of `counts` frames; `draw` is a random.Random. Raises InputError for too short ones."""
    if min(counts, default=number) < number:
        raise InputError(f"{number} random frames are asked of a sequence of {min(counts)}: give a smaller --randnum")
    return np.array([draw.sample(range(count), number) for count in counts]).reshape(-1, number)


def resized(poses, degree, skeleton, draw, pairs=None):
    """The poses of bodies whose bones are longer or shorter by up to half of `degree` times the batch's mean, and their lengths (B, bones).

    `draw` is a numpy.random.RandomState; every sequence gets a body, kept in all its frames.
    """
    own = lengths(poses, pairs or bones(skeleton)).mean(1)
    growth = torch.from_numpy(draw.rand(*own.shape) - 0.5).to(own) * own.mean(0) * degree
    return lengthened(poses, growth[:, None], skeleton, pairs), own + growth


def placed(poses, draw):
    """The poses at random places before the camera: (B, N, J, 3), no longer relative to the root."""
    where = draw.normal(0.0, SCATTER, (*poses.shape[:2], 1, 3)) + PLACE
    return poses + torch.from_numpy(where).to(poses)


def bone_pairs(text, skeleton):
    """((a, b), ...) of "16,15,15,14,...", the authors' --boneindex. Raises InputError where these are not all bones of the skeleton, once each."""
    try:
        numbers = [int(number) for number in text.split(",")]
        pairs = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    except ValueError as error:
        raise InputError(f"--boneindex {text}: expected pairs of joint numbers, like 16,15,15,14") from error
    known = {frozenset(pair) for pair in bones(skeleton)}
    if {frozenset(pair) for pair in pairs} != known or len(pairs) != len(known):
        raise InputError(f"--boneindex {text}: expected each bone of {skeleton.name} once, in any order")
    return pairs
