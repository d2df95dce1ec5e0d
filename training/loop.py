"""A training loop that can be stopped and goes on by itself: state file, one log line an epoch, cosine rate, averaged weights.

Under `python -m torch.distributed.run --nproc-per-node N -m training ...` N processes share the work: gradients are averaged, the first one saves.
"""

import atexit
import collections
import copy
import importlib
import math
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import distributed

from core.errors import InputError
from core.files import whole


class Average(torch.nn.Module):
    """Exponential moving average of a model's weights and buffers, quick at first: decay min(decay, (1 + n) / (10 + n))."""

    def __init__(self, model, decay=0.998):
        super().__init__()
        self.model, self.decay, self.count = copy.deepcopy(model).eval().requires_grad_(False), decay, 0

    @torch.no_grad()
    def update(self, model):
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        mine, new = self.model.state_dict(), model.state_dict()
        moving = [name for name, value in mine.items() if value.dtype.is_floating_point]
        torch._foreach_lerp_([mine[name] for name in moving], [new[name] for name in moving], 1 - decay)
        for name in mine.keys() - set(moving):
            mine[name].copy_(new[name])


def rate(progress, warmup=0.02, last=0.01):
    """Share of the highest learning rate at a progress in 0..1: linear start, then half a cosine down to `last`."""
    if progress < warmup:
        return progress / warmup
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))


def join_processes():
    """(number of this process, number of all): joins the others where the launcher started several, and leaves them at the end of the program.

    Threads of gloo that outlive the interpreter abort the process. They end with the last reference to the group, and `torch.distributed.nn`, which
    optimisers import, keeps the group that it finds: so it is imported before there is one.
    """
    if "WORLD_SIZE" not in os.environ:
        return 0, 1
    if not distributed.is_initialized():
        importlib.import_module("torch.distributed.nn")
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(distributed.destroy_process_group)
    return distributed.get_rank(), distributed.get_world_size()


def average_gradients(parameters, number=0.0):
    """Average the gradients, and a number, over all processes, so that they stay in step; the number."""
    if not distributed.is_initialized():
        return number
    weights = [p for p in parameters if p.grad is not None]
    flat = torch.cat([p.grad.flatten() for p in weights] + [torch.tensor([number], device=weights[0].device)])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for p, mean in zip(weights, flat[:-1].split([p.numel() for p in weights]), strict=True):
        p.grad.copy_(mean.view_as(p))
    return float(flat[-1])


def save(path, state):
    """Write a checkpoint: a killed training never leaves half a file."""
    with whole(path) as partial:
        torch.save(state, partial)


