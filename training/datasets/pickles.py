"""Reads the pickles in which published data sets are kept (plain ones, and object arrays in .npz) without executing anything in them."""

import codecs
import collections
import pathlib
import pickle
import zipfile

import numpy as np

from core.errors import InputError

_CORE = np._core.multiarray
# What a pickle of numbers, texts and containers needs, under the names that numpy 1 and 2 wrote.
ALLOWED = {("_codecs", "encode"): codecs.encode, ("collections", "OrderedDict"): collections.OrderedDict, ("collections", "defaultdict"):
           collections.defaultdict, ("builtins", "list"): list, ("builtins", "dict"): dict, ("builtins", "set"): set, ("builtins", "range"): range,
           ("builtins", "slice"): slice, ("__builtin__", "list"): list, ("__builtin__", "dict"): dict, ("__builtin__", "set"): set,
           ("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype,
           **{(f"numpy.{core}.multiarray", name): getattr(_CORE, name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")},
           **{(f"numpy.{core}.numeric", "_frombuffer"): np._core.numeric._frombuffer for core in ("core", "_core")}}
BROKEN = (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, OSError, zipfile.BadZipFile)


class _Reader(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it wants to run {module}.{name}")
        return ALLOWED[module, name]


def load(path):
    """What a pickle of numbers and containers holds; texts of Python 2 are read as Latin-1. Raises InputError for a missing or another file."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"no file {path}")
    try:
        with path.open("rb") as file:
            return _Reader(file, encoding="latin1").load()
    except BROKEN as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def load_npz(path, *names):
    """The arrays called `names` of an .npz (all without), object arrays of one cell as what they hold. Raises InputError as `load` does."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"no file {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            there = {name.removesuffix(".npy"): name for name in archive.namelist()}
            if missing := [name for name in names if name not in there]:
                raise InputError(f"{path} has no '{missing[0]}'; it holds {', '.join(there) or 'nothing'}")
            return {name: _member(archive, there[name]) for name in names or there}
    except BROKEN as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _member(archive, name):
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        shape, _, dtype = (np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0)(file)
        if dtype.hasobject:
            array = np.asarray(_Reader(file, encoding="latin1").load())
            return array.item() if shape == () else array
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
