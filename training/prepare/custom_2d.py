"""Videos of one's own to VideoPose3D's file: `python -m training.prepare custom_2d -i DIR -o myvideos` writes data_2d_custom_myvideos.npz.

DIR holds one .npz a video: what Detectron's `infer_video` writes (boxes, keypoints, metadata), or motion that `viz.py --export NAME.npz` saved, of
which the person seen longest is taken. Frames without anybody are filled in between their neighbours. The joints are COCO's 17.
`custom_motion` goes the way back.
"""

import argparse
import pathlib

import numpy as np

from app.export import load
from core.errors import InputError
from core.skeletons import COCO17, convert
from training.datasets import keypoints
from training.datasets.custom import ACTION
from training.datasets.pickles import load_npz
from training.prepare._detections import best_person, files, frames_of


def best(frames):
    """Keypoints (T, J, 2) px of the person with the best box in each of [(boxes (M, 5), keypoints (M, 4, J))]; gaps are filled in."""
    return filled(best_person(frames, [0, 1]))


def filled(points):
    """(T, J, 2) with what is NaN interpolated over time, each number by itself, the ends held. Raises InputError for a joint never seen."""
    flat, time = points.reshape(len(points), -1).astype(np.float64), np.arange(len(points))
    known = np.isfinite(flat)
    if not known.any(0).all():
        raise InputError("a joint was not seen in any frame")
    columns = [np.interp(time, time[seen], column[seen]) for column, seen in zip(flat.T, known.T, strict=True)]
    return np.stack(columns, 1).reshape(points.shape).astype(np.float32)


def ours(path):
    """(COCO's joints (T, 17, 2) px of the person seen longest, for every frame of the video; (width, height)) of saved motion."""
    motion = load(path)
    if not motion.tracks:
        raise InputError(f"{path}: nobody is in it")
    track = max(motion.tracks.values(), key=len)
    points, scores = convert(track.points, track.scores, motion.skeleton2d, COCO17)
    whole = np.full((max(motion.info.frames or 0, int(track.frames[-1]) + 1), len(COCO17), 2), np.nan, np.float32)
    whole[track.frames] = np.where((scores > 0)[..., None], points, np.nan)
    return filled(whole), (motion.info.width, motion.info.height)


def theirs(path):
    """The same of Detectron's file."""
    size = load_npz(path, "metadata")["metadata"]
    if not isinstance(size, dict) or not {"w", "h"} <= set(size):
        raise InputError(f"{path}: its metadata does not say how large the video is")
    return best(frames_of(path)), (int(size["w"]), int(size["h"]))


def read(path):
    """(keypoints (T, 17, 2) px, (width, height)) of either kind of file. Raises InputError with its name."""
    names = _names(path)
    try:
        points, size = ours(path) if "schema_version" in names else theirs(path)
    except InputError as error:
        raise InputError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from error
    if points.shape[1] != len(COCO17):
        raise InputError(f"{path}: {points.shape[1]} joints, expected COCO's {len(COCO17)}")
    return points, size


def _names(path):
    try:
        with np.load(path) as file:
            return set(file.files)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no .npz: {error}") from error


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.prepare custom_2d", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-i", "--input", required=True, help="folder of .npz files")
    parser.add_argument("-o", "--output", required=True, help="name of the set: the end of the file's name, and then the -k of training")
    parser.add_argument("--data", default="data", help="folder of the file (data)")
    options = parser.parse_args(argv)
    points, sizes = {}, {}
    for path in files(options.input, "*.npz"):
        found, sizes[path.stem] = read(path)
        points[path.stem] = {ACTION: [found]}
    keypoints.write(pathlib.Path(options.data) / f"data_2d_custom_{options.output}.npz", points, keypoints.LAYOUTS["coco"], sizes)
