"""People that a council of public detectors finds in photographs without labels, for a pose teacher to look at."""

import pathlib
import zlib

import numpy as np
import torch

from core.files import save_arrays
from core.skeletons import BODY21
from training.box_teachers import BORDER, council
from training.datasets import boxes as data
from training.datasets.people import from_rows, join
from training.gallery import Gallery

SURE = 0.6  # score of a person who is taken
TALLEST, SHORTEST = 2000, 80  # px of the longer side of their box
BATCH = 64


def boxes(photographs, teachers, device):
    """[(boxes (N, 4) px, scores (N,))] of each Photograph, numpy, by the public detectors in the folder `teachers` (on a CPU by one of them)."""
    judges, found = council(teachers, device, quick=torch.device(device).type == "cpu"), []
    for start in range(0, len(photographs), BATCH):
        gallery = Gallery([data.decode(p) for p in photographs[start : start + BATCH]], device, BORDER)
        found += judges(gallery, torch.arange(len(gallery), device=device))
    return [(b.cpu().numpy(), s.cpu().numpy()) for b, s in found]


def kept(path, photographs, ask):
    """What `ask` says of the photographs, as `boxes` does: kept in the file `path`, where there is one, and read there when they are the same."""
    if not path:
        return ask(photographs)
    key = zlib.crc32(b"".join(p.jpeg for p in photographs))
    if pathlib.Path(path).exists():
        table = np.load(path)
        if table["key"] == key:
            ends = table["counts"].cumsum()[:-1]
            return list(zip(np.split(table["boxes"], ends), np.split(table["scores"], ends), strict=True))
    found = ask(photographs)
    if found:
        save_arrays(path, key=key, counts=[len(scores) for _, scores in found], boxes=np.concatenate([boxes for boxes, _ in found]),
                    scores=np.concatenate([scores for _, scores in found]))
    return found


def load(path, teachers, device):
    """The people in a file of packed photographs (`training.datasets.boxes.pack`), without joints: those of squeezed ones first."""
    photographs = [p for p in data.unpack(path) if not p.marked]
    looked = list(zip(photographs, boxes(photographs, teachers, device), strict=True))
    return join([from_rows(_rows(pair for pair in looked if pair[0].square == square), name)
                 for name, square in (("squeezed", True), ("unlabelled", False))])


def _rows(looked):
    """(image, box (4,), no joints (21, 3)) of the people taken in pairs of a Photograph and its (boxes, scores)."""
    for photograph, (found, scores) in looked:
        side = (found[:, 2:] - found[:, :2]).max(1, initial=0)
        taken = found[(scores > SURE) & (side >= SHORTEST) & (side <= TALLEST)]
        image = data.decode(photograph) if len(taken) else None
        yield from ((image, box.astype(float), np.zeros((len(BODY21), 3))) for box in taken)
