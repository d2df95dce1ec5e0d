"""Training with frozen batch normalisation, less work on a CPU: its statistics stay, so it folds into the convolutions at every step."""

import copy

import torch
from torch.func import functional_call

from core.errors import InputError
from core.networks import fuse, normalised_convolutions
from training.mixed import mixed


class Frozen:
    """The training form of a model whose normalisations keep their statistics: calls compute what `model.eval()` does, with gradients.

    The weights are `model`'s own, normalisation's gain and offset among them. Layers that need no gradient at the start cost a forward pass only.
    With `half` the convolutions compute in bfloat16.
    """

    def __init__(self, model, half=False):
        self.fused = fuse(copy.deepcopy(model))
        self.fused = mixed(self.fused) if half else self.fused
        self.pairs = {name: (module._modules[first], module._modules[second]) for name, module, first, second in normalised_convolutions(model)}
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


def freeze(model, trunk, layers, half=False):
    """What to call in training for `model`, of which the first `layers` of `trunk` and the statistics of normalisation stay; 0: itself.

    Raises InputError where `half` is wanted without frozen layers.
    """
    if not layers:
        if half:
            raise InputError("--half is for the frozen form of training: it needs --frozen")
        return model
    trunk[:layers].requires_grad_(False)
    return Frozen(model, half)


def add_flags(parser):
    """The flags of `freeze`."""
    parser.add_argument("--frozen", type=int, default=0, help="first layers of the trunk that stay, and so do normalisation's statistics")
    parser.add_argument("--half", action="store_true", help="with --frozen: convolutions in bfloat16, nearly twice as fast on a CPU that has it")
