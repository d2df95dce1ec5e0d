"""Checkpoints of random numbers as the published programs write them, in their sizes or smaller: the plumbing is real, the poses are not.

    python -m tests.checkpoints FOLDER            all of them in the authors' sizes, and how to run each
"""

import pathlib
import sys

import numpy as np
import torch
from torch import nn

from core.graph_networks import LinearModel, SemGCN
from core.skeletons import H36M16, H36M17, HUMANEVA15
from lifters import semgcn
from lifters._anatomy import AnatomyModel
from lifters._bones import bones
from lifters._rie import RieModel
from lifters._tcn import TemporalModel


def perturbed(network, seed=0):
    """The network with statistics that are not those of a fresh batch normalisation, and outputs of the size of bodies."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor, (low, high) in ((module.running_mean, (-0.1, 0.1)), (module.running_var, (0.5, 1.5)), (module.weight.data, (0.6, 1.2))):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
    return network.eval()


def official(path, prefix="", **networks):
    """Write networks as a training run of VideoPose3D and its children does: with a numpy generator among the numbers."""
    states = {key: network and {prefix + name: value for name, value in network.state_dict().items()} for key, network in networks.items()}
    torch.save({"epoch": 80, "lr": 1e-4, "random_state": np.random.RandomState(1234), "optimizer": {"state": {}}, **states}, path)  # noqa: NPY002
    return path


def tcn(path, arc=(3, 3, 3), channels=16, trajectory=True, skeleton=H36M17, features=2, joints_in=17):
    pose = perturbed(TemporalModel(arc, channels, joints_in, features, len(skeleton)))
    root = perturbed(TemporalModel(arc, channels, joints_in, features, 1), 1)
    nn.init.constant_(root.shrink.bias, 4.0)  # somewhere before the camera
    return official(path, model_pos=pose, model_traj=root if trajectory else None)


def anatomy(path, layers=3, channels=16, skeleton=H36M17):
    return official(path, "module.", model_pos=perturbed(AnatomyModel(bones(skeleton), len(skeleton), layers, channels)))


def rie(path, arc=(3, 3, 3), channels=8, latent=8, stage=3, size=16, skeleton=H36M17):
    return official(path, model_pos=perturbed(RieModel(skeleton, arc, channels, latent, stage, size)))


def gcn(path, channels=16, blocks=2, nonlocal_blocks=True):
    network = SemGCN(H36M16.parents, 2, 3, channels, blocks, [H36M16.indices(*pair.split()) for pair in semgcn.PAIRS] if nonlocal_blocks else None)
    state = {key.replace(".non_local.", ".nonlocal."): value for key, value in perturbed(network).state_dict().items()}
    torch.save({"epoch": 50, "lr": 1e-3, "step": 9, "optimizer": {"state": {}}, "state_dict": state, "error": 42.1}, path)
    return path


def linear(path, size=16, numbers=(32, 48)):
    network = perturbed(LinearModel(*numbers, size))
    torch.save({"epoch": 200, "lr": 1e-3, "step": 9, "optimizer": {"state": {}}, "state_dict": network.state_dict(), "error": 44.4}, path)
    return path


def full_size(folder):
    """{spec of a lifter: what it is}, each with a file of the authors' size and name in `folder`."""
    place = pathlib.Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    arc = (3, 3, 3, 3, 3)
    return {
        f"tcn:weights={tcn(place / 'pretrained_h36m_detectron_coco.bin', arc, 1024)},arc=3,3,3,3,3": "VideoPose3D, in the wild",
        f"tcn:weights={tcn(place / 'causal.bin', arc, 1024, False)},causal=true": "VideoPose3D, causal",
        f"tcn:weights={tcn(place / 'pretrained_humaneva15_detectron.bin', (3, 3, 3), 1024, False, HUMANEVA15)}": "VideoPose3D, HumanEva",
        f"anatomy:weights={anatomy(place / 'pretrained_model.bin', 5, 1024)},arc=3,3,3,3,3": "Anatomy3D",
        f"anatomy:weights={place / 'pretrained_model.bin'},causal=true": "Anatomy3D, causal",
        f"rie:weights={rie(place / 'cpn_pretrained.bin', arc, 256, 512, 3, 1024)},latent_features_dim=512": "Pose3D-RIE",
        f"semgcn:weights={gcn(place / 'ckpt_semgcn_nonlocal.pth.tar', 128, 4)}": "SemGCN",
        f"linear:weights={linear(place / 'ckpt_linear.pth.tar', 1024)}": "Martinez et al.",
    }


if __name__ == "__main__":
    for spec, what in full_size(sys.argv[1]).items():
        print(f"{what:24} --lifter {spec}")
