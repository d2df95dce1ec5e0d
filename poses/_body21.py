"""The network of `poses/body21.py`: a first opinion of where every joint is, and a second one that has seen the first."""

import torch
from torch import nn
from torch.nn import functional as F

from core.networks import MobileUNet
from core.skeletons import BODY21

BLOCKS, KERNEL = 4, 7  # of the second opinion: its blocks, and the width of their depthwise convolutions


class Residual(nn.Module):
    """x and what a depthwise and two pointwise convolutions make of it; nothing, before it is trained. Not normalised."""

    def __init__(self, channels, kernel):
        super().__init__()
        self.across = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.project = silent(nn.Conv2d(channels, channels, 1))

    def forward(self, x):
        return x + self.project(F.relu(self.mix(self.across(x))))


class PoseNet(nn.Module):
    """Pictures (B, 3, H, W) -> logits (B, 21, H/4, W/4) of where each joint is, with `depth` 21 maps, read at the joint, of its depth, and 21 logits
    that are the first opinion.

    The second one sees at stride 8 where the first puts every joint, and so can move a left knee off the right one, or place what is hidden by what
    is not (iterative refinement of belief maps: Wei et al., "Convolutional Pose Machines", 2016, section 3.2).
    """

    def __init__(self, depth=False, channels=96):
        super().__init__()
        self.unet = MobileUNet(channels)
        self.first = nn.Conv2d(channels, len(BODY21), 1)
        self.enter = nn.Conv2d(channels + len(BODY21), channels, 1)
        self.blocks = nn.Sequential(*(Residual(channels, KERNEL) for _ in range(BLOCKS)))
        self.leave = silent(nn.Conv2d(channels, channels, 1))
        self.sharpen = Residual(channels, 3)
        self.head = nn.Conv2d(channels, len(BODY21) * (2 if depth else 1), 1)

    def forward(self, x):
        *_, coarse, fine = self.unet.pyramid(x)
        first = self.first(fine)
        seen = F.avg_pool2d(probabilities(first.detach()), 2).mul(4).sqrt()
        known = self.leave(self.blocks(F.relu(self.enter(torch.cat([coarse, seen.to(coarse.dtype)], 1)))))
        return torch.cat([self.head(self.sharpen(fine + F.interpolate(known, scale_factor=2.0, mode="nearest"))), first], 1)


def silent(layer):
    """A layer that gives 0 until it is trained."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def probabilities(logits):
    """Logits (B, J, h, w) -> the probability of each cell; what is missing to 1 is that the joint is not in the crop (a further logit, 0)."""
    flat = F.pad(logits.float().flatten(2), (0, 1)).softmax(-1)
    return flat[..., :-1].reshape(logits.shape)
