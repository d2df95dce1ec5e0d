"""The losses of Anatomy3D (Chen et al., 2020, section 3): the network stops gradients so that each part learns by its own terms."""

from typing import NamedTuple

from lifters._bones import directions, joint_shifts, lengths, vectors
from training.evaluation.errors import distance


class Weights(NamedTuple):
    """What the terms count: bone directions (the authors' --wd), joint shifts (--wjs), bone lengths (--wl), and the first direction network (--snd)
    beside the second."""

    directions: float = 0.3
    shifts: float = 2.0
    lengths: float = 100.0
    first: float = 0.5


PUBLISHED = Weights()


def losses(model, lesson, target, weights=PUBLISHED):
    """{name: weighted term} of an AnatomyModel on a Lesson; their sum is the loss.

    `target` is the window's frame whose pose is asked. A window's true bone lengths are means over its frames.
    """
    out = model.train_forward(lesson.points, lesson.frames)
    new_poses = model.frame_poses(lesson.new_frames)
    truth, pairs = lesson.poses[:, target], model.pairs
    shifts, way = vectors(truth, shift_pairs(pairs, model.joints)), directions(truth, pairs)
    share = (1.0, weights.first)
    return {
        "pose": distance(out.pose, truth),
        "frames": distance(out.frame_poses[:, lesson.compared], lesson.frame_poses[:, lesson.compared]),
        "new_frames": distance(new_poses[:, lesson.compared], lesson.new_poses[:, lesson.compared]),
        "lengths": weights.lengths * (out.lengths - lengths(lesson.poses, pairs).mean(1)).square().mean(),
        "new_lengths": weights.lengths * (model.lengths(new_poses) - lesson.new_lengths).square().mean(),
        "directions": weights.directions * sum(s * (d - way).square().sum(-1).mean() for s, d in zip(share, out.directions, strict=True)),
        "shifts": weights.shifts * sum(s * distance(d, shifts) for s, d in zip(share, out.shifts, strict=True)),
    }


def shift_pairs(pairs, joints):
    """(b, a) of the joint shifts: vectors from the lower number to the higher."""
    return [(b, a) for a, b in joint_shifts(pairs, joints)]
