"""Weights by name: find or fetch the file, read it safely, fit it strictly.

`python -m weights list` shows what is known; README.md in this folder says on what the bundled files were trained and under which terms.
"""

import pathlib
import pickle
import struct

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from core.errors import InputError
from core.files import whole
from weights._files import find, kept_in, manifest

__all__ = ["checkpoint", "kept_in", "load", "load_strict", "manifest", "parts", "resolve", "save"]

STATES = ("state_dict", "model_pos", "network", "net_dict", "model")  # under these the published checkpoints keep their tensors, in this order

# What the reader of pickles raises where the bytes are no checkpoint, or one with more than tensors and numbers in it.
UNREADABLE = (pickle.UnpicklingError, RuntimeError, OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, struct.error)


def resolve(name_or_path, folder=None):
    """The path of a weights file: a path as given, a bundled file, one in the cache, or else a download.

    `folder` takes the place of the cache folder. Raises InputError, with source, licence and command, where the file cannot be had.
    """
    return find(str(name_or_path), folder)


def load(path, part=None):
    """(tensors by name, header of text values) of a safetensors or torch file; floating tensors come as float32.

    Of a checkpoint that holds several networks, `part` names the one to take ("model_pos", "model_traj"); without it the first of STATES, and the
    header's "parts" lists all that are there. Data-parallel prefixes ("module.") are taken off. Nothing in the file is executed.
    Raises InputError for a file that is broken, that needs more than tensors and numbers to be read, or that has no such part.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"no weights file {path}")
    state, header = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path, part)
    return {_bare(key): value.float() if value.is_floating_point() else value for key, value in state.items()}, header


def parts(path):
    """The names of the networks in a torch checkpoint, () where it is a bare set of tensors or a safetensors file."""
    return tuple(name for name in load(path)[1].get("parts", "").split(",") if name)


def save(path, state, header):
    """Write tensors as safetensors, half precision except for the statistics of batch normalisation; integers stay. `header` becomes text.

    Raises ValueError where a number is none in half precision: whoever reads the file would get no answer.
    """
    kept = ("running_mean", "running_var")
    tensors = {key: value.half() if value.is_floating_point() and not key.endswith(kept) else value for key, value in state.items()}
    if faulty := [key for key, value in tensors.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise ValueError(f"{path}: not finite in half precision: {_listed(faulty)}")
    text = {str(key): str(value) for key, value in header.items()}
    with whole(path) as partial:
        save_file({key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}, partial, metadata=text)
        partial.chmod(0o644)  # safetensors makes files that only their maker can read


def load_strict(module, state, name):
    """Fit tensors into a network; returns the network. Raises InputError that lists what is missing, unknown or of another shape."""
    own = module.state_dict()
    optional = {key for key in own if key.endswith("num_batches_tracked")}  # a counter of training steps: inference does not need it
    faults = {
        "missing": sorted(set(own) - set(state) - optional),
        "unknown": sorted(set(state) - set(own)),
        "of another shape": [f"{key} {tuple(state[key].shape)} for {tuple(own[key].shape)}" for key in sorted(set(own) & set(state))
                             if state[key].shape != own[key].shape]}
    if any(faults.values()):
        raise InputError(f"weights '{name}' do not fit: " + "; ".join(f"{_listed(keys)} {what}" for what, keys in faults.items() if keys))
    module.load_state_dict({key: state.get(key, own[key]) for key in own})
    return module


def _listed(keys, most=8):
    rest = f" and {len(keys) - most} more" if len(keys) > most else ""
    return f"{len(keys)} ({', '.join(keys[:most])}{rest})"


def _bare(key):
    return key.removeprefix("module.")


def _read_safetensors(path):
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise InputError(f"{path} is not a whole safetensors file: {error}") from error


def _allowed():
    """What published checkpoints pickle beside tensors: the state of a numpy random generator, as numpy wrote it from 1.15 to 2."""
    random, twister = np.random._pickle, np.random._mt19937.MT19937
    multi = np._core.multiarray
    return [random.__randomstate_ctor, random.__bit_generator_ctor, (np.random.RandomState, "numpy.random.__RandomState_ctor"),
            np.random.RandomState, twister, np.ndarray, np.dtype,
            *(type(np.dtype(kind)) for kind in ("u4", "i4", "i8", "f4", "f8")), multi._reconstruct, multi.scalar,
            (multi._reconstruct, "numpy.core.multiarray._reconstruct"), (multi.scalar, "numpy.core.multiarray.scalar")]


def checkpoint(path):
    """All that a torch checkpoint holds, on the CPU: networks, optimiser, numbers, numpy generators. Nothing in the file is executed.

    Raises InputError for a file that is missing, broken, or that needs more than that to be read.
    """
    if not pathlib.Path(path).is_file():
        raise InputError(f"no checkpoint {path}")
    try:
        with torch.serialization.safe_globals(_allowed()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise InputError(f"{path} cannot be read as a checkpoint: {type(error).__name__} {str(error).partition(chr(10))[0]}") from error


def _read_torch(path, part):
    return _pick(checkpoint(path), part, path)


def _tensors(value):
    return isinstance(value, dict) and bool(value) and all(isinstance(item, torch.Tensor) for item in value.values())


def _pick(content, part, path):
    """The tensors of one network in what a checkpoint holds, and its numbers and texts as the header."""
    if _tensors(content) and part is None:
        return content, {}
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, expected named tensors")
    found = [key for key, value in content.items() if _tensors(value)]
    wanted = part or next((key for key in STATES if key in found), None)
    if wanted not in found:
        raise InputError(f"{path} has no {part or 'network'}; it holds {', '.join(map(str, content)) or 'nothing'}")
    header = {str(key): str(value) for key, value in content.items() if isinstance(value, (int, float, str))}
    return content[wanted], header | {"parts": ",".join(found), "part": wanted}
