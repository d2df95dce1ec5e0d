"""The network of Pose3D-RIE (Shan et al., ACM MM 2021) under its official parameter names: relative positions, limb by limb, over time."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from core.errors import InputError
from core.graph_networks import ResidualLinear
from lifters._tcn import TemporalModel

NAMES = ("Torso", "LArm", "RArm", "LLeg", "RLeg")  # the published names: "L" is the person's right
SLOPE, FC_DROPOUT = 0.2, 0.25


def limb_groups(skeleton):
    """{name: joints} of the five groups: the midline, and the limbs, those of the person's right under "L". Raises ValueError for other bodies."""
    side, groups = dict.fromkeys(skeleton.left, "R") | dict.fromkeys(skeleton.right, "L"), dict.fromkeys(NAMES, ())
    for joint in range(len(skeleton)):
        if joint not in side:
            groups["Torso"] += (joint,)
            continue
        limb = joint
        while skeleton.parents[limb] in side:
            limb = skeleton.parents[limb]
        groups[side[joint] + ("Leg" if skeleton.parents[limb] == skeleton.root else "Arm")] += (joint,)
    if skeleton.root in side or sorted(len(joints) for name, joints in groups.items() if name != "Torso") != [3] * 4:
        raise ValueError(f"{skeleton.name} has no two arms and two legs of three joints")
    return groups


class LocalLayer(TemporalModel):
    """The temporal network of one group, with leaky ReLUs: (B, R, F) -> (B, latent)."""

    def __init__(self, arc, features, channels, latent, dropout=0.2):
        super().__init__(arc, channels, 1, features, 1, latent, dropout=dropout)

    def activation(self, x):
        return F.leaky_relu(x, SLOPE)

    def forward(self, x):
        return self.one_frame(x[:, :, None])[:, 0]


class FCBlock(nn.Module):
    """(B, N_in) -> (B, N_out) through a width of 1024 and residual units."""

    def __init__(self, numbers_in, numbers_out, size=1024, units=1):
        super().__init__()
        self.fc_1, self.bn_1 = nn.Linear(numbers_in, size), nn.BatchNorm1d(size)
        self.fc_2, self.drop = nn.Linear(size, numbers_out), nn.Dropout(FC_DROPOUT)
        self.layers = nn.ModuleList(ResidualLinear(size, SLOPE, FC_DROPOUT) for _ in range(units))

    def forward(self, x):
        x = self.drop(F.leaky_relu(self.bn_1(self.fc_1(x)), SLOPE))
        for layer in self.layers:
            x = layer(x)
        return self.fc_2(x)


class RieModel(nn.Module):
    """Windows (B, R, J, 2) of exactly the receptive field -> (B, J, 3), the pose of their middle frame.

    stage 1 has no feature fusion; stages 2 and 3 are the same network, trained in parts and as a whole. `latent` is latent_features_dim.
    """

    def __init__(self, skeleton, arc=(3, 3, 3, 3, 3), channels=256, latent=256, stage=3, size=1024, dropout=0.2):
        super().__init__()
        self.groups, self.root, self.joints, self.stage = limb_groups(skeleton), skeleton.root, len(skeleton), stage
        self.receptive_field = math.prod(arc)
        for name in NAMES:
            self.add_module(f"LocalLayer_{name}", LocalLayer(arc, 6 * len(self.groups[name]), channels, latent, dropout))
        self.GlobalInfo = FCBlock(2 * len(skeleton), latent, size, 2)
        if stage != 1:
            self.FuseBlocks = nn.ModuleList(FCBlock(4 * latent, latent, size) for _ in NAMES)
        for name in NAMES:
            self.add_module(f"Integration_{name}", FCBlock((2 if stage == 1 else 3) * latent, 3 * len(self.groups[name]), size))

    @property
    def locals(self):
        return [getattr(self, f"LocalLayer_{name}") for name in NAMES]

    def set_momentum(self, value):
        """The momentum of the batch normalisations that the authors schedule: those of the temporal networks."""
        for local in self.locals:
            local.set_momentum(value)

    def forward(self, x):
        centre = x[:, x.shape[1] // 2]
        relative = torch.stack([x, x - x[:, :, self.root, None], x - centre[:, None]], 2)  # where, from the root, from the middle frame
        features = [local(relative[..., list(self.groups[name]), :].flatten(2)) for name, local in zip(NAMES, self.locals, strict=True)]
        whole, pose = self.GlobalInfo(centre.flatten(1)), x.new_zeros(len(x), x.shape[2], 3)
        for i, name in enumerate(NAMES):
            others = [] if self.stage == 1 else [self.FuseBlocks[i](torch.cat(features[:i] + features[i + 1:], 1))]
            part = getattr(self, f"Integration_{name}")(torch.cat([features[i], *others, whole], 1))
            pose[:, list(self.groups[name])] = part.unflatten(1, (-1, 3))
        return pose


def from_state(state, skeleton_of, arc=None):
    """An empty network of the size that a state dict has; `skeleton_of` gives the skeleton of a number of joints. InputError for another."""
    try:
        kernels = [state["LocalLayer_Torso.expand_conv.weight"].shape[2]]
        blocks = sum(key.startswith("LocalLayer_Torso.layers_conv.") for key in state) // 2
        kernels += [state[f"LocalLayer_Torso.layers_conv.{2 * i}.weight"].shape[2] for i in range(blocks)]
        latent, channels = state["LocalLayer_Torso.shrink.weight"].shape[:2]
        size, numbers = state["GlobalInfo.fc_1.weight"].shape
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(f"not a relative-information network: no {error} among its parameters") from error
    if arc is not None and tuple(arc) != tuple(kernels):
        raise InputError(f"arc={','.join(map(str, arc))} does not fit the weights, whose widths are {','.join(map(str, kernels))}")
    stage = 3 if any(key.startswith("FuseBlocks") for key in state) else 1
    return RieModel(skeleton_of(numbers // 2), kernels, channels, latent, stage, size)
