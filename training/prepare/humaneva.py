"""HumanEva-I to VideoPose3D's files: `python -m training.prepare humaneva -p converted_15j --convert-3d [--convert-2d DIR -o detectron_pt_coco]`.

The folder after -p holds Train/S1/Walking_1.mat and so on, as the authors' MATLAB script writes them (poses_3d in mm, poses_2d in px). Frames whose
motion capture is broken part a recording into chunks. Detections are S1/Walking_1_(C1).avi.npz and so on; those of broken frames go to "Unlabeled/".
"""

import argparse
import pathlib
import re
from itertools import groupby

import numpy as np
from scipy.io import loadmat

from core.errors import InputError
from training.datasets import keypoints
from training.datasets.rigs import FACTS
from training.prepare._detections import files, reader

FRAMES, SKIPPED = FACTS["humaneva15"]["frames"], FACTS["humaneva15"]["skipped"]
CAMERAS = tuple(FACTS["humaneva15"]["cameras"])


def recording(path, subject):
    """(action, joints (T, K, 3) m, points (C, T, K, 2) px) of a .mat. Raises InputError for another number of frames."""
    action = path.stem.replace("_", " ")
    content = loadmat(path)
    if "poses_3d" not in content or "poses_2d" not in content:
        raise InputError(f"{path} has no poses_3d and poses_2d")
    joints, points = content["poses_3d"] / 1000, content["poses_2d"].transpose(1, 0, 2, 3)
    points = points if len(points) == len(CAMERAS) else points.swapaxes(0, 1)
    first, end = FRAMES.get(subject, {}).get(action, (0, len(joints)))
    if len(joints) != end - first or points.shape[1] != len(joints):
        raise InputError(f"{path}: {len(joints)} frames of 3D and {points.shape[1]} of 2D, expected {end - first}")
    return action, joints, points


def chunks(joints, first):
    """[(first frame, end frame, whole, number)] of the runs of frames that are whole or broken, in the numbers of the recording."""
    found, at = [], 0
    for number, (whole, run) in enumerate(groupby(np.isfinite(joints).all((1, 2)))):
        count = len(list(run))
        found.append((first + at, first + at + count, bool(whole), number))
        at += count
    return found


def motion(folder):
    """(joints {subject: {chunk: (T, K, 3) m}}, exact 2D of the same, {(subject name, action): [(split, *chunk)]}) of the .mat files."""
    joints, points, where = {}, {}, {}
    for subject in FRAMES:
        split, name = subject.split("/")
        joints[subject], points[subject] = {}, {}
        for path in files(folder, f"{subject}/*.mat"):
            action, world, views = recording(path, subject)
            first = FRAMES[subject].get(action, (0,))[0]
            for start, end, whole, number in chunks(world, first):
                where.setdefault((name, action), []).append((split, start, end, whole, number))
                if whole:
                    rows = slice(start - first, end - first)
                    joints[subject][f"{action} chunk{number}"] = world[rows].astype(np.float32)
                    points[subject][f"{action} chunk{number}"] = list(views[:, rows].astype(np.float32))
    return joints, points, where


def detections(folder, kind, where):
    """{subject: {chunk: [(T, J, 2 or 3) px of each camera]}} of detections, cut and in step with the motion; the rest under "Unlabeled/"."""
    found, read = {}, reader(kind)
    for path in files(folder, "S*/*.avi.npz"):
        name, label = path.parent.name, re.fullmatch(r"(.*) \((C\d)\)\.avi\.npz", path.name.replace("_", " "))
        if not label or label[2] not in CAMERAS:
            raise InputError(f"{path}: expected S1/Action_1_(C1).avi.npz")
        action, camera, points = label[1], CAMERAS.index(label[2]), read(path)
        offset = SKIPPED[name][action][camera] - 1 if action in SKIPPED.get(name, {}) else 0
        pieces = where.get((name, action)) or [(None, -offset, len(points) - offset, False, None)]
        for split, start, end, whole, number in pieces:
            subject = f"{'' if whole else 'Unlabeled/'}{f'{split}/' if split else ''}{name}"
            part = points[start + offset: end + offset].astype(np.float32)
            if len(part) != end - start:
                raise InputError(f"{path}: {len(points)} frames, too few for frame {end} of the motion")
            chunk = action if number is None else f"{action} chunk{number}"
            found.setdefault(subject, {}).setdefault(chunk, [None] * len(CAMERAS))[camera] = part
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.prepare humaneva", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-p", "--path", required=True, help="folder of the .mat files")
    parser.add_argument("--convert-3d", action="store_true")
    parser.add_argument("--convert-2d", default="", metavar="DIR", help="folder of detections")
    parser.add_argument("-o", "--output", default="", help="kind of detections: the end of the file's name")
    parser.add_argument("--data", default="data", help="folder of the files (data)")
    options = parser.parse_args(argv)
    if not options.convert_3d and not options.convert_2d:
        raise InputError("give --convert-3d, --convert-2d DIR or both")
    if options.convert_2d and not options.output:
        raise InputError("--convert-2d needs -o KIND, for example detectron_pt_coco")
    joints, points, where = motion(options.path)
    name = f"humaneva{next(world.shape[1] for takes in joints.values() for world in takes.values())}"
    folder, layout = pathlib.Path(options.data), keypoints.layout_named(name)
    if options.convert_3d:
        keypoints.save_npz(folder / f"data_3d_{name}.npz", positions_3d=joints)
        keypoints.write(folder / f"data_2d_{name}_gt.npz", points, layout)
    if options.convert_2d:
        found = detections(options.convert_2d, options.output, where)
        keypoints.write(folder / f"data_2d_{name}_{options.output}.npz", found, keypoints.layout_named(options.output))
