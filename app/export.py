"""Motion to files and back. The suffix says the format: .npz (everything, loads again), .json, .csv, .txt, .npy; docs/export.md describes them."""

import pathlib
import tempfile

from app.formats import coco, csv, mot, npz, videopose
from core.errors import InputError

_WRITERS = {".npz": npz.write, ".json": coco.write, ".csv": csv.write, ".txt": mot.write, ".npy": videopose.write}
SUFFIXES = tuple(_WRITERS)


def check_export(path):
    """Raises InputError where `save` could not write: an unknown suffix, a folder that cannot be made or written. Makes missing folders."""
    path = pathlib.Path(path)
    if path.suffix.lower() not in _WRITERS:
        raise InputError(f"cannot export to '{path}': the suffix must be one of {', '.join(_WRITERS)}")
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def save(motion, path):
    """Write a Motion in the format of the path's suffix; the file gets its name when it is whole. Raises InputError as `check_export` does."""
    check_export(path)
    path = pathlib.Path(path)
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    try:
        _WRITERS[path.suffix.lower()](motion, partial)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def load(path):
    """The Motion saved in an .npz, equal to the one that was saved. Raises InputError for anything else."""
    path = pathlib.Path(path)
    if path.suffix.lower() != ".npz":
        raise InputError(f"cannot load motion from '{path}': only .npz files hold all of it")
    return npz.read(path)
