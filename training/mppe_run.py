"""The run of a trainer of 3DMPPE: epochs, rates, and after each of them a snapshot in the authors' form."""

import torch

from training import mppe
from training.checkpoints import adopt, tensors
from training.course import Course
from training.journal import draw_curves
from training.loop import save
from training.reading import Batches
from training.seeds import begin


def train(build, samples, counts, loss, options):
    """Train what `build()` makes on samples, `counts` of which have depth and have none, as the flags say; the Course.

    output/log holds log.csv, curves.png and last.bin, from which `--continue` goes on; where that is missing, it goes on from the last snapshot.
    """
    places = mppe.folders(options.output)
    device, _ = begin(options.seed, str(mppe.device_of(options.gpu)))
    network = build().to(device)
    optimizer = torch.optim.Adam(network.parameters(), options.lr)

    def after(epoch):
        for group in optimizer.param_groups:
            group["lr"] = mppe.rate_at(epoch, options)

    course = Course(places["log"], {"network": network}, optimizer, options.end_epoch, after=after, clip=options.clip, half=options.half, every=0,
                    tensorboard=options.tensorboard)
    if options.resume:
        last = places["log"] / "last.bin"
        course.resume(last) if last.is_file() else adopt(course, mppe.snapshot(places["model_dump"]), "network", done=1)
        if not (places["model_dump"] / f"snapshot_{course.epoch - 1}.pth.tar").is_file():
            keep(course, places)  # it was killed between its own state and the snapshot
    epoch_of = mppe.epochs_of(samples, counts, options.seed)
    while not course.done:
        batches = Batches(epoch_of(course.epoch), options.batch_size, device, options.num_thread)
        course.finish(course.train(batches, lambda batch: {"loss": loss(network, batch)}))
        keep(course, places)
    return course


def keep(course, places):
    """Write the snapshot of the last finished epoch, as the authors count from 0, and the curves."""
    if course.rank == 0:
        number, network = course.epoch - 1, course.networks["network"]
        snapshot = {"epoch": number, "network": tensors(network), "optimizer": course.optimizer.state_dict()}
        save(places["model_dump"] / f"snapshot_{number}.pth.tar", snapshot)
        draw_curves(course.history, places["log"] / "curves.png", ("loss",), "loss")
