"""What a worse camera or a hidden spot would make of pictures: random changes of batches (B, 3, h, w) from 0 to 255, each a new tensor.

All draw from a torch Generator on the pictures' device.
"""

import math

import torch
from torch.nn import functional as F

GREY = (0.299, 0.587, 0.114)
QUANTA = torch.tensor([  # of luminance in JPEG (ITU-T T.81, table K.1)
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99]])


class Draw:
    """Random numbers from one generator."""

    def __init__(self, seed, device):
        self.generator, self.device = torch.Generator(device).manual_seed(seed), device

    def rand(self, *shape, low=0.0, high=1.0):
        return torch.rand(shape, generator=self.generator, device=self.device) * (high - low) + low

    def randn(self, *shape):
        return torch.randn(shape, generator=self.generator, device=self.device)

    def chance(self, p, *shape):
        return self.rand(*shape) < p

    def integers(self, high, *shape):
        return torch.randint(high, shape, generator=self.generator, device=self.device)


def colour(x, draw, calm=0.2):
    """Brightness, contrast, tint, saturation and gamma at once; a share `calm` of the pictures stays, one in twelve becomes dark."""
    count = len(x)
    gain = (0.2 * draw.randn(count, 1, 1, 1)).exp() * (0.07 * draw.randn(count, 3, 1, 1)).exp()
    grey = (0.25 * draw.randn(count, 1, 1, 1)).clamp(-0.5, 0.5)
    grey = torch.where(draw.chance(0.08, count, 1, 1, 1), 1.0, grey)
    light = (x * torch.tensor(GREY, device=x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)
    gamma, lift = (0.25 * draw.randn(count, 1, 1, 1)).exp(), 14 * draw.randn(count, 1, 1, 1)
    dark = draw.chance(0.08, count, 1, 1, 1)
    gamma, gain = torch.where(dark, gamma * 1.5, gamma), torch.where(dark, gain * 0.5, gain)
    y = 255 * ((torch.lerp(x, light, grey) * gain).clamp(0, 255) / 255) ** gamma + lift
    return torch.where(draw.chance(calm, count, 1, 1, 1), x, y.clamp(0, 255))


def degrade(x, draw, share=0.45):
    """A `share` of the pictures gets one of: blur, motion blur, low resolution, JPEG, noise."""
    x, kind = x.clone(), draw.rand(len(x)) / share
    for i, change in enumerate((blur, streak, coarse, jpeg, noise)):
        rows = ((kind >= i / 5) & (kind < (i + 1) / 5)).nonzero()[:, 0]
        if len(rows):
            x[rows] = change(x[rows], draw)
    return x.clamp(0, 255)


def filtered(x, kernels):
    """Each picture of x (B, 3, h, w) convolved with its kernel (B, k, k), edges repeated."""
    batch, channels, height, width = x.shape
    pad = kernels.shape[-1] // 2
    flat = F.pad(x, (pad,) * 4, mode="replicate").reshape(1, batch * channels, height + 2 * pad, width + 2 * pad)
    return F.conv2d(flat, kernels.repeat_interleave(channels, 0)[:, None], groups=batch * channels).view_as(x)


def blur(x, draw):
    """Out of focus: Gaussian, 0.5 to 2 px at a height of 256."""
    sigma = draw.rand(len(x), 1, low=0.5, high=2.0) * x.shape[2] / 256
    offset = torch.arange(-4, 5, device=x.device)
    line = torch.exp(-(offset**2) / (2 * sigma**2))
    line = line / line.sum(1, keepdim=True)
    return filtered(x, line[:, :, None] * line[:, None])


def streak(x, draw, reach=8):
    """Moved while it was taken: the mean along a line of 2 to 2 * reach px."""
    angle, half = draw.rand(len(x), 1, 1, high=math.pi), draw.rand(len(x), 1, 1, low=1, high=reach) * min(1, x.shape[2] / 256)
    offset = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    along = offset * angle.cos() + offset[:, None] * angle.sin()
    across = offset[:, None] * angle.cos() - offset * angle.sin()
    kernel = (1 - across.abs()).clamp(0) * (half + 0.5 - along.abs()).clamp(0, 1)
    return filtered(x, kernel / kernel.sum((1, 2), keepdim=True))


def coarse(x, draw):
    """Small once, enlarged since: to 0.25 to 0.8 of its size and back."""
    zoom = float(draw.rand(1, low=0.25, high=0.8))
    small = F.interpolate(x, size=[max(8, round(n * zoom)) for n in x.shape[2:]], mode="area")
    return F.interpolate(small, size=x.shape[2:], mode="bilinear")


def jpeg(x, draw):
    """The 8x8 blocks' cosine coefficients rounded as JPEG of quality 10 to 60 does (colours as coarse as light)."""
    quality = draw.rand(len(x), low=10, high=60)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)[:, None, None, None, None]
    k = torch.arange(8, device=x.device, dtype=x.dtype)
    basis = torch.cos((2 * k + 1) * k[:, None] * math.pi / 16) / 2
    basis[0] /= math.sqrt(2)
    height, width = x.shape[2:]
    blocks = F.pad(x, (0, -width % 8, 0, -height % 8), mode="replicate")
    shape = blocks.shape
    blocks = blocks.reshape(len(x), 3, shape[2] // 8, 8, shape[3] // 8, 8).transpose(3, 4) - 128
    step = (QUANTA.to(x) * scale).clamp(min=1)[:, :, None]
    coefficients = (basis @ blocks @ basis.T / step).round() * step
    return (basis.T @ coefficients @ basis + 128).transpose(3, 4).reshape(shape)[..., :height, :width]


def noise(x, draw):
    """A sensor's noise of 3 to 20 grey levels."""
    return x + draw.randn(*x.shape) * draw.rand(len(x), 1, 1, 1, low=3, high=20)


def cut_out(x, joints, draw, share=0.4):
    """In a `share` of the pictures one to three spots, mostly at joints (B, J, 3) px, hidden behind plain or noisy patches."""
    rows = draw.chance(share, len(x)).nonzero()[:, 0]
    if len(rows):
        x = x.clone()
        x[rows] = _hidden(x[rows], joints[rows], draw)
    return x


def _hidden(x, joints, draw):
    count, (height, width) = len(x), x.shape[2:]
    grid_x, grid_y = torch.arange(width, device=x.device), torch.arange(height, device=x.device)
    for times in (1.0, 0.4, 0.3):
        chosen = torch.multinomial((joints[..., 2] > 0) + 1e-6, 1, generator=draw.generator)
        spot = joints[..., :2].gather(1, chosen[..., None].expand(-1, -1, 2))[:, 0] + 0.04 * height * draw.randn(count, 2)
        anywhere = draw.rand(count, 2) * torch.tensor([width, height], device=x.device)
        centre = torch.where(draw.chance(0.6, count, 1), spot, anywhere)
        half = draw.rand(count, 2, low=0.04, high=0.16) * height
        inside = ((grid_x - centre[:, :1]).abs() < half[:, :1])[:, None, None] & ((grid_y - centre[:, 1:]).abs() < half[:, 1:])[:, None, :, None]
        hit = inside & draw.chance(times, count)[:, None, None, None]
        patch = 255 * draw.rand(count, 3, 1, 1)
        patch = torch.where(draw.chance(0.3, count, 1, 1, 1), 255 * draw.rand(*x.shape), patch)
        x = torch.where(hit, patch, x)
    return x
