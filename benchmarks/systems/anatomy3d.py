"""Anatomy3D's losses on written data with three seeds: `python -m benchmarks.systems anatomy3d`.

A small network (9 frames, 16 channels) learns from five written subjects with CPN-like 2D and visibility scores. Every term in the first and in the
last epoch, and the error on the two other subjects.
"""

import pathlib

from benchmarks.systems import _runs
from training import anatomy3d

SMALL = ("-k cpn_ft_h36m_dbb -arc 3,3 -ch 16 --randnum 10 -drop 0.1 -b 128 --downsample 4 -lr 0.003 -lrd 0.9 -e 15 --eva-frequency 100 "
         "--checkpoint-frequency 100 --device cpu")
TERMS = ("loss", "pose", "frames", "new_frames", "lengths", "new_lengths", "directions", "shifts")


def main(argv=None):
    options = _runs.arguments(argv, "anatomy3d", __doc__)
    _runs.data(options.data)
    errors, losses = {}, {}
    for seed in options.seeds.split(","):
        place = pathlib.Path(options.output) / seed
        tables = anatomy3d.main([*SMALL.split(), "--seed", seed, "-c", str(place), "--data", str(options.data), *options.flags.split()])
        for name, value in next(iter(tables.values())).means().items():
            errors.setdefault(name, []).append(value)
        for name, (first, last) in _runs.curve(place / "log.csv", TERMS).items():
            losses.setdefault(f"{name}, first epoch", []).append(first)
            losses.setdefault(f"{name}, last epoch", []).append(last)
    _runs.tell("unseen subjects", errors, " mm")
    _runs.tell("term of the loss", losses)
