"""How a training begins on a machine: device, processes, and every random generator, whose states can be kept and put back."""

import os
import random

import numpy as np
import torch
from torch import distributed

from core.networks import pick_device
from training.loop import join_processes


def begin(seed, device="auto", threads=None):
    """(torch device, (number of this process, of all)): joins the other processes, seeds everything, this one differently from the others."""
    share = join_processes()
    place = pick_device(device)
    if place.type == "cuda" and place.index is None and "LOCAL_RANK" in os.environ:
        place = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(place)
    random.seed(seed + share[0])
    np.random.seed(seed + share[0])  # noqa: NPY002 - libraries draw from it
    torch.manual_seed(seed + share[0])
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    if threads:
        torch.set_num_threads(threads)
    return place, share


def together(networks, share):
    """All processes begin with the weights of the first."""
    for network in networks:
        for tensor in network.state_dict().values() if share[1] > 1 else ():
            distributed.broadcast(tensor, 0)


def generators_state(device):
    """The states of the random generators of this process."""
    mine = {"torch": torch.get_rng_state(), "numpy": np.random.mtrand._rand, "python": random.getstate()}  # noqa: NPY002
    return mine | ({"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def restore_generators(state, device):
    torch.set_rng_state(state["torch"].cpu())
    np.random.set_state(state["numpy"].get_state())  # noqa: NPY002
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    if "cuda" in state and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
