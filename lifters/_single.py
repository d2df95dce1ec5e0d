"""Lifters that read one frame: what SemGCN and the linear network share.

Their networks learned from people about five metres from Human3.6M's cameras. `fit` turns the view to the person and brings them to the size they
had there; without it the coordinates are those of the whole picture, as the authors evaluate.
"""

import numpy as np
import torch

from core import geometry
from core.normal import normal_form, turn_back
from core.protocols import Lifted
from core.skeletons import H36M16
from lifters._published import Published, held, screen

SPAN = 0.206  # mean distance of the joints from the root, in half picture widths, of the bodies that they learned from
ROWS = 4096  # frames at once: bounds the memory


class SingleFrame(Published):
    """Frame by frame: `_frames` of a subclass gives the joints (B, J, 3) m for x (B, 16, 2) in screen units."""

    receptive_field, causal, fps_range = 1, True, (0, float("inf"))

    def __init__(self, network, skeleton_out, fit, flip, device, half):
        super().__init__(network, (H36M16, skeleton_out), 2, flip, device, half)
        self.fit = fit

    def __call__(self, windows, cameras):
        """3D of windows (B, 1, J, 3) of x px, y px, score, each under its own camera."""
        windows = self._checked(windows, cameras)
        plane = [self._plane(window[..., :2], camera) for window, camera in zip(windows, cameras, strict=True)]
        plane = [held(points, window[..., 2]) for points, window in zip(plane, windows, strict=True)]
        return self._lift(np.concatenate(plane) if plane else np.zeros((0, len(H36M16), 2)), windows[:, 0, :, 2])

    def sequence(self, points, scores, camera):
        """3D of every frame of a track: points (T, J, 2) px, scores (T, J)."""
        scores = np.nan_to_num(scores)
        return self._lift(held(self._plane(np.asarray(points, np.float32), camera), scores), np.ones(scores.shape))

    def _plane(self, points, camera):
        return geometry.rays(points, camera) if self.fit else screen(points, camera)

    def _lift(self, plane, scores):
        parts = [self._part(plane[i: i + ROWS], scores[i: i + ROWS]) for i in range(0, len(plane), ROWS)]
        joints = np.concatenate([np.zeros((0, len(self.skeleton_out), 3), np.float32), *parts])
        return Lifted(joints - joints[:, [self.skeleton_out.root]])

    def _part(self, plane, scores):
        plane, scores = (torch.from_numpy(np.asarray(array, np.float32)).to(self.device) for array in (plane, scores))
        turn = None
        if self.fit:
            x, turn = normal_form(plane[:, None], scores[:, None], self.skeleton_in.root, 0)
            plane = x[:, 0, : len(self.skeleton_in), :2] * SPAN
        y = self._averaged(self._frames, plane.to(self.dtype))
        return (y if turn is None else turn_back(y, turn)).cpu().numpy()
