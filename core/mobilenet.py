"""MobileNetV2's layers (Sandler et al., CVPR 2018, table 2), the trunk of our picture networks; tensors are named as torchvision names them."""

from torch import nn

# expansion of the channels inside a block, channels that come out, blocks, stride of the first
TABLE = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
STEM = 32  # channels of the first layer


def convolution(inputs, outputs, kernel=3, stride=1, groups=1):
    """Convolution, normalisation, ReLU6."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out")
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """Wider by a 1x1 convolution, a depthwise 3x3, and back without an activation; added to what came in where the shapes agree."""

    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        width = inputs * expansion
        wider = [convolution(inputs, width, 1)] if expansion > 1 else []
        back = nn.Conv2d(width, outputs, 1, bias=False)
        nn.init.kaiming_normal_(back.weight, mode="fan_out")
        self.conv = nn.Sequential(*wider, convolution(width, width, stride=stride, groups=width), back, nn.BatchNorm2d(outputs))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


def mobilenet_v2(layers):
    """The first `layers` (1 to 18) of the network's feature layers: pictures (B, 3, H, W) -> maps (B, C, h, w)."""
    found, inputs = [convolution(3, STEM, stride=2)], STEM
    for expansion, outputs, blocks, stride in TABLE:
        for i in range(blocks):
            found.append(InvertedResidual(inputs, outputs, stride if i == 0 else 1, expansion))
            inputs = outputs
    return nn.Sequential(*found[:layers])