class Run:
    """One training: model, averaged model, optimiser, and how far it is. The budget is a number of epochs or of minutes of training.

    `groups` are parameter groups of AdamW; a group's `factor` multiplies the learning rate.
    """

    def __init__(self, model, groups, path, lr, epochs=None, minutes=None, decay=0.998, weight_decay=0.01):
        self.model, self.path, self.lr, self.epochs, self.minutes = model, path, lr, epochs, minutes
        self.device = next(model.parameters()).device
        self.average = Average(model, decay)
        self.optimizer = torch.optim.AdamW(groups, lr, weight_decay=weight_decay, foreach=True)
        self.epoch, self.seconds = 0, 0.0
        path.parent.mkdir(parents=True, exist_ok=True)  # what cannot be written should say so before an epoch is lost
        if path.exists():
            self._load(torch.load(path, map_location=self.device, weights_only=True))

    def _load(self, state):
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.count, self.epoch, self.seconds = state["count"], state["epoch"], state["seconds"]
        torch.set_rng_state(state["rng"].cpu())

    def save(self):
        """Write the state file."""
        save(self.path, {"model": self.model.state_dict(), "average": self.average.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                         "count": self.average.count, "epoch": self.epoch, "seconds": self.seconds, "rng": torch.get_rng_state()})

    def progress(self, part=0.0):
        """How much of the budget is used, 0..1; `part` of the present epoch is done."""
        return min(1.0, self.seconds / 60 / self.minutes if self.minutes else (self.epoch + part) / self.epochs)

    def train(self, batches, loss):
        """One epoch of `batches` (a sized iterable); `loss(model, batch)` gives a scalar. Returns the mean loss."""
        self.model.train()
        total, begun = 0.0, time.perf_counter()
        before = self.seconds
        for i, batch in enumerate(batches):
            for group in self.optimizer.param_groups:
                group["lr"] = self.lr * group["factor"] * rate(self.progress(i / len(batches)))
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
                value = loss(self.model, batch)
            self.optimizer.zero_grad()
            value.backward()
            self.seconds = average_gradients(self.model.parameters(), before + time.perf_counter() - begun)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
            self.optimizer.step()
            self.average.update(self.model)
            total += value.detach()
            if self.minutes and self.seconds > self.minutes * 60:
                break
        self.epoch += 1
        return float(total) / (i + 1)

    @property
    def done(self):
        return self.seconds >= self.minutes * 60 if self.minutes else self.epoch >= self.epochs

    def log(self, loss, **measured):
        """One line on standard error."""
        words = [f"epoch {self.epoch}", f"{self.seconds / 60:.1f} min", f"{100 * self.progress():.0f}%", f"loss {loss:.4f}"]
        print("  ".join(words + [f"{name} {value:.3f}" for name, value in measured.items()]), file=sys.stderr, flush=True)


def add_flags(parser, name, steps, epochs, batch, lr=1e-3):
    """The flags of a Run called `name`, with these defaults."""
    parser.add_argument("--state", default=f"training/runs/{name}/state.pt", help="where the run keeps its state, and goes on from")
    parser.add_argument("--steps", type=int, default=steps, help="batches of an epoch")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--minutes", type=float, help="budget in minutes of training instead of epochs")
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--lr", type=float, default=lr)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")


class Batches:
    """A sized iterable of `count` batches that `make()` gives, each made by a thread of its own while the one before is learned from."""

    def __init__(self, count, make):
        self.count, self.make = count, make

    def __len__(self):
        return self.count

    def __iter__(self):
        with ThreadPoolExecutor(1) as worker:
            batch = worker.submit(self.make)
            for _ in range(self.count - 1):
                ready, batch = batch.result(), worker.submit(self.make)
                yield ready
            yield batch.result()


class Again:
    """Batches of which each comes `times` more, later and varied: where drawing one costs more than learning from it.

    `make()` draws a batch, `vary(batch)` gives another look of it, `rand(1)` a random number in 0..1.
    """

    def __init__(self, make, vary, times, rand, kept=48):
        self.make, self.vary, self.times, self.rand = make, vary, times, rand
        self.pool, self.count = collections.deque(maxlen=kept), 0

    def __call__(self):
        self.count += 1
        if (self.count - 1) % (1 + self.times) == 0:
            self.pool.append(self.make())
            return self.vary(self.pool[-1])
        return self.vary(self.pool[int(self.rand(1) * len(self.pool))])


# ---- crop sizes over the budget


def stages(text):
    """[(end of the stage as a share of the budget, (width, height))] of "96x128:0.6,144x192:0.4"."""
    found, end = [], 0.0
    for piece in text.split(","):
        size, _, share = piece.partition(":")
        end += float(share or 1)
        found.append((end, crop_size(size)))
    return found


def crop_size(text):
    """(width, height) of "96x128". Raises InputError where they are not multiples of 32."""
    size = tuple(int(n) for n in text.split("x"))
    if len(size) != 2 or any(n % 32 or n <= 0 for n in size):
        raise InputError(f"crop size '{text}': expected WIDTHxHEIGHT, multiples of 32")
    return size


def size_at(progress, plan):
    return next((size for end, size in plan if progress < end - 1e-6), plan[-1][1])
