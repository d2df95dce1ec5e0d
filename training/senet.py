"""Train the fifth system's pose network as its author does: `python -m training senet --cfg experiments/h36m/train.yaml`.

The YAML's keys are the author's: MODEL.RESUME goes on from a checkpoint, DATASET.VOC is Pascal VOC 2012 for synthetic occlusion (DATASET.OCCLUSION).
After every epoch checkpoint.pth.tar, model_best.pth.tar where the joints in space are better than before, at the end final_state.pth. The batch is
TRAIN.BATCH_SIZE for each process (the author's program takes TEST.BATCH_SIZE). Pham, "3D Human Pose Estimation with simple Self-Supervised Learning".
"""

import argparse
import pathlib

import numpy as np
import torch

from core.errors import InputError
from core.networks import normalised
from poses._senet import SENet
from training import mppe, occlusion, senet_config
from training.checkpoints import adopt, fill, tensors
from training.course import Course
from training.crops import Epoch
from training.datasets import pose_pickles
from training.evaluation.errors import mpjpe
from training.figure_samples import FigureSamples, look, to_space, truth
from training.journal import draw_curves
from training.loop import save
from training.pose_losses import LOSSES, published
from training.reading import Batches
from training.seeds import begin
from weights import checkpoint


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training senet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", required=True, help="the experiment's YAML file")
    parser.add_argument("--gpus", help="instead of the file's GPUS")
    parser.add_argument("--workers", type=int, help="processes that read pictures, instead of the file's WORKERS")
    parser.add_argument("--clip", type=float, help="largest norm of the gradient (the author does not clip)")
    parser.add_argument("--half", action="store_true", help="mixed precision (bfloat16)")
    parser.add_argument("--tensorboard", action="store_true", help="log for TensorBoard, too")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    settings = senet_config.read(options.cfg)
    loss, data, size = loss_of(settings), settings["DATASET"], settings["MODEL"]["IMAGE_SIZE"][0]
    train, valid = (pose_pickles.load(data["ROOT"], data[key]) for key in ("TRAIN_SET", "TEST_SET"))
    things = occlusion.load(data["VOC"]) if data["OCCLUSION"] else None
    device, _ = begin(options.seed, str(mppe.device_of(str(options.gpus or settings["GPUS"]))))
    network = build(settings).to(device)
    course = start(network, settings, options)
    samples, workers = FigureSamples(train, size, things, data["Z_WEIGHT"]), settings["WORKERS"] if options.workers is None else options.workers
    while not course.done:
        epoch = Epoch([samples], np.random.default_rng((options.seed, course.epoch, 0)).permutation(len(samples)), (options.seed, course.epoch, 1))
        means = course.train(Batches(epoch, settings["TRAIN"]["BATCH_SIZE"], device, workers), lambda batch: {"loss": loss(network, batch)})
        means["MPJPE"] = 1000 * mpjpe(to_space(look(network, valid, size, settings["TEST"]["BATCH_SIZE"], device), valid), truth(valid))
        course.finish(means)
        if course.rank == 0:
            keep(course, network, settings)
            draw_curves(course.history, course.folder / "curves.png", ("loss",), "loss")
            draw_curves(course.history, course.folder / "error.png", ("MPJPE",), "MPJPE, mm")
    if course.rank == 0:
        save(course.folder / "final_state.pth", network.state_dict())


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
    return checkpoint(path)


def start(network, settings, options):
    """The Course, after MODEL.RESUME: a checkpoint to go on from, or weights to start with. The run's own checkpoint.pth.tar may be missing, then
    this is its first run; beside it lies last.bin, which is the same with the states of all random generators."""
    folder, train = senet_config.run_folder(settings), settings["TRAIN"]
    optimizer = torch.optim.Adam(network.parameters(), train["LR"])

    def after(epoch):
        for group in optimizer.param_groups:
            group["lr"] = rate(epoch, settings)

    course = Course(folder, {"state_dict": network}, optimizer, train["END_EPOCH"], after=after, clip=options.clip, half=options.half, every=0,
                    tensorboard=options.tensorboard)
    course.epoch, course.best = train["BEGIN_EPOCH"], -float("inf")
    path = settings["MODEL"]["RESUME"]
    own = bool(path) and pathlib.Path(path).resolve() == (folder / "checkpoint.pth.tar").resolve()
    if not path or own and not pathlib.Path(path).is_file():
        return course
    state = read(path, "MODEL.RESUME")
    if "epoch" not in state:
        fill(network, state, path)
    else:
        course.best = float(state["perf"])
        course.resume(folder / "last.bin") if own and (folder / "last.bin").is_file() else adopt(course, path, "state_dict")
    return course


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


def keep(course, network, settings):
    """Write the author's checkpoint, and the weights alone where the joints are the best so far."""
    performance = 200 - course.history[-1]["MPJPE"]  # the author's measure: more is better
    better, course.best = performance >= course.best, max(performance, course.best)
    name = f"{settings['MODEL']['NAME']}_{settings['MODEL']['EXTRA']['NET_TYPE']}"
    save(course.folder / "checkpoint.pth.tar", {"epoch": course.epoch, "model": name, "state_dict": tensors(network), "perf": float(course.best),
                                                "optimizer": course.optimizer.state_dict()})
    if better:
        save(course.folder / "model_best.pth.tar", tensors(network))
