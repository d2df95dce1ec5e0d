"""Networks over the joints of one pose: SemGCN's graph convolutions and the linear residual network, under their published parameter names.

Lifters use them to go from 2D to 3D, the refiner of a pose network to mend 3D.
"""

import torch
from torch import nn
from torch.nn import functional as F

from core.errors import InputError

OFF = -9e15  # what a pair of joints that is no edge weighs before the softmax


def adjacency(parents):
    """Which joints touch: bool (J, J), each joint itself, its parent and its children. A joint with parent -1, or its own parent, is a root."""
    edges = torch.eye(len(parents), dtype=torch.bool)
    for child, parent in enumerate(parents):
        if parent >= 0:
            edges[child, parent] = edges[parent, child] = True
    return edges


class SemGraphConv(nn.Module):
    """(B, J, C_in) -> (B, J, C_out): each joint's own product and another of its neighbours', weighed by learned edges (Zhao et al., eq. 4).

    `channelwise` learns the edges anew for every output channel (eq. 5).
    """

    def __init__(self, channels_in, channels_out, edges, channelwise=False):
        super().__init__()
        self.W = nn.Parameter(nn.init.xavier_uniform_(torch.empty(2, channels_in, channels_out), gain=1.414))
        self.e = nn.Parameter(torch.ones(channels_out if channelwise else 1, int(edges.sum())))
        self.bias = nn.Parameter(torch.empty(channels_out).uniform_(-1, 1) / channels_out ** 0.5)
        self.register_buffer("edges", edges, persistent=False)

    def forward(self, x):
        weights = torch.full((len(self.e), *self.edges.shape), OFF, dtype=torch.float32, device=x.device)
        weights = weights.masked_scatter(self.edges, self.e.float()).softmax(2).to(x.dtype)
        own = weights.diagonal(dim1=1, dim2=2)
        others, y = weights - own.diag_embed(), x @ self.W[1]
        mixed = others[0] @ y if len(others) == 1 else torch.einsum("cij,bjc->bic", others, y)
        return own.T * (x @ self.W[0]) + mixed + self.bias


class GraphConv(nn.Module):
    """A graph convolution, batch normalisation over the channels, ReLU."""

    def __init__(self, channels_in, channels_out, edges, dropout=0.0):
        super().__init__()
        self.gconv = SemGraphConv(channels_in, channels_out, edges)
        self.bn = nn.BatchNorm1d(channels_out)
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        return self.drop(F.relu(self.bn(self.gconv(x).transpose(1, 2)).transpose(1, 2)))


class ResidualGraphConv(nn.Module):
    """x + two graph convolutions."""

    def __init__(self, channels, edges, dropout=0.0):
        super().__init__()
        self.gconv1 = GraphConv(channels, channels, edges, dropout)
        self.gconv2 = GraphConv(channels, channels, edges, dropout)

    def forward(self, x):
        return x + self.gconv2(self.gconv1(x))


class NonLocal(nn.Module):
    """Every joint looks at all others, which are pooled two by two: the concatenation form of Wang et al., CVPR 2018, section 3.2."""

    def __init__(self, channels):
        super().__init__()
        inner = channels // 2
        self.g = nn.Sequential(nn.Conv1d(channels, inner, 1), nn.MaxPool1d(2))
        self.theta = nn.Conv1d(channels, inner, 1)
        self.phi = nn.Sequential(nn.Conv1d(channels, inner, 1), nn.MaxPool1d(2))
        self.concat_project = nn.Sequential(nn.Conv2d(channels, 1, 1, bias=False), nn.ReLU())
        self.W = nn.Sequential(nn.Conv1d(inner, channels, 1), nn.BatchNorm1d(channels))
        nn.init.zeros_(self.W[1].weight)

    def forward(self, x):
        """(B, C, J) -> (B, C, J)."""
        to, of = self.concat_project[0].weight[0, :, 0, 0].chunk(2)  # the projection of a concatenation is a sum of two
        attention = F.relu((to @ self.theta(x))[:, :, None] + (of @ self.phi(x))[:, None])
        y = self.g(x) @ attention.transpose(1, 2) / attention.shape[-1]
        return x + self.W(y)


class GraphNonLocal(nn.Module):
    """The non-local block on joints (B, J, C) that are brought into the order of `groups`, so that the pooled pairs are neighbours.

    A group of one joint shifts the pairs behind it, and of an odd number of joints the last is pooled with nobody and unseen by others: as published.
    """

    def __init__(self, channels, groups):
        super().__init__()
        order = torch.tensor([joint for group in groups for joint in group])
        self.non_local = NonLocal(channels)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("back", order.argsort(), persistent=False)

    def forward(self, x):
        return self.non_local(x[:, self.order].transpose(1, 2)).transpose(1, 2)[:, self.back]


