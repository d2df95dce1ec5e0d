"""Train a temporal lifter: `python -m training lifter --data ../shared/data --output weights/lifter-tcn81.safetensors`.

Motion capture under random cameras, seen through the error model of a 2D pose network (one window in four is exact), goes in by the normal form of
core/normal.py. The loss is the mean distance of the joints, and that distance under a Laplace law whose width the network gives.
"""

import argparse
import pathlib

import torch

from core import normal
from core.networks import pick_device
from core.normal import STATURE, mirrored, normal_form
from core.skeletons import BODY21
from lifters._tcn import TemporalModel
from training.datasets import faults, mocap
from training.datasets.views import Sampler
from training.loop import Again, Batches, Run, add_flags
from weights import load, load_strict, resolve, save

EXACT = 0.25  # share of windows without errors


def batch(draw, count, exact=EXACT, vary=True):
    """Features (B, R, 22, 3) and truth (B, 21, 3) m in turned axes."""
    views = draw.views(count, vary)
    plane, scores = faults.observe(views, draw)
    clean = draw.chance(exact, count, 1, 1)
    plane = torch.where(clean[..., None], views.plane, plane)
    scores = torch.where(clean, views.plane.isfinite().all(-1).float(), scores)
    if vary:
        wrong = (0.1 * draw.randn(count) * draw.chance(0.3, count)).exp()  # the focal length is often a guess
        plane = plane * wrong[:, None, None, None]
    x, turn = normal_form(plane, scores, BODY21.root, draw.target)
    return x, views.truth @ turn.transpose(1, 2)


def loss_of(y, truth):
    """Mean joint distance in metres, and a small share of |e| / s + log s whose best s is the expected distance."""
    joints = y[..., :3] - y[:, BODY21.root, None, :3]
    distance = (joints - truth).norm(dim=-1)
    spread = y[..., 3].clamp(min=normal.LOG_SIGMA[0])  # no upper limit: it would end the gradient
    others = torch.arange(len(BODY21), device=y.device) != BODY21.root
    return distance.mean() + 0.01 * (distance.detach() * (-spread).exp() + spread)[:, others].mean()


def turned(pair, draw):
    """The features and truth of a batch, or of its mirror image."""
    return pair if draw.rand(1) < 0.5 else tuple(mirrored(x, BODY21) for x in pair)


def header(options, arc):
    return {"architecture": "tcn", "arc": ",".join(map(str, arc)), "causal": options.causal, "skeleton": BODY21.name, "input": "view-ray",
            "stature": STATURE, "fps": "24-60", "seed": options.seed}


def arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m training lifter", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data", help="folder with the motion files")
    parser.add_argument("--files", default=",".join(mocap.PERMISSIVE), help="which of them, without .npz")
    parser.add_argument("--packed", help="train from this file instead")
    parser.add_argument("--pack", help="write all training motion to this file and stop")
    parser.add_argument("--arc", default="3,3,3,3", help="widths of the convolutions; their product is the number of frames")
    parser.add_argument("--causal", action="store_true", help="the last frame of the window instead of the middle one")
    parser.add_argument("--channels", type=int, default=384)
    parser.add_argument("--dropout", type=float, default=0.05)
    parser.add_argument("--start", help="weights file of an earlier run of the same network to go on from")
    parser.add_argument("--output", help="weights file, written after every epoch")
    parser.add_argument("--again", type=int, default=0, help="how often a drawn batch is used anew")
    parser.add_argument("--rarity", type=float, default=0.5, help="by which power of their rarity rare postures come more often")
    parser.add_argument("--threads", type=int)
    add_flags(parser, "lifter", steps=200, epochs=40, batch=256, lr=2e-3)
    return parser.parse_args(argv)


def main(argv=None):
    options = arguments(argv)
    motion = mocap.unpack(options.packed) if options.packed else mocap.load(options.data, options.files.split(","))
    if options.pack:
        return mocap.pack(motion, options.pack)
    torch.manual_seed(options.seed)
    if options.threads:
        torch.set_num_threads(options.threads)
    device, arc = pick_device(options.device), tuple(int(n) for n in options.arc.split(","))
    model = TemporalModel(arc, options.channels, len(BODY21) + 1, 3, len(BODY21), 4, options.causal, dropout=options.dropout)
    state = pathlib.Path(options.state)
    if options.start:
        load_strict(model, load(resolve(options.start))[0], options.start)
    model = model.to(device)
    run = Run(model, [{"params": list(model.parameters()), "factor": 1.0}], state, options.lr, options.epochs, options.minutes)

    def loss(model, pair):
        with torch.autocast(device.type, torch.bfloat16):
            y = model.one_frame(pair[0])
        return loss_of(y.float(), pair[1])

    weights = mocap.rarity(motion, power=options.rarity) if options.rarity else None
    while not run.done:
        draw = Sampler(motion, model.receptive_field, options.causal, options.seed * 100003 + run.epoch, device, weights)
        again = Again(lambda draw=draw: batch(draw, options.batch), lambda pair, draw=draw: turned(pair, draw), options.again, draw.rand)
        value = run.train(Batches(options.steps, again), loss)
        run.save()
        if options.output:
            save(options.output, run.average.model.state_dict(), header(options, arc))
        run.log(value)
    return None
