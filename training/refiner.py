"""Train the fifth system's refiner as its author does: `python -m training refiner --mode train`, or one branch: `refiner gcn`, `refiner linear`.

It reads refiner/data/train.pkl and valid.pkl, what a pose network said of Human3.6M (`python -m training.evaluate senet ... --save` writes them).
The upper branch (gcn) turns joints of the crop into millimetres; it is drawn to the truth and to the pose network's own 3D, which is the
self-supervision. The lower one (linear) mends that 3D. No number is normalised. Written to refiner/output/<branch>: last.pth.tar, and best.pth.tar
by the error in depth.
"""

import argparse
import itertools
import pathlib

import numpy as np
import torch
from torch.utils.data import TensorDataset

from core.graph_networks import LinearModel, SemGCN
from poses._refine import GROUPS, LEAK, PARENTS
from training import mppe
from training.checkpoints import adopt, fill, tensors
from training.course import Course
from training.datasets import refiner_pickles
from training.evaluation.figures import figures, lines
from training.journal import draw_curves
from training.loop import save
from training.pose_losses import refiner_loss
from training.reading import Batches
from training.seeds import begin
from weights import checkpoint

CLIP, DECAY = 1.0, {"gcn": 100_000, "linear": 10_000}


def arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m training refiner", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("branch", nargs="?", choices=tuple(DECAY), help="one of the two; both, one after the other, by default")
    add("--mode", choices=("train", "test"), default="train")
    add("--exp", default="", help="a name that is put behind the branch's in the folder of outputs")
    add("--load", help="a checkpoint whose weights are taken")
    add("--resume", nargs="?", const=True, default=False, help="go on from --load, or from the run's last.pth.tar")
    add("--num_epochs", type=int, default=300)
    add("--lr", type=float, default=1e-3)
    add("--lr_decay", type=int, help="steps (gcn 100000, linear 10000)")
    add("--lr_gamma", type=float, default=0.96)
    add("--data", default="refiner/data", help="folder of train.pkl and valid.pkl")
    add("--output", default="refiner/output")
    add("--batch_size", type=int, default=256)
    add("--hidden", type=int, default=128, help="channels of the graph network")
    add("--linear_size", type=int, default=1024, help="width of the linear network")
    add("--no-self-supervision", dest="own", action="store_false", help="the truth alone for the upper branch")
    add("--gpu", default="0")
    add("--tensorboard", action="store_true", help="log for TensorBoard, too")
    add("--seed", type=int, default=0)
    return parser.parse_args(argv)


def main(argv=None):
    options = arguments(argv)
    for branch in [options.branch] if options.branch else DECAY:
        run(branch, options)


def run(branch, options):
    """Train or test a branch; the figures of the last test, None where there was nothing left to train."""
    device, _ = begin(options.seed, str(mppe.device_of(options.gpu)))
    network = SemGCN(PARENTS, 3, 3, options.hidden, 4, GROUPS) if branch == "gcn" else LinearModel(48, 48, options.linear_size, slope=LEAK)
    network = network.to(device)
    folder = pathlib.Path(options.output) / (branch + (f"_{options.exp}" if options.exp else ""))
    valid = refiner_pickles.load(pathlib.Path(options.data) / "valid.pkl")
    if options.mode == "test":
        fill(network, checkpoint(options.load or folder / "best.pth.tar")["state_dict"], options.load or folder)
        return report(branch, network, valid, device)
    train = refiner_pickles.load(pathlib.Path(options.data) / "train.pkl")
    parts = [torch.from_numpy(np.float32(value)) for value in (train.patch, train.own * 1000, train.truth * 1000)]
    course, found = start(network, folder, options), None
    while not course.done:
        order = torch.from_numpy(np.random.default_rng((options.seed, course.epoch)).permutation(len(train)))
        loader = Batches(TensorDataset(*(part[order] for part in parts)), options.batch_size, device)
        steps = itertools.count(course.epoch * len(loader))

        def step(batch, steps=steps):
            set_rate(course.optimizer, branch, next(steps), options)
            return {"loss": loss(branch, network, batch, options.own)}

        means = course.train(loader, step)
        found = figures(answer(branch, network, valid, device), valid.truth)
        course.finish(means | {"MPJPE": found["MPJPE"], "z": found["z"]})
        if course.rank == 0:
            keep(course, network, next(steps))
            draw_curves(course.history, folder / "curves.png", ("loss", "MPJPE"), "mm")
    return found


def loss(branch, network, batch, own):
    """The mean loss of a batch (patch (B, 17, 3), own (B, 17, 3) mm, truth (B, 17, 3) mm)."""
    patch, guess, truth = batch
    if branch == "gcn":
        return refiner_loss(network(patch), truth, guess if own else None)
    return refiner_loss(network(guess[:, 1:].flatten(1)), truth[:, 1:].flatten(1))


@torch.inference_mode()
def answer(branch, network, data, device):
    """The branch's joints (N, 17, 3) m to the root."""
    network.eval()
    if branch == "gcn":
        joints = network(torch.from_numpy(np.float32(data.patch)).to(device))
        joints = joints - joints[:, :1]
    else:
        joints = network(torch.from_numpy(np.float32(data.own[:, 1:] * 1000)).flatten(1).to(device)).reshape(len(data), 16, 3)
        joints = torch.nn.functional.pad(joints, (0, 0, 1, 0))
    return joints.double().cpu().numpy() / 1000


def set_rate(optimizer, branch, step, options):
    """The learning rate before a step, from 0: the upper branch's cyclic, falling by gamma a step; the lower one's by gamma each --lr_decay."""
    up = options.lr_decay or DECAY[branch]
    if branch == "gcn":
        cycle = step / up - 2 * int(1 + step / (2 * up)) + 1
        value = 0.1 * options.lr + 0.9 * options.lr * max(0.0, 1 - abs(cycle)) * options.lr_gamma**step
    else:
        last = 1 if step + 1 < up else (step + 1) // up * up
        value = options.lr * options.lr_gamma ** (last / up)
    for group in optimizer.param_groups:
        group["lr"] = value


def start(network, folder, options):
    """The Course, after --load and --resume. Without --load it goes on from the run's last.bin, which holds the states of all random generators."""
    optimizer = torch.optim.AdamW(network.parameters(), options.lr)
    course = Course(folder, {"state_dict": network}, optimizer, options.num_epochs, clip=CLIP, every=0, tensorboard=options.tensorboard)
    course.best = float("inf")
    if options.load and options.resume:
        course.best = float(adopt(course, options.load, "state_dict")["err"])
    elif options.load:
        fill(network, checkpoint(options.load)["state_dict"], options.load)
    elif options.resume:
        course.resume(folder / "last.bin")
        course.best = min(row["z"] for row in course.history)
    return course


def keep(course, network, steps):
    """Write the author's checkpoint as last.pth.tar, and as best.pth.tar where the error in depth is the least so far."""
    error = course.history[-1]["z"]
    better, course.best = error < course.best, min(error, course.best)
    state = {"epoch": course.epoch, "lr": course.lr, "step": steps, "state_dict": tensors(network), "err": course.best,
             "optimizer": course.optimizer.state_dict()}
    for name in ("last", "best")[: 1 + better]:
        save(course.folder / f"{name}.pth.tar", state)


def report(branch, network, data, device):
    """Print and give the figures of a branch and of its input."""
    found = figures(answer(branch, network, data, device), data.truth)
    print(lines({"pose network": figures(data.own, data.truth), f"refiner, {branch}": found}))
    return found
