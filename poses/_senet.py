"""The fifth system's pose network: a squeeze-and-excitation ResNet or ResNeXt trunk with volumes of heat (Pham; Hu et al., CVPR 2018).

Parameter names and shapes are those of its author's program.
"""

from collections import OrderedDict

from torch import nn
from torch.nn import functional as F

from poses._volumes import deconvolutions, pointwise, soft_argmax

DEPTH = 64  # cells of a volume, as many as it is wide and high
EXPANSION = 4


class Excitation(nn.Module):
    """Weighs the channels of (B, C, H, W) by what all places together say."""

    def __init__(self, channels, reduction):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, channels // reduction, 1), nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x):
        return x * self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))).sigmoid()


class Block(nn.Module):
    """A bottleneck of `width` channels to `channels`, excited before the residual is added. SE-ResNet (one group) has its stride in the first
    convolution, SE-ResNeXt in the second."""

    def __init__(self, before, width, channels, groups, reduction, stride, changes):
        super().__init__()
        first, second = (stride, 1) if groups == 1 else (1, stride)
        self.conv1, self.bn1 = nn.Conv2d(before, width, 1, first, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, second, 1, groups=groups, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, channels, 1, bias=False), nn.BatchNorm2d(channels)
        self.se_module = Excitation(channels, reduction)
        self.downsample = nn.Sequential(nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)) if changes else nn.Identity()

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.se_module(self.bn3(self.conv3(y))) + self.downsample(x))


class SENet(nn.Module):
    """Crops (B, 3, 256, 256) -> joints (B, J, 3) in shares of the crop, -0.5..0.5: x, y, and z relative to the root.

    blocks, widths: number of blocks and width of the bottlenecks in each of the four layers, which end in EXPANSION * planes channels.
    Sun et al., ECCV 2018.
    """

    def __init__(self, joints=17, blocks=(3, 4, 6, 3), widths=(128, 256, 512, 1024), planes=(64, 128, 256, 512), groups=32, reduction=16, stem=64,
                 channels=256, depth=DEPTH):
        super().__init__()
        self.joints, self.depth = joints, depth
        self.layer0 = nn.Sequential(OrderedDict(
            conv1=nn.Conv2d(3, stem, 7, 2, 3, bias=False), bn1=nn.BatchNorm2d(stem), relu1=nn.ReLU(inplace=True),
            pool=nn.MaxPool2d(3, 2, ceil_mode=True)))
        for i, (count, width, plane) in enumerate(zip(blocks, widths, planes, strict=True), 1):
            out, options = EXPANSION * plane, {"width": width, "channels": EXPANSION * plane, "groups": groups, "reduction": reduction}
            first = Block(stem, **options, stride=1 if i == 1 else 2, changes=True)
            setattr(self, f"layer{i}", nn.Sequential(first, *(Block(out, **options, stride=1, changes=False) for _ in range(count - 1))))
            stem = out
        self.deconv_layers = deconvolutions(stem, channels)
        self.final_layer = pointwise(channels, joints * depth)

    def heat(self, x):
        """Maps of heat (B, J * D, H, W)."""
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.layer0(x)))))
        return self.final_layer(self.deconv_layers(x))

    def forward(self, x):
        heat = self.heat(x)
        extent = heat.new_tensor([heat.shape[3], heat.shape[2], self.depth]).float()
        return soft_argmax(heat, self.joints) / extent - 0.5


def senet_from_state(state, depth=DEPTH):
    """An empty SENet of the size that a state dict has; of the usual size where it is another network's, for `load_strict` to say what is odd."""
    try:
        layers = [f"layer{i}." for i in range(1, 5)]
        kernel = state["layer1.0.conv2.weight"]
        channels, squeezed = state["layer1.0.se_module.fc2.weight"].shape[:2]
        return SENet(
            len(state["final_layer.weight"]) // depth, groups=len(kernel) // kernel.shape[1], reduction=channels // squeezed,
            blocks=tuple(sum(key.startswith(layer) and key.endswith(".conv3.weight") for key in state) for layer in layers),
            widths=tuple(len(state[layer + "0.conv1.weight"]) for layer in layers),
            planes=tuple(len(state[layer + "0.conv3.weight"]) // EXPANSION for layer in layers),
            stem=len(state["layer0.conv1.weight"]), channels=state["deconv_layers.0.weight"].shape[1], depth=depth)
    except (KeyError, IndexError, ZeroDivisionError, ValueError):
        return SENet()
