"""What a heat map should say of a joint, and how far one is from it. The cells of a crop have a side of STRIDE px; one more is "not in this crop"."""

import torch
from torch.nn import functional as F

from poses.body21 import STRIDE, around
from training.gallery import cell_centres

SIGMA = 0.022  # of the target, over the crop's height
REACH = 3  # cells around a joint within which its place is learned exactly


def targets(joints, size):
    """(B, J, h/4 * w/4 + 1) probabilities of each cell, the last is "outside", and weights (B, J), of joints (B, J, 3) in crop px."""
    cells = cell_centres(size, joints.device, STRIDE)
    distance = (joints[..., None, :2] - cells).square().sum(-1)
    inside = ((joints[..., :2] >= 0) & (joints[..., :2] < torch.tensor(size, device=joints.device))).all(-1, keepdim=True)
    spot = torch.softmax(-distance / (2 * (SIGMA * size[1]) ** 2), -1) * inside
    return torch.cat([spot, (~inside).to(spot.dtype)], -1), joints[..., 2]


def mirrored(wanted, size):
    """Targets (B, J, cells + 1) of the mirrored crops, joints still under their old names."""
    shape = (*wanted.shape[:2], size[1] // STRIDE, size[0] // STRIDE)
    return torch.cat([wanted[..., :-1].reshape(shape).flip(3).flatten(2), wanted[..., -1:]], -1)


def cross_entropy(logits, wanted, weight):
    """Mean over the known joints of the cross-entropy of logits (B, J, h, w), and 0 for "outside", with the targets."""
    flat = F.pad(logits.float().flatten(2), (0, 1))
    each = -(wanted * flat.log_softmax(-1)).sum(-1)
    return (each * weight).sum() / weight.sum().clamp_min(1)


def nearness(logits, wanted, weight):
    """Mean distance |dx| + |dy|, in cells, of the known joints in logits (B, J, h, w) from those in the targets: both are expectations over the cells
    within REACH of the target's likeliest one, so that what is found is learned to be exact, whatever is believed of elsewhere."""
    *_, index, there = around(wanted[..., :-1].argmax(-1), logits.shape[2:], REACH)
    index, there = index.flatten(2), there.flatten(2)
    steps = torch.arange(-REACH, REACH + 1, device=logits.device).float()
    offsets = torch.cartesian_prod(steps, steps)
    found = logits.float().flatten(2).gather(2, index).masked_fill(~there, -torch.inf).softmax(-1)
    truth = wanted.gather(2, index) * there
    total = truth.sum(-1)
    apart = (found @ offsets - truth @ offsets / total.clamp_min(1e-6)[..., None]).abs().sum(-1)
    weight = weight * (total > 0.3)
    return (apart * weight).sum() / weight.sum().clamp_min(1)


def depth_loss(maps, wanted, depth):
    """Mean error in units of 0.25 m of depth maps (B, J, h, w), read where the targets say, at joints inside the crop whose depth is known."""
    there = wanted[..., :-1]
    known = depth.isfinite() & (wanted[..., -1] < 0.5)
    read = (maps.float().flatten(2) * there).sum(-1)
    return ((read - depth.nan_to_num()).abs() * known).sum() / known.sum().clamp_min(1) / 0.25
