"""Train the appearance network: `python -m training appearance --data ../shared/data --output weights/appearance-embednet.safetensors`.

Two views of everybody in a batch, with other light, blur, box and up to half of the body hidden, must be nearest to each other among all (InfoNCE:
van den Oord et al. 2018, eq. 4; Chen et al., "SimCLR", 2020), and the likenesses between different people are learned from a public network.
"""

import argparse
import pathlib

import torch

import weights
from core.networks import fuse, normalised, pick_device
from trackers._embednet import SIZE, EmbedNet
from training import augment, graphs, looks
from training.gallery import Gallery
from training.loop import Batches, Run, add_flags
from training.pose import add_people, gather
from training.start import groups, start_trunk

TEMPERATURE = 0.07
LIKENESS = 0.5  # weight of the loss against the teacher's likenesses
FILE, TEACHER_SIZE = "reid_retail_0277_FP16.xml", (128, 256)


class Crowd:
    """Everybody's picture and box (N, 4) on one device."""

    def __init__(self, who, device, teacher=None, batch=512):
        self.gallery, self.boxes = Gallery(who.images, device), torch.from_numpy(who.boxes).to(device)
        self.known = torch.cat([self._asked(teacher, rows) for rows in torch.arange(len(who), device=device).split(batch)]) if teacher else None

    def __len__(self):
        return len(self.boxes)

    def plain(self, rows, size):
        """Crops (B, 3, h, w) from 0 to 255 of boxes as they are, resized without keeping the aspect."""
        return self.gallery.crops(rows, box_matrices(self.boxes[rows], size), size)

    @torch.inference_mode()
    def _asked(self, teacher, rows):
        return torch.nn.functional.normalize(teacher(self.plain(rows, TEACHER_SIZE).flip(1))[0].flatten(1), dim=1)

    def view(self, rows, draw):
        """Crops (B, 3, 128, 64) from 0 to 255 as another camera, moment and crowd would show the same people."""
        boxes, count = self.boxes[rows], len(rows)
        extent = boxes[:, 2:] - boxes[:, :2]
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + 0.05 * draw.randn(count, 2) * extent
        half = extent / 2 * (0.1 * draw.randn(count, 2)).clamp(-0.25, 0.25).exp()
        matrices = box_matrices(torch.cat([centre - half, centre + half], 1), SIZE)
        matrices, _ = augment.flipped(matrices, boxes[:, None], SIZE[0], [0], draw.chance(0.5, count))
        x = hidden(light(self.gallery.crops(rows, matrices, SIZE), draw), draw)
        return looks.degrade(x, draw)


def box_matrices(boxes, size):
    """Affine maps (B, 2, 3) that stretch boxes (B, 4) onto crops of `size` (width, height)."""
    zoom = torch.tensor(size, device=boxes.device) / (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    return torch.cat([torch.diag_embed(zoom), -(zoom * boxes[:, :2])[..., None]], 2)


def light(x, draw):
    """Brighter, darker, warmer or colder, within what the same clothes look like in one video."""
    gain = (0.2 * draw.randn(len(x), 1, 1, 1)).exp() * (0.05 * draw.randn(len(x), 3, 1, 1)).exp()
    return (255 * ((x * gain).clamp(0, 255) / 255) ** (0.15 * draw.randn(len(x), 1, 1, 1)).exp()).clamp(0, 255)


def hidden(x, draw, share=0.5):
    """A `share` of the crops (B, 3, h, w) covered up to the half, from one side, by what stands in another crop."""
    count, (height, width) = len(x), x.shape[2:]
    across = (torch.arange(width, device=x.device) / width).expand(height, -1)
    down = (torch.arange(height, device=x.device) / height)[:, None].expand(-1, width)
    side, reach = draw.integers(4, count, 1, 1), draw.rand(count, 1, 1, low=0.1, high=0.5)
    covered = (torch.stack([across, 1 - across, down, 1 - down])[side[:, 0, 0]] < reach) & draw.chance(share, count, 1, 1)
    return torch.where(covered[:, None], x.roll(1, 0), x)


def loss(model, views, known):
    """InfoNCE of two views (B, 3, h, w) each, and the error of the likenesses between people against the teacher's vectors (B, D) or None."""
    first, second = model(torch.cat(views)).float().chunk(2)
    likeness = first @ second.T
    same = torch.arange(len(first), device=first.device)
    total = sum(torch.nn.functional.cross_entropy(v / TEMPERATURE, same) for v in (likeness, likeness.T)) / 2
    if known is None:
        return total
    wanted = (known @ known.T / TEMPERATURE / 2).softmax(1)
    found = ((likeness + likeness.T) / 2 / TEMPERATURE).log_softmax(1)
    return total + LIKENESS * (wanted * (wanted.clamp(min=1e-9).log() - found)).sum(1).mean()


def arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m training appearance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_people(parser)
    parser.add_argument("--init", help="ImageNet weights of MobileNetV2")
    parser.add_argument("--output", help="weights file, written after every epoch")
    add_flags(parser, "appearance", steps=100, epochs=40, batch=128)
    return parser.parse_args(argv)


def main(argv=None):
    options = arguments(argv)
    torch.manual_seed(options.seed)
    device, state = pick_device(options.device), pathlib.Path(options.state)
    teacher = graphs.fastest(pathlib.Path(options.teacher) / FILE, device=device) if options.teacher else None
    crowd = Crowd(gather(options), device, teacher)
    model = EmbedNet()
    start_trunk(model.trunk, options.init)
    model = model.to(device, memory_format=torch.channels_last)
    run = Run(model, groups(model, model.trunk), state, options.lr, options.epochs, options.minutes, decay=0.999, weight_decay=0.05)
    while not run.done:
        draw = looks.Draw(options.seed * 100003 + run.epoch, device)

        def pair(draw=draw):
            rows = torch.randperm(len(crowd), generator=draw.generator, device=device)[: options.batch]
            return [normalised(crowd.view(rows, draw)) for _ in range(2)], None if crowd.known is None else crowd.known[rows]

        value = run.train(Batches(options.steps, pair), lambda model, batch: loss(model, *batch))
        run.save()
        if options.output:
            release(run.average.model, options.output, seed=options.seed, epochs=run.epoch)
        run.log(value)


def release(model, path, **header):
    """Write the weights, normalisation folded in."""
    copy = EmbedNet()
    copy.load_state_dict(model.state_dict())
    weights.save(path, fuse(copy).state_dict(), {"network": "EmbedNet", "size": f"{SIZE[0]}x{SIZE[1]}"} | header)
