"""Mixed precision on a CPU that multiplies bfloat16: the convolutions of our picture networks, in about half the time, forwards and backwards.

`torch.autocast` alone gains nothing there: it leaves pointwise convolutions to a slow path, and some gradients of depthwise ones take 4 to 20
times as long in bfloat16. Weights, their gradients and the optimiser stay in float32.
"""

import torch
from torch import nn

HALF = torch.bfloat16


class MixedConv2d(nn.Conv2d):
    """A convolution that computes in bfloat16 and gives bfloat16, with float32 weights."""

    def _conv_forward(self, x, weight, bias):
        x, weight, bias = x.to(HALF), weight.to(HALF), None if bias is None else bias.to(HALF)
        if self.kernel_size == (1, 1) and self.stride == (1, 1) and self.groups == 1:
            return nn.functional.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)
        if self.groups == self.in_channels == self.out_channels:
            return _Depthwise.apply(x, weight, bias, self.stride, self.padding)
        return super()._conv_forward(x, weight, bias)


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
        onward = HALF if max(weight.shape[2:]) <= 3 else torch.float32
        gradients = [_gradient(grad, x, weight, context.shape, i, precision) if wanted[i] else None for i, precision in enumerate((inward, onward))]
        return *gradients, grad.sum((0, 2, 3)) if wanted[2] else None, None, None


def _gradient(grad, x, weight, shape, which, precision):
    """That of the input (`which` 0) or the weights (1)."""
    mask = [which == 0, which == 1, False]
    found = torch.ops.aten.convolution_backward(*(v.to(precision) for v in (grad, x, weight)), None, *shape, mask)
    return found[which].to(HALF)


def mixed(model):
    """`model` with its convolutions in mixed precision, in place; the weights are the same tensors."""
    for module in model.modules():
        for name, part in module.named_children():
            if type(part) is nn.Conv2d:
                module.add_module(name, _mixed(part))
            elif isinstance(part, (nn.ReLU, nn.ReLU6)):
                part.inplace = False  # what comes out of a pointwise convolution is a view, and writing to one costs copies of its gradient
    return model


def _mixed(conv):
    found = MixedConv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups,
                        conv.bias is not None, device="meta")
    found.weight, found.bias = conv.weight, conv.bias
    return found
