"""The temporal convolution network of VideoPose3D (Pavllo et al., CVPR 2019, section 3) under its official parameter names."""

import math
from collections import deque

import torch
from torch import nn
from torch.nn import functional as F

from core.errors import InputError


class TemporalModel(nn.Module):
    """2D sequences (B, T, J_in, F_in) -> (B, T - R + 1, J_out, F_out); R is the receptive field, the product of the odd widths in `arc`.

    `causal` moves only the residual branch (the caller moves the padding), so the weights serve both. `dense` widens the kernels instead of
    dilating them. `one_frame` gives the result of windows of exactly R frames by strided convolutions: the same weights, far less work.
    """

    def __init__(self, arc=(3, 3, 3), channels=1024, joints_in=17, features_in=2, joints_out=17, features_out=3, causal=False, dense=False,
                 dropout=0.25):
        super().__init__()
        if any(width % 2 == 0 for width in arc):
            raise ValueError(f"arc: expected odd widths, got {arc}")
        self.arc, self.causal, self.dense = tuple(arc), causal, dense
        self.joints_out, self.features_out = joints_out, features_out
        self.dilation = [math.prod(arc[:i]) for i in range(len(arc))]
        self.pad = [(width - 1) * step // 2 for width, step in zip(arc, self.dilation, strict=True)]
        self.drop = nn.Dropout(dropout)
        self.expand_bn = nn.BatchNorm1d(channels)
        self.shrink = nn.Conv1d(channels, joints_out * features_out, 1)
        self.expand_conv = nn.Conv1d(joints_in * features_in, channels, arc[0], bias=False)
        convs = []
        for width, pad, step in list(zip(arc, self.pad, self.dilation, strict=True))[1:]:
            kernel, dilation = (2 * pad + 1, 1) if dense else (width, step)
            convs += [nn.Conv1d(channels, channels, kernel, dilation=dilation, bias=False), nn.Conv1d(channels, channels, 1, bias=False)]
        self.layers_conv = nn.ModuleList(convs)
        self.layers_bn = nn.ModuleList(nn.BatchNorm1d(channels) for _ in convs)

    @property
    def receptive_field(self):
        return math.prod(self.arc)

    def set_momentum(self, value):
        """The momentum of all batch normalisations."""
        for bn in [self.expand_bn, *self.layers_bn]:
            bn.momentum = value

    def activation(self, x):
        return F.relu(x)

    def forward(self, x):
        x = x.flatten(2).transpose(1, 2)
        x = self.drop(self.activation(self.expand_bn(self.expand_conv(x))))
        for i, (width, pad, step) in enumerate(zip(self.arc[1:], self.pad[1:], self.dilation[1:], strict=True)):
            shift = width // 2 * step if self.causal else 0
            kept = x[..., pad + shift: x.shape[-1] - pad + shift]
            x = self._layer(2 * i, self.layers_conv[2 * i](x))
            x = kept + self._layer(2 * i + 1, self.layers_conv[2 * i + 1](x))
        x = self.shrink(x).transpose(1, 2)
        return x.unflatten(2, (self.joints_out, self.features_out))

    def one_frame(self, x):
        """The result (B, J_out, F_out) of windows (B, R, J_in, F_in), by matrix products over ever fewer frames: the strided twin.

        The widened kernels of a `dense` network have no such short cut.
        """
        if self.dense:
            return self(x)[:, 0]
        x = x.flatten(2)
        x = self._product(x, self.expand_conv, self.expand_bn)
        for i, width in enumerate(self.arc[1:]):
            kept = x.unflatten(1, (-1, width))[:, :, width - 1 if self.causal else width // 2]
            x = self._product(x, self.layers_conv[2 * i], self.layers_bn[2 * i])
            x = kept + self._product(x, self.layers_conv[2 * i + 1], self.layers_bn[2 * i + 1])
        x = F.linear(x[:, 0], self.shrink.weight[..., 0], self.shrink.bias)
        return x.unflatten(1, (self.joints_out, self.features_out))

    def _layer(self, i, x):
        return self.drop(self.activation(self.layers_bn[i](x)))

    def _product(self, x, conv, bn):
        """A convolution whose stride is its width, on (B, T, C)."""
        out_channels, _, width = conv.weight.shape
        rows = x.reshape(-1, width * x.shape[2])
        y = F.linear(rows, conv.weight.transpose(1, 2).reshape(out_channels, -1))
        return self.drop(self.activation(bn(y))).unflatten(0, (x.shape[0], -1))


class Stream:
    """The past of one sequence in a TemporalModel: one new frame in, one result out, for the work of one frame at every layer.

    The results are those of the sequence with its first frame repeated before it. A causal network answers for the frame just given, a centred one
    for `delay` frames before. Networks hold no state, so several streams may use one.
    """

    def __init__(self, network):
        self.network, self.past = network, []
        self.delay = 0 if network.causal else network.receptive_field // 2

    def step(self, x):
        """(B, J_in, F_in) of the next frame -> (B, J_out, F_out)."""
        net, first = self.network, not self.past
        x = x.flatten(1)
        for i, (width, pad, step) in enumerate(zip(net.arc, net.pad, net.dilation, strict=True)):
            if first:
                self.past.append(deque([x] * (2 * pad + 1), 2 * pad + 1))
            past = self.past[i]
            past.append(x)
            taps = torch.stack(list(past) if net.dense else [past[k * step] for k in range(width)], 2)
            if i == 0:
                x = _single(taps, net.expand_conv, net.expand_bn)
                continue
            y = _single(taps, net.layers_conv[2 * i - 2], net.layers_bn[2 * i - 2])
            x = past[-1 if net.causal else pad] + _single(y[..., None], net.layers_conv[2 * i - 1], net.layers_bn[2 * i - 1])
        x = F.linear(x, net.shrink.weight[..., 0], net.shrink.bias)
        return x.unflatten(1, (net.joints_out, net.features_out))


def _single(taps, conv, bn):
    """A layer (B, C) of a trained network on the taps (B, C_in, W) of its kernel."""
    return F.relu(F.batch_norm(F.linear(taps.flatten(1), conv.weight.flatten(1)), bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=bn.eps))


def widths(arc):
    """Filter widths from "3,3,3", 3 or (3, 3, 3); None stays None. Raises InputError for anything but odd numbers."""
    try:
        found = arc if arc is None else tuple(int(n) for n in (arc.split(",") if isinstance(arc, str) else (arc,) if isinstance(arc, int) else arc))
    except (ValueError, TypeError) as error:
        raise InputError(f"arc={arc}: expected odd widths like 3,3,3") from error
    if found is not None and (not found or any(width < 1 or width % 2 == 0 for width in found)):
        raise InputError(f"arc={arc}: expected odd widths like 3,3,3")
    return found


def from_state(state, arc=None, causal=False, joints_in=17, features_out=3):
    """An empty network of the size that a state dict has: widths, channels, input features and output joints are read from its shapes.

    `arc` is checked when given, and tells a `dense` network from a wide one. Raises InputError for a dict of another network.
    """
    try:
        kernels = [state["expand_conv.weight"].shape[2]]
        kernels += [state[f"layers_conv.{2 * i}.weight"].shape[2] for i in range(sum(key.startswith("layers_conv") for key in state) // 2)]
        channels, inputs = state["expand_conv.weight"].shape[:2]
        outputs = state["shrink.weight"].shape[0]
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(f"not a temporal convolution network: no {error} among its parameters") from error
    if inputs % joints_in or outputs % features_out:
        raise InputError(f"the network takes {inputs} and gives {outputs} numbers a frame, not multiples of {joints_in} and {features_out}")
    arc = widths(tuple(kernels) if arc is None else arc)
    dense = arc != tuple(kernels)
    widened = [arc[0]] + [(arc[i] - 1) * math.prod(arc[:i]) + 1 for i in range(1, len(arc))]
    if dense and widened != kernels:
        raise InputError(f"arc={','.join(map(str, arc))} does not fit the weights, whose widths are {','.join(map(str, kernels))}")
    return TemporalModel(arc, channels, joints_in, inputs // joints_in, outputs // features_out, features_out, causal, dense)
