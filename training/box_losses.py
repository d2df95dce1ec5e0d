"""Losses of the person detector: against labelled people through task-aligned assignment, and against a teacher's maps."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.ops import generalized_box_iou_loss


def pairwise_iou(boxes, truth):
    """IoU of boxes (N, 4) and truth (G, 4): (G, N)."""
    low, high = torch.maximum(boxes[None, :, :2], truth[:, None, :2]), torch.minimum(boxes[None, :, 2:], truth[:, None, 2:])
    shared = (high - low).clamp(0).prod(-1)
    areas = [(b[:, 2:] - b[:, :2]).clamp(0).prod(-1) for b in (boxes, truth)]
    return shared / (areas[0][None] + areas[1][:, None] - shared).clamp(1e-6)


@torch.no_grad()
def assign(scores, boxes, points, truth, top=9):
    """Which cells answer for which person: the target score (N,) of each cell and the row of `truth` (N,) it belongs to.

    The `top` cells inside a person by score^0.5 * IoU^6 get that measure, scaled so that the best cell gets its IoU (TOOD, eq. 1 and 7).
    """
    if not len(truth):
        return torch.zeros_like(scores), torch.zeros(len(scores), dtype=torch.long, device=scores.device)
    centre, half = (truth[:, :2] + truth[:, 2:]) / 2, ((truth[:, 2:] - truth[:, :2]) / 2).clamp(8)  # the smallest people hold one cell at least
    inside = ((points[None] - centre[:, None]).abs() < half[:, None]).all(-1)
    overlap = pairwise_iou(boxes, truth) * inside
    fit = scores[None].sqrt() * overlap ** 6 + 1e-12 * inside
    best = fit.topk(min(top, fit.shape[1]), dim=1)
    chosen = torch.zeros_like(fit).scatter(1, best.indices, best.values)
    chosen = chosen * (overlap * (chosen > 0) == (overlap * (chosen > 0)).amax(0))  # a cell between two people takes the one it fits
    target = chosen / chosen.amax(1, keepdim=True).clamp(1e-12) * (overlap * (chosen > 0)).amax(1, keepdim=True)
    value, owner = target.max(0)
    return value, owner


def quality_focal(logits, target):
    """Cross-entropy to a soft target, weighted by the square of the error (Li et al., "Generalized Focal Loss", 2020, eq. 5)."""
    return binary_cross_entropy_with_logits(logits, target, reduction="none") * (logits.sigmoid().detach() - target).square()


def box_loss(boxes, target, weight):
    """Mean GIoU loss with weights (N,)."""
    return (generalized_box_iou_loss(boxes, target) * weight).sum() / weight.sum().clamp(1)


def label_loss(logits, boxes, points, truths, ignores):
    """The loss against labelled people; cells in ignore boxes that answer for nobody do not count."""
    found = [assign(s, b, points, t) for s, b, t in zip(logits.detach().sigmoid(), boxes.detach(), truths, strict=True)]
    target = torch.stack([value for value, _ in found])
    hidden = torch.stack([((points[None] > g[:, None, :2]) & (points[None] < g[:, None, 2:])).all(-1).any(0) for g in ignores])
    counted = (target > 0) | ~hidden
    score = (quality_focal(logits, target) * counted).sum() / target.sum().clamp(1)
    matched = [(b[v > 0], t[o[v > 0]], v[v > 0]) for b, t, (v, o) in zip(boxes, truths, found, strict=True) if len(t)]
    if not matched:
        return score
    return score + 2 * box_loss(*(torch.cat(part) for part in zip(*matched, strict=True)))


def teacher_loss(logits, boxes, taught, threshold=0.2):
    """The loss against a teacher's score and box at each cell (B, N, 5)."""
    target = taught[..., 0]
    score = quality_focal(logits, target).sum() / target[target > threshold].sum().clamp(1)
    sure = target > threshold
    return score + 2 * box_loss(boxes[sure], taught[..., 1:][sure], target[sure])
