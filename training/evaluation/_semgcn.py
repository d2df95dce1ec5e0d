"""A public single-frame lifter to compare with: SemGCN (Zhao et al., CVPR 2019) with weights trained on Human3.6M."""

import numpy as np
import torch

from core.normal import normal_form
from core.skeletons import BODY21, H36M16, conversion
from lifters import semgcn
from lifters._single import SPAN

TO16 = conversion(BODY21, H36M16).astype(np.float32)


class SemGcn:
    """2D of one frame to 3D of 16 joints. It is given what suits it: people in the middle of the picture, about five metres away."""

    def __init__(self, path):
        self.network = semgcn.build(path, device="cpu").network

    def lift(self, plane, scores):
        """Joints (N, 16, 3) m around the pelvis, in turned axes, of points (N, 21, 2) of the unit plane, and the turns (N, 3, 3)."""
        x, turn = normal_form(plane[:, None], scores[:, None], BODY21.root, 0)
        with torch.inference_mode():
            y = self.network(torch.from_numpy(TO16) @ x[:, 0, : len(BODY21), :2] * SPAN)
        return y - y[:, :1], turn
