"""The run of a trainer of 3DMPPE: epochs, rates, log lines, snapshots in the authors' form (`module.` before every name, Adam's state beside)."""

import os

import torch

from core.errors import InputError
from training import mppe
from training.fit import Fit, batches
from training.loop import join_processes


def train(name, network, samples, counts, loss, options):
    """Train a network on samples, `counts` of which have depth and have none, as the flags say."""
    rank, world = join_processes()
    places = mppe.folders(options.output)
    network = network.to(mppe.device_of(options.gpu, rank), memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), options.lr)
    first = resume(network, optimizer, mppe.snapshot(places["model_dump"])) if options.resume else 0
    fit, epoch_of = Fit(network, optimizer, loss, options.clip, options.half), mppe.epochs_of(samples, counts, options.seed)
    for epoch in range(first, options.end_epoch):
        numbers = fit.epoch(batches(epoch_of(epoch), options.batch_size, options.num_thread), mppe.rate_at(epoch, options))
        if rank == 0:
            save(places["model_dump"] / f"snapshot_{epoch}.pth.tar", network, optimizer, epoch)
            line = f"{name} epoch {epoch}/{options.end_epoch} loss {numbers['loss']:.4f} {numbers['samples'] / numbers['seconds']:.1f} samples/s"
            print(line, flush=True)


def save(path, network, optimizer, epoch):
    """Write a snapshot beside its place, then rename it."""
    tensors = {f"module.{key}": value for key, value in network.state_dict().items()}
    partial = path.with_suffix(".partial")
    torch.save({"epoch": epoch, "network": tensors, "optimizer": optimizer.state_dict()}, partial)
    os.replace(partial, path)


def resume(network, optimizer, path):
    """Put a snapshot into network and optimiser; the epoch that comes next. Raises InputError where it is of another network."""
    state = torch.load(path, map_location=next(network.parameters()).device, weights_only=True)
    try:
        network.load_state_dict({key.removeprefix("module."): value for key, value in state["network"].items()})
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a snapshot of this network: {str(error).splitlines()[-1].strip()}") from error
    return state["epoch"] + 1
