"""VideoPose3D's losses: supervised, and with clips of which only the 2D is known (Pavllo et al., CVPR 2019, sections 3 and 4)."""

import torch

from training.datasets.rigs import project, project_linear
from training.datasets.windows import rooted
from training.evaluation.errors import distance, weighted_distance


def supervised(network, strided, batch):
    """{"loss": m, "3d_train": m}: mean distance of the joints around the root."""
    value = distance(answer(network, strided, batch.points), rooted(batch.joints))
    return {"loss": value, "3d_train": value}


def answer(network, strided, points):
    """Joints (B, S, J, 3) of windows; by the strided twin where one frame is asked of each."""
    return network.one_frame(points)[:, None] if strided else network(points)


class SemiSupervised:
    """The loss of a pose and a trajectory network on labelled and unlabelled batches together.

    Unlabelled poses, put where the trajectory network sees them, have to project onto their 2D (not with `projection` off; by pinhole with `linear`),
    and the mean lengths of their bones have to be those of the labelled ones (not with `bones` off).
    """

    def __init__(self, networks, skeleton, strided, pad, shift, projection=True, linear=False, bones=True):
        self.networks, self.strided = networks, strided
        self.first, self.parents = pad + shift, list(skeleton.parents)
        self.projection, self.linear, self.bones = projection, linear, bones

    def __call__(self, pair, alone=False):
        """{"loss", "3d_train", "traj_train", "2d_unlabelled", "bones": scalars} of (labelled Batch, unlabelled Batch); `alone`: the labelled only."""
        labelled, other = pair
        count = len(labelled.points)
        points = labelled.points if alone else torch.cat([labelled.points, other.points])
        pose, path = (answer(network, self.strided, points) for network in self.networks)
        terms = {"3d_train": distance(pose[:count], rooted(labelled.joints)), "traj_train": path_distance(path[:count], labelled.joints[:, :, :1])}
        if not alone:
            seen = other.points[:, self.first: self.first + pose.shape[1], :, :2]
            terms["2d_unlabelled"] = projection_distance(pose[count:] + path[count:], seen, other.lens, self.linear)
            terms["bones"] = bone_difference(pose, count, self.parents)
        used = [name for name in terms if (name != "2d_unlabelled" or self.projection) and (name != "bones" or self.bones)]
        return {"loss": sum(terms[name] for name in used)} | terms


def path_distance(path, truth):
    """Distance of roots (B, S, 1, 3) from the true ones, each divided by its true depth: far ones are less certain."""
    return weighted_distance(path, truth, 1 / truth[..., 2])


def projection_distance(joints, seen, lens, linear=False):
    """Mean distance in screen units of projected joints (B, S, J, 3) m in camera axes from the seen ones (B, S, J, 2)."""
    return distance((project_linear if linear else project)(joints, lens), seen)


def bone_difference(pose, count, parents):
    """Mean over the bones of how far their mean lengths differ between the first `count` poses (B, S, J, 3) and the rest, in metres."""
    lengths = (pose[:, :, 1:] - pose[:, :, parents[1:]]).norm(dim=-1).mean(1)
    return (lengths[:count].mean(0) - lengths[count:].mean(0)).abs().mean()
