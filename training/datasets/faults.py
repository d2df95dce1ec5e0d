"""The error model of a 2D pose network: what it would have made of exact points. Torch, all windows of a batch at once.

Noise grows as confidence falls and is half slow, half quick; limbs are covered or lost for a while, sides are swapped in bursts, joints
and whole frames drop out, and what lies outside the picture is lost or drawn at its edge.
"""

import math

import torch

from core.skeletons import BODY21, COCO17, conversion

HARD = {"nose": 0.6, "eye": 0.6, "ear": 0.7, "shoulder": 0.9, "elbow": 1.1, "wrist": 1.3, "hip": 1.2, "knee": 1.1, "ankle": 1.2, "pelvis": 1.0,
        "spine": 1.0, "thorax": 0.7, "top": 0.8}  # noise of each joint relative to the mean
LIMBS = (("left_elbow", "left_wrist"), ("right_elbow", "right_wrist"), ("left_knee", "left_ankle"), ("right_knee", "right_ankle"),
         ("left_knee", "left_ankle", "right_knee", "right_ankle"),
         ("left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle", "pelvis"),
         ("left_shoulder", "left_elbow", "left_wrist", "left_hip"), ("right_shoulder", "right_elbow", "right_wrist", "right_hip"),
         ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_top"))
SIDES = (("shoulder", "elbow", "wrist"), ("elbow", "wrist"), ("wrist",), ("hip", "knee", "ankle"), ("knee", "ankle"), ("knee", "ankle"), ("ankle",),
         ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"))  # what is taken for its other side together
BOTH, BURSTS = 0.2, 5  # share of the times that both sides are exchanged, not one laid upon the other; how often a window is tried


def observe(views, draw):
    """(plane (B, R, 21, 2), scores (B, R, 21)) as a pose network would give them. `draw` is the Sampler: it holds the random numbers."""
    batch, field, joints = views.plane.shape[:3]
    plane, swapped = _swap(views.plane, draw)
    confidence = draw.rand(batch, 1, 1, low=0.53, high=1.02) + 0.12 * _slow(draw, batch, field, joints) + 0.05 * draw.randn(batch, field, joints)
    keep, dim = _limbs(draw, batch, field)
    confidence = torch.where(swapped, confidence * draw.rand(batch, 1, 1, low=0.6, high=1), confidence * dim).clamp(0.02, 1)
    plane = plane + _noise(views, confidence, draw)
    plane, confidence, inside = _edges(plane, confidence, views.frame, draw)
    keep &= inside & ~draw.chance(draw.rand(batch, 1, 1) ** 2 * 0.08, batch, field, joints)
    keep &= ~draw.chance(draw.rand(batch, 1, 1) ** 2 * 0.06, batch, field, 1) & plane.isfinite().all(-1)
    scores = confidence ** draw.rand(batch, 1, 1, low=-0.5, high=0.5).exp() * keep
    return _coco_only(plane, scores, draw)


def _noise(views, confidence, draw):
    """Displacements on the unit plane, in proportion to the person's size."""
    batch, field, joints = confidence.shape
    hard = torch.tensor([HARD[name.rpartition("_")[2]] for name in BODY21.joints], device=confidence.device)
    level, doubt = draw.rand(batch, 1, 1, low=math.log(0.008), high=math.log(0.05)).exp(), draw.rand(batch, 1, 1, high=0.35)
    spread = (level * hard * (0.4 + 2.2 * (1 - confidence)) + doubt * (1 - confidence) ** 3) * 1.7 / views.distance[:, None, None]
    spread = torch.where(draw.chance(draw.rand(batch, 1, 1) ** 2 * 0.02, batch, field, joints), spread * 6, spread)
    slow = _slow(draw, batch, field, joints * 2).unflatten(2, (joints, 2))
    return (0.5 * draw.randn(batch, 1, joints, 2) + 0.6 * slow + 0.6 * draw.randn(batch, field, joints, 2)) * spread[..., None]


def _slow(draw, batch, field, width, every=8):
    """Random numbers (B, R, width) of about unit variance that change over some `every` frames."""
    knots = draw.randn(batch, width, field // every + 2)
    smooth = torch.nn.functional.interpolate(knots, size=field + every, mode="linear", align_corners=True)
    return smooth[..., :field].transpose(1, 2) * 1.2


def _runs(draw, batch, field, p, longest):
    """(B, R) bool: one run of 1 to `longest` frames, log-uniform, in a share p of the windows."""
    length = draw.rand(batch, 1, high=math.log(longest)).exp()
    centre = draw.rand(batch, 1, high=field)
    time = torch.arange(field, device=draw.device)
    return ((time - centre).abs() <= length / 2) & draw.chance(p, batch, 1)


def _masks(groups, device):
    masks = torch.zeros(len(groups), len(BODY21), dtype=torch.bool, device=device)
    for row, names in enumerate(groups):
        masks[row, BODY21.indices(*names)] = True
    return masks


def _pick(draw, batch, masks):
    return masks[torch.randint(len(masks), (batch,), generator=draw.generator, device=draw.device)][:, None]


def _limbs(draw, batch, field):
    """Which joints are found at all (B, R, 21), and the factor on the confidence of covered ones."""
    keep = torch.ones(batch, field, len(BODY21), dtype=torch.bool, device=draw.device)
    dim, masks = keep.float(), _masks(LIMBS, draw.device)
    for _ in range(3):
        hit = _runs(draw, batch, field, 0.35, 2 * field)[..., None] & _pick(draw, batch, masks)
        lost = draw.chance(0.2, batch, 1, 1)
        keep &= ~(hit & lost)
        dim = torch.where(hit, dim * draw.rand(batch, 1, 1, low=0.1, high=0.6), dim)
    return keep, dim


def _swap(plane, draw):
    """Sides taken for the other, and where (B, R, 21): arms, legs or parts of them, up to half of the time, for some frames on end.

    Mostly both sides end on the same limb, sometimes they are exchanged.
    """
    batch, field = plane.shape[:2]
    mirror = torch.tensor(BODY21.mirror, device=draw.device)
    left, right = (_masks([[f"{side}_{name}" for name in names] for names in SIDES], draw.device) for side in ("left", "right"))
    wrong = torch.zeros(plane.shape[:3], dtype=torch.bool, device=plane.device)
    for _ in range(BURSTS):
        wave = _slow(draw, batch, field, 1, every=6)[..., 0] + 0.4 * draw.randn(batch, field)
        hit, kind = (wave > draw.rand(batch, 1, high=2)) & draw.chance(0.4, batch, 1), draw.rand(batch, 1)
        group = draw.integers(len(SIDES), batch)
        which = (left[group] & (kind < (1 + BOTH) / 2)) | (right[group] & (kind > (1 - BOTH) / 2))
        wrong = wrong ^ (hit[..., None] & which[:, None])
    return torch.where(wrong[..., None], plane[:, :, mirror], plane), wrong


def _edges(plane, confidence, frame, draw):
    """In four of five windows the picture has edges: what is outside is lost, or held at the edge with little confidence."""
    batch = len(plane)
    limit = frame[:, None, None]
    outside = (plane.abs() > limit).any(-1) & draw.chance(0.8, batch, 1, 1)
    lost = draw.chance(0.6, batch, 1, 1)
    held = plane.clamp(-limit, limit)
    confidence = torch.where(outside, confidence * 0.3, confidence)
    return torch.where(outside[..., None], held, plane), confidence, ~(outside & lost)


def _coco_only(plane, scores, draw):
    """One window in seven comes from a network of COCO's joints: pelvis, spine, thorax and head top are made of the others."""
    matrix = torch.from_numpy(conversion(COCO17, BODY21)).to(plane)
    made = torch.einsum("ij,btjc->btic", matrix, plane.nan_to_num()[:, :, : len(COCO17)])
    needs = torch.stack([scores[:, :, row.nonzero()[:, 0]].amin(-1) for row in matrix], -1)
    chosen = draw.chance(1 / 7, len(plane), 1, 1)
    return torch.where(chosen[..., None], made, plane), torch.where(chosen, needs, scores)
