"""What the two trainers of 3DMPPE share: their flags and defaults, data sets, networks, places of files (Moon et al., ICCV 2019)."""

import argparse
import os
import pathlib
import sys

import numpy as np
import torch

from core.errors import InputError
from core.networks import pick_device
from poses._posenet import MEAN, STD
from training.crops import Epoch, mixed
from training.datasets import mppe_coco, mppe_human36m, mppe_mpii, mppe_muco

SPATIAL, FLAT = ("Human36M", "MuCo"), ("MPII", "MSCOCO")
BLOCKS = {14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
IMAGENET = {50: "resnet50-0676ba61.pth", 101: "resnet101-63fe2227.pth", 152: "resnet152-394f9c45.pth"}


def parser(prog, text, epochs, drops):
    """The flags of `train.py` and, under its authors' names, what they change in config.py."""
    found = argparse.ArgumentParser(prog=prog, description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = found.add_argument
    add("--gpu", default="0", help="graphics cards, as 0-1 or 0,1; on a machine without any the processor works")
    add("--continue", dest="resume", action="store_true", help="go on from the last snapshot of output/model_dump")
    add("--data", default="data", help="folder with Human36M, MPII, MSCOCO, MuCo")
    add("--output", default="output", help="folder of log, model_dump, result and vis")
    add("--trainset_3d", default="Human36M", help=f"with commas: {', '.join(SPATIAL)}")
    add("--trainset_2d", default="MPII", help=f"with commas, or '' for none: {', '.join(FLAT)}")
    add("--protocol", type=int, choices=(1, 2), default=2, help="of Human3.6M, as 3DMPPE numbers them: 1 trains on S1,5-9, 2 on S1,5-8")
    add("--resnet_type", type=int, choices=tuple(BLOCKS), default=50)
    add("--width", type=int, default=64, help="of the trunk's first layers; less makes a smaller network than the published one")
    add("--input_size", type=int, default=256, help="side of the crops, px, a multiple of 32")
    add("--init", help="the trunk's start: imagenet (default of a published size: torchvision's file), a file, or none")
    add("--batch_size", type=int, default=32, help="for each process")
    add("--end_epoch", type=int, default=epochs)
    add("--lr", type=float, default=1e-3)
    add("--lr_dec_epoch", default=drops, help="epochs before which the rate falls, with commas")
    add("--lr_dec_factor", type=float, default=10)
    add("--num_thread", type=int, default=0, help="processes that read pictures")
    add("--clip", type=float, help="largest norm of the gradient (the authors do not clip)")
    add("--half", action="store_true", help="mixed precision (bfloat16)")
    add("--tensorboard", action="store_true", help="log for TensorBoard, too, into output/log")
    add("--seed", type=int, default=0)
    return found


def gpus(text):
    """The numbers of "0-1", "0,1" or "0". Raises InputError."""
    try:
        if "-" in text:
            first, last = (int(n) for n in text.split("-"))
            return list(range(first, last + 1))
        return [int(n) for n in text.split(",")]
    except ValueError as error:
        raise InputError(f"--gpu {text}: expected 0, 0,1 or 0-1") from error


def device_of(text):
    """The device of this process among the cards named; the processor where the machine has none. A process uses one card: of several it says how
    to start one for each. Raises InputError."""
    cards = gpus(text)
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if len(cards) > 1 and "LOCAL_RANK" not in os.environ:
        launcher = f"python -m torch.distributed.run --nproc-per-node {len(cards)} -m training ..."
        print(f"card {cards[0]} alone; all {len(cards)} by {launcher}", file=sys.stderr)
    return pick_device(f"cuda:{cards[int(os.environ.get('LOCAL_RANK', 0)) % len(cards)]}")


def training_sets(options):
    """([Persons with depth], [Persons without]) as the flags name them. Raises InputError."""
    load = {"Human36M": lambda: mppe_human36m.load(options.data, "train", options.protocol), "MuCo": lambda: mppe_muco.load(options.data),
            "MPII": lambda: mppe_mpii.load(options.data), "MSCOCO": lambda: mppe_coco.load(options.data)}
    names = [[name for name in text.split(",") if name] for text in (options.trainset_3d, options.trainset_2d)]
    for group, known, flag in zip(names, (SPATIAL, FLAT), ("trainset_3d", "trainset_2d"), strict=True):
        if odd := [name for name in group if name not in known]:
            raise InputError(f"--{flag} {odd[0]}: there are {', '.join(known)}")
    if not names[0]:
        raise InputError("--trainset_3d: at least one set with depth is needed; its joints are the network's")
    return tuple([load[name]() for name in group] for group in names)


def epochs_of(samples, counts, seed):
    """A function epoch -> Epoch of samples; `counts` (with depth, without) say how many rows there are of each kind."""
    return lambda epoch: Epoch(samples, mixed(*counts, np.random.default_rng((seed, epoch, 0))), (seed, epoch, 1))


def trunk(options):
    """The sizes of a network, as its class takes them. Raises InputError."""
    if options.input_size % 32 or options.input_size <= 0:
        raise InputError(f"--input_size {options.input_size}: expected a multiple of 32")
    width = options.width
    return {"blocks": BLOCKS[options.resnet_type], "planes": (width, 2 * width, 4 * width, 8 * width), "stem": width, "channels": 4 * width}


def start(network, options):
    """Put ImageNet's weights into the trunk, as the flags say. Raises InputError where they cannot be had or do not fit."""
    published = options.resnet_type in IMAGENET and options.width == 64
    source = options.init or ("imagenet" if published else "none")
    if source == "none":
        return network
    state = _imagenet(options.resnet_type) if source == "imagenet" else _file(source)
    state = {key: value for key, value in state.items() if not key.startswith("fc.")}
    try:
        network.backbone.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"--init {source}: not the weights of this ResNet: {str(error).splitlines()[-1].strip()}") from error
    return network


def _imagenet(depth):
    if depth not in IMAGENET:
        raise InputError(f"--init imagenet: there is no file of a ResNet-{depth}; 50, 101 and 152 have one, or use --init none")
    address = f"https://download.pytorch.org/models/{IMAGENET[depth]}"
    try:
        return torch.hub.load_state_dict_from_url(address, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"ImageNet weights could not be had from {address} ({error}): --init FILE, or --init none") from error


def _file(path):
    if not pathlib.Path(path).is_file():
        raise InputError(f"--init {path}: no such file")
    return torch.load(path, map_location="cpu", weights_only=True)


def normalised(crops):
    """Crops (B, 3, h, w) of 0..255 as both networks take them: mean and deviation are those of 0..1, as in the published programs."""
    mean, std = (torch.tensor(value, device=crops.device).view(1, 3, 1, 1) for value in (MEAN, STD))
    return (crops - mean) / std


def rate_at(epoch, options):
    """The learning rate of an epoch, from 0."""
    return options.lr / options.lr_dec_factor ** sum(epoch >= int(each) for each in options.lr_dec_epoch.split(","))


def folders(output):
    """{name: folder} of the tree of outputs, made."""
    found = {name: pathlib.Path(output) / name for name in ("log", "model_dump", "result", "vis")}
    for folder in found.values():
        folder.mkdir(parents=True, exist_ok=True)
    return found


def snapshot(folder, epoch=None):
    """The path of a snapshot, the last one where no epoch is named. Raises InputError."""
    files = {int(path.name.split("_")[1].split(".")[0]): path for path in pathlib.Path(folder).glob("snapshot_*.pth.tar")}
    if epoch is None and files:
        return files[max(files)]
    if epoch not in files:
        there = ", ".join(map(str, sorted(files))) or "none"
        raise InputError(f"{folder}: no snapshot{'' if epoch is None else f'_{epoch}.pth.tar'}; epochs there: {there}")
    return files[epoch]
