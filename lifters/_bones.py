"""Bones as Anatomy3D counts them, for any skeleton with a trunk and side limbs: for Human3.6M its published list.

A bone is a vector joint a - joint b. Poses are tensors (..., J, 3).
"""

import torch


def bones(skeleton):
    """The (a, b) pairs of all bones: a is further from the root than b, except at limbs that spring from the upper trunk, whose first bone is turned.

    From the furthest joint that limbs spring from to the root: their outer bones (right, left, middle; from the tip inwards), the trunk's bone there,
    the limbs' first bones by joint number, the rest of the trunk down to the next such joint.
    """
    parents, order = skeleton.parents, list(skeleton.order)
    forks = [joint for joint in reversed(order) if sum(p == joint for p in parents) > 1]
    found, trunk = [], {joint for fork in forks for joint in _path(fork, parents)}
    for fork in forks:
        limbs = [child for child, p in enumerate(parents) if p == fork and child not in trunk]
        sides = sorted((limb for limb in limbs if _sided(skeleton, limb)), key=lambda limb: limb not in skeleton.right)
        for limb in [*sides, *(limb for limb in limbs if limb not in sides)]:
            chain = skeleton.outwards(limb)
            found += [(joint, parents[joint]) for joint in reversed(chain if limb not in sides else chain[1:])]
        up = [joint for joint in _path(fork, parents) if joint != skeleton.root and joint not in {a for a, _ in found}]
        nearer = next((i for i, joint in enumerate(up) if parents[joint] in forks), len(up) - 1) + 1
        first = [(limb, fork) if fork == skeleton.root else (fork, limb) for limb in sorted(sides)]
        trunk_bones = [(joint, parents[joint]) for joint in up[:nearer]]
        found += trunk_bones[:1] + first + trunk_bones[1:]
    return tuple(found)


def _path(joint, parents):
    """A joint and all between it and the root, the root last."""
    path = [joint]
    while parents[path[-1]] >= 0:
        path.append(parents[path[-1]])
    return path


def _sided(skeleton, joint):
    return joint in skeleton.left or joint in skeleton.right


def moved(skeleton, pairs=None):
    """How each joint moves with a bone that grows in its own direction: (bones, J) of 0, 1, and -1 where the bone's vector points inwards.

    `pairs` are the bones in another order than that of `bones`.
    """
    table = torch.zeros(len(skeleton) - 1, len(skeleton))
    for row, (a, b) in enumerate(pairs or bones(skeleton)):
        outwards = skeleton.parents[a] == b
        table[row, skeleton.outwards(a if outwards else b)] = 1.0 if outwards else -1.0
    return table


def joint_shifts(pairs, joints):
    """The (i, j) of the vectors joint j - joint i that are learned beside the bones: all with i <= j that are no bones."""
    known = {frozenset(pair) for pair in pairs}
    return tuple((i, j) for i in range(joints) for j in range(i, joints) if frozenset((i, j)) not in known)


def vectors(pose, pairs):
    """joint a - joint b of (a, b) pairs: (..., bones, 3)."""
    a, b = (torch.tensor(column, device=pose.device) for column in zip(*pairs, strict=True))
    return pose[..., a, :] - pose[..., b, :]


def lengths(pose, pairs):
    """The lengths (..., bones)."""
    return vectors(pose, pairs).norm(dim=-1)


def directions(pose, pairs):
    """The unit vectors (..., bones, 3)."""
    return torch.nn.functional.normalize(vectors(pose, pairs), dim=-1, eps=0.0)


def lengthened(pose, growth, skeleton, pairs=None):
    """The pose with each bone longer by growth (..., bones), its direction kept: what hangs on it moves along."""
    step = growth[..., None] * directions(pose, pairs or bones(skeleton))
    return pose + moved(skeleton, pairs).to(pose).T @ step
