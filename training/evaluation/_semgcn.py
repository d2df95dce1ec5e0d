"""A public single-frame lifter to compare with: SemGCN (Zhao et al., CVPR 2019) with weights trained on Human3.6M, plain form."""

import numpy as np
import torch
from torch.nn import functional as F

from core.skeletons import BODY21, H36M17, conversion
from lifters._normal import normal_form
from weights import load

PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 8, 10, 11, 8, 13, 14)
JOINTS = [i for i, name in enumerate(H36M17.joints) if name != "neck_nose"]
TO16 = conversion(BODY21, H36M17)[JOINTS].astype(np.float32)
SPAN = 0.206  # mean joint distance, in its input's unit (half a picture's width), of the bodies that it was trained on


class SemGcn:
    """2D of one frame to 3D of 16 joints. It is given what suits it: people in the middle of the picture, about five metres away."""

    def __init__(self, path):
        self.state, _ = load(path)
        mask = torch.eye(16, dtype=torch.bool)
        for child, parent in enumerate(PARENTS[1:], 1):
            mask[child, parent] = mask[parent, child] = True
        self.mask = mask

    def lift(self, plane, scores):
        """Joints (N, 16, 3) m around the pelvis, in turned axes, of points (N, 21, 2) of the unit plane, and the turns (N, 3, 3)."""
        x, turn = normal_form(plane[:, None], scores[:, None], BODY21.root, 0)
        with torch.inference_mode():
            y = self.network(torch.from_numpy(TO16) @ x[:, 0, : len(BODY21), :2] * SPAN)
        return y - y[:, :1], turn

    def network(self, x):
        """(B, 16, 2) -> (B, 16, 3), as published."""
        x = self._block(x, "gconv_input.0.")
        for i in range(sum(name.endswith("gconv1.gconv.W") for name in self.state)):
            x = x + self._block(self._block(x, f"gconv_layers.{i}.gconv1."), f"gconv_layers.{i}.gconv2.")
        return self._convolution(x, "gconv_output.")

    def _block(self, x, name):
        x = self._convolution(x, name + "gconv.").transpose(1, 2)
        mean, var, weight, bias = (self.state[f"{name}bn.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
        return F.relu(F.batch_norm(x, mean, var, weight, bias)).transpose(1, 2)

    def _convolution(self, x, name):
        """Each joint's own product, and another of its neighbours', mixed by learned weights of the edges (eq. 4)."""
        own, others = self.state[name + "W"]
        edges = torch.full((16, 16), -9e15).masked_scatter(self.mask, self.state[name + "e"]).softmax(1)
        same = torch.eye(16)
        return (edges * same) @ (x @ own) + (edges * (1 - same)) @ (x @ others) + self.state[name + "bias"]
