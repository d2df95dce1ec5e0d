"""Tracks -> motion: the lifted pose of every frame, smooth, with constant bones, placed in space, in an upright world.

Every frame is seen with its past and future; past.py gives what the live view would have shown.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from app.body import UNSURE, bone_lengths, fit_root, lateral, stature, with_bones
from app.causal import skeleton_of
from app.ends import end_in_space
from app.join import part_of
from app.motion import GAP
from app.smooth import butterworth, interpolate, spline, stretches
from app.world import evidence, world_matrix
from core.geometry import rays
from core.protocols import Lifted
from core.records import Motion
from core.skeletons import convert
from lifters.none import NoLifter

JOINTS_CUTOFF, LATERAL_CUTOFF, DEPTH_CUTOFF = 5.0, 4.0, 0.5  # Hz; of joints that are known for sure
LEAST_TRUST = 0.03  # of a joint in its own path: at it the cutoff is 2.1 Hz
END = 2.0  # s of a track that are reconstructed to see how it ends


class _Lift(NamedTuple):
    """joints (T, J, 3) m root-relative in camera axes, weights (T, J) of the joints in the fit of the root, depth (T,) m of the root or NaN."""

    joints: np.ndarray
    weights: np.ndarray
    depth: np.ndarray


def reconstruct(tracks, info, camera, lifter, skeleton2d, *, smooth=True, height=None):
    """The Motion of tracks {id: Track} of `motion.assemble`, whose points are joints of `skeleton2d`.

    lifter: core.protocols.Lifter; the one of lifters/none.py takes over the root-relative joints of the pose network, NaN where it has none.
    smooth: low passes over time. height: of the people in metres; None leaves the size to the lifter.
    Each track is reconstructed by itself; only the world is common. Raises InputError where the lifter cannot read the 2D skeleton.
    """
    skeleton = skeleton_of(lifter, skeleton2d)
    placed = {}
    for number, track in tracks.items():
        placed[number] = _reconstructed(track, camera, lifter, skeleton2d, skeleton, smooth, height)
    return Motion(info, camera, upright(placed.values(), skeleton2d, skeleton), skeleton2d, skeleton, placed)


def ends_in_space(camera, lifter, skeleton2d):
    """in_space(track, side) of `join.join_tracks`: the End of a track of `motion.assemble`, from its last or first seconds."""
    skeleton = skeleton_of(lifter, skeleton2d)
    bones = np.array(skeleton.bones)

    def end(track, side):
        near = part_of(track, np.abs(track.times - track.times[side]) <= END)
        return end_in_space(_reconstructed(near, camera, lifter, skeleton2d, skeleton, True, None), side, camera, bones)

    return end


def _reconstructed(track, camera, lifter, skeleton2d, skeleton, smooth, height):
    lift = _taken_over(track, skeleton) if isinstance(lifter, NoLifter) else _lift_track(track, camera, lifter, skeleton2d)
    return _place(track, lift, camera, skeleton2d, skeleton, smooth, height)


def upright(tracks, skeleton2d, skeleton3d):
    """world_from_camera (4, 4) of reconstructed tracks: z up, floor at 0, the origin under the middle of where the people were."""
    windows = []
    for track in tracks:
        _, trust = convert(track.points, track.scores, skeleton2d, skeleton3d)
        windows += evidence(track.joints3d, track.root, track.times, trust, skeleton3d)
    roots = [track.root[np.isfinite(track.root).all(1)] for track in tracks]
    roots = np.concatenate(roots) if roots else np.zeros((0, 3))
    return world_matrix(windows, roots.mean(0) if len(roots) else np.zeros(3))


def _taken_over(track, skeleton):
    """The pose network's own 3D."""
    return _Lift(track.joints3d - track.joints3d[:, [skeleton.root]], np.nan_to_num(track.scores), track.root[:, 2])


def _lift_track(track, camera, lifter, skeleton2d):
    points, scores = convert(track.points, track.scores, skeleton2d, lifter.skeleton_in)
    scores = np.where(np.isfinite(points).all(-1), np.nan_to_num(scores), 0)
    parts = [_lift_segment(points[part], scores[part], track.times[part], camera, lifter) for part in stretches(track.times, GAP)]
    joints, sigma, depth = (np.concatenate(column) for column in zip(*parts, strict=True))
    _, weights = convert(track.points, track.scores, skeleton2d, lifter.skeleton_out)
    depth = np.where(np.isfinite(track.root[:, 2]), track.root[:, 2], depth)  # the pose network saw the picture
    return _Lift(joints.astype(np.float32), np.nan_to_num(weights) ** 2 / (1 + (sigma / UNSURE) ** 2).astype(np.float32), depth)


