"""Training with frozen statistics, and batches that are used again."""

import copy

import torch

from detectors.centernet import STRIDES, CentreNet, cells
from poses.body21 import PoseNet
from training import looks
from training.detector import look
from training.frozen import freeze
from training.loop import Again
from training.tiles import mirrored


def experienced(model, size=64):
    """A model whose normalisations have seen something."""
    torch.manual_seed(0)
    with torch.no_grad():
        model.train()(torch.randn(4, 3, size, size))
    return model


def test_the_frozen_form_computes_what_the_model_does():
    model, x = experienced(PoseNet()), torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        assert torch.allclose(freeze(model, model.unet.trunk, 4)(x), model.eval()(x), atol=1e-4)


def test_only_the_weights_that_may_learn_do_and_the_model_learns_with_them():
    model = experienced(PoseNet())
    before, form = copy.deepcopy(model.state_dict()), freeze(model, model.unet.trunk, 4)
    optimizer, x = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-4), torch.randn(2, 3, 64, 96)
    losses = []
    for _ in range(3):
        losses.append(form(x).square().mean())
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    learning = {name for name, value in model.named_parameters() if value.requires_grad}
    assert changed == learning and not any(name.startswith(("unet.trunk.0.", "unet.trunk.3.")) for name in learning)
    assert torch.allclose(form(x), model.eval()(x), atol=1e-4)


def test_without_layers_nothing_is_frozen():
    model = PoseNet()
    assert freeze(model, model.unet.trunk, 0) is model and all(p.requires_grad for p in model.parameters())


def test_a_detector_can_be_frozen():
    model = experienced(CentreNet())
    logits, boxes = freeze(model, model.body.trunk, 2)(torch.randn(1, 3, 64, 64))
    (logits.sum() + boxes.sum()).backward()
    assert model.score[0][-1].weight.grad is not None and model.body.trunk[0][0].weight.grad is None


def test_batches_come_again_in_other_looks():
    draw, made, seen = looks.Draw(0, "cpu"), [], []
    again = Again(lambda: made.append(len(made)) or made[-1], lambda batch: seen.append(batch) or (batch, len(seen)), 3, draw.rand, kept=2)
    given = [again() for _ in range(12)]
    assert len(made) == 3 and [look for _, look in given] == list(range(1, 13))
    assert [batch for batch, _ in given[::4]] == [0, 1, 2]
    assert all(batch > now // 4 - 2 for now, (batch, _) in enumerate(given))  # no older ones than are kept


def test_mirrored_tiles_keep_people_and_cells_together():
    size = 64
    points = torch.cat([cells(size // s, size // s, s, "cpu") for s in STRIDES])
    taught = torch.cat([points.sum(1, keepdim=True), points - 3, points + 5], 1)[None]
    boxes, turned = mirrored(size, torch.tensor([[[2.0, 3, 10, 20]]]), taught)
    assert boxes.tolist() == [[[54, 3, 62, 20]]]
    assert torch.equal(turned[0, :, 1:], torch.cat([points[:, :1] - 5, points[:, 1:] - 3, points[:, :1] + 3, points[:, 1:] + 5], 1))
    assert torch.equal(turned[0, :, 0], size - points[:, 0] + points[:, 1])
    back = mirrored(size, boxes, turned)
    assert torch.equal(back[0], torch.tensor([[[2.0, 3, 10, 20]]])) and torch.equal(back[1], taught)


def test_looks_of_a_tile_move_its_people_along():
    clean = torch.full((2, 3, 64, 64), 90, dtype=torch.uint8)
    clean[:, 0, 20:60, 10:20] = 250
    clean[:, 1:, 20:60, 10:20] = 10
    seen = set()
    for seed in range(12):
        pictures, boxes, kinds, taught = look((clean, torch.tensor([[[10.0, 20, 20, 60]]] * 2), torch.ones(2, 1), None), looks.Draw(seed, "cpu"))
        x0, _, x1, _ = boxes[0, 0].int().tolist()
        red = pictures[:, 0] - pictures[:, 2]
        inside, outside = red[:, 25:55, x0 + 2 : x1 - 2].mean((1, 2)), red[:, 25:55, 25:40].mean((1, 2))
        seen.add(x0)
        assert taught is None and kinds.shape == (2, 1) and (inside >= outside - 0.6).all()
    assert seen == {10, 44}
