"""The demo of 3DMPPE's authors: `python -m training.evaluate demo --gpu 0 --test_epoch 24 [--input input.jpg]`.

PoseNet on one picture with given boxes and root depths (those of the authors' picture are the defaults; RootNet's with --root), a focal length of
1500 px, the principal point in the middle. Written: output_pose_2d.jpg and output_pose_3d.png beside the picture.
"""

import json
import pathlib

import cv2
import numpy as np
import torch

from core.errors import InputError
from poses._posenet import JOINT_SETS, posenet_from_state, rootnet_from_state
from poses._volumes import fitted
from training import mppe
from training.crops import picture
from training.datasets import mppe as files
from training.evaluation import _people
from training.evaluation._draw import people_in_space

BOXES = [[139.41, 102.25, 222.39, 241.57], [287.17, 61.52, 74.88, 165.61], [540.04, 48.81, 99.96, 223.36], [372.58, 170.84, 266.63, 217.19],
         [0.5, 43.74, 90.1, 220.09]]  # left, top, width, height
DEPTHS = [11250.5732421875, 15522.8701171875, 11831.3828125, 8852.556640625, 12572.5966796875]  # mm


def main(argv=None):
    parser = _people.parser("python -m training.evaluate demo", __doc__)
    parser.add_argument("--input", type=pathlib.Path, default=pathlib.Path("input.jpg"))
    parser.add_argument("--boxes", type=pathlib.Path, help="JSON list of {bbox: [left, top, width, height] px, depth: mm (not with --root)}")
    parser.add_argument("--root", help="RootNet's snapshot, which gives the depths")
    options = parser.parse_args(argv)
    device, image = mppe.device_of(options.gpu), picture(options.input)
    rows = files.read(options.boxes, "see --help") if options.boxes else [{"bbox": b, "depth": d} for b, d in zip(BOXES, DEPTHS, strict=True)]
    files.check(options.boxes, "box", rows, ("bbox", *(() if options.root else ("depth",))))
    path = options.checkpoint or _snapshot(options)
    network = fitted(posenet_from_state, path, device)
    _people.need(network.joints in JOINT_SETS, f"{path}: a network of {network.joints} joints is none of 3DMPPE's sets")
    skeleton = JOINT_SETS[network.joints]
    sizes = options.input_size, options.test_batch_size
    persons = _persons(options.input, image, rows, skeleton)
    if options.root:
        rootnet = fitted(rootnet_from_state, options.root, device)
        answers = _people.look(lambda x: rootnet(x, torch.ones(len(x), 1, device=x.device)), persons, *sizes, device)
        persons.roots[:] = _people.roots(answers, persons, options.input_size)
    points, joints = _people.poses(_people.look(network, persons, *sizes, device), persons, options.input_size)
    folder = options.input.parent
    _flat(folder / "output_pose_2d.jpg", image, skeleton, points)
    people_in_space(folder / "output_pose_3d.png", options.input, skeleton, points, joints)
    print(json.dumps([{"root_mm": np.round(1000 * each[skeleton.root], 1).tolist()} for each in joints]))


def _snapshot(options):
    """snapshot_N.pth.tar in this folder, where the authors' demo has it, or in output/model_dump."""
    here = pathlib.Path(f"snapshot_{options.test_epoch}.pth.tar")
    return here if here.is_file() else _people.checkpoint(options)[0]


def _persons(path, image, rows, skeleton):
    size = {"height": image.shape[0], "width": image.shape[1]}
    people = [{"paths": path, "image_ids": 0, "squares": files.square(row["bbox"], size), "points": np.zeros((len(skeleton), 3)),
               "roots": (0, 0, row.get("depth", 0) / 1000), "centre": (size["width"] / 2, size["height"] / 2)} for row in rows]
    found = files.collect("demo", skeleton, False, people)
    if len(found) < len(rows):
        raise InputError(f"{path}: {len(rows) - len(found)} of {len(rows)} boxes are outside the picture of {size['width']}x{size['height']}")
    return found


def _flat(path, image, skeleton, points):
    canvas = np.ascontiguousarray(image[..., ::-1])
    for i, person in enumerate(points):
        colour = tuple(int(v) for v in np.random.default_rng(i).integers(80, 255, 3))
        for a, b in skeleton.bones:
            cv2.line(canvas, *(tuple(int(v) for v in person[j]) for j in (a, b)), colour, 2, cv2.LINE_AA)
    cv2.imwrite(str(path), canvas)
