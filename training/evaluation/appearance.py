"""How well looks tell people apart: `python -m training.evaluate appearance --weights appearance-embednet --data ../shared/data [--json FILE]`.

appearance.auc: how often (in per cent) two views of one person are more alike than views of two, over all pairs. The people are those of
coco_people's val split; the views differ in light, blur, compression and box, are at random mirrored and up to half hidden, and the same for every
network.
"""

import argparse
import json
import pathlib

import numpy as np
import torch

from core.networks import fuse, normalised, pick_device
from trackers._embednet import EmbedNet
from training import graphs, looks
from training.appearance import FILE, TEACHER_SIZE, Crowd
from training.datasets import coco_people
from weights import load, load_strict, resolve

SEED = 7


def _ours(name, device):
    state, _ = load(resolve(name))
    network = load_strict(fuse(EmbedNet()), state, name).to(device)
    return lambda x: network(normalised(x))


def _reid(folder, device):
    network = graphs.fastest(pathlib.Path(folder) / FILE, device=device)
    return lambda x: network(torch.nn.functional.interpolate(x, size=TEACHER_SIZE[::-1], mode="bilinear").flip(1))[0].flatten(1)


def _osnet(folder, device):
    network = graphs.fastest(pathlib.Path(folder) / "osnet_x0_25_msmt17.onnx", device=device)
    return lambda x: network(normalised(torch.nn.functional.interpolate(x, size=TEACHER_SIZE[::-1], mode="bilinear")))[0]


TEACHERS = {"reid-retail-0277": _reid, "osnet-x0.25": _osnet}


@torch.inference_mode()
def vectors(network, crowd, draw, batch=64):
    """Unit vectors (N, D) of one random view of everybody."""
    parts = [network(crowd.view(rows, draw)) for rows in torch.arange(len(crowd), device=draw.device).split(batch)]
    return torch.nn.functional.normalize(torch.cat(parts).float(), dim=1)


def auc(first, second):
    """Of unit vectors of two views (N, D): the chance that a person is more like their other view than like one of somebody else, in per cent."""
    likeness = (first @ second.T).cpu().numpy()
    same, other = np.diag(likeness), np.sort(likeness[~np.eye(len(likeness), dtype=bool)])
    below, upto = (np.searchsorted(other, same, side) for side in ("left", "right"))
    return float(100 * (below + upto).mean() / 2 / len(other))


def evaluate(network, root, device):
    """{"appearance.auc"} of a function from views (B, 3, 128, 64) RGB 0 to 255 to vectors (B, D)."""
    crowd = Crowd(coco_people.load(root, "val"), device)
    return {"appearance.auc": auc(*(vectors(network, crowd, looks.Draw(SEED + i, device)) for i in (0, 1)))}


def main(argv=None):
    parser = argparse.ArgumentParser("python -m training.evaluate appearance", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="appearance-embednet", help=f"weights file or name, or a public network: {', '.join(TEACHERS)}")
    parser.add_argument("--data", type=pathlib.Path, default="../shared/data")
    parser.add_argument("--teachers", default="../shared/weights", help="folder of the public weights")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args(argv)
    device = pick_device(options.device)
    network = TEACHERS[options.weights](options.teachers, device) if options.weights in TEACHERS else _ours(options.weights, device)
    result = evaluate(network, pathlib.Path(options.data), device)
    print(f"{options.weights}  " + "  ".join(f"{name} {value:.2f}" for name, value in result.items()))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
