"""What the networks with volumes of heat share: the way up from the trunk, the joint as the mean place of the heat, their checkpoints.

Sun et al., "Integral Human Pose Regression", ECCV 2018, equations 3 to 6.
"""

import torch
from torch import nn

from weights import load, load_strict, resolve


def deconvolutions(channels_in, channels=256):
    """Three transposed convolutions (kernel 4, stride 2), normalised: (B, C_in, h, w) -> (B, C, 8h, 8w)."""
    layers = []
    for _ in range(3):
        convolution = nn.ConvTranspose2d(channels_in, channels, 4, stride=2, padding=1, bias=False)
        nn.init.normal_(convolution.weight, std=0.001)
        layers += [convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        channels_in = channels
    return nn.Sequential(*layers)


def pointwise(channels_in, channels_out):
    """The 1x1 convolution that ends a network, small at first."""
    convolution = nn.Conv2d(channels_in, channels_out, 1)
    nn.init.normal_(convolution.weight, std=0.001)
    nn.init.zeros_(convolution.bias)
    return convolution


def soft_argmax(heat, joints):
    """Joints (B, J, 3) as x, y, z in cells, from 0, of maps of heat (B, J * D, H, W): joint by joint, depth next. Float32 whatever the maps are."""
    b, _, h, w = heat.shape
    volumes = heat.float().reshape(b, joints, -1).softmax(2).reshape(b, joints, -1, h, w)
    sums = volumes.sum((2, 3)), volumes.sum((2, 4)), volumes.sum((3, 4))
    return torch.stack([part @ torch.arange(part.shape[2], dtype=part.dtype, device=part.device) for part in sums], 2)


def soft_argmax2d(heat):
    """Points (B, 2) as x, y in cells, from 0, of a map of heat (B, 1, H, W)."""
    return soft_argmax(heat, 1)[:, 0, :2]


def fitted(from_state, weights, device, renamed=dict):
    """The network that `from_state(tensors)` makes for a file or manifest name, with its tensors (`renamed`), in evaluation mode.

    Raises InputError where the file cannot be had or does not fit.
    """
    state = renamed(load(resolve(weights))[0])
    return load_strict(from_state(state), state, weights).to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
