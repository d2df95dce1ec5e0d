"""DLA-34 with deformable up-sampling, the network of CenterNet's `ctdet_coco_dla` checkpoints, under its published parameter names.

Yu et al., "Deep Layer Aggregation", CVPR 2018, figures 2 and 3; Zhu et al., "Deformable ConvNets v2", CVPR 2019; Zhou et al., "Objects as
Points", 2019, section 5.
"""

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

CHANNELS = (16, 32, 64, 128, 256, 512)  # of the levels at strides 1, 2, 4, 8, 16, 32
STRIDE = 4  # of what the heads see
UNUSED = ("base.fc.", "base.level3.project.", "base.level4.project.")  # in the published files, without influence on what the network says


def normalised(channels_in, channels, kernel=3, stride=1, relu=True):
    layers = [nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(channels)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class Block(nn.Module):
    """Two convolutions, to which `residual` is added."""

    def __init__(self, channels_in, channels, stride=1):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x, residual):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + residual)


class Root(nn.Module):
    """Joins maps into one."""

    def __init__(self, channels_in, channels):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(channels_in, channels, 1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, *maps):
        return F.relu(self.bn(self.conv(torch.cat(maps, 1))))


class Tree(nn.Module):
    """Two blocks and a root that sees both, `extra` channels of other maps, and with `level` what came in, pooled."""

    def __init__(self, channels_in, channels, stride=1, extra=0, level=False):
        super().__init__()
        self.stride, self.level = stride, level
        self.tree1, self.tree2 = Block(channels_in, channels, stride), Block(channels, channels)
        self.root = Root(2 * channels + extra + level * channels_in, channels)
        self.project = normalised(channels_in, channels, 1, relu=False) if channels_in != channels else nn.Identity()

    def forward(self, x, *others):
        below = F.max_pool2d(x, self.stride)
        a = self.tree1(x, self.project(below))
        b = self.tree2(a, a)
        return self.root(b, a, *([below] if self.level else []), *others)


class DeepTree(nn.Module):
    """Two trees, the second of which joins all."""

    def __init__(self, channels_in, channels):
        super().__init__()
        self.tree1, self.tree2 = Tree(channels_in, channels, stride=2), Tree(channels, channels, extra=channels_in + channels)

    def forward(self, x):
        a = self.tree1(x)
        return self.tree2(a, F.max_pool2d(x, 2), a)


class Base(nn.Module):
    """Pictures (B, 3, H, W), sides multiples of 32 -> six levels of maps."""

    def __init__(self, channels=CHANNELS):
        super().__init__()
        c = channels
        self.base_layer, self.level0 = normalised(3, c[0], 7), normalised(c[0], c[0])
        self.level1, self.level2 = normalised(c[0], c[1], stride=2), Tree(c[1], c[2], stride=2)
        self.level3, self.level4 = DeepTree(c[2], c[3]), DeepTree(c[3], c[4])
        self.level5 = Tree(c[4], c[5], stride=2, level=True)

    def forward(self, x):
        x, levels = self.base_layer(x), []
        for i in range(6):
            x = getattr(self, f"level{i}")(x)
            levels.append(x)
        return levels


class Deformable(nn.Module):
    """A 3x3 convolution whose nine taps are moved and weighed by what it sees: the first 18 maps of `conv_offset_mask` are (dy, dx) tap by tap."""

    def __init__(self, channels_in, channels):
        super().__init__()
        bound = (9 * channels_in) ** -0.5
        self.weight = nn.Parameter(torch.empty(channels, channels_in, 3, 3).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.conv_offset_mask = nn.Conv2d(channels_in, 27, 3, padding=1)
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(self.conv_offset_mask.bias)

    def forward(self, x):
        seen = self.conv_offset_mask(x)
        return deform_conv2d(x, seen[:, :18], self.weight, self.bias, padding=1, mask=seen[:, 18:].sigmoid())


class Unit(nn.Module):
    def __init__(self, channels_in, channels):
        super().__init__()
        self.conv = Deformable(channels_in, channels)
        self.actf = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))

    def forward(self, x):
        return self.actf(self.conv(x))


