"""The fifth system by its author's protocol: `python -m training.evaluate senet --cfg experiments/h36m/eval.yaml`.

The network of MODEL.RESUME on DATASET.TEST_SET, the pelvis' true depth given; with MODEL.RESUME_GCN and MODEL.RESUME_REF the refined joints besides.
--save writes what the network says, which is what the refiner learns from.
"""

import argparse
import pathlib

import numpy as np
import torch

from core.graph_networks import semgcn_state
from poses._refine import Refiner, lower_from_state, upper_from_state
from poses._senet import senet_from_state
from poses._volumes import fitted
from training import mppe, senet_config
from training.datasets import pose_pickles, refiner_pickles
from training.evaluation import _people
from training.evaluation.figures import figures, lines
from training.figure_samples import look, patch, to_space, truth

PUBLISHED = "published: 47.3 mm MPJPE on S9 and S11 with the refiner"


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.evaluate senet", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", required=True, help="the experiment's YAML file")
    parser.add_argument("--gpus", help="instead of the file's GPUS")
    parser.add_argument("--workers", type=int, help="kept for the author's command lines")
    parser.add_argument("--frequent", type=int, help="kept for the author's command lines")
    parser.add_argument("--set", help="file of annot/ without .pkl, instead of DATASET.TEST_SET")
    parser.add_argument("--save", type=pathlib.Path, help="write the network's joints to this pickle: refiner/data/train.pkl or valid.pkl")
    options = parser.parse_args(argv)
    settings = senet_config.read(options.cfg)
    people = pose_pickles.load(settings["DATASET"]["ROOT"], options.set or settings["DATASET"]["TEST_SET"])
    device, model = mppe.device_of(str(options.gpus or settings["GPUS"])), settings["MODEL"]
    network = fitted(senet_from_state, model["RESUME"], device)
    shares = look(network, people, model["IMAGE_SIZE"][0], settings["TEST"]["BATCH_SIZE"], device)
    right, own = truth(people), to_space(shares, people)
    table, best = {"pose network": figures(own, right)}, own
    if model["RESUME_GCN"] and model["RESUME_REF"]:
        best = refined(patch(shares), model["RESUME_GCN"], model["RESUME_REF"], device)
        table["with refiner"] = figures(best, right)
    print("\n".join([lines(table), by_action(best, right, people.actions), PUBLISHED]))
    if options.save:
        refiner_pickles.write(options.save, refiner_pickles.Guesses(people.paths, patch(shares), own, right))
        print(f"the network's joints: {options.save}")


@torch.inference_mode()
def refined(patches, upper, lower, device):
    """Joints (N, 17, 3) m to the root by both branches, of the files `upper` and `lower`, from patch coordinates (N, 17, 3)."""
    refiner = Refiner(fitted(upper_from_state, upper, device, semgcn_state), fitted(lower_from_state, lower, device)).eval()
    return refiner(torch.from_numpy(np.float32(patches)).to(device)).double().cpu().numpy() / 1000


def by_action(found, right, actions):
    """MPJPE of each action, in mm, as text."""
    return "MPJPE: " + "  ".join(f"{name} {value:.1f}" for name, value in _people.by_action(found, right, actions).items())
