"""Mixed precision on a CPU: the same networks, forwards and backwards, within what bfloat16 can tell apart."""

import copy

import pytest
import torch
from torch import nn

from core.errors import InputError
from detectors.centernet import CentreNet
from poses.body21 import PoseNet
from training.frozen import freeze
from training.mixed import HALF, MixedConv2d, mixed


def close(found, wanted, tolerance=0.03):
    return (found.float() - wanted).norm() <= tolerance * wanted.norm()


@pytest.mark.parametrize(("inputs", "outputs", "kernel", "stride", "groups", "bias"), [
    (8, 16, 1, 1, 1, True), (8, 16, 1, 1, 1, False), (8, 8, 3, 1, 8, True), (8, 8, 3, 2, 8, False), (8, 8, 4, 1, 8, True), (8, 8, 5, 1, 8, True),
    (8, 8, 5, 2, 8, True), (8, 8, 7, 1, 8, True), (3, 8, 3, 2, 1, True)])
def test_every_kind_of_convolution_has_its_value_and_its_gradients(inputs, outputs, kernel, stride, groups, bias, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr("training.mixed.CACHED", 2 * 8 * 12 * 16)  # two of the three pictures at a time
    plain = nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias))
    other = mixed(copy.deepcopy(plain))
    pictures = [torch.randn(3, inputs, 12, 16).to(memory_format=torch.channels_last).requires_grad_() for _ in range(2)]
    pictures[1].data = pictures[0].data.clone()
    values = [network(x) for network, x in zip((plain, other), pictures, strict=True)]
    towards = torch.randn_like(values[0])
    for value in values:
        (value.float() * towards).sum().backward()
    assert values[1].dtype == HALF and close(values[1], values[0]) and close(pictures[1].grad, pictures[0].grad)
    for found, wanted in zip(other.parameters(), plain.parameters(), strict=True):
        assert found.grad.dtype == torch.float32 and close(found.grad, wanted.grad)


def test_the_weights_are_the_model_s_own():
    model = PoseNet()
    names, tensors = zip(*model.named_parameters(), strict=True)
    found = dict(mixed(model).named_parameters())
    assert tuple(found) == names and all(a is b for a, b in zip(found.values(), tensors, strict=True))
    assert any(isinstance(module, MixedConv2d) for module in model.modules())


@pytest.mark.parametrize("make", [lambda: (PoseNet(), "unet"), lambda: (CentreNet(), "body")])
def test_the_frozen_form_learns_the_same_in_half_precision(make):
    torch.manual_seed(0)
    model, body = make()
    with torch.no_grad():
        model.train()(torch.randn(4, 3, 64, 64))
    x, gradients = torch.randn(2, 3, 64, 64), []
    for half in (False, True):
        model.zero_grad()
        found = freeze(model, getattr(model, body).trunk, 2, half)(x)
        sum(part.float().square().mean() for part in (found if isinstance(found, tuple) else (found,))).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert torch.cosine_similarity(*gradients, 0) > 0.99


def test_half_precision_needs_the_frozen_form():
    model = PoseNet()
    with pytest.raises(InputError, match="--frozen"):
        freeze(model, model.unet.trunk, 0, half=True)
