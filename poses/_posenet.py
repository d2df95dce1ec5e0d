"""The two networks of 3DMPPE (Moon et al., "Camera Distance-aware Top-down Approach for 3D Multi-person Pose Estimation", ICCV 2019).

Parameter names and shapes are those of the published snapshots.
"""

import numpy as np
import torch
from torch import nn
from torchvision.models.resnet import Bottleneck

from core.skeletons import COCO19, H36M18, MPII16, MUCO21, MUPOTS17
from poses._volumes import deconvolutions, pointwise, soft_argmax, soft_argmax2d

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # taken from and divided into RGB of 0..255: so the published weights were trained
DEPTH = 64  # cells of a volume, as many as it is wide and high
HALF_DEPTH = 1.0  # m from the root to the near and the far end of a volume
BODY = 2.0  # m, sides of the square that a person's box is taken for
JOINT_SETS = {len(skeleton): skeleton for skeleton in (H36M18, MUCO21, MUPOTS17, COCO19, MPII16)}


class ResNet(nn.Module):
    """The trunk of He et al. 2016 with bottleneck blocks: pictures (B, 3, H, W) -> features (B, 4 * planes[-1], H/32, W/32)."""

    def __init__(self, blocks=(3, 4, 6, 3), planes=(64, 128, 256, 512), stem=64):
        super().__init__()
        self.conv1 = nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(stem), nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2, padding=1)
        self.channels = stem
        self.layer1, self.layer2, self.layer3, self.layer4 = (self._layer(*each) for each in zip(blocks, planes, (1, 2, 2, 2), strict=True))

    def _layer(self, blocks, planes, stride):
        before, self.channels = self.channels, planes * Bottleneck.expansion
        way = nn.Sequential(nn.Conv2d(before, self.channels, 1, stride, bias=False), nn.BatchNorm2d(self.channels))
        return nn.Sequential(Bottleneck(before, planes, stride, way), *(Bottleneck(self.channels, planes) for _ in range(blocks - 1)))

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class VolumeHead(nn.Module):
    """Features -> maps of heat (B, J * DEPTH, H, W)."""

    def __init__(self, channels_in, joints, channels=256):
        super().__init__()
        self.deconv_layers = deconvolutions(channels_in, channels)
        self.final_layer = pointwise(channels, joints * DEPTH)

    def forward(self, x):
        return self.final_layer(self.deconv_layers(x))


class PoseNet(nn.Module):
    """Crops (B, 3, 256, 256) -> joints (B, J, 3) in cells of the volume, from 0: x, y of the crop and z relative to the root (section 6)."""

    def __init__(self, joints=18, channels=256, **trunk):
        super().__init__()
        self.joints = joints
        self.backbone = ResNet(**trunk)
        self.head = VolumeHead(self.backbone.channels, joints, channels)

    def forward(self, x):
        return soft_argmax(self.head(self.backbone(x)), self.joints)


class DepthHead(nn.Module):
    """Features -> the root's x, y in cells of the crop and gamma, what its depth is in units of k."""

    def __init__(self, channels_in, channels=256):
        super().__init__()
        self.deconv_layers = deconvolutions(channels_in, channels)
        self.xy_layer, self.depth_layer = pointwise(channels, 1), pointwise(channels_in, 1)

    def forward(self, x):
        return soft_argmax2d(self.xy_layer(self.deconv_layers(x))), self.gamma(x)

    def gamma(self, x):
        return self.depth_layer(x.mean((2, 3), keepdim=True)).flatten(1).float()


class RootNet(nn.Module):
    """Crops (B, 3, 256, 256) and k (B, 1) of `k_value` -> the root (B, 3): x, y in cells of the crop, depth in the unit of k (section 5)."""

    def __init__(self, channels=256, **trunk):
        super().__init__()
        self.backbone = ResNet(**trunk)
        self.root = DepthHead(self.backbone.channels, channels)

    def forward(self, x, k):
        points, gamma = self.root(self.backbone(x))
        return torch.cat([points, gamma * k], 1)

    def gamma(self, x):
        """gamma (B, 1) alone, without the work for x and y."""
        return self.root.gamma(self.backbone(x))


def k_value(fx, fy, area, body=BODY * BODY):
    """The depth at which a square of area `body` covers `area` px2, in the unit whose square `body` is in (equation 2)."""
    return (body * fx * fy / area) ** 0.5


def k_values(cameras, owner, squares):
    """k (N,) in metres of squares (N, 3) (x, y, side px) of the pictures `owner` (N,), which the cameras took."""
    focal = np.array([camera.fx * camera.fy for camera in cameras])
    return k_value(focal[owner], 1.0, squares[:, 2] ** 2) if len(owner) else np.zeros(0)


def posenet_from_state(state):
    """An empty PoseNet of the size that a state dict has; of the usual size where it is another network's, for `load_strict` to say what is odd."""
    try:
        channels, rows = state["head.deconv_layers.0.weight"].shape[1], len(state["head.final_layer.weight"])
        return PoseNet(rows // DEPTH, channels, **_trunk(state))
    except (KeyError, IndexError):
        return PoseNet()


def rootnet_from_state(state):
    """An empty RootNet of the size that a state dict has, as `posenet_from_state`."""
    try:
        return RootNet(state["root.deconv_layers.0.weight"].shape[1], **_trunk(state))
    except (KeyError, IndexError):
        return RootNet()


def _trunk(state):
    names = [f"backbone.layer{i}." for i in range(1, 5)]
    return {"blocks": tuple(sum(key.startswith(name) and key.endswith(".conv3.weight") for key in state) for name in names),
            "planes": tuple(len(state[name + "0.conv1.weight"]) for name in names), "stem": len(state["backbone.conv1.weight"])}
