"""Files that get their names when they are whole."""

import pathlib
from contextlib import contextmanager

import numpy as np


def partial_of(path):
    """Where a file lies until it is whole: beside its place, with the same suffix."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


@contextmanager
def whole(path):
    """Gives the place to write a file to, which at the end gets the name `path`; nothing of it stays where writing failed. Makes missing folders."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(path)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def save_arrays(path, compress=False, **arrays):
    """Write arrays as one .npz file, whole and under just this name."""
    with whole(path) as partial, open(partial, "wb") as file:
        (np.savez_compressed if compress else np.savez)(file, **arrays)
