"""The body of a person in space: constant bone lengths, stature, and the root's place from the lifted pose and its 2D joints."""

import numpy as np

from app.smooth import nan_median

ANKLE_HEIGHT = 0.08  # m of the ankle joint above the floor
STATURE = {"head_top": 1.049, "head": 1.099, "nose": 1.147}  # stature / height from the ankles to the highest joint that a skeleton has
UNSURE = 0.1  # m: a joint with this expected error counts half as much in the root's place
RESIDUAL = 0.02  # m: a joint that misses its ray by less is not suspected


def bone_lengths(joints, skeleton, weights=None):
    """The median length of each joint's bone to its parent over frames (T, J, 3): (J,) m, the same left and right, 0 at the root.

    Frames whose weight (T,) is zero are left out, unless all are.
    """
    use = np.asarray(weights) > 0 if weights is not None and np.any(weights) else slice(None)
    lengths = np.zeros(len(skeleton))
    for parent, child in skeleton.bones:
        lengths[child] = np.median(np.linalg.norm(joints[use, child] - joints[use, parent], axis=-1))
    return (lengths + lengths[list(skeleton.mirror)]) / 2


def with_bones(joints, skeleton, lengths):
    """Joints (T, J, 3) with their directions kept and bones of these lengths, (J,) or (T, J), chained from the root outwards."""
    rebuilt = np.array(joints)
    for parent, child in skeleton.bones:
        bone = joints[:, child] - joints[:, parent]
        size = np.maximum(np.linalg.norm(bone, axis=-1, keepdims=True), 1e-9)
        rebuilt[:, child] = rebuilt[:, parent] + bone * (lengths[..., child, None] / size)
    return rebuilt


def stature(joints, skeleton):
    """The standing height in metres of a body from its joints (T, J, 3) in any poses: legs, trunk and head, straightened."""

    def middle(part):
        return joints[:, skeleton.indices(f"left_{part}", f"right_{part}")].mean(1)

    top = next(name for name in STATURE if name in skeleton.joints)
    lengths = bone_lengths(joints, skeleton)
    legs = sum(length for joint, length in zip(skeleton.joints, lengths, strict=True) if joint.split("_")[-1] in ("knee", "ankle", "foot")) / 2
    torso, head = middle("shoulder") - middle("hip"), joints[:, skeleton.index(top)] - middle("shoulder")
    return float(STATURE[top] * (legs + sum(np.median(np.linalg.norm(part, axis=-1)) for part in (torso, head))))


def fit_root(joints, plane, weights, rounds=3):
    """The root (T, 3) m that puts root-relative joints (T, J, 3) onto their rays, by weighted least squares; and what is known of its depth (T,).

    plane (T, J, 2): the joints on the unit plane (core.geometry.rays), NaN where not seen; weights (T, J). For a joint (X, Y, Z) seen at (u, v)
    the root (x, y, z) obeys X + x = u (Z + z) and Y + y = v (Z + z), which is linear; joints that disagree lose weight (Cauchy, `rounds` times).
    The second result is 1 / variance of the logarithm of the depth up to a common factor, 0 (and a NaN root) with fewer than two joints.
    """
    return tuple(np.concatenate(part) for part in zip(*(_fit(joints[c], plane[c], weights[c], rounds) for c in _chunks(joints)), strict=True))


def _fit(joints, plane, weights, rounds):
    joints, plane, weights = _usable(joints, plane, weights)
    enough = (weights > 0).sum(1) >= 2
    used = weights
    for _ in range(rounds):
        root, normal = _solve(joints, plane, used)
        miss = np.linalg.norm(_residuals(joints, plane, root), axis=-1)
        used = _doubted(weights, miss)
    noise = (used * miss**2).sum(1) / np.maximum(used.sum(1), 1e-9) + RESIDUAL**2
    good = enough & (root[:, 2] > 0.1)
    known = np.where(good, root[:, 2] ** 2 / (np.linalg.inv(normal)[:, 2, 2] * noise), 0)
    return np.where(good[:, None], root, np.nan), known


def lateral(joints, plane, weights, depth, rounds=3):
    """The root (T, 3) of `fit_root` for roots whose depth (T,) m is given; NaN without a joint."""
    return np.concatenate([_lateral(joints[c], plane[c], weights[c], depth[c], rounds) for c in _chunks(joints)])


def _lateral(joints, plane, weights, depth, rounds):
    joints, plane, weights = _usable(joints, plane, weights)
    used = weights
    offsets = plane * (joints[..., 2:] + depth[:, None, None]) - joints[..., :2]
    for _ in range(rounds):
        with np.errstate(invalid="ignore", divide="ignore"):
            place = (used[..., None] * offsets).sum(1) / used.sum(1)[:, None]
        miss = np.linalg.norm(offsets - place[:, None], axis=-1)
        used = _doubted(weights, miss)
    return np.column_stack([place, depth])


def _chunks(rows, size=4096):
    """Slices of rows: frames are fitted one by one, a bounded number at a time to bound the memory of long videos."""
    return [slice(start, start + size) for start in range(0, max(len(rows), 1), size)]


def _doubted(weights, miss):
    """Weights (T, J) lowered for joints that miss (T, J) their ray by more than the others of their frame."""
    typical = nan_median(np.where(weights > 0, miss, np.nan))[:, None]
    return weights / (1 + (miss / (1.5 * np.nan_to_num(typical) + RESIDUAL)) ** 2)


def _usable(joints, plane, weights):
    """Float64 inputs in which what is not known has weight 0 and a finite value."""
    known = np.isfinite(plane).all(-1) & np.isfinite(joints).all(-1) & np.isfinite(weights)
    zero = np.zeros(1)
    return (np.where(known[..., None], joints, zero).astype(np.float64), np.where(known[..., None], plane, zero).astype(np.float64),
            np.where(known, weights, 0).astype(np.float64))


def _solve(joints, plane, weights):
    """The weighted normal equations of (x, y, z): their solution (T, 3) and matrix (T, 3, 3)."""
    u, v = plane[..., 0], plane[..., 1]
    right = plane * joints[..., 2:] - joints[..., :2]
    total, su, sv = weights.sum(1), (weights * u).sum(1), (weights * v).sum(1)
    zero = np.zeros_like(total)
    normal = np.array([[total, zero, -su], [zero, total, -sv], [-su, -sv, (weights * (u**2 + v**2)).sum(1)]]).transpose(2, 0, 1)
    normal = normal + 1e-9 * np.eye(3)
    target = np.stack([(weights * right[..., 0]).sum(1), (weights * right[..., 1]).sum(1), -(weights * (plane * right).sum(-1)).sum(1)], 1)
    return np.linalg.solve(normal, target[..., None])[..., 0], normal


def _residuals(joints, plane, root):
    """How far (T, J, 2) in metres each joint is from its ray, in its own plane of depth."""
    placed = joints + root[:, None]
    return placed[..., :2] - plane * placed[..., 2:]
