"""What Anatomy3D's bone-length network learns from (Chen et al., 2020, section 3.2): random frames of a sequence, and the same of bodies re-made.

Poses are tensors (B, N, J, 3) in metres, camera axes, root at zero; screen units are the published ones (x from -1 to 1, y in the same scale).
"""

import numpy as np
import torch

from core.errors import InputError
from lifters._bones import bones, lengthened, lengths

PLACE, SCATTER = (0.0, -0.3, 5.0), 0.5  # metres: where re-made bodies stand before the camera on the average, and how far off


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
