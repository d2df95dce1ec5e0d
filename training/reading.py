"""Batches of samples that are read from files: in the order of an epoch, this process' share of them, on the training device."""

import itertools

from torch.utils.data import DataLoader, Sampler

from core.errors import InputError
from training.loop import join_processes


class Share(Sampler):
    """Every process' part of the places of an epoch, all of one length: what is left over at the end is shared out from the start again."""

    def __init__(self, count, rank, world):
        self.places = [place % count for place in range(rank, -(-count // world) * world, world)]

    def __iter__(self):
        return iter(self.places)

    def __len__(self):
        return len(self.places)


class Batches:
    """Lists of tensors on `device`, `size` samples each; `workers` processes read.

    A last batch of one sample is left out where there are others: batch normalisation cannot learn from it.
    """

    def __init__(self, samples, size, device, workers=0):
        share = Share(len(samples), *join_processes())
        self.loader, self.device = DataLoader(samples, size, sampler=share, num_workers=workers), device
        self.count = max(1, len(share) // size + (len(share) % size > 1))

    def __len__(self):
        return self.count

    def __iter__(self):
        try:
            for batch in itertools.islice(self.loader, self.count):
                yield [each.to(self.device) for each in batch]
        except InputError as error:  # of a reading process it comes with that one's whole traceback
            raise InputError(str(error).strip().splitlines()[-1].removeprefix("core.errors.InputError: ")) from error
