"""Train the top-down pose network: `python -m training pose --data ../shared/data --output weights/pose-body21.safetensors`.

Spatial cross-entropy: the softmax over all cells of a joint's map and one more cell, "not in this crop" with logit 0, is pulled towards a narrow
Gaussian around the joint, mixed with what a teacher sees there. Drawn people also teach how far each joint is behind the pelvis. The trunk starts
from ImageNet. All pictures lie on the training device; crops, augmentation and teacher work there in batches.
"""

import argparse
import functools
import pathlib

import numpy as np
import torch

import weights
from core.errors import InputError
from core.networks import normalised, pick_device
from core.skeletons import BODY21, COCO_SIGMAS
from poses._body21 import PoseNet
from training import augment, frozen, looks, pose_teachers
from training.datasets import coco_found, coco_people, coco_small, lspet, mpii, people, synthetic_people, teaching, unlabelled
from training.gallery import Gallery
from training.heatmaps import cross_entropy, depth_loss, mirrored, nearness, targets
from training.loop import Batches, Run, add_flags, crop_size, size_at, stages
from training.pose_release import held_out, release
from training.seeds import begin, together
from training.start import groups, start_trunk, unfold

SOME = 128  # crops that the statistics of a network to go on from are taken of
MILDER = 0.5  # by how much augmentation is weaker at the end
FIRST = 0.4  # weight of the first opinion's loss
NEARNESS = 0.5  # of that of places, in cells
DEPTH = 0.5  # weight of the depth loss: metres over 0.25
WEIGHTS = {"coco_people": 0.46, "mpii": 0.1, "lspet": 0.11, "coco_small": 0.01, "drawn": 0.03, "squeezed": 0.07,
           "unlabelled": 0.22}  # share of the crops
LOWER = [i for i, joint in enumerate(BODY21.joints) if any(part in joint for part in ("hip", "knee", "ankle", "pelvis"))]
UPPER = [i for i in range(len(BODY21)) if i not in LOWER or "hip" in BODY21.joints[i]]
# What a cell's distance counts at each joint: most in faces, which people mark most exactly
EXACT = np.r_[COCO_SIGMAS.mean() / COCO_SIGMAS, np.ones(len(BODY21) - len(COCO_SIGMAS))].astype(np.float32)


class Lessons:
    """All training people on one device, and random batches of them. The same seed gives the same batches."""

    def __init__(self, who, device, teacher=None):
        self.gallery = Gallery(who.images, device)
        self.boxes, self.joints, self.depth = (torch.from_numpy(v).to(device) for v in (who.boxes, who.joints, who.depth))
        self.square = torch.from_numpy(who.source == people.SETS.index("squeezed")).to(device)
        count = np.bincount(who.source, minlength=len(people.SETS))
        self.weights = torch.from_numpy(np.array([WEIGHTS[name] for name in people.SETS])[who.source] / count[who.source]).to(device)
        self.taught = teacher(self.gallery, self.boxes, self.joints) if teacher else None
        if self.taught is not None:  # nobody may be learned from who has neither labels nor a teacher's word
            known = (self.joints[..., 2] > 0).sum(1) + (self.taught.peaks > teaching.SURE).sum(1)
            self.weights = self.weights * (known >= 6)

    def batch(self, count, size, draw, strength=1.0):
        """(pictures (B, 3, h, w) normalised, targets (B, 21, cells + 1), weights (B, 21), depth (B, 21) m, NaN unknown) of random crops."""
        rows = torch.multinomial(self.weights, count, replacement=True, generator=draw.generator)
        boxes, labels = self.boxes[rows], self.joints[rows]
        matrices = augment.placements(boxes, labels, size, (UPPER, LOWER), draw, strength, self.square[rows])
        flip = draw.chance(0.5, count)
        mirror = torch.tensor(BODY21.mirror, device=draw.device)
        wanted, weight = targets(augment.moved(matrices, labels), size)
        if self.taught is not None:
            sides = (boxes[:, 2:] - boxes[:, :2]).amax(1)
            wanted, weight = teaching.complete(wanted, weight, labels, sides, rows, self.taught, matrices, size)
        placed = augment.moved(matrices, labels)
        pictures = self.gallery.crops(rows, matrices, size)
        pictures = looks.degrade(looks.colour(pictures, draw, 1 - 0.8 * strength), draw, 0.45 * strength)
        pictures = looks.cut_out(pictures, placed, draw, 0.4 * strength)
        pictures = torch.where(flip[:, None, None, None], pictures.flip(3), pictures)
        wanted = torch.where(flip[:, None, None], mirrored(wanted, size)[:, mirror], wanted)
        weight, depth = (torch.where(flip[:, None], v[:, mirror], v) for v in (weight, self.depth[rows]))
        return normalised(pictures), wanted, weight, depth


def build_model(init=None, start=None, pictures=None):
    """A PoseNet ready to be trained: from ImageNet, or from a weights file `start` and some `pictures`."""
    model = PoseNet(depth=True)
    for layer in (model.first, model.head):
        torch.nn.init.normal_(layer.weight, std=0.001)
        torch.nn.init.zeros_(layer.bias)
    if start:
        state, _ = weights.load(weights.resolve(start))
        for name in ("head.weight", "head.bias"):  # a file without depth has half of the head
            state[name] = torch.cat([state[name].float(), model.state_dict()[name][len(state[name]):]])
        unfold(model, state, pictures, start)
    else:
        start_trunk(model.unet.trunk, init)
    return model.to(memory_format=torch.channels_last)


