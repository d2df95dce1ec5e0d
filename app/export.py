"""Motion to files and back. The suffix says the format: .npz (everything, loads again), .json, .csv, .txt, .npy, .bvh, .trc; docs/export.md describes
them."""

import functools
import pathlib
import tempfile

from app.formats import bvh, coco, csv, mot, npz, trc, videopose
from core.errors import InputError
from core.files import whole

_WRITERS = {".npz": npz.write, ".json": coco.write, ".csv": csv.write, ".txt": mot.write, ".npy": videopose.write}
_PERSONAL = {".bvh": bvh.write, ".trc": trc.write}  # one person a file
SUFFIXES = (*_WRITERS, *_PERSONAL)


def check_export(path):
    """Raises InputError where `save` could not write: an unknown suffix, a folder that cannot be made or written. Makes missing folders."""
    path = pathlib.Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"cannot export to '{path}': the suffix must be one of {', '.join(SUFFIXES)}")
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def save(motion, path):
    """Write a Motion in the format of the path's suffix; a file gets its name when it is whole. Raises InputError as `check_export` does.

    Of formats with one person a file the path holds the longest track, and NAME.person2.bvh and the like the others, by their numbers.
    """
    check_export(path)
    for name, write in _files(motion, pathlib.Path(path)):
        _place(name, write)


def _files(motion, path):
    """(path, write) of each file that holds a Motion; `write(path)` makes it."""
    suffix = path.suffix.lower()
    if suffix in _WRITERS:
        return [(path, functools.partial(_WRITERS[suffix], motion))]
    longest, *others = sorted(motion.tracks.values(), key=len, reverse=True) or [None]
    named = [(path, longest)] + [(path.with_name(f"{path.stem}.person{track.id}{path.suffix}"), track) for track in others]
    return [(name, functools.partial(_PERSONAL[suffix], motion, track)) for name, track in named]


def _place(path, write):
    """Let `write(partial)` make a file beside `path`, and name it so when it is whole."""
    try:
        with whole(path) as partial:
            write(partial)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def load(path):
    """The Motion saved in an .npz, equal to the one that was saved. Raises InputError for anything else."""
    path = pathlib.Path(path)
    if path.suffix.lower() != ".npz":
        raise InputError(f"cannot load motion from '{path}': only .npz files hold all of it")
    return npz.read(path)
