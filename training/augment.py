"""Random crops of people, for all of a batch at once: where they are taken, and where the joints are in them. Torch; draws from looks.Draw."""

import math

import torch

from training.gallery import apply


def crop_matrices(boxes, size, scale, angle, stretch):
    """Affine maps (B, 2, 3) from picture to crop pixels, as `core.geometry.crop_matrix`, of boxes (B, 4) widened to the aspect of `size`.

    scale, angle, stretch (B,): enlargement of the box, radians clockwise on the screen, and by how much the content is made wider than tall.
    """
    wide, high = size
    centre, extent = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3)
    zoom = 1 / (scale * torch.maximum(extent[:, 0] / wide, extent[:, 1] / high))
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    root = stretch.sqrt()
    linear = torch.stack([cosine * root, -sine / root, sine * root, cosine / root], 1).view(-1, 2, 2)
    middle = torch.tensor([wide / 2, high / 2], device=boxes.device, dtype=boxes.dtype)
    return torch.cat([linear, (middle - (linear @ centre[..., None])[..., 0])[..., None]], 2)


def placements(boxes, joints, size, halves, draw, strength=1.0, square=None):
    """Random crops (B, 2, 3) around boxes (B, 4) of people with joints (B, J, 3).

    `strength` 0..1 scales how often half bodies and rotations over the full circle occur; `square` (B,) marks pictures whose aspect was lost.
    """
    count = len(boxes)
    boxes = torch.where(draw.chance(0.25 * strength, count, 1), half_bodies(boxes, joints, halves, draw), boxes)
    extent = (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True)
    shift = 0.04 * draw.randn(count, 2) * extent
    scale = 1.25 * (0.18 * draw.randn(count)).clamp(-0.4, 0.4).exp()
    kind, tilt = draw.rand(count), (math.radians(25) * draw.randn(count)).clamp(-math.pi / 2, math.pi / 2)
    angle = torch.where(kind < 0.25 * strength + 0.5, tilt, 0)
    angle = torch.where(kind < 0.25 * strength, draw.rand(count, low=-math.pi, high=math.pi), angle)
    stretch = 0.06 * draw.randn(count)
    if square is not None:
        stretch = torch.where(square, draw.rand(count, low=-0.15, high=0.45), stretch)
    return crop_matrices(boxes + shift.repeat(1, 2), size, scale, angle, stretch.exp())


def half_bodies(boxes, joints, halves, draw, least=5):
    """Boxes of the joints (B, J, 3) of one of two `halves` (index lists), or the boxes themselves where too few of them are known."""
    masks = torch.zeros(len(halves), joints.shape[1], dtype=torch.bool, device=joints.device)
    for row, half in enumerate(halves):
        masks[row, list(half)] = True
    chosen = masks[draw.integers(len(halves), len(boxes))] & (joints[..., 2] > 0.3)
    far = torch.where(chosen[..., None], joints[..., :2], torch.nan)
    low, high = far.nan_to_num(torch.inf).amin(1), far.nan_to_num(-torch.inf).amax(1)
    centre, extent = (low + high) / 2, high - low
    half = torch.maximum(extent * 0.65, extent.amax(1, keepdim=True) * 0.3)
    enough = (chosen.sum(1) >= least)[:, None]
    return torch.where(enough, torch.cat([centre - half, centre + half], 1), boxes)


def flipped(matrices, joints, width, mirror, flip):
    """Maps (B, 2, 3) followed by a mirror of a crop `width` px wide where `flip` (B,), and joints (B, J, C) under their new names there."""
    turned = matrices.clone()
    turned[:, 0] = -turned[:, 0]
    turned[:, 0, 2] += width
    order = torch.tensor(mirror, device=joints.device)
    return torch.where(flip[:, None, None], turned, matrices), torch.where(flip[:, None, None], joints[:, order], joints)


def moved(matrices, joints):
    """Joints (B, J, 3) x, y, weight under affine maps."""
    return torch.cat([apply(matrices, joints[..., :2]), joints[..., 2:]], -1)
