"""Pose3D-RIE's three stages on written data with three seeds: `python -m benchmarks.systems rie`.

A small network (9 frames, 16 channels) learns from five written subjects with exact 2D, stage by stage as published, and is scored on the two others
after each. The least that a lifter has to beat stands beside: the mean pose of the training subjects.
"""

import pathlib

import numpy as np
import torch

from benchmarks.systems import _runs
from training import lifting_flags, rie
from training.datasets.windows import rooted
from training.evaluation.errors import Table

SMALL = "-k gt -arc 3,3 -ch 16 -lfd 16 --width 64 -drop 0.1 -b 128 --downsample 4 -lrd 0.7 --no-eval --device cpu"
STAGES = {1: "-lr 0.003 -e 6", 2: "-lr 0.003 -e 6 -p stage_1_epoch_6.bin", 3: "-lr 0.0005 -e 4 -ft stage_2_epoch_6.bin"}


def flags(stage, seed, options):
    """The command line of a stage."""
    place = pathlib.Path(options.output) / str(seed)
    return [*SMALL.split(), "--stage", str(stage), *STAGES[stage].split(), "--checkpoint-frequency", "1", "--seed", str(seed), "-c", str(place),
            "--data", str(options.data), *options.flags.split()]


def mean_pose(options):
    """{error's name: mm} of answering with the mean pose."""
    parsed = rie.arguments(flags(1, 0, options))
    whole, table = lifting_flags.opened(parsed), Table(names=("MPJPE", "PA-MPJPE"))
    known, held = ([rooted(torch.from_numpy(clip.joints)).numpy() for clip in whole.clips(lifting_flags.subjects(names))]
                   for names in (parsed.subjects_train, parsed.subjects_test))
    mean = np.concatenate(known).mean(0)
    for truth in held:
        table.add("all", np.broadcast_to(mean, truth.shape), truth)
    return table.means()


def main(argv=None):
    options = _runs.arguments(argv, "rie", __doc__)
    _runs.data(options.data)
    errors, losses = {}, {}
    for seed in options.seeds.split(","):
        for stage in STAGES:
            table = next(iter(rie.main(flags(stage, seed, options)).values())).means()
            first, last = _runs.curve(pathlib.Path(options.output) / seed / f"stage_{stage}_log.csv", ["3d_train"])["3d_train"]
            for rows, name, value in [(errors, name, value) for name, value in table.items() if name in ("MPJPE", "PA-MPJPE")] + [
                    (losses, "first epoch", first * 1000), (losses, "last epoch", last * 1000)]:
                rows.setdefault(f"stage {stage}, {name}", []).append(value)
    base = mean_pose(options)
    _runs.tell("unseen subjects", {f"mean pose, {name}": [value] for name, value in base.items()} | errors, " mm")
    _runs.tell("loss", losses, " mm")