def add_people(parser):
    """The flags that `gather` reads."""
    parser.add_argument("--data", default="../shared/data", help="folder with coco_people, lspet and coco_small")
    parser.add_argument("--packed", nargs="+", help="the people of such files (training pose --pack) instead")
    parser.add_argument("--unlabelled", help="packed photographs (training detector --pack), whose people a teacher finds, besides; needs --teacher")
    parser.add_argument("--named", help="folder with pictures of COCO's train split under their names: whom coco_people leaves out, besides")
    parser.add_argument("--mpii", help="folder with MPII Human Pose (images, annot/train.json), besides")
    parser.add_argument("--boxed", action="store_true", help="those of person_boxes who have no joints, besides")
    parser.add_argument("--synthetic", type=int, default=0, help="number of drawn people besides those of the data folder")
    parser.add_argument("--teacher", help="folder of the public weights: who has no label is learned from them")


def gather(options, alone=False):
    """The training people: those of packed files, or all sets of the data folder; and those whom nobody had marked in there, who come `alone` where
    no files are named. Raises InputError for photographs without labels and no teacher who would find the people."""
    if options.unlabelled and not options.teacher:
        raise InputError("--unlabelled: name the folder of the public networks that find the people, --teacher FOLDER")
    root, more = pathlib.Path(options.data), []
    if options.named:
        more.append(coco_found.labelled(pathlib.Path(options.named), root))
    if options.mpii:
        more.append(mpii.load(pathlib.Path(options.mpii)))
    if options.boxed:
        more.append(coco_found.boxed(root))
    if options.unlabelled:
        more.append(unlabelled.load(options.unlabelled, options.teacher, pick_device(options.device)))
    if options.packed:
        sets = [people.load(path) for path in options.packed]
    elif alone and more:
        sets = []
    else:
        sets = [coco_people.load(root), lspet.load(root), coco_small.load(root)]
        sets += [synthetic_people.load(root, options.synthetic, options.seed)] if options.synthetic else []
    return people.join(sets + more)


def arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m training pose", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_people(parser)
    parser.add_argument("--upright", action="store_true", help="the teacher looks at everybody once, not in four turns at the unlabelled")
    parser.add_argument("--taught", help="file that keeps what the teacher said of these people for the next start")
    parser.add_argument("--pack", help="write the people to this file and stop; without --packed only those of the flags above, if there are any")
    parser.add_argument("--longest", type=int, default=272, help="longer side of the packed pictures, px")
    parser.add_argument("--quality", type=int, default=78, help="of the packed pictures (WebP)")
    parser.add_argument("--init", help="ImageNet weights of MobileNetV2")
    parser.add_argument("--start", help="weights file of an earlier run to go on from")
    frozen.add_flags(parser)
    parser.add_argument("--strength", type=float, default=1.0, help="of the augmentation, 0..1")
    parser.add_argument("--output", help="weights file, written as the run goes on")
    parser.add_argument("--sizes", default="96x128:0.6,128x160:0.4", help="crop sizes and their shares of the budget")
    parser.add_argument("--inference", help="crop size of the weights file; by default the size trained last (quite another one costs accuracy)")
    parser.add_argument("--every", type=int, default=4, help="epochs between two weights files")
    parser.add_argument("--threads", type=int)
    add_flags(parser, "pose", steps=100, epochs=60, batch=32)
    return parser.parse_args(argv)


def main(argv=None):
    options = arguments(argv)
    if options.pack:
        return people.save(gather(options, alone=True), options.pack, options.longest, options.quality)
    return train(options)


def train(options):
    """Train until the budget is used; the weights file is written every few epochs, calibrated on labelled people who are not trained on."""
    device, share = begin(options.seed, options.device, options.threads)
    state = pathlib.Path(options.state)
    plan, wanted = stages(options.sizes), crop_size(options.inference) if options.inference else None
    who = gather(options)
    labelled = who.source == people.SETS.index("coco_people")
    held = held_out(len(who)) & labelled
    judge, teacher = who[np.flatnonzero(held)], None
    if options.teacher:
        network = pose_teachers.build("pp-tinypose", options.teacher, flip=True, device=device)
        teacher = teaching.kept(options.taught, functools.partial(teaching.ask, teacher=network, quarters=not options.upright))
    lessons = Lessons(who[np.flatnonzero(~held)], device, teacher)
    who = None  # the pictures are in the gallery now, and fill the memory once
    some = lessons.batch(SOME, size_at(0, plan), looks.Draw(options.seed, device))[0] if options.start else None
    model = build_model(options.init, options.start, some).to(device)
    together([model], share)
    forward = frozen.freeze(model, model.unet.trunk, options.frozen, options.half)
    run = Run(model, groups(model, model.unet.trunk), state, options.lr, options.epochs, options.minutes, decay=0.999, weight_decay=0.05)
    while not run.done:
        size, strength = size_at(run.progress(), plan), options.strength * (1 - MILDER * run.progress())
        draw = looks.Draw((options.seed * 100003 + run.epoch) * share[1] + share[0], device)
        batches = Batches(options.steps, lambda size=size, draw=draw, strength=strength: lessons.batch(options.batch, size, draw, strength))
        value = run.train(batches, lambda _, batch: batch_loss(forward, batch))
        if share[0]:
            continue
        run.save()
        measured = {"width": size[0]}
        if options.output and (run.done or run.epoch % options.every == 0):
            measured["held_out"] = release(run.average.model, judge, options.output, wanted or size, device, epochs=run.epoch, seed=options.seed)
        run.log(value, **measured)


def batch_loss(forward, batch):
    pictures, wanted, weight, depth = batch
    last, deep, first = forward(pictures).split(len(BODY21), 1)
    exact = weight * torch.from_numpy(EXACT).to(weight.device)
    opinions = cross_entropy(last, wanted, weight) + FIRST * cross_entropy(first, wanted, weight)
    return opinions + DEPTH * depth_loss(deep, wanted, depth) + NEARNESS * nearness(last, wanted, exact)
