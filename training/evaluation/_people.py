"""What 3DMPPE's networks see in people of test sets, and where it is: flags, forward passes, the way to camera space, tables."""

import argparse
import pathlib

import numpy as np
import torch

from core.errors import InputError
from poses._posenet import BODY, DEPTH, HALF_DEPTH, k_value
from training import crops, mppe
from training.datasets import mppe as files
from training.datasets import mppe_coco, mppe_human36m, mppe_mpii, mppe_mupots
from training.evaluation.errors import mpjpe

NAMES = {"Human36M": "human36m", "MuPoTS": "mupots", "MSCOCO": "coco", "MPII": "mpii"}  # of the sets in the names of files


def parser(prog, text, sets=tuple(NAMES)):
    """The flags of test.py and, under its authors' names, what they change in config.py."""
    found = argparse.ArgumentParser(prog=prog, description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = found.add_argument
    add("--gpu", default="0", help="graphics card; on a machine without any the processor works")
    add("--test_epoch", type=int, help="of the snapshot in output/model_dump (the last)")
    add("--checkpoint", help="a snapshot elsewhere, or the name of known weights")
    add("--testset", choices=sets, default="Human36M")
    add("--protocol", type=int, choices=(1, 2), default=2, help="of Human3.6M, as 3DMPPE numbers them: 1 tests on S11, 2 on S9 and S11")
    add("--data", default="data", help="folder with the sets")
    add("--output", default="output", help="folder of log, model_dump, result and vis")
    add("--input_size", type=int, default=256, help="side of the crops, px")
    add("--test_batch_size", type=int, default=32)
    return found


def switch(text):
    """True or False of a flag's text."""
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError("expected true or false")
    return text.lower() == "true"


def checkpoint(options):
    """The snapshot that the flags name, and the folders of outputs."""
    places = mppe.folders(options.output)
    return options.checkpoint or mppe.snapshot(places["model_dump"], options.test_epoch), places


def persons_of(options, boxes=None):
    """Persons of the test set; `boxes` are rows of a file of boxes, None for the true ones."""
    if options.testset == "Human36M":
        return mppe_human36m.load(options.data, "test", options.protocol, boxes)
    if options.testset == "MPII":
        return mppe_mpii.load(options.data, "valid")
    return {"MuPoTS": mppe_mupots, "MSCOCO": mppe_coco}[options.testset].load(options.data, "test", boxes)


def boxes_file(options, kind):
    """The rows of the test set's file of boxes: Human36M/bbox_root/bbox_root_human36m_output.json and the like."""
    return files.found_boxes(pathlib.Path(options.data) / options.testset / kind, kind, NAMES[options.testset])


@torch.inference_mode()
def look(network, persons, size, batch, device, flip=None):
    """What a network says of all Persons' crops (N, ...); flip(answer) undoes a mirror image: then both are averaged."""
    answers = []
    for start in range(0, len(persons), batch):
        rows = range(start, min(start + batch, len(persons)))
        x = torch.from_numpy(np.stack([_crop(persons, row, size) for row in rows])).to(device)
        x = mppe.normalised(x)
        found = network(x)
        answers.append(found if flip is None else (found + flip(network(x.flip(3)))) / 2)
    return torch.cat(answers).float().cpu().numpy()


def _crop(persons, row, size):
    x, y, side = persons.squares[row]
    return crops.patch(crops.picture(persons.paths[row]), (x, y, side, side), (size, size), crops.Change())[0]


def to_pixels(cells, persons, size):
    """Points (N, J, 2) px of the pictures, centres counted from 0, of cells (N, J, 2) of crops of `size`; the half pixel is lost, as published."""
    return cells * crops.STRIDE / size * persons.squares[:, None, 2:] + (persons.squares[:, None, :2] - persons.squares[:, None, 2:] / 2)


def to_space(points, depth, persons):
    """Joints (N, J, 3) m in camera axes of points (N, J, 2) px at depths (N, J) m."""
    plane = (points - persons.centre[:, None]) / persons.focal[:, None]
    return np.concatenate([plane * depth[..., None], depth[..., None]], -1)


def poses(cells, persons, size):
    """(points (N, J, 2) px, joints (N, J, 3) m in camera axes) of PoseNet's cells (N, J, 3) around the Persons' roots."""
    points = to_pixels(cells[..., :2], persons, size)
    return points, to_space(points, (cells[..., 2] / DEPTH * 2 - 1) * HALF_DEPTH + persons.roots[:, None, 2], persons)


def roots(answers, persons, size):
    """Roots (N, 3) m of RootNet's answers (N, 3): x, y in cells, gamma."""
    k = k_value(persons.focal[:, 0] * persons.focal[:, 1], 1.0, persons.squares[:, 2] ** 2, BODY * BODY)
    return to_space(to_pixels(answers[:, None, :2], persons, size), (answers[:, 2] * k)[:, None], persons)[:, 0]


def by_action(found, truth, actions):
    """{action: mean distance, mm} of (N, ..., 3) m, in the published order, of the actions (N,) that are there."""
    return {name: 1000 * mpjpe(found[actions == i], truth[actions == i]) for i, name in enumerate(mppe_human36m.ACTIONS) if (actions == i).any()}


def beside(rows):
    """Lines "name ours published" of (name, ours, published or None)."""
    lines = [f"{'':34s}{'ours':>10s}{'published':>12s}"]
    return "\n".join(lines + [f"{name:34s}{ours:10.1f}{'' if other is None else other:>12}" for name, ours, other in rows])


def need(condition, text):
    """Raises InputError with the text where the condition does not hold."""
    if not condition:
        raise InputError(text)
