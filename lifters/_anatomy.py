"""The networks of Anatomy3D (Chen et al., "Anatomy-aware 3D human pose estimation", 2020) under their official parameter names."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from core.errors import InputError
from lifters._bones import joint_shifts, lengths

PART = 64  # frames whose second network runs at once: bounds the memory


class Outputs(NamedTuple):
    """What training looks at: pose (B, J, 3), lengths (B, bones) and the poses (B, R, J, 3) of the frames they were read from, bone directions
    (B, bones, 3) and joint shifts (B, S, 3) of both direction networks, the second first."""

    pose: torch.Tensor
    lengths: torch.Tensor
    frame_poses: torch.Tensor
    directions: tuple[torch.Tensor, torch.Tensor]
    shifts: tuple[torch.Tensor, torch.Tensor]


class AnatomyModel(nn.Module):
    """2D with visibility (B, T, J, 3) and bone lengths -> (B, T - R + 1, J, 3); all filter widths are 3.

    Lengths are read from single frames and averaged by learned attention; two networks give the bones' directions, the second refining the first;
    a linear layer of the products of both gives the pose. `causal` moves the residual branches, as in TemporalModel.
    """

    def __init__(self, pairs, joints=17, layers=5, channels=1024, causal=False, temperature=10.0, dropout=0.25):
        super().__init__()
        self.pairs, self.joints, self.layers, self.causal, self.temperature = pairs, joints, layers, causal, temperature
        self.receptive_field = 3 ** layers
        count, shifts, blocks = len(pairs), len(joint_shifts(pairs, joints)), 2 * (layers - 1)
        self.drop = nn.Dropout(dropout)
        self.expand_bn = nn.BatchNorm1d(channels)
        self.shrink = nn.Conv1d(channels, 3 * joints, 1)
        self.expand_conv = nn.Conv1d(2 * joints, channels, 3, bias=False)
        self.expand_convscore = nn.Conv1d(joints, channels, 3, bias=False)
        self.expand_bnscore = nn.BatchNorm1d(channels)

        def conv(i, wide):
            return nn.Conv1d(channels, channels, 1, bias=False) if i % 2 else nn.Conv1d(channels * (2 if wide else 1), channels, 3, bias=False)

        self.layers_conv = nn.ModuleList(conv(i, i == 0) for i in range(blocks))
        self.layers_bn = nn.ModuleList(nn.BatchNorm1d(channels) for _ in range(blocks))
        self.layers_conv1 = nn.ModuleList(conv(i, True) for i in range(blocks))
        self.layers_bn1 = nn.ModuleList(nn.BatchNorm1d(channels) for _ in range(blocks))
        sizes = [2 * joints] + [channels] * (2 * layers - 1) + [3 * joints]
        self.layers_convbone = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False))
        self.layers_bnbone = nn.ModuleList(nn.BatchNorm1d(channels) for _ in range(2 * layers - 1))
        self.boneatt = nn.Linear(6 * joints, count)
        self.shrink_direct_1, self.shrink_direct_2 = (nn.Conv1d(channels, 3 * count, 1) for _ in range(2))
        self.lengthlinear, self.directlinear = nn.Linear(count, channels), nn.Conv1d(3 * count, channels, 1)
        self.lengthlinear_1, self.lengthlinear_2 = (nn.Linear(count, channels) for _ in range(2))
        self.directlinear_1, self.directlinear_2 = (nn.Conv1d(3 * count, channels, 1) for _ in range(2))
        self.shrink_js_1, self.shrink_js_2 = (nn.Conv1d(channels, 3 * shifts, 1) for _ in range(2))

    def set_momentum(self, value):
        """The momentum of the batch normalisations that the authors schedule: those of the first direction network."""
        for bn in [self.expand_bn, *self.layers_bn]:
            bn.momentum = value

    # ---- bone lengths

    def frame_poses(self, x):
        """Rough poses (..., J, 3) of single frames (..., J, 2), made for their bone lengths."""
        shape, x = x.shape[:-2], x.reshape(-1, 2 * self.joints)
        x = self._linear(0, x)
        for i in range(1, self.layers):
            x = x + self._linear(2 * i, self._linear(2 * i - 1, x))
        return self.layers_convbone[-1](x).view(*shape, self.joints, 3)

    def _linear(self, i, x):
        return self._act(self.layers_bnbone[i], self.layers_convbone[i](x))

    def measured(self, poses):
        """Bone lengths (..., bones) of the rough poses, and the logarithm of what each is worth."""
        flat = poses.flatten(-2)
        return lengths(poses, self.pairs), self.boneatt(torch.cat([flat, flat.abs()], -1)) * self.temperature

    def lengths(self, poses):
        """The bone lengths (B, bones) that rough poses (B, R, J, 3) of one person agree on."""
        found, worth = self.measured(poses.detach())
        return (worth.softmax(-2) * found).sum(-2)

    # ---- bone directions

    def _act(self, bn, x):
        return self.drop(F.relu(bn(x)))

    def _trunk(self, x, strided):
        """The first direction network: features (B, C, T') of every level, the finest first. `strided` answers for windows of R frames."""
        conv, step = (_strided, 3) if strided else (F.conv1d, 1)
        h = self._act(self.expand_bn, conv(x[..., :2].flatten(2).transpose(1, 2), self.expand_conv.weight))
        seen = self._act(self.expand_bnscore, conv(x[..., 2].transpose(1, 2), self.expand_convscore.weight))
        levels, z = [h], torch.cat([h, seen * h], 1)
        for i in range(self.layers - 1):
            reach, weight = 1 if strided else 3 ** (i + 1), self.layers_conv[2 * i].weight
            y = _strided(z, weight) if strided else F.conv1d(z, weight, dilation=reach)
            kept = h[..., reach * (2 if self.causal else 1):: step][..., : y.shape[-1]]
            y = self._act(self.layers_bn[2 * i], y)
            h = z = kept + self._act(self.layers_bn[2 * i + 1], self.layers_conv[2 * i + 1](y))
            levels.append(h)
        return levels

    def _refined(self, top, mixed):
        """The second direction network: features (N, C) from the first's (N, C) and its levels' share (N, C, L) in every layer."""
        channels = top.shape[1]
        u = top[..., None].expand(-1, -1, 3 * mixed[0].shape[-1])
        for i, share in enumerate(mixed):
            weight = self.layers_conv1[2 * i].weight[:, :channels]
            own = F.linear(top, weight.sum(2))[..., None] if i == 0 else _strided(u, weight)
            y = self._act(self.layers_bn1[2 * i], own + share)
            u = u[..., 2 if self.causal else 1:: 3] + self._act(self.layers_bn1[2 * i + 1], self.layers_conv1[2 * i + 1](y))
        return u[..., 0]

    def _shares(self, levels, strided):
        """What each level adds to the second network's layers: convolutions that are the same for all frames that look at them."""
        weights = [self.layers_conv1[2 * i].weight[:, len(self.expand_bn.weight):] for i in range(self.layers - 1)]
        if strided:
            return [_strided(level, weight) for level, weight in zip(levels, weights, strict=False)]
        return [F.conv1d(level, weight, dilation=3 ** (i + 1)) for i, (level, weight) in enumerate(zip(levels, weights, strict=False))]

    def _directions(self, head, features):
        """Unit vectors (B, 3 bones, T) of features (B, C, T)."""
        y = head(features)
        return F.normalize(y.unflatten(1, (-1, 3)), dim=2, eps=0.0).flatten(1, 2)

    def _composed(self, shrink, direct, length, directions, bone_lengths):
        """(B, T, N, 3) from directions (B, 3 bones, T) and lengths (B, T or 1, bones): a linear layer of their products."""
        y = shrink(direct(directions) * length(bone_lengths).transpose(1, 2))
        return y.transpose(1, 2).unflatten(2, (-1, 3))

    # ---- answers

    def forward(self, x, bone_lengths):
        """Poses (B, T - R + 1, J, 3) of a sequence (B, T, J, 3) and lengths (B, T - R + 1 or 1, bones)."""
        levels = self._trunk(x, False)
        shares, top = self._shares(levels, False), levels[-1]
        found = [self._refine_part(top, shares, start) for start in range(0, top.shape[-1], PART)]
        directions = self._directions(self.shrink_direct_2, torch.cat(found, 2))
        return self._composed(self.shrink, self.directlinear, self.lengthlinear, directions, bone_lengths)

    def _refine_part(self, top, shares, start):
        batch, channels, count = top.shape
        time = torch.arange(start, min(start + PART, count), device=top.device)
        mixed = []
        for i, share in enumerate(shares):
            index = time[:, None] + 3 ** (i + 2) * torch.arange(3 ** (self.layers - 2 - i), device=top.device)
            mixed.append(share[:, :, index].permute(0, 2, 1, 3).flatten(0, 1))
        refined = self._refined(top[..., time].transpose(1, 2).reshape(-1, channels), mixed)
        return refined.view(batch, len(time), channels).transpose(1, 2)

    def one_frame(self, x, bone_lengths):
        """Poses (B, J, 3) of windows (B, R, J, 3) and lengths (B, bones), by strided convolutions."""
        levels = self._trunk(x, True)
        refined = self._refined(levels[-1][..., 0], self._shares(levels, True))
        directions = self._directions(self.shrink_direct_2, refined[..., None])
        return self._composed(self.shrink, self.directlinear, self.lengthlinear, directions, bone_lengths[:, None])[:, 0]

    def train_forward(self, x, frames):
        """Outputs for windows (B, R, J, 3) and random frames (B, N, J, 2) of the same people; gradients stop where the authors stop them.

        The loss of the lengths reaches only the attention, that of the pose only the last layers; the second network learns on fixed features.
        """
        levels = self._trunk(x, True)
        poses = self.frame_poses(frames)
        found = self.lengths(poses)
        fixed = [level.detach() for level in levels]
        refined = self._refined(fixed[-1][..., 0], self._shares(fixed, True))[..., None]
        one, two = self._directions(self.shrink_direct_1, levels[-1]), self._directions(self.shrink_direct_2, refined)
        known = found.detach()[:, None]
        pose = self._composed(self.shrink, self.directlinear, self.lengthlinear, two.detach(), known)
        shift_one = self._composed(self.shrink_js_1, self.directlinear_1, self.lengthlinear_1, one, known)
        shift_two = self._composed(self.shrink_js_2, self.directlinear_2, self.lengthlinear_2, two, known)
        return Outputs(pose[:, 0], found, poses, tuple(v[..., 0].unflatten(1, (-1, 3)) for v in (two, one)), (shift_two[:, 0], shift_one[:, 0]))


def _strided(x, weight):
    """A convolution (B, C, 3 L) -> (B, C_out, L) whose stride is its width, as one matrix product: on a CPU 2.6 times as fast."""
    rows = x.unflatten(2, (-1, 3)).transpose(1, 2).flatten(2)
    return F.linear(rows, weight.flatten(1)).transpose(1, 2)


def from_state(state, pairs_of, arc=None, causal=False):
    """An empty network of the size that a state dict has; `pairs_of` gives the bones of a number of joints. Raises InputError for another network."""
    try:
        channels, joints = state["expand_conv.weight"].shape[0], state["expand_convscore.weight"].shape[1]
        layers = sum(key.startswith("layers_conv.") for key in state) // 2 + 1
    except (KeyError, IndexError) as error:
        raise InputError(f"not an anatomy-aware network: no {error} among its parameters") from error
    if arc is not None and tuple(arc) != (3,) * layers:
        raise InputError(f"arc={','.join(map(str, arc))} does not fit the weights, whose widths are {','.join('3' * layers)}")
    return AnatomyModel(pairs_of(joints), joints, layers, channels, causal)
