"""The re-identification network of centerNet-deep-sort (checkpoint `ckpt.t7`): a small ResNet on crops of 64x128."""

import torch
from torch import nn


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016), which is a 1x1 convolution where the block has a `stride`."""

    def __init__(self, before, after, stride=None):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride or 1, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)) if stride else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(self.downsample(x) + y)


class ReIdNet(nn.Module):
    """Crops (B, 3, 128, 64) -> unit vectors (B, widths[-1]). `classes` people were told apart in training; `logits` says which one it is."""

    def __init__(self, widths=(64, 128, 256, 512), hidden=256, classes=751):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, widths[0], 3, 1, 1), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
        self.layer1 = nn.Sequential(Block(widths[0], widths[0]), Block(widths[0], widths[0]))
        for i, (before, after) in enumerate(zip(widths, widths[1:], strict=False), 2):
            self.add_module(f"layer{i}", nn.Sequential(Block(before, after, 2), Block(after, after)))
        self.classifier = nn.Sequential(nn.Linear(widths[-1], hidden), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True), nn.Dropout(),
                                        nn.Linear(hidden, classes))

    def forward(self, x):
        return nn.functional.normalize(self.pooled(x), dim=1)

    def logits(self, x):
        return self.classifier(self.pooled(x))

    def pooled(self, x):
        for part in (self.conv, self.layer1, self.layer2, self.layer3, self.layer4):
            x = part(x)
        return x.mean((2, 3))


def sized_like(state):
    """An untrained ReIdNet with the widths of a checkpoint's tensors; KeyError where they are of another network."""
    widths = tuple(state[f"layer{i}.1.conv2.weight"].shape[0] for i in (1, 2, 3, 4))
    classes, hidden = state["classifier.4.weight"].shape
    return ReIdNet(widths, hidden, classes)
