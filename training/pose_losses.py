"""The losses of the networks that look at people: 3DMPPE's, and those of the fifth system."""

from torch.nn import functional as F


def pose_loss(found, wanted, visible, has_depth):
    """(B, J) of joints (B, J, 3) in cells; visible (B, J, 1), has_depth (B, 1). Moon et al., ICCV 2019, equation 6, averaged over x, y, z."""
    error = (found - wanted).abs() * visible
    return (error[..., 0] + error[..., 1] + error[..., 2] * has_depth) / 3


def root_loss(found, wanted, visible, has_depth):
    """(B,) of roots (B, 3) in cells and mm; visible, has_depth (B, 1). Moon et al., equation 4, averaged over x, y, z."""
    error = (found - wanted).abs() * visible
    return (error[:, 0] + error[:, 1] + error[:, 2] * has_depth[:, 0]) / 3


def location_loss(found, wanted, weight, norm="l1", average=False):
    """The sum of the weighted errors of joints (B, J, 3) in shares of a crop; `average` divides it by the number of people.

    norm: "l1", "smooth" (0.5 e^2 below 1, e - 0.5 above), "l2". Sun et al., "Integral Human Pose Regression", ECCV 2018, section 2.
    """
    error = found - wanted
    each = {"l1": error.abs(), "l2": error.square(), "smooth": F.smooth_l1_loss(found, wanted, reduction="none")}[norm]
    total = (each * weight).sum()
    return total / len(found) if average else total


def refiner_loss(found, truth, own=None):
    """Smooth L1 in mm to the truth (B, N), and to the estimator's `own` 3D (B, N): the self-supervision of the upper branch."""
    loss = F.smooth_l1_loss(found, truth)
    return loss if own is None else loss + F.smooth_l1_loss(found, own)


LOSSES = {"L1JointLocationLoss": {"norm": "l1", "average": False}, "L2JointLocationLoss": {"norm": "l2", "average": True},
          "SmoothL1JointLocationLoss": {"norm": "smooth", "average": True}}


def published(name):
    """The location loss that the fifth system's LOSS.FN names, as it averages there. Raises KeyError."""
    return lambda found, wanted, weight: location_loss(found, wanted, weight, **LOSSES[name])
