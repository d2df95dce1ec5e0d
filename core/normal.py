"""The normal form of a person's 2D motion: the same wherever in the picture they stand, however large they are, whatever the lens.

Training and inference both go through this module. All tensors are float32; windows are (B, R, ...), J joints with the root's index given.
A window is turned so that the view ray of the root in its target frame becomes the optical axis, and divided by its mean size.
"""

import torch

STATURE = 1.74  # metres from crown to sole of the body that the network gives
LOG_SIGMA = (-6.0, 0.0)  # least and most of the logarithm of the expected error in metres


def normal_form(plane, scores, root, target):
    """What the network reads of windows: features (B, R, J + 1, 3) and the turn (B, 3, 3) from camera axes to turned axes.

    plane (B, R, J, 2) are points of the unit plane (depth 1), scores (B, R, J); a joint that is not finite or has no score counts as missing
    and reads as zeros. `target` is the index of the frame whose 3D is asked. The joints are given relative to the root of their frame with
    their scores; the last row holds the root's path relative to the target frame, and the logarithm of the size.
    """
    valid = (scores > 0) & plane.isfinite().all(-1)
    plane = torch.where(valid[..., None], plane, 0)
    weight = valid.to(plane.dtype)
    anchor = _anchor(plane, valid, weight, root)
    turn = turn_to_axis(anchor[:, target])
    plane, anchor = _turned(plane, turn), _turned(anchor[:, :, None], turn)[:, :, 0]
    offset = (plane - anchor[:, :, None]) * weight[..., None]
    size = (offset.norm(dim=-1).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1)).clamp(min=1e-4)
    scale = size[:, None, None]
    joints = torch.cat([offset / scale[..., None], (scores.clamp(max=1) * weight).nan_to_num()[..., None]], -1)
    path = ((anchor - anchor[:, target:target + 1 or None]) / scale).clamp(-20, 20)
    extra = torch.cat([path, (scale.log() + 2).expand(-1, plane.shape[1], 1)], -1)
    return torch.cat([joints.clamp(-20, 20), extra[:, :, None]], 2), turn


def _anchor(plane, valid, weight, root):
    """The root (B, R, 2) of every frame: the root joint, else the middle of what is seen, else that of the nearest frame with anything."""
    middle = plane.sum(2) / weight.sum(2).clamp(min=1)[..., None]
    anchor = torch.where(valid[:, :, root, None], plane[:, :, root], middle)
    seen = valid.any(2)
    if bool(seen.all()):
        return anchor
    time = torch.arange(plane.shape[1], device=plane.device)
    distance = (time[:, None] - time).abs() + (~seen)[:, None] * plane.shape[1]
    return anchor.gather(1, distance.argmin(2)[..., None].expand(-1, -1, 2))


def turn_to_axis(point):
    """The smallest rotation (B, 3, 3) that turns the rays through points (B, 2) of the unit plane onto the optical axis."""
    ray = torch.nn.functional.normalize(torch.cat([point, torch.ones_like(point[:, :1])], 1), dim=1)
    x, y, z = ray.unbind(1)
    k = 1 / (1 + z)
    return torch.stack([1 - k * x * x, -k * x * y, -x, -k * x * y, 1 - k * y * y, -y, x, y, z], 1).view(-1, 3, 3)


def _turned(plane, turn):
    """Points (B, R, J, 2) of the unit plane after a turn; rays that end beside or behind the camera are held at its edge."""
    rotation = turn[:, None, None]
    x, y = plane.unbind(-1)
    rows = [rotation[..., i, 0] * x + rotation[..., i, 1] * y + rotation[..., i, 2] for i in range(3)]
    return torch.stack(rows[:2], -1) / rows[2].clamp(min=0.1)[..., None]


def turn_back(joints, turn):
    """Joints (B, J, 3) of turned axes in camera axes."""
    return joints @ turn


def mirrored(x, skeleton):
    """Rows of joints with left and right exchanged and x negated; rows beyond the skeleton's joints keep their place."""
    order = list(skeleton.mirror) + list(range(len(skeleton), x.shape[-2]))
    x = x[..., order, :].clone()
    x[..., 0] = -x[..., 0]
    return x
