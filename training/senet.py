"""Train the fifth system's pose network as its author does: `python -m training senet --cfg experiments/h36m/train.yaml`.

The YAML's keys are the author's: MODEL.RESUME goes on from a checkpoint, DATASET.VOC is Pascal VOC 2012 for synthetic occlusion (DATASET.OCCLUSION).
After every epoch checkpoint.pth.tar, model_best.pth.tar where the joints in space are better than before, at the end final_state.pth. The batch is
TRAIN.BATCH_SIZE for each process (the author's program takes TEST.BATCH_SIZE). Pham, "3D Human Pose Estimation with simple Self-Supervised Learning".
"""

import argparse
import os
import pathlib

import numpy as np
import torch

from core.errors import InputError
from core.geometry import mpjpe
from core.networks import normalised
from poses._senet import SENet
from training import mppe, occlusion, senet_config
from training.crops import Epoch
from training.datasets import pose_pickles
from training.figure_samples import FigureSamples, look, to_space, truth
from training.fit import Fit, batches
from training.loop import join_processes
from training.pose_losses import LOSSES, published


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training senet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", required=True, help="the experiment's YAML file")
    parser.add_argument("--gpus", help="instead of the file's GPUS")
    parser.add_argument("--workers", type=int, help="processes that read pictures, instead of the file's WORKERS")
    parser.add_argument("--clip", type=float, help="largest norm of the gradient (the author does not clip)")
    parser.add_argument("--half", action="store_true", help="mixed precision (bfloat16)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    settings = senet_config.read(options.cfg)
    data = settings["DATASET"]
    train, valid = (pose_pickles.load(data["ROOT"], data[key]) for key in ("TRAIN_SET", "TEST_SET"))
    things = occlusion.load(data["VOC"]) if data["OCCLUSION"] else None
    rank, _ = join_processes()
    device, size = mppe.device_of(str(options.gpus or settings["GPUS"]), rank), settings["MODEL"]["IMAGE_SIZE"][0]
    torch.manual_seed(options.seed)
    network = build(settings).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), settings["TRAIN"]["LR"])
    folder = senet_config.run_folder(settings)
    first, best = begin(network, optimizer, settings, folder)
    samples, workers = FigureSamples(train, size, things, data["Z_WEIGHT"]), settings["WORKERS"] if options.workers is None else options.workers
    test, count = settings["TEST"]["BATCH_SIZE"], settings["TRAIN"]["BATCH_SIZE"]
    fit = Fit(network, optimizer, loss_of(settings), options.clip, options.half)
    for epoch in range(first, settings["TRAIN"]["END_EPOCH"]):
        places = np.random.default_rng((options.seed, epoch, 0)).permutation(len(samples))
        numbers = fit.epoch(batches(Epoch([samples], places, (options.seed, epoch, 1)), count, workers), rate(epoch, settings))
        error = 1000 * mpjpe(to_space(look(network, valid, size, test, device), valid), truth(valid))
        better, best = 200 - error >= best, max(best, 200 - error)
        if rank == 0:
            save(folder, network, optimizer, epoch + 1, best, better, settings)
            print(f"senet epoch {epoch}/{settings['TRAIN']['END_EPOCH']} loss {numbers['loss']:.4f} MPJPE {error:.1f} mm", flush=True)
    if rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), folder / "final_state.pth")


def build(settings):
    """The SENet of the settings, from MODEL.PRETRAINED where that is given."""
    network = SENet(settings["MODEL"]["NUM_JOINTS"], **senet_config.network_sizes(settings))
    if path := settings["MODEL"]["PRETRAINED"]:
        state = read(path, "MODEL.PRETRAINED")
        fill(network, state.get("state_dict", state), path)
    return network


def read(path, key):
    """A torch file. Raises InputError, which names the setting."""
    if not pathlib.Path(path).is_file():
        raise InputError(f"{key}: {path}: no such file; '' starts anew")
    return torch.load(path, map_location="cpu", weights_only=True)


def fill(network, state, path):
    """Put tensors, with or without the author's `module.`, into a network. Raises InputError where they do not fit."""
    try:
        network.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
    except RuntimeError as error:
        raise InputError(f"{path}: not the weights of this network: {str(error).splitlines()[-1].strip()}") from error


def begin(network, optimizer, settings, folder):
    """(first epoch, best performance so far) after MODEL.RESUME: a checkpoint to go on from, or weights to start with. The run's own checkpoint
    may be missing: then this is its first run."""
    path = settings["MODEL"]["RESUME"]
    if not path or not pathlib.Path(path).is_file() and pathlib.Path(path).resolve() == (folder / "checkpoint.pth.tar").resolve():
        return settings["TRAIN"]["BEGIN_EPOCH"], 0.0
    state = read(path, "MODEL.RESUME")
    if "epoch" not in state:
        fill(network, state, path)
        return settings["TRAIN"]["BEGIN_EPOCH"], 0.0
    fill(network, state["state_dict"], path)
    optimizer.load_state_dict(state["optimizer"])
    return int(state["epoch"]), float(state["perf"])


def loss_of(settings):
    """The function (network, batch) -> loss that LOSS.FN names. Raises InputError."""
    if (name := settings["LOSS"]["FN"]) not in LOSSES:
        raise InputError(f"LOSS.FN: {name}: there are {', '.join(LOSSES)}")
    measure = published(name)
    return lambda network, batch: measure(network(normalised(batch[0])).float(), batch[1], batch[2])


def rate(epoch, settings):
    """The learning rate of an epoch, from 0."""
    train = settings["TRAIN"]
    return train["LR"] * train["LR_FACTOR"] ** sum(epoch >= step for step in train["LR_STEP"])


def save(folder, network, optimizer, epoch, best, better, settings):
    """Write the author's checkpoint, and the weights alone where they are the best so far."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"module.{key}": value for key, value in network.state_dict().items()}
    name = f"{settings['MODEL']['NAME']}_{settings['MODEL']['EXTRA']['NET_TYPE']}"
    state = {"epoch": epoch, "model": name, "state_dict": tensors, "perf": float(best), "optimizer": optimizer.state_dict()}
    for file, value in (("checkpoint", state), ("model_best", tensors))[: 1 + better]:
        torch.save(value, folder / f"{file}.partial")
        os.replace(folder / f"{file}.partial", folder / f"{file}.pth.tar")
