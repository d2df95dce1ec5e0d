"""A training by a published recipe: networks, an optimiser and a schedule of the system's own; everything else is here.

    device, share = seeds.begin(options.seed, options.device)
    course = Course(folder, {"model_pos": network}, optimizer, epochs=60, streams={"random_state": windows}, after=schedule, half=options.half)
    course.resume(path)                                     # or not
    while not course.done:
        means = course.train(windows, loss)                 # loss(batch) -> {"loss": what is minimised, other names: what is shown}
        course.finish(means | evaluated(network))           # schedule, log.csv, TensorBoard, checkpoints

A resumed training is the same to the bit as one that was never stopped: a checkpoint holds the networks, the optimiser, the state of every random
generator and of the `streams` (anything with `state()` and `restore()`), and the figures so far. It is written whole or not at all, after every epoch
as `last.bin` and now and then as `epoch_{n}.bin`, under the keys of the published programs: epoch, lr, optimizer, those of networks and streams.

Under `python -m torch.distributed.run --nproc-per-node N -m training ...` every process takes its share of each batch (`share` of the stream);
gradients and the statistics of batch normalisation are averaged, the first process writes.
"""

import pathlib
import sys
import time

import torch
from torch import distributed

from core.errors import InputError
from training.journal import Journal
from training.loop import average_gradients, join_processes, save
from training.seeds import generators_state, restore_generators, together
from weights import checkpoint, load_strict


class Course:
    """`networks` {key in the checkpoint: module, or None for one that this training does not have}, all of them optimised by `optimizer`.

    `after(epoch)` is called at the start and after every epoch with the number of finished ones: it sets learning rates and the like.
    `clip` is the largest norm of the gradients; `half` computes in bfloat16 where that is safe; `every` n-th epoch has its own checkpoint
    called `name`; `tensorboard` logs for TensorBoard too; `prefix` stands before the names of weights, "module." where the authors have it;
    `stem` before those of log and last.bin, where trainings share a folder.
    """

    def __init__(self, folder, networks, optimizer, epochs, streams=None, after=None, clip=None, half=False, every=10, name="epoch_{}.bin",
                 tensorboard=False, prefix="", stem=""):
        self.folder, self.networks, self.optimizer, self.epochs = pathlib.Path(folder), networks, optimizer, epochs
        self.streams, self.after, self.clip, self.half = streams or {}, after or (lambda epoch: None), clip, half
        self.every, self.name, self.prefix, self.stem = every, name, prefix, stem
        self.rank, self.world = join_processes()
        self.device = next(self.trained[0].parameters()).device
        self.epoch, self.seconds, self.history = 0, 0.0, []
        together(self.trained, (self.rank, self.world))
        self.journal = Journal(self.folder, tensorboard, stem) if self.rank == 0 else None
        self.after(0)

    @property
    def trained(self):
        return [network for network in self.networks.values() if network is not None]

    @property
    def done(self):
        return self.epoch >= self.epochs

    @property
    def lr(self):
        return self.optimizer.param_groups[0]["lr"]

    # ---- an epoch

    def train(self, batches, loss):
        """One epoch; {name: mean over the samples} of what `loss(batch)` names. The first tensor in a batch (a tuple) has a row for each sample."""
        for network in self.trained:
            network.train()
        sums, count, begun = {}, 0, time.perf_counter()
        for batch in batches:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                values = loss(batch)
            self.step(values["loss"])
            rows = samples(batch)
            count += rows
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + value.detach().double() * rows
        self.seconds += time.perf_counter() - begun
        if not count:
            raise InputError("not one batch to train on: the data has fewer clips or frames than a batch needs")
        return self._means(sums, count)

    def step(self, value):
        """One step of the optimiser down a loss."""
        self.optimizer.zero_grad()
        value.backward()
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        average_gradients(parameters)
        if self.clip:
            torch.nn.utils.clip_grad_norm_(parameters, self.clip)
        self.optimizer.step()

    def _means(self, sums, count):
        totals = torch.stack([*(value.to(self.device).float() for value in sums.values()), torch.tensor(float(count), device=self.device)])
        if self.world > 1:
            distributed.all_reduce(totals)
        return dict(zip(sums, (totals[:-1] / totals[-1]).tolist(), strict=True))

    # ---- between epochs

    def finish(self, figures):
        """End an epoch: schedule, log, checkpoint. `figures` {name: number} are logged and end up in the curves."""
        self.epoch += 1
        self.history.append({"epoch": self.epoch, "seconds": round(self.seconds, 2), "lr": self.lr, **figures})
        self._agree()
        self.after(self.epoch)
        state = self.state()
        if self.rank:
            return
        self.journal.write(self.history)
        words = [f"epoch {self.epoch}/{self.epochs}", f"{self.seconds / 60:.1f} min", *(f"{name} {value:.5g}" for name, value in figures.items())]
        print("  ".join(words), file=sys.stderr, flush=True)
        save(self.folder / f"{self.stem}last.bin", state)
        if self.every and self.epoch % self.every == 0:
            save(self.folder / self.name.format(self.epoch), state)

    def _agree(self):
        """The statistics of batch normalisation of all processes become their mean."""
        buffers = [b for network in self.trained for b in network.buffers() if b.is_floating_point()] if self.world > 1 else []
        for buffer in buffers:
            distributed.all_reduce(buffer)
            buffer /= self.world

    def state(self):
        """The content of a checkpoint."""
        networks = {key: network and network.state_dict(prefix=self.prefix) for key, network in self.networks.items()}
        generators = {key: getattr(stream, "random", None) for key, stream in self.streams.items()}
        resume = {"streams": {key: stream.state() for key, stream in self.streams.items()}, "history": self.history, "seconds": self.seconds,
                  "generators": self._gathered(generators_state(self.device))}
        return {"epoch": self.epoch, "lr": self.lr, **generators, "optimizer": self.optimizer.state_dict(), **networks, "resume": resume}

    def _gathered(self, own):
        if self.world == 1:
            return [own]
        found = [None] * self.world
        distributed.all_gather_object(found, own)
        return found

    def resume(self, path):
        """Go on from a checkpoint, ours or one of the published program (which does not hold the generators of dropout).

        Raises InputError for a file that is missing, broken or of another network.
        """
        content = checkpoint(path)
        if missing := [key for key in ("epoch", "optimizer", *self.networks) if key not in content]:
            raise InputError(f"{path} is no checkpoint to go on from: it has no {', '.join(missing)}")
        for key, network in self.networks.items():
            if network is not None:
                load_strict(network, bare(content[key], f"{path}: {key}"), f"{path}: {key}")
        try:
            self.optimizer.load_state_dict(content["optimizer"])
        except ValueError as error:
            raise InputError(f"{path}: its optimiser belongs to another training ({error})") from error
        resume = content.get("resume") or {}
        for key, stream in self.streams.items():
            found = resume.get("streams", {}).get(key, content.get(key))
            if found is not None:
                stream.restore(found)
        self.epoch, self.history, self.seconds = content["epoch"], list(resume.get("history", [])), resume.get("seconds", 0.0)
        if len(resume.get("generators", ())) == self.world:
            restore_generators(resume["generators"][self.rank], self.device)
        self.after(self.epoch)


def samples(batch):
    """Rows of the first tensor in nested tuples."""
    return len(batch[0]) if isinstance(batch[0], torch.Tensor) else samples(batch[0])


def bare(state, name):
    """Tensors by name without data-parallel prefixes. Raises InputError where there are none."""
    if not isinstance(state, dict):
        raise InputError(f"{name} holds no network")
    return {key.removeprefix("module."): value for key, value in state.items()}
