"""Train the network that tells how far away people are: `python -m training root --data ../shared/data --output weights/root-distance.safetensors`.

Moments of motion capture under random cameras, three batches in four through the error model of a pose network, with the true distance. Everybody
has the same stature: what a single picture tells of size is little, and `height=` scales the answer. The loss is the mean relative error.
"""

import argparse
import pathlib

import torch

from core.networks import pick_device
from core.normal import STATURE, mirrored
from core.skeletons import BODY21
from poses.distance import LEAST, DistanceNet, observed
from training.datasets import faults, mocap
from training.datasets.views import Sampler
from training.loop import Batches, Run, add_flags
from weights import save

EXACT = 0.25  # of the batches are seen without error


def batch(draw, count):
    """(features (B, 22, 3), logarithm of gamma (B,), weight (B,)) of random people; the weight is 0 where too little of them is seen."""
    views = draw.views(count)
    plane, scores = views.plane, views.plane.isfinite().all(-1).float()
    if draw.rand(1) > EXACT:
        plane, scores = faults.observe(views, draw)
    plane, scores = plane[:, 0], scores[:, 0]
    x, k, _ = observed(plane, scores)
    flip = draw.chance(0.5, count)[:, None, None]
    return torch.where(flip, mirrored(x, BODY21), x), (views.distance / k).log(), ((scores > 0).sum(1) >= LEAST).float()


def loss(model, batch):
    """Mean of |log(gamma found / gamma)|."""
    x, wanted, weight = batch
    return ((model(x) - wanted).abs() * weight).sum() / weight.sum().clamp(min=1)


def arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m training root", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data", help="folder with the motion files")
    parser.add_argument("--files", default=",".join(mocap.PERMISSIVE), help="which of them, without .npz")
    parser.add_argument("--packed", help="train from this file (training lifter --pack) instead")
    parser.add_argument("--output", help="weights file, written after every epoch")
    add_flags(parser, "root", steps=500, epochs=40, batch=512)
    return parser.parse_args(argv)


def main(argv=None):
    options = arguments(argv)
    torch.manual_seed(options.seed)
    motion = mocap.unpack(options.packed) if options.packed else mocap.load(options.data, options.files.split(","))
    device, state = pick_device(options.device), pathlib.Path(options.state)
    model = DistanceNet().to(device)
    run = Run(model, [{"params": list(model.parameters()), "factor": 1.0}], state, options.lr, options.epochs, options.minutes)
    while not run.done:
        draw = Sampler(motion, 1, False, options.seed * 100003 + run.epoch, device)
        value = run.train(Batches(options.steps, lambda draw=draw: batch(draw, options.batch)), loss)
        run.save()
        if options.output:
            header = {"network": "DistanceNet", "skeleton": BODY21.name, "stature": STATURE, "seed": options.seed, "epochs": run.epoch}
            save(options.output, run.average.model.state_dict(), header)
        run.log(value)
