"""Small networks of the published kinds in the containers in which their authors save them, with weights that make sense of nothing.

A network is as wide as it must be to be wired like the real one; its part reads the size from the file.
"""

import numpy as np
import torch

from detectors._dla import DLA34
from poses._posenet import PoseNet, RootNet
from poses._refine import GROUPS, LEAK, PARENTS, LinearModel, SemGCN
from poses._senet import SENet

TRUNK = {"blocks": (1, 1, 1, 1), "planes": (4, 8, 8, 16), "stem": 8}


def lively(build, seed=0):
    """The network that `build` makes, with the same random weights every time, statistics of batch normalisation as after some training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build()
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.copy_(1 + torch.rand(value.shape, generator=generator))
        elif value.dim() > 1:
            value.copy_(torch.randn(value.shape, generator=generator) * (2 / value[0].numel()) ** 0.5)
    return network.eval()


def posenet(joints=18):
    """A PoseNet of soft opinions: near ties of hard ones, which training leaves rare, would magnify the last bits that batches change."""
    network = lively(lambda: PoseNet(joints, channels=8, **TRUNK))
    network.head.final_layer.weight.data.mul_(0.1)
    return network


def rootnet(gamma=1.0):
    """A RootNet that says `gamma` of everybody, more or less."""
    network = lively(lambda: RootNet(channels=8, **TRUNK))
    network.root.depth_layer.weight.data.mul_(0.01)
    network.root.depth_layer.bias.data.fill_(gamma)
    return network


def senet(joints=17):
    return lively(lambda: SENet(joints, blocks=(1, 1, 1, 1), widths=(8, 8, 16, 16), planes=(8, 8, 8, 16), groups=2, reduction=4, stem=8, channels=8))


def upper():
    return lively(lambda: SemGCN(PARENTS, 3, 3, channels=8, blocks=2, groups=GROUPS))


def lower():
    return lively(lambda: LinearModel(48, 48, size=16, slope=LEAK))


def dla():
    """A DLA34 that sees people of some 6 cells here and there."""
    network = lively(lambda: DLA34(classes=3, channels=(4, 4, 8, 8, 8, 16), head=8))
    network.wh[2].bias.data.fill_(6.0)
    return network


def save(path, network, key="state_dict", **beside):
    """Write what torch.save makes of a training run under DataParallel; returns the path."""
    tensors = {f"module.{name}": value for name, value in network.state_dict().items()}
    optimizer = {"state": {0: {"step": 7, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3, "params": [0]}]}
    torch.save({"epoch": 24, key: tensors, "optimizer": optimizer, **beside}, path)
    return path


def saved(folder):
    """The files of all of them in a folder, by name."""
    dead = {"base.fc.weight": torch.zeros(5, 16, 1, 1), "base.level3.project.0.weight": torch.zeros(8, 8, 1, 1)}
    files = {name: folder / f"{name}.pth.tar" for name in ("posenet", "rootnet", "senet", "upper", "lower", "dla")}
    save(files["posenet"], posenet(), "network")
    save(files["rootnet"], rootnet(), "network")
    save(files["senet"], senet(), model="posenet", perf=np.float64(48.5))
    save(files["upper"], upper(), lr=1e-3, step=9, err=np.float32(40.0))
    save(files["lower"], lower(), lr=1e-3, step=9, err=np.float32(40.0))
    torch.save({"epoch": 230, "state_dict": dla().state_dict() | dead}, files["dla"])
    return files
