"""Mixed precision on a CPU that multiplies bfloat16: the convolutions of our picture networks, in about half the time, forwards and backwards.

`torch.autocast` alone gains nothing there: it leaves pointwise convolutions to a slow path, and some gradients of depthwise ones take 4 to 20
times as long in bfloat16. Weights, their gradients and the optimiser stay in float32.
"""

import itertools

import torch
from torch import nn

HALF = torch.bfloat16
CACHED = 1_200_000  # numbers that are worked on at a time: what stays in a core's cache


class MixedConv2d(nn.Conv2d):
    """A convolution that computes in bfloat16 and gives bfloat16, with float32 weights."""

    def _conv_forward(self, x, weight, bias):
        x, weight, bias = x.to(HALF), weight.to(HALF), None if bias is None else bias.to(HALF)
        if self.kernel_size == (1, 1) and self.stride == (1, 1) and self.groups == 1:
            return _Pointwise.apply(x, weight, bias)
        if self.groups == self.in_channels == self.out_channels:
            return _Depthwise.apply(x, weight, bias, self.stride, self.padding)
        return super()._conv_forward(x, weight, bias)


class _Pointwise(torch.autograd.Function):
    """A convolution of single cells, whose gradients are computed as products of matrices."""

    @staticmethod
    def forward(context, x, weight, bias):
        context.save_for_backward(x, weight)
        return nn.functional.conv2d(x, weight, bias)

    @staticmethod
    def backward(context, grad):
        x, weight = context.saved_tensors
        wanted, flat = context.needs_input_grad, _cells(grad)
        inward = (flat @ weight.flatten(1)).view(len(x), *x.shape[2:], -1).permute(0, 3, 1, 2) if wanted[0] else None
        onward = (flat.t() @ _cells(x)).view_as(weight) if wanted[1] else None
        return inward, onward, flat.sum(0) if wanted[2] else None


def _cells(maps):
    """Maps (B, C, h, w), channels last, as (B * h * w, C)."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution whose gradients are computed in the faster precision of each kind."""

    @staticmethod
    def forward(context, x, weight, bias, stride, padding):
        context.save_for_backward(x, weight)
        context.shape = stride, padding, (1, 1), False, (0, 0), len(weight)
        return nn.functional.conv2d(x, weight, bias, stride, padding, 1, len(weight))

    @staticmethod
    def backward(context, grad):
        x, weight = context.saved_tensors
        wanted = context.needs_input_grad
        inward = HALF if max(context.shape[0]) == 1 else torch.float32  # of strides
        return (_gradient(grad, x, weight, context.shape, 0, inward) if wanted[0] else None,
                _kernel_gradient(grad, x, weight, context.shape) if wanted[1] else None,
                grad.sum((0, 2, 3)) if wanted[2] else None, None, None)


def _gradient(grad, x, weight, shape, which, precision):
    """That of the input (`which` 0) or the weights (1)."""
    mask = [which == 0, which == 1, False]
    found = torch.ops.aten.convolution_backward(*(v.to(precision) for v in (grad, x, weight)), None, *shape, mask)
    return found[which].to(HALF)


def _kernel_gradient(grad, x, weight, shape):
    """That of the weights. There are fast kernels for 3x3 alone: wider ones are put together of the 3x3 parts in which they meet the input, moved."""
    wide, stride, padding = weight.shape[2], shape[0], shape[1]
    if wide == 3 or wide % 2 == 0 or weight.shape[3] != wide or max(stride) > 1:
        return _gradient(grad, x, weight, shape, 1, HALF if wide == 3 else torch.float32)
    found = torch.zeros(weight.shape, dtype=torch.float32)
    few = max(1, CACHED // x[0].numel())
    for part, seen in zip(grad.split(few), x.split(few), strict=True):
        found += _wide(part, seen, wide, padding)
    return found.to(HALF)


def _wide(grad, x, wide, padding):
    down, across = padding
    x = nn.functional.pad(x.permute(0, 2, 3, 1), (0, 0, across, across, down, down)).permute(0, 3, 1, 2)
    found, (height, width) = torch.empty(x.shape[1], 1, wide, wide), grad.shape[2:]
    shape = (1, 1), (0, 0), (1, 1), False, (0, 0), x.shape[1]
    for row, column in itertools.product(range(0, wide - 1, 2), repeat=2):
        part = x[:, :, row : row + height + 2, column : column + width + 2].contiguous(memory_format=torch.channels_last)
        spot = found[:, :, row : row + 3, column : column + 3]
        spot.copy_(_gradient(grad, part, spot.to(HALF), shape, 1, HALF))
    return found


def mixed(model):
    """`model` with its convolutions in mixed precision, in place; the weights are the same tensors."""
    for module in model.modules():
        for name, part in module.named_children():
            if type(part) is nn.Conv2d:
                module.add_module(name, _mixed(part))
    return model


def _mixed(conv):
    found = MixedConv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups,
                        conv.bias is not None, device="meta")
    found.weight, found.bias = conv.weight, conv.bias
    return found