def doubling(channels, factor):
    """Bilinear up-sampling by `factor`, as a transposed convolution that may learn better."""
    layer = nn.ConvTranspose2d(channels, channels, 2 * factor, factor, factor // 2, groups=channels, bias=False)
    line = 1 - (torch.arange(2 * factor) + 0.5 - factor).abs() / factor
    layer.weight.data.copy_(torch.outer(line, line).expand_as(layer.weight))
    return layer


class Merge(nn.Module):
    """A shallow map, into which deeper ones are merged in turn; gives every stage."""

    def __init__(self, channels, deeper, factors):
        super().__init__()
        for i, (channels_in, factor) in enumerate(zip(deeper, factors, strict=True), 1):
            setattr(self, f"proj_{i}", Unit(channels_in, channels))
            setattr(self, f"up_{i}", doubling(channels, factor))
            setattr(self, f"node_{i}", Unit(channels, channels))

    def forward(self, shallow, deeper):
        stages = []
        for i, deep in enumerate(deeper, 1):
            proj, up, node = (getattr(self, f"{name}_{i}") for name in ("proj", "up", "node"))
            shallow = node(up(proj(deep)) + shallow)
            stages.append(shallow)
        return stages


class UpPath(nn.Module):
    """Levels of maps -> merged maps at strides 4, 8, 16."""

    def __init__(self, channels):
        super().__init__()
        for i, (own, deep) in enumerate(((4, 5), (3, 4), (2, 3))):
            setattr(self, f"ida_{i}", Merge(channels[own], [channels[deep]] * (i + 1), [2] * (i + 1)))

    def forward(self, levels):
        merged, ends = [], []
        for i, own in enumerate((4, 3, 2)):
            merged = getattr(self, f"ida_{i}")(levels[own], [levels[own + 1], *merged])
            ends.append(merged[-1])
        return ends[::-1]


class DLA34(nn.Module):
    """Pictures (B, 3, H, W), sides multiples of 32 -> maps at stride 4: `hm` (B, classes, h, w) score logits, `wh` (B, 2, h, w) size of the box in
    cells, `reg` (B, 2, h, w) where in its cell the middle is."""

    def __init__(self, classes=80, channels=CHANNELS, head=256):
        super().__init__()
        self.base, self.dla_up = Base(channels), UpPath(channels)
        self.ida_up = Merge(channels[2], channels[3:5], (2, 4))
        self.hm, self.wh, self.reg = (
            nn.Sequential(nn.Conv2d(channels[2], head, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(head, n, 1)) for n in (classes, 2, 2))
        nn.init.constant_(self.hm[2].bias, -2.19)
        for layer in (self.wh[0], self.wh[2], self.reg[0], self.reg[2]):
            nn.init.zeros_(layer.bias)

    def feature(self, x):
        """What the heads see (B, C, H/4, W/4)."""
        fine, middle, coarse = self.dla_up(self.base(x))
        return self.ida_up(fine, [middle, coarse])[-1]

    def forward(self, x):
        x = self.feature(x)
        return self.hm(x), self.wh(x), self.reg(x)


def dla_state(state):
    """The tensors of a published file that the network uses."""
    return {key: value for key, value in state.items() if not key.startswith(UNUSED)}


def dla_from_state(state):
    """An empty DLA34 of the size that a state dict has; of the usual size where it is another network's, for `load_strict` to say what is odd."""
    try:
        first = ["base.level0.0.weight", "base.level1.0.weight", "base.level2.root.conv.weight", "base.level3.tree2.root.conv.weight",
                 "base.level4.tree2.root.conv.weight", "base.level5.root.conv.weight"]
        return DLA34(len(state["hm.2.weight"]), tuple(len(state[key]) for key in first), len(state["hm.0.weight"]))
    except KeyError:
        return DLA34()
