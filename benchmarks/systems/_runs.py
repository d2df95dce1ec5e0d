"""What the experiments on written data share: the data, the seeds, the table."""

import argparse
import csv
import pathlib

import numpy as np

from training.datasets import written

ACTIONS = ("Directions", "Sitting", "Walking", "Posing")
FRAMES = 60  # of a take


def arguments(argv, name, text):
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.systems {name}", description=text, formatter_class=plain)
    parser.add_argument("--output", default=f"training/runs/systems/{name}", help="folder of the runs")
    parser.add_argument("--data", default="training/runs/systems/data", help="folder of the written data, made where it is not there")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--flags", default="", help="further flags of the trainer, for a shorter or longer run")
    return parser.parse_args(argv)


def data(folder, **options):
    """The folder with written Human3.6M: all seven subjects, some actions, 60 frames a take, exact 2D and CPN's. Same arguments, same numbers."""
    if not (pathlib.Path(folder) / "score.pkl").is_file():
        written.write_h36m(folder, ("gt", "cpn_ft_h36m_dbb"), **{"frames": FRAMES, "actions": ACTIONS} | options)
    return folder


def curve(log, names):
    """{name: (first, last)} of figures over the epochs of a run's log."""
    with pathlib.Path(log).open() as file:
        rows = list(csv.DictReader(file))
    return {name: (float(rows[0][name]), float(rows[-1][name])) for name in names}


def tell(title, rows, unit=""):
    """Print {what: [value of each seed]} as a table in Markdown: mean, least and most."""
    print(f"\n| {title} | mean{unit} | least to most |\n|---|---|---|")
    for what, values in rows.items():
        print(f"| {what} | {np.mean(values):.4g} | {min(values):.4g} to {max(values):.4g} |")
