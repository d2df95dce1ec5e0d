"""Our own small top-down network: 21 joints with calibrated scores."""

from torch import nn

from core.networks import MobileUNet
from core.skeletons import BODY21


class PoseNet(nn.Module):
    """Pictures (B, 3, H, W) -> logits (B, 21, H/4, W/4) of where each joint is, and with `depth` 21 more maps, read at the joint, of its depth."""

    def __init__(self, depth=False, channels=96):
        super().__init__()
        self.unet = MobileUNet(channels)
        self.head = nn.Conv2d(channels, len(BODY21) * (2 if depth else 1), 1)

    def forward(self, x):
        return self.head(self.unet(x))
