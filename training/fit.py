"""The loop of the systems that are trained as their authors did: whole epochs, a rate for each, a checkpoint in the authors' form after each.

Samples and their changes are pure functions of seed and epoch, so a run that was killed goes on from its last checkpoint to the same losses.
"""

import contextlib
import time

import torch
from torch import distributed
from torch.utils.data import DataLoader, Sampler

from training.loop import join_processes


class Share(Sampler):
    """Every process' part of the places of an epoch, all of one length: what is left over at the end is shared out from the start again."""

    def __init__(self, count, rank, world):
        self.places = [(place % count) for place in range(rank, -(-count // world) * world, world)]

    def __iter__(self):
        return iter(self.places)

    def __len__(self):
        return len(self.places)


def batches(samples, size, workers=0):
    """A loader of an epoch's samples in order, or of this process' share of them."""
    rank, world = join_processes()
    return DataLoader(samples, size, sampler=Share(len(samples), rank, world), num_workers=workers)


class Fit:
    """A network, its optimiser and how they take a step: `loss(network, batch)` gives a scalar.

    clip: largest norm of the gradient, None for any. half: bfloat16 in the network. before(steps): called before each step with their number so far.
    """

    def __init__(self, network, optimizer, loss, clip=None, half=False, before=None):
        self.network, self.optimizer, self.loss, self.clip, self.half, self.before = network, optimizer, loss, clip, half, before
        self.device = next(network.parameters()).device
        self.steps = 0

    def epoch(self, loader, rate=None):
        """Train on all batches at a learning rate (None: as it is); {loss, seconds, samples} of the epoch, the same in all processes."""
        self.network.train()
        total, count, begun = torch.zeros((), dtype=torch.float64), 0, time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = group["lr"] if rate is None else rate
        for batch in loader:
            batch = [each.to(self.device) for each in batch]
            total += self.step(batch) * len(batch[0])
            count += len(batch[0])
        numbers = torch.stack([total, torch.tensor(float(count), dtype=torch.float64)])
        if distributed.is_initialized():
            numbers = numbers.to(self.device, torch.float32)
            distributed.all_reduce(numbers)
        return {"loss": float(numbers[0] / numbers[1]), "seconds": time.perf_counter() - begun, "samples": int(numbers[1])}

    def step(self, batch):
        """One step on tensors of this device; the loss as a float."""
        if self.before:
            self.before(self.steps)
        with torch.autocast(self.device.type, torch.bfloat16) if self.half else contextlib.nullcontext():
            value = self.loss(self.network, batch)
        self.optimizer.zero_grad()
        value.backward()
        self._share()
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        self.optimizer.step()
        self.steps += 1
        return float(value.detach())

    def _share(self):
        """Average the gradients over all processes."""
        if distributed.is_initialized():
            for parameter in self.network.parameters():
                if parameter.grad is not None:
                    distributed.all_reduce(parameter.grad)
                    parameter.grad /= distributed.get_world_size()
