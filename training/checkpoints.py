"""Checkpoints in the form of authors who trained under DataParallel, beside those of the Course: `module.` before every tensor's name."""

from core.errors import InputError
from training.course import bare
from weights import checkpoint, load_strict


def tensors(network):
    """The state of a network under the authors' names."""
    return {f"module.{key}": value for key, value in network.state_dict().items()}


def fill(network, state, path):
    """Put tensors, with or without `module.`, into a network. Raises InputError where they do not fit."""
    load_strict(network, bare(state, path), path)


def adopt(course, path, key, done=0):
    """Go on from an authors' checkpoint whose network is under `key`; its epoch and `done` more are finished. Raises InputError."""
    content = checkpoint(path)
    if missing := [name for name in ("epoch", key, "optimizer") if name not in content]:
        raise InputError(f"{path} is no checkpoint to go on from: it has no {', '.join(missing)}")
    fill(course.trained[0], content[key], path)
    try:
        course.optimizer.load_state_dict(content["optimizer"])
    except ValueError as error:
        raise InputError(f"{path}: its optimiser belongs to another training ({error})") from error
    course.epoch = int(content["epoch"]) + done
    course.after(course.epoch)
    return content
