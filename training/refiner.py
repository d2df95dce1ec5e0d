"""Train the fifth system's refiner as its author does: `python -m training refiner --mode train`, or one branch: `refiner gcn`, `refiner linear`.

It reads refiner/data/train.pkl and valid.pkl, what a pose network said of Human3.6M (`python -m training.evaluate senet ... --save` writes them).
The upper branch (gcn) turns joints of the crop into millimetres; it is drawn to the truth and to the pose network's own 3D, which is the
self-supervision. The lower one (linear) mends that 3D. No number is normalised. Written to refiner/output/<branch>: last.pth.tar, and best.pth.tar
by the error in depth.
"""

import argparse
import os
import pathlib

import numpy as np
import torch
from torch.utils.data import TensorDataset

from core.errors import InputError
from core.graph_networks import LinearModel, SemGCN
from poses._refine import GROUPS, LEAK, PARENTS
from training import mppe
from training.datasets import refiner_pickles
from training.evaluation.figures import figures, lines
from training.fit import Fit, batches
from training.loop import join_processes
from training.pose_losses import refiner_loss
from training.senet import fill

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
    add("--seed", type=int, default=0)
    return parser.parse_args(argv)


def main(argv=None):
    options = arguments(argv)
    for branch in [options.branch] if options.branch else DECAY:
        run(branch, options)


def run(branch, options):
    """Train or test a branch; the figures of the last test."""
    rank, _ = join_processes()
    device = mppe.device_of(options.gpu, rank)
    torch.manual_seed(options.seed)
    network = SemGCN(PARENTS, 3, 3, options.hidden, 4, GROUPS) if branch == "gcn" else LinearModel(48, 48, options.linear_size, slope=LEAK)
    network = network.to(device)
    optimizer = torch.optim.AdamW(network.parameters(), options.lr)
    folder = pathlib.Path(options.output) / (branch + (f"_{options.exp}" if options.exp else ""))
    epoch, step, best = begin(network, optimizer, options, folder)
    valid = refiner_pickles.load(pathlib.Path(options.data) / "valid.pkl")
    if options.mode == "test":
        return report(branch, network, valid, device)
    train = refiner_pickles.load(pathlib.Path(options.data) / "train.pkl")
    fit = Fit(network, optimizer, lambda network, batch: loss(branch, network, batch, options.own), CLIP)
    fit.steps, fit.before = step, lambda steps: set_rate(optimizer, branch, steps, options)
    for number in range(epoch, options.num_epochs):
        torch.manual_seed(options.seed * 100_003 + number)  # of dropout
        order = torch.from_numpy(np.random.default_rng((options.seed, number)).permutation(len(train)))
        tensors = [torch.from_numpy(np.float32(value))[order] for value in (train.patch, train.own * 1000, train.truth * 1000)]
        numbers = fit.epoch(batches(TensorDataset(*tensors), options.batch_size))
        found = figures(answer(branch, network, valid, device), valid.truth)
        better, best = found["z"] < best, min(best, found["z"])
        if rank == 0:
            save(folder, network, optimizer, number + 1, fit.steps, best, better)
            words = f"loss {numbers['loss']:.3f} MPJPE {found['MPJPE']:.2f} z {found['z']:.2f} mm"
            print(f"{branch} epoch {number}/{options.num_epochs} {words}", flush=True)
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


def begin(network, optimizer, options, folder):
    """(epochs done, steps done, least error in depth so far, mm) after --load and --resume."""
    path = options.load or (folder / "last.pth.tar" if options.resume or options.mode == "test" else None)
    if path is None:
        return 0, 0, float("inf")
    if not pathlib.Path(path).is_file():
        raise InputError(f"{path}: no such checkpoint")
    state = torch.load(path, map_location="cpu", weights_only=True)
    fill(network, state["state_dict"], path)
    if not options.resume:
        return 0, 0, float("inf")
    optimizer.load_state_dict(state["optimizer"])
    return int(state["epoch"]), int(state["step"]), float(state["err"])


def save(folder, network, optimizer, epoch, step, best, better):
    """Write the author's checkpoint as last.pth.tar, and as best.pth.tar where it is that."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"module.{key}": value for key, value in network.state_dict().items()}
    state = {"epoch": epoch, "lr": optimizer.param_groups[0]["lr"], "step": step, "state_dict": tensors, "err": float(best),
             "optimizer": optimizer.state_dict()}
    for name in ("last", "best")[: 1 + better]:
        torch.save(state, folder / "state.partial")
        os.replace(folder / "state.partial", folder / f"{name}.pth.tar")


def report(branch, network, data, device):
    """Print and give the figures of a branch and of its input."""
    found = figures(answer(branch, network, data, device), data.truth)
    print(lines({"pose network": figures(data.own, data.truth), f"refiner, {branch}": found}))
    return found