def _lift_segment(points, scores, times, camera, lifter):
    """Joints (T, J, 3), sigma (T, J) and the root's depth (T,) of one stretch, lifted at an even frame rate that the lifter knows."""
    grid = _lifting_times(times, getattr(lifter, "fps_range", (0, np.inf)))
    if grid is None:
        lifted = lifter.sequence(points, scores, camera)
    else:
        lifted = lifter.sequence(interpolate(grid, times, points), interpolate(grid, times, scores), camera)
        lifted = Lifted(*(None if part is None else interpolate(times, grid, part) for part in lifted))
    sigma = np.zeros(lifted.joints.shape[:2]) if lifted.sigma is None else lifted.sigma
    return lifted.joints, sigma, np.full(len(sigma), np.nan) if lifted.root is None else lifted.root[:, 2]


def _lifting_times(times, fps_range):
    """The even times at which a stretch is lifted, None when its own are even and at a rate within the range."""
    steps = np.diff(times)
    if not len(steps):
        return None
    rate = 1 / np.median(steps)
    wanted = np.clip(rate, *fps_range)
    if abs(wanted - rate) < 0.01 * rate and steps.max() < 1.5 * steps.min():
        return None
    return times[0] + np.arange(int(np.ceil((times[-1] - times[0]) * wanted)) + 1) / wanted


def _place(track, lift, camera, skeleton2d, skeleton, smooth, height):
    """The track with its joints smoothed and given constant bones, and its root."""
    joints, parts = lift.joints, stretches(track.times, GAP)
    if not np.isfinite(joints).all((1, 2)).any():
        return replace(track, joints3d=np.full(joints.shape, np.nan), root=np.full((len(track), 3), np.nan))
    if smooth:
        joints = _smoothed(joints, lift.weights, track.times, parts)
    whole = np.isfinite(joints).all((1, 2))
    lengths = bone_lengths(joints[whole], skeleton, track.observed[whole])
    joints = with_bones(joints, skeleton, lengths)
    if height is not None:
        joints = joints * np.float32(height / stature(joints[whole], skeleton))
    points, _ = convert(track.points, track.scores, skeleton2d, skeleton)
    plane, depth = rays(points, camera).astype(np.float32), lift.depth if height is None else track.root[:, 2]
    root = np.concatenate([_root(joints[p], plane[p], lift.weights[p], track.times[p], depth[p], smooth) for p in parts])
    return replace(track, joints3d=joints, root=root)


def _smoothed(joints, weights, times, parts):
    """Joints (T, J, 3) smoothed within each stretch, leaning on the frames of more weight (T, J), and the more so the less a joint is known."""
    smooth = joints.copy()
    for part in parts:
        for joint in range(joints.shape[1]):
            trust = np.clip(weights[part, joint], LEAST_TRUST, 1)
            curve = spline(joints[part, joint], trust, times[part], JOINTS_CUTOFF * np.median(trust) ** 0.25)
            smooth[part, joint] = np.where(np.isfinite(joints[part, joint]), curve, np.nan)
    return smooth


def _root(joints, plane, weights, times, depth, smooth):
    """The root (T, 3) of one stretch. `depth` (T,) m is that of a network, NaN where none gave it."""
    root, known = fit_root(joints, plane, weights)
    if np.isfinite(depth).any():
        root[:, 2], known = depth, np.ones(len(depth))
    good = np.isfinite(root[:, 2]) & (root[:, 2] > 0) & (known > 0)
    if not good.any():
        return np.full_like(root, np.nan)
    logarithm = np.log(np.where(good, root[:, 2], 1.0))
    if smooth and len(times) > 2:
        distance = np.exp(spline(np.where(good, logarithm, np.nan), known * good, times, DEPTH_CUTOFF))
    else:
        distance = np.exp(np.interp(times, times[good], logarithm[good]))
    root = lateral(joints, plane, weights, distance)
    seen = np.isfinite(root).all(1)
    root = interpolate(times, times[seen], root[seen])
    return butterworth(root, times, LATERAL_CUTOFF) if smooth else root
