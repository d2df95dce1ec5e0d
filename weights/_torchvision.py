"""torchvision's official detection models, their weights taken through our own resolve and load.

torchvision loads them from its own download folder only, without a word on the licence. Here the network is built empty and fitted strictly.
"""

import torch
import torchvision
from torch import nn
from torchvision.models import get_model, get_model_weights, list_models

from core.errors import InputError
from weights import load, load_strict, resolve

# Published with batch normalisation that has no epsilon; torchvision sets it after loading these.
WITHOUT_EPSILON = ("fasterrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "retinanet_resnet50_fpn")


def names():
    """The detection models of the installed torchvision whose categories have people."""
    return [name for name in list_models(module=torchvision.models.detection) if "person" in categories(name)]


def categories(name):
    """The class names of a model, in the order of its labels."""
    return get_model_weights(name).DEFAULT.meta["categories"]


class HalfPrecision(nn.Module):
    """A backbone that computes in half precision. The heads stay in float32: box coordinates beyond 1024 px would come in steps of a pixel."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, x):
        with torch.autocast(x.device.type, torch.float16):
            return {key: value.float() for key, value in self.backbone(x).items()}


def official(name, weights=None, size=None, half=False):
    """A model in evaluation mode with its official weights, or those of the file or manifest name `weights`; it sees the shorter side at `size` px.

    Raises InputError for a model that does not exist, for weights that cannot be had or do not fit, and for the size of a fixed input.
    """
    if name not in names():
        raise InputError(f"torchvision has no person detection model '{name}'; there are: {', '.join(names())}")
    path = resolve(weights or name)
    model = fitted(name, load(path)[0])
    if size is not None:
        resize(model, size)
    if half:
        model.backbone = HalfPrecision(model.backbone)
    return model


def fitted(name, state):
    """A model in evaluation mode with the given tensors. Raises InputError where they do not fit."""
    model = load_strict(get_model(name, weights=None, weights_backbone=None), state, name)
    if name in WITHOUT_EPSILON:
        for module in model.modules():
            if "BatchNorm" in type(module).__name__:
                module.eps = 0.0
    return model.eval().requires_grad_(False)


def resize(model, size):
    """Set the shorter side px of a model's input, its limit of the longer side in proportion. Raises InputError where the input is fixed."""
    if model.transform.fixed_size is not None:
        raise InputError(f"size={size}: this model has a fixed input of {model.transform.fixed_size}")
    model.transform.max_size = round(model.transform.max_size * size / model.transform.min_size[-1])
    model.transform.min_size = (size,)
