"""Temporal networks as VideoPose3D evaluates them: on whole clips, averaged with the mirror image; and the figures after an epoch."""

import math

import torch

from training.datasets.windows import mirrored, padded, rooted
from training.evaluation.errors import Table
from training.semisupervised import path_distance, projection_distance


class Reader:
    """The networks as they are evaluated: whole clips, the answer averaged with that to the mirror image when `flip`."""

    def __init__(self, networks, mirrors, flip):
        self.networks, self.mirrors, self.flip = networks, mirrors, flip

    def lift(self, points):
        """Joints (T, J, 3) m of a clip's points (T, J, 2 or 3) in screen units, joint 0 as it comes."""
        return self._answer(self.networks[0], points, list(self.mirrors.joints))

    def path(self, points):
        """The root (T, 1, 3) m in camera axes, None without a trajectory network."""
        return self._answer(self.networks[1], points, [0]) if len(self.networks) > 1 else None

    def _answer(self, network, points, partner):
        features = network.expand_conv.in_channels // points.shape[1]
        pad = network.receptive_field // 2
        x = padded(points[..., :features], pad, pad if network.causal else 0)
        if self.flip:
            x = torch.cat([x, mirrored(x, list(self.mirrors.points))])
        learning = network.training
        with torch.inference_mode():
            y = network.eval()(x.to(next(network.parameters()).device)).float().cpu()
        network.train(learning)
        return ((y[0] + mirrored(y[1], partner)) / 2 if self.flip else y[0]).numpy()


def measured(reader, clips, held, semi, linear):
    """{name: figure} after an epoch: MPJPE in metres over the frames of the training and the test clips, and of the trajectory where there is one."""
    plain = Reader(reader.networks, reader.mirrors, False)
    found = {"3d_train_eval": error(plain, clips), "3d_valid": error(plain, held)}
    if not semi:
        return found
    paths, views, frames = 0.0, 0.0, 0
    for clip in (clip for clip in held if clip.joints is not None):
        pose, path = (torch.from_numpy(array)[None] for array in (plain.lift(clip.points), plain.path(clip.points)))
        seen, lens = torch.from_numpy(clip.points[None, ..., :2]), torch.from_numpy(clip.camera.lens)[None]
        paths += float(path_distance(path, torch.from_numpy(clip.joints[None, :, :1]))) * len(clip)
        views += float(projection_distance(pose + path, seen, lens, linear)) * len(clip)
        frames += len(clip)
    return found | {"traj_valid": paths / max(frames, 1), "2d_valid": views / max(frames, 1)}


def error(reader, clips):
    """MPJPE in metres over all frames of the clips that have 3D."""
    table = Table(names=("MPJPE",))
    for clip in (clip for clip in clips if clip.joints is not None):
        table.add("all", reader.lift(clip.points), rooted(torch.from_numpy(clip.joints)).numpy())
    return table.means()["MPJPE"] / 1000 if table.sums else math.nan
