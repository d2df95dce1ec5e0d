"""The fifth system's refiner: a graph network for x and y and a linear one for z, from what the pose network saw in its crop.

Parameter names and shapes are those of its author's program.
"""

import torch
from torch import nn
from torch.nn import functional as F

from core.errors import InputError
from core.graph_networks import LinearModel, SemGCN, linear_from_state, semgcn_from_state

# The author's tree has the thorax as its own parent, so the trunk falls in two, and his groups one of a single joint: published weights need both.
PARENTS = (0, 0, 1, 2, 0, 4, 5, 0, 8, 8, 9, 8, 11, 12, 8, 14, 15)
GROUPS = ((2, 3), (5, 6), (1, 4), (0, 7), (8,), (9, 10), (15, 16), (12, 13), (11, 14))
LEAK = 0.01  # slope below zero of his linear networks


class Refiner(nn.Module):
    """Joints (B, 17, 3) of Human3.6M in crop pixels 0..256 (z 256 per 2 m, relative to the root) -> (B, 17, 3) mm to the root, camera axes.

    `upper` turns joints into millimetres; its x and y stay. `lower` turns the 16 joints around the root, as `upper` has them, into better ones;
    their z is taken.
    """

    def __init__(self, upper, lower):
        super().__init__()
        self.upper, self.lower = upper, lower

    def forward(self, patch):
        joints = self.upper(patch)
        joints = joints[:, 1:] - joints[:, :1]
        depth = self.lower(joints.flatten(1)).reshape(joints.shape)[..., 2:]
        return F.pad(torch.cat([joints[..., :2], depth], 2), (0, 0, 1, 0))


class TwoMore(nn.Module):
    """x + two layers, and two layers of that added again."""

    def __init__(self, size, slope, dropout=0.5):
        super().__init__()
        self.slope, self.drop = slope, nn.Dropout(dropout)
        for i in range(1, 5):
            setattr(self, f"dense{i}", nn.Linear(size, size))
            setattr(self, f"batch_norm{i}", nn.BatchNorm1d(size))

    def forward(self, x):
        for pair in ((1, 2), (3, 4)):
            y = x
            for i in pair:
                y = self.drop(F.leaky_relu(getattr(self, f"batch_norm{i}")(getattr(self, f"dense{i}")(y)), self.slope))
            x = x + y
        return x


class RefineNet(nn.Module):
    """Joints (B, N) -> better ones (B, N), and with `both` also the first guess at them that the second stands on.

    EpipolarPose's refiner (Kocabas et al., CVPR 2019, section 3.3), which the fifth system keeps as another lower branch.
    """

    def __init__(self, numbers=48, size=2048, slope=LEAK, dropout=0.5):
        super().__init__()
        self.slope, self.drop = slope, nn.Dropout(dropout)
        self.linear_stages = nn.ModuleList(TwoMore(size, slope, dropout) for _ in range(2))
        self.dense1, self.dense2, self.dense3, self.dense4 = (nn.Linear(*shape) for shape in ((numbers, size), (size, numbers)) * 2)
        self.batch_norm1, self.batch_norm3 = nn.BatchNorm1d(size), nn.BatchNorm1d(size)

    def forward(self, x, both=False):
        start = self.drop(F.leaky_relu(self.batch_norm1(self.dense1(x)), self.slope))
        middle = self.linear_stages[0](start)
        guess = self.dense2(middle)
        again = self.drop(F.leaky_relu(self.batch_norm3(self.dense3(guess)), self.slope))
        answer = self.dense4(self.linear_stages[1](start + middle + again) + start)
        return (guess, answer) if both else answer


def upper_from_state(state):
    """An empty graph network of the size that a state dict has; of the usual size where it is another network's."""
    try:
        return semgcn_from_state(state, PARENTS, GROUPS)
    except InputError:
        return SemGCN(PARENTS, 3, 3, groups=GROUPS)


def lower_from_state(state):
    """An empty linear network or RefineNet, whichever a state dict belongs to; the usual linear one where it is another network's."""
    if "dense1.weight" in state:
        size, numbers = state["dense1.weight"].shape
        return RefineNet(numbers, size)
    try:
        return linear_from_state(state, LEAK)
    except InputError:
        return LinearModel(48, 48, slope=LEAK)


def refinenet_state(state):
    """A state dict under this file's names: EpipolarPose says w1..w4 where the fifth system says dense1..dense4."""
    return {".".join(part.replace("w", "dense") if part in ("w1", "w2", "w3", "w4") else part for part in key.split(".")): value
            for key, value in state.items()}
