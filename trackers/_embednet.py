"""Our own small appearance network: who is who by looks, a unit vector for each person's crop."""

import torch
from torch import nn
from torch.nn import functional as F

from core.mobilenet import mobilenet_v2

SIZE = (64, 128)  # width, height of its crops: the person box resized without keeping the aspect
LAYERS, CHANNELS = 14, 96  # of MobileNetV2: up to stride 16


class EmbedNet(nn.Module):
    """Crops (B, 3, 128, 64), RGB / 255 normalised by MEAN and STD of core.networks -> unit vectors (B, 128); compare by cosine.

    The map of 8 x 4 cells is averaged in three bands, head, trunk and legs, so that a red shirt is not a pair of red trousers.
    """

    def __init__(self, dimensions=128, width=128):
        super().__init__()
        self.trunk = mobilenet_v2(LAYERS)
        self.mix = nn.Sequential(nn.Conv2d(CHANNELS, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.project = nn.Linear(3 * width, dimensions)

    def forward(self, x):
        bands = self.mix(self.trunk(x)).mean(3)
        parts = [bands[:, :, a:b].mean(2) for a, b in ((0, 3), (2, 6), (4, 8))]
        return F.normalize(self.project(torch.cat(parts, 1)), dim=1)
