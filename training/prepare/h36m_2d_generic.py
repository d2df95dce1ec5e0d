"""Detections of Human3.6M's videos to VideoPose3D's file: `python -m training.prepare h36m_2d_generic -i DIR -o detectron_pt_coco`.

DIR holds S1/Walking.54138969.mp4.npz and so on, of Detectron, CPN or stacked hourglass, as the name after -o says.
"""

import argparse
import pathlib
import re

from core.errors import InputError
from training.datasets import keypoints
from training.datasets.rigs import FACTS
from training.prepare._detections import files, reader
from training.prepare.h36m import LOST, canonical

CAMERAS = tuple(FACTS["h36m"]["cameras"])


def gathered(paths, read, pattern, joints):
    """{subject: {action: [(T, J, 2 or 3) px of each camera]}} of one file a video, whose folder is the subject's."""
    found = {}
    for path in paths:
        subject, name = next((part for part in reversed(path.parts[:-1]) if re.fullmatch(r"S\d+", part)), ""), re.fullmatch(pattern, path.name)
        if not subject or not name or name[2] not in CAMERAS:
            raise InputError(f"{path}: expected S1/Action.CAMERA... with a camera of {', '.join(CAMERAS)}")
        action = canonical(name[1])
        if (subject, action) == LOST or "_ALL" in path.name:
            continue
        points = read(path)
        if points.ndim != 3 or points.shape[1] != joints:
            raise InputError(f"{path}: keypoints of shape {points.shape}, expected (frames, {joints}, 2 or 3)")
        found.setdefault(subject, {}).setdefault(action, [None] * len(CAMERAS))[CAMERAS.index(name[2])] = points
    if lacking := [f"{s} {a}" for s, actions in found.items() for a, views in actions.items() if any(view is None for view in views)]:
        raise InputError(f"not all four cameras of {lacking[0]} are there")
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.prepare h36m_2d_generic", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-i", "--input", required=True, help="folder of detections")
    parser.add_argument("-o", "--output", required=True, help="kind of detections: the end of the file's name")
    parser.add_argument("--data", default="data", help="folder of the file (data)")
    options = parser.parse_args(argv)
    layout, read = keypoints.layout_named(options.output), reader(options.output)
    found = gathered(files(options.input, "S*/*.mp4.npz"), read, r"(.*)\.([0-9]+)\.mp4\.npz", layout.joints)
    keypoints.write(pathlib.Path(options.data) / f"data_2d_h36m_{options.output}.npz", found, layout)
