"""Training with frozen batch normalisation, a third of the work on a CPU: its statistics stay, so it folds into the convolutions at every step."""

import copy

import torch
from torch import nn
from torch.func import functional_call

from core.networks import fuse


class Frozen:
    """The training form of a model whose normalisations keep their statistics: calls compute what `model.eval()` does, with gradients.

    The weights are `model`'s own, normalisation's gain and offset among them. Layers that need no gradient at the start cost a forward pass only.
    """

    def __init__(self, model):
        self.model, self.fused = model, fuse(copy.deepcopy(model))
        self.pairs = {f"{place}.{first}": (conv, norm) for place, first, conv, norm in _pairs(model)}
        names = {name for name, _ in self.fused.named_parameters() if name.rpartition(".")[0] not in self.pairs}
        self.others = {name: value for name, value in model.named_parameters() if name in names}

    def __call__(self, x):
        return functional_call(self.fused, self.folded(), (x,))

    def folded(self):
        """{name: tensor} of the parameters of the fused model, made of those of the model."""
        found = dict(self.others)
        for place, (conv, norm) in self.pairs.items():
            gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            found[f"{place}.weight"] = conv.weight * gain[:, None, None, None]
            found[f"{place}.bias"] = norm.bias - norm.running_mean * gain
        return found


def freeze(model, trunk, layers):
    """What to call in training for `model`, of which the first `layers` of `trunk` and the statistics of normalisation stay; 0: itself."""
    if not layers:
        return model
    trunk[:layers].requires_grad_(False)
    return Frozen(model)


def _pairs(model):
    """(place, name, convolution, its normalisation) of every pair that `fuse` folds."""
    for place, module in model.named_modules():
        if isinstance(module, nn.Sequential):
            parts = list(module._modules.items())
            for (first, conv), (_, norm) in zip(parts, parts[1:], strict=False):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    yield place, first, conv, norm
