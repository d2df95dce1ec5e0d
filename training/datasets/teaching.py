"""What a public network adds to the labels: where it sees each of COCO's joints, as a distribution over the picture, and how surely."""

import pathlib
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from core.networks import normalised
from core.skeletons import BODY21, COCO17
from training.augment import crop_matrices
from training.gallery import apply, cell_centres, invert
from training.loop import save
from training.pose_teachers import SCALE, SIZE, STRIDE, peaks

SURE = 0.25  # peak of the teacher's heat map from which it is believed
TRUST = 0.7  # weight of the teacher's joint where there is no label
SHARE = 0.5  # of the teacher in the target of a labelled joint that it agrees with
DOUBT = 0.4  # weight of a label that a sure teacher contradicts
FAR = 0.25  # of the box's longer side
CENTRE = 0.5  # px of its crop at which the teacher's first cell is centred
TURNS = (0, np.pi / 2, np.pi, -np.pi / 2)
LIMBS = slice(5, 17)  # of COCO: without the face


def upright(joints):
    """The angles (N,) that turn the trunks of joints (N, 21, 3) upright on the screen, 0 within 30 degrees; and where that is known (N,)."""
    hips, shoulders = (joints[:, BODY21.indices(f"left_{part}", f"right_{part}")] for part in ("hip", "shoulder"))
    known = torch.minimum(hips[..., 2].amin(1), shoulders[..., 2].amin(1)) > 0
    x, y = (shoulders - hips)[..., :2].mean(1).unbind(1)
    tilt = torch.atan2(x, -y)
    return torch.where(known & (tilt.abs() > np.radians(30)), -tilt, 0), known


@dataclass(frozen=True)
class Taught:
    """Heat maps (N, 17, 64, 48) float16 of the teacher's crops, the maps (N, 2, 3) from picture px to those, points (N, 17, 2) px, peaks (N, 17)."""

    maps: torch.Tensor
    frames: torch.Tensor
    points: torch.Tensor
    peaks: torch.Tensor

    def seen_from(self, rows, matrices, size):
        """Distributions (B, 17, h/4 * w/4 + 1) of people `rows` in crops of `size` under maps (B, 2, 3); the last cell is "outside"."""
        points = apply(invert(matrices), cell_centres(size, matrices.device, STRIDE).expand(len(rows), -1, -1))
        points = apply(self.frames[rows], points) - CENTRE + STRIDE / 2
        points = points * (2 / torch.tensor(SIZE, device=points.device)) - 1
        spread = F.grid_sample(self.maps[rows].float(), points[:, None], align_corners=False)[:, :, 0].clamp(min=0).square()
        place = apply(matrices, self.points[rows])
        inside = ((place >= 0) & (place < torch.tensor(size, device=place.device))).all(-1, keepdim=True)
        total = spread.sum(-1, keepdim=True)
        inside &= total > 1e-6
        return torch.cat([spread / total.clamp(min=1e-6) * inside, (~inside).float()], -1)


@torch.inference_mode()
def ask(gallery, boxes, joints, teacher, quarters=True, first=0, batch=512):
    """What the teacher sees of everybody from person `first` on: upright where the labels say how, else (with `quarters`) in that of four turns
    which it reads best."""
    boxes, (angle, known) = boxes[first:], upright(joints[first:])
    maps = torch.empty(len(boxes), len(COCO17), SIZE[1] // STRIDE, SIZE[0] // STRIDE, dtype=torch.half, device=gallery.device)
    frames, merit = torch.empty(len(boxes), 2, 3, device=gallery.device), torch.full((len(boxes),), -torch.inf, device=gallery.device)
    for turn in TURNS if quarters else TURNS[:1]:
        for rows in (torch.ones_like(known) if turn == 0 else ~known).nonzero()[:, 0].split(batch):
            one = torch.ones(len(rows), device=gallery.device)
            frame = crop_matrices(boxes[rows], SIZE, SCALE * one, angle[rows] + turn, one)
            found = teacher.maps(normalised(gallery.crops(first + rows, frame, SIZE)))
            value = found[:, LIMBS].amax((2, 3)).mean(1) + 0.05 * (turn == 0)
            better = value > merit[rows]
            chosen = rows[better]
            maps[chosen], frames[chosen], merit[chosen] = found[better].half(), frame[better], value[better]
    points, values = (torch.cat(part) for part in zip(*(peaks(part.float()) for part in maps.split(batch)), strict=True))
    return Taught(maps, frames, apply(invert(frames), points + CENTRE), values)


def kept(path, ask):
    """`ask` with a memory: what it says of (gallery, boxes, joints) is kept in the file `path`. People whose boxes stand there in the same order are
    read, and only those after them asked about. Several processes share the memory of the file."""
    def remembering(gallery, boxes, joints):
        known = _read(path, gallery.device) or {"boxes": boxes[:0]}
        count = min(len(known["boxes"]), len(boxes))
        count *= torch.equal(known["boxes"][:count], boxes[:count])
        if count < len(boxes) or not count:
            new = {"boxes": boxes[count:], **vars(ask(gallery, boxes, joints, first=count))}
            save(pathlib.Path(path), {name: torch.cat([known[name][:count], value]) for name, value in new.items()} if count else new)
            known = _read(path, gallery.device)
        return Taught(**{name: value[: len(boxes)] for name, value in known.items() if name != "boxes"})
    return remembering if path else ask


def _read(path, device):
    """What the file keeps: {name: tensor}, None without a file."""
    if not pathlib.Path(path).exists():
        return None
    return torch.load(path, map_location=device, weights_only=True, mmap=torch.device(device).type == "cpu")


def complete(wanted, weight, joints, sides, rows, taught, matrices, size):
    """Targets (B, 21, cells + 1) and weights (B, 21) with the teacher's knowledge of COCO's joints.

    `joints` (B, 21, 3) are the labels in picture px, `sides` (B,) the longer sides of the boxes. What nobody marked is learned from the teacher; what
    is marked is mixed with it where both agree, and weighed down where a sure teacher contradicts.
    """
    count, peak = len(COCO17), taught.peaks[rows]
    seen = taught.seen_from(rows, matrices, size)
    known, sure = weight[:, :count] > 0, peak > SURE
    near = (joints[:, :count, :2] - taught.points[rows]).norm(dim=-1) < FAR * sides[:, None]
    share = torch.where(known, torch.where(near & sure, SHARE, 0.0), 1.0)[..., None]
    trust = torch.where(known, torch.where(~near & (peak > 0.6), DOUBT, 1.0) * weight[:, :count], TRUST * peak.clamp(0, 1) * sure)
    mixed = (1 - share) * wanted[:, :count] + share * seen
    return torch.cat([mixed, wanted[:, count:]], 1), torch.cat([trust, weight[:, count:]], 1)