class SemGCN(nn.Module):
    """(B, J, F_in) -> (B, J, F_out): Zhao et al., CVPR 2019, figure 3. `groups` (pairs of joint indices) adds the non-local blocks."""

    def __init__(self, parents, features_in=2, features_out=3, channels=128, blocks=4, groups=None, dropout=0.0):
        super().__init__()
        edges = adjacency(parents)

        def followed(layer):
            return [layer] if groups is None else [layer, GraphNonLocal(channels, groups)]

        self.gconv_input = nn.Sequential(*followed(GraphConv(features_in, channels, edges, dropout)))
        self.gconv_layers = nn.Sequential(*[part for _ in range(blocks) for part in followed(ResidualGraphConv(channels, edges, dropout))])
        self.gconv_output = SemGraphConv(channels, features_out, edges)

    def forward(self, x):
        return self.gconv_output(self.gconv_layers(self.gconv_input(x)))


def semgcn_state(state):
    """A state dict under this file's names: published ones say `nonlocal` where a Python 3 program has to say `non_local`."""
    return {key.replace(".nonlocal.", ".non_local."): value for key, value in state.items()}


def semgcn_from_state(state, parents, groups=None):
    """An empty SemGCN of the size that a state dict of `semgcn_state` has; `groups` serve where it has non-local blocks.

    Raises InputError for a dict of another network or another set of edges.
    """
    try:
        features_in, channels = state["gconv_input.0.gconv.W"].shape[1:]
        features_out, edges = state["gconv_output.W"].shape[2], state["gconv_output.e"].numel()
    except (KeyError, ValueError) as error:
        raise InputError(f"not a semantic graph convolution network: no {error} among its parameters") from error
    known = int(adjacency(parents).sum())
    if edges != known:
        raise InputError(f"the network has {edges} edges between its joints, expected the {known} of {len(parents)} joints")
    blocks = sum(key.endswith("gconv1.gconv.W") for key in state)
    grouped = any(".non_local." in key for key in state)
    return SemGCN(parents, features_in, features_out, channels, blocks, groups if grouped else None)


class ResidualLinear(nn.Module):
    """x + two of: linear layer, batch normalisation, (leaky) ReLU, dropout."""

    def __init__(self, size, slope=0.0, dropout=0.5):
        super().__init__()
        self.slope, self.drop = slope, nn.Dropout(dropout)
        self.w1, self.batch_norm1 = nn.Linear(size, size), nn.BatchNorm1d(size)
        self.w2, self.batch_norm2 = nn.Linear(size, size), nn.BatchNorm1d(size)

    def forward(self, x):
        y = self.drop(F.leaky_relu(self.batch_norm1(self.w1(x)), self.slope))
        return x + self.drop(F.leaky_relu(self.batch_norm2(self.w2(y)), self.slope))


class LinearModel(nn.Module):
    """(B, N_in) -> (B, N_out): Martinez et al., ICCV 2017, figure 1. `slope` is that of the ReLU below zero: 0, or 0.01 in the refiner."""

    def __init__(self, numbers_in=32, numbers_out=48, size=1024, stages=2, slope=0.0, dropout=0.5):
        super().__init__()
        self.slope, self.drop = slope, nn.Dropout(dropout)
        self.w1, self.batch_norm1 = nn.Linear(numbers_in, size), nn.BatchNorm1d(size)
        self.linear_stages = nn.ModuleList(ResidualLinear(size, slope, dropout) for _ in range(stages))
        self.w2 = nn.Linear(size, numbers_out)

    def forward(self, x):
        x = self.drop(F.leaky_relu(self.batch_norm1(self.w1(x)), self.slope))
        for stage in self.linear_stages:
            x = stage(x)
        return self.w2(x)


def linear_from_state(state, slope=0.0):
    """An empty LinearModel of the size that a state dict has. Raises InputError for a dict of another network."""
    try:
        (size, numbers_in), numbers_out = state["w1.weight"].shape, state["w2.weight"].shape[0]
    except (KeyError, ValueError) as error:
        raise InputError(f"not a linear residual network: no {error} among its parameters") from error
    return LinearModel(numbers_in, numbers_out, size, sum(key.endswith(".w2.weight") for key in state), slope)
