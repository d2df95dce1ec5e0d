"""Motion capture of your own for the lifters: `python -m training.prepare motion FOLDER ... --output motion/mine.npz`.

Reads all .bvh files in the folders and below, of whatever program and rate, and writes them as one file of clips that
`python -m training lifter --data motion --files mine` learns from. Files of one folder with the same joints are taken for one rig. What is faster
than people are is cut out, and what is left under a second left away.
"""

import argparse
import collections
import itertools
import pathlib
import sys

import numpy as np

from core.errors import InputError
from core.files import save_arrays
from training.datasets import bvh

RATE = 60  # frames a second that are kept at most, about
FASTEST = 14.0  # m/s of any joint
LEAST = 1.0  # seconds of a clip


def rigs(folders):
    """Lists of (path, Moving) of one rig each; what cannot be read is told on stderr and left out. Raises InputError where nothing is left."""
    groups = collections.defaultdict(list)
    for path in sorted(path for folder in folders for path in pathlib.Path(folder).rglob("*") if path.suffix.lower() == ".bvh"):
        try:
            moving = bvh.read(path)
            groups[path.parent, tuple(moving.names)].append((path, moving))
        except InputError as error:
            print(error, file=sys.stderr)
    if not groups:
        raise InputError(f"{', '.join(map(str, folders))}: no readable .bvh file there")
    return list(groups.values())


def clips(group):
    """(name, joints (T, 17, 3) m in world axes, out of the face (T, 3), frames a second) of the clips of one rig."""
    rig = bvh.rig([moving for _, moving in group])
    for path, moving in group:
        step = max(1, round(moving.fps / RATE))
        joints, forward = (values[::step] for values in bvh.human(moving, rig))
        fps = moving.fps / step
        for number, (first, end) in enumerate(pieces(joints, fps)):
            yield f"{path.stem}#{number}", joints[first:end], forward[first:end], fps


def pieces(joints, fps):
    """[(first, end)] of the stretches of LEAST seconds and more in which no joint (T, J, 3) is faster than FASTEST."""
    fast = np.linalg.norm(np.diff(joints, axis=0), axis=-1).max(1) * fps > FASTEST
    cuts = [0, *(np.flatnonzero(fast) + 1), len(joints)]
    return [(first, end) for first, end in itertools.pairwise(cuts) if end - first >= LEAST * fps]


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.prepare motion", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="with .bvh files")
    parser.add_argument("-o", "--output", required=True, help=".npz of the clips")
    options = parser.parse_args(argv)
    found = []
    for group in rigs(options.folders):
        try:
            found += clips(group)
        except InputError as error:
            print(f"{group[0][0]} and {len(group) - 1} more: {error}", file=sys.stderr)
    if not found:
        raise InputError(f"{', '.join(options.folders)}: no motion of a second or more there")
    write(options.output, found)


def write(path, found):
    """A file of clips (name, joints (T, 17, 3) m in world axes, out of the face (T, 3), frames a second), as `training.datasets.mocap` reads them."""
    names, joints, forward, fps = zip(*found, strict=True)
    root = np.concatenate([each[:, 0] for each in joints])
    save_arrays(path, compress=True, root=root.astype(np.float32), joints_rel=(np.concatenate(joints) - root[:, None]).astype(np.float16),
                head_forward=np.concatenate(forward).astype(np.float16), clip_start=np.cumsum([0, *map(len, joints)]), clip_name=np.array(names),
                fps=np.array(fps))
    seconds = sum(len(each) / rate for each, rate in zip(joints, fps, strict=True))
    print(f"{path}: {len(found)} clips, {seconds / 60:.1f} minutes")
