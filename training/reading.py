"""Batches of samples that are read from files: in the order of an epoch, this process' share of them, on the training device."""

from torch.utils.data import DataLoader, Sampler

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
    """Lists of tensors on `device`, `size` samples each; `workers` processes read."""

    def __init__(self, samples, size, device, workers=0):
        self.loader = DataLoader(samples, size, sampler=Share(len(samples), *join_processes()), num_workers=workers)
        self.device = device

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        return ([each.to(self.device) for each in batch] for batch in self.loader)
