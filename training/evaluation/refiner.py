"""The fifth system's refiner against its input: `python -m training.evaluate refiner [--data refiner/data] [--output refiner/output]`.

Figures of refiner/data/valid.pkl by the names that the author prints: what the pose network said, what each branch makes of it, and both together
(x and y of the upper branch, z of the lower one on top of it).
"""

import argparse
import pathlib

from core.graph_networks import semgcn_state
from poses._refine import lower_from_state, upper_from_state
from poses._volumes import fitted
from training import mppe
from training.datasets import refiner_pickles
from training.evaluation.figures import figures, lines
from training.evaluation.senet import refined
from training.refiner import answer


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.evaluate refiner", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("refiner/data"))
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("refiner/output"), help="folder of {gcn,linear}/best.pth.tar")
    parser.add_argument("--gcn", help="the upper branch's file instead")
    parser.add_argument("--linear", help="the lower branch's file instead")
    parser.add_argument("--gpu", default="0")
    options = parser.parse_args(argv)
    device, data = mppe.device_of(options.gpu), refiner_pickles.load(options.data / "valid.pkl")
    upper, lower = options.gcn or options.output / "gcn" / "best.pth.tar", options.linear or options.output / "linear" / "best.pth.tar"
    branches = {"gcn": fitted(upper_from_state, upper, device, semgcn_state), "linear": fitted(lower_from_state, lower, device)}
    found = {"pose network": data.own} | {name: answer(name, network, data, device) for name, network in branches.items()}
    found["both"] = refined(data.patch, upper, lower, device)
    table = {name: figures(joints, data.truth) for name, joints in found.items()}
    print(lines(table))
    return table
