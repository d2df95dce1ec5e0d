"""The errors by which 3D poses are judged, in one place: of arrays for evaluation, of tensors for training, and their means action by action.

VideoPose3D and those after it call MPJPE protocol 1 and PA-MPJPE protocol 2; 3DMPPE numbers them the other way round. Here they go by name.
"""

from dataclasses import dataclass, field

import numpy as np

from core.geometry import mpjpe, pa_mpjpe

NAMES = ("MPJPE", "PA-MPJPE", "N-MPJPE", "MPJVE")


# ---- of arrays (..., J, 3): a mean over all joints, in the unit given


def n_mpjpe(predicted, truth):
    """Mean per-joint position error after scaling alone (Rhodin et al. 2018): of every pose, by least squares."""
    scale = (predicted * truth).sum(-1).mean(-1) / np.maximum((predicted**2).sum(-1).mean(-1), 1e-12)
    return mpjpe(scale[..., None, None] * predicted, truth)


def mpjve(predicted, truth):
    """Mean per-joint velocity error of sequences (T, J, 3): of the differences from frame to frame, 0 for a single frame."""
    return mpjpe(np.diff(predicted, axis=0), np.diff(truth, axis=0)) if len(truth) > 1 else 0.0


ERRORS = dict(zip(NAMES, (mpjpe, pa_mpjpe, n_mpjpe, mpjve), strict=True))


# ---- of tensors, differentiable


def distance(predicted, truth):
    """Mean distance of points (..., D)."""
    return (predicted - truth).norm(dim=-1).mean()


def weighted_distance(predicted, truth, weight):
    """Mean of the weighted distances of points (..., D); weight (...)."""
    return (weight * (predicted - truth).norm(dim=-1)).mean()


# ---- the published means


@dataclass
class Table:
    """Errors in mm by action: inside an action sequences count by their frames, then all actions count alike.

    `subjects` and the data set's name are printed with the names of the errors, because protocols differ in them.
    """

    sums: dict = field(default_factory=dict)
    names: tuple = NAMES

    def add(self, action, predicted, truth):
        """Count a sequence (T, J, 3) m of an action."""
        found = np.array([ERRORS[name](predicted, truth) for name in self.names]) * 1000
        frames, values = self.sums.get(action, (0, np.zeros(len(self.names))))
        self.sums[action] = frames + len(truth), values + found * len(truth)

    @property
    def frames(self):
        return sum(frames for frames, _ in self.sums.values())

    def rows(self):
        """{action: {error's name: mm}}, in the order in which the actions came."""
        return {action: dict(zip(self.names, values / frames, strict=True)) for action, (frames, values) in self.sums.items()}

    def means(self):
        """{error's name: mm}, the unweighted mean over the actions."""
        rows = self.rows().values()
        return {name: float(np.mean([row[name] for row in rows])) for name in self.names}
