"""The small U-shaped network that both of our picture networks stand on, and what makes it fast once it is trained."""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from core.errors import InputError
from core.mobilenet import mobilenet_v2

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, on RGB / 255
TAPS = {3: 24, 6: 32, 13: 96, 17: 320}  # layer of the trunk -> channels, at strides 4, 8, 16, 32


def block(channels, kernel=3):
    """Depthwise then pointwise convolution, each normalised."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class MobileUNet(nn.Module):
    """MobileNetV2 trunk (Sandler et al. 2018) and a top-down path of separable blocks: pictures (B, 3, H, W) -> features (B, C, H/4, W/4).

    H and W are multiples of 32. Input is RGB / 255, normalised by MEAN and STD. The path ends at stride `finest` (4, 8 or 16);
    `kernel` is the width of its depthwise convolutions.
    """

    def __init__(self, channels=96, finest=4, kernel=5):
        super().__init__()
        self.taps = [layer for layer, stride in zip(TAPS, (4, 8, 16, 32), strict=True) if stride >= finest]
        self.trunk = mobilenet_v2(max(TAPS) + 1)
        self.lateral = nn.ModuleList(nn.Sequential(nn.Conv2d(TAPS[i], channels, 1, bias=False), nn.BatchNorm2d(channels)) for i in self.taps)
        self.context = nn.Sequential(block(channels, kernel), block(channels, kernel))
        self.smooth = nn.ModuleList(block(channels, kernel) for _ in self.taps[1:])

    def forward(self, x):
        return self.pyramid(x)[-1]

    def pyramid(self, x):
        """The features of every level of the path, from stride 32 to the finest."""
        levels = []
        for i, layer in enumerate(self.trunk):
            x = layer(x)
            if i in self.taps:
                levels.append(x)
        x = self.lateral[-1](levels[-1])
        path = [x + self.context(x)]
        for level, lateral, smooth in zip(levels[-2::-1], list(self.lateral)[-2::-1], self.smooth, strict=True):
            x = nn.functional.interpolate(path[-1], scale_factor=2.0, mode="nearest") + lateral(level)
            path.append(x + smooth(x))
        return path


def normalised_convolutions(model):
    """(dotted name, nn.Sequential, key of the convolution, key of its batch normalisation) of each pair in a model that can be folded into one."""
    for place, module in model.named_modules():
        if isinstance(module, nn.Sequential):
            parts = list(module._modules.items())
            for (first, conv), (second, norm) in zip(parts, parts[1:], strict=False):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    yield f"{place}.{first}", module, first, second


def fuse(model):
    """The evaluation form of a trained model, in place: batch normalisation folded into the convolutions before it, channels last."""
    model.eval()
    for _, module, first, second in list(normalised_convolutions(model)):
        module._modules[first] = fuse_conv_bn_eval(module._modules[first], module._modules[second])
        module._modules[second] = nn.Identity()
    return model.to(memory_format=torch.channels_last).requires_grad_(False)


def to_tensor(images, device, half=False, mean=MEAN, std=STD):
    """RGB uint8 pictures of one size (B, H, W, 3) as a normalised, channels-last float tensor (B, 3, H, W)."""
    x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
    x = x.to(torch.float16 if half else torch.float32)
    return normalised(x, mean, std)


def normalised(x, mean=MEAN, std=STD):
    """RGB pictures (B, 3, H, W) from 0 to 255, divided by 255 and normalised by `mean` and `std`, channels last."""
    mean, std = (torch.tensor(v, device=x.device, dtype=x.dtype).view(1, 3, 1, 1) * 255 for v in (mean, std))
    return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


def pick_device(name="auto"):
    """The torch device of "auto", "cpu", "cuda", "cuda:1" or "mps". Raises InputError where this machine does not have it."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"no device '{name}'; there are auto, cpu, cuda[:i], mps") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"no device '{name}': this machine has {torch.cuda.device_count()} CUDA devices")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError("no device 'mps' on this machine")
    if device.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"no device '{name}'; there are auto, cpu, cuda[:i], mps")
    return device
