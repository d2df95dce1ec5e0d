"""Losses of the person detector: against labelled people through task-aligned assignment, and against a teacher's maps."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.ops import generalized_box_iou_loss

from training.tiles import IGNORE, ROUGH, is_person


def pairwise_iou(boxes, truth):
    """IoU of boxes (B, N, 4) and truth (B, G, 4): (B, G, N)."""
    low, high = torch.maximum(boxes[:, None, :, :2], truth[:, :, None, :2]), torch.minimum(boxes[:, None, :, 2:], truth[:, :, None, 2:])
    shared = (high - low).clamp(0).prod(-1)
    areas = [(b[..., 2:] - b[..., :2]).clamp(0).prod(-1) for b in (boxes, truth)]
    return shared / (areas[0][:, None] + areas[1][:, :, None] - shared).clamp(1e-6)


@torch.no_grad()
def assign(scores, boxes, points, truth, people, top=9):
    """Which cells answer for which person: the target score (B, N) of each cell and the row of `truth` (B, N) it belongs to.

    scores (B, N), boxes (B, N, 4) and points (N, 2) of the cells; truth (B, G, 4), of which `people` (B, G) are people. The `top` cells inside a
    person by score^0.5 * IoU^6 get that measure, scaled so that the best cell gets its IoU (TOOD, eq. 1 and 7).
    """
    centre = (truth[..., :2] + truth[..., 2:]) / 2
    half = ((truth[..., 2:] - truth[..., :2]) / 2).clamp(8)  # the smallest people hold one cell at least
    inside = ((points - centre[:, :, None]).abs() < half[:, :, None]).all(-1) & people[..., None]
    overlap = pairwise_iou(boxes, truth) * inside
    fit = scores[:, None].sqrt() * overlap**6 + 1e-12 * inside
    best = fit.topk(min(top, fit.shape[2]), dim=2)
    chosen = torch.zeros_like(fit).scatter(2, best.indices, best.values)
    taken = overlap * (chosen > 0)
    chosen = chosen * (taken == taken.amax(1, keepdim=True))  # a cell between two people takes the one it fits
    target = chosen / chosen.amax(2, keepdim=True).clamp(1e-12) * (overlap * (chosen > 0)).amax(2, keepdim=True)
    return target.max(1)


def quality_focal(logits, target):
    """Cross-entropy to a soft target, weighted by the square of the error (Li et al., "Generalized Focal Loss", 2020, eq. 5)."""
    return binary_cross_entropy_with_logits(logits, target, reduction="none") * (logits.sigmoid().detach() - target).square()


def box_loss(boxes, target, weight):
    """Mean GIoU loss with weights (N,)."""
    return (generalized_box_iou_loss(boxes, target) * weight).sum() / weight.sum().clamp(1)


def label_loss(logits, boxes, points, truth, kinds):
    """The loss of logits (B, N) and boxes (B, N, 4) of cells against truth (B, G, 4) of `kinds` (B, G), and the score (B, N) wanted of each cell.

    Cells in ignore boxes that answer for nobody do not count; rough boxes only say that somebody is there.
    """
    target, owner = assign(logits.detach().sigmoid(), boxes.detach(), points, truth, is_person(kinds))
    inside = ((points > truth[:, :, None, :2]) & (points < truth[:, :, None, 2:])).all(-1)
    counted = (target > 0) | ~(inside & (kinds == IGNORE)[..., None]).any(1)
    score = (quality_focal(logits, target) * counted).sum() / target.sum().clamp(1)
    wanted = truth.gather(1, owner[..., None].expand(-1, -1, 4))
    matched = (target > 0) & (kinds.gather(1, owner) != ROUGH)
    return score + 2 * box_loss(boxes[matched], wanted[matched], target[matched]), target


def teacher_loss(logits, boxes, taught, marked, threshold=0.2):
    """The loss against a teacher's score and box at each cell (B, N, 5), but where labels, whose scores are `marked` (B, N), know whom it misses."""
    target = taught[..., 0]
    sure = target > threshold
    score = (quality_focal(logits, target) * (marked < target + threshold)).sum() / target[sure].sum().clamp(1)
    return score + 2 * box_loss(boxes[sure], taught[..., 1:][sure], target[sure])
