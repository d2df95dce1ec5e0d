"""The live rules for a file: whole tracks at once, and still every frame from itself and the frames before it.

`causal.CausalReconstructor` does the same frame by frame, for a camera. What each rule says stands there; here arrays follow it, so that all
windows of a track share the lifter's batches.
"""

from collections import deque
from dataclasses import replace
from itertools import groupby

import numpy as np
from scipy.signal import lfilter

from app.body import UNSURE, fit_root, lateral, stature, with_bones
from app.causal import DEPTH, JOINTS, LATERAL, RECENT, REMEMBERED, SETTLED, skeleton_of
from app.motion import as_observed
from app.sides import PAUSE
from app.smooth import OneEuro, interpolate, nan_median, stretches
from app.world import WINDOW, evidence, world_matrix
from core.geometry import rays
from core.records import Motion
from core.skeletons import convert
from lifters.none import NoLifter

WINDOWED = 20_000  # poses in the lifting windows that are made at once


def reconstruct_causal(observations, info, camera, lifter, skeleton2d, *, smooth=True, height=None):
    """The Motion of an iterable of Observations by the live rules: every frame from the frames before it, nothing joined, nothing filled.

    Its joints and roots up to a frame are those of the video cut there. `world_from_camera` is the one known at the end; `Motion.world_at`
    gives the one that was known at a frame. Raises InputError where the lifter cannot read the 2D skeleton.
    """
    skeleton = skeleton_of(lifter, skeleton2d)
    seen, (frames, _) = as_observed(observations)
    tracks, closed = {}, []
    for track in seen:
        points, trust = convert(track.points, track.scores, skeleton2d, skeleton)
        plane, joints, root = rays(points, camera), np.empty((len(track), len(skeleton), 3)), np.empty((len(track), 3))
        for rows in stretches(track.times, PAUSE):
            lifted, doubt = _lift(track, rows, info, camera, lifter, skeleton2d)
            weights = np.nan_to_num(trust[rows]) ** 2 / doubt
            joints[rows], root[rows] = _place(lifted, track.times[rows], plane[rows], weights, track.root[rows, 2], skeleton, smooth, height)
            closed += [(int(track.frames[rows[i]]), track.id, window)
                       for i, window in _windows_closed(joints[rows], root[rows], track.times[rows], trust[rows], skeleton)]
        tracks[track.id] = replace(track, joints3d=joints, root=root)
    worlds = _worlds(closed, tracks.values(), frames)
    history = (np.array([frame for frame, _ in worlds]), np.stack([world for _, world in worlds])) if len(frames) else None
    return Motion(info, camera, worlds[-1][1], skeleton2d, skeleton, dict(sorted(tracks.items())), history)


def _lift(track, rows, info, camera, lifter, skeleton2d):
    """Joints (T, J, 3) of one stretch as they come from the lifter or the pose network, and how much less their weights are for being unsure."""
    if isinstance(lifter, NoLifter):
        relative = track.joints3d[rows]
        return (relative - relative[:, [skeleton2d.root]]).astype(np.float64), 1.0
    points, scores = convert(track.points[rows], track.scores[rows], skeleton2d, lifter.skeleton_in)
    known = np.isfinite(points).all(-1) & (scores > 0)
    poses = np.concatenate([np.where(known[..., None], points, np.nan), np.where(known, scores, 0)[..., None]], -1)
    lifted = [lifter(windows, [camera] * len(windows)) for windows in _windows(poses, track.times[rows], lifter, float(info.fps))]
    joints = np.concatenate([part.joints for part in lifted]).astype(np.float64)
    return joints, 1.0 if lifted[0].sigma is None else 1 + (np.concatenate([part.sigma for part in lifted]) / UNSURE) ** 2


def _windows(poses, times, lifter, fps):
    """What the lifter reads at each frame (N, R, J, 3), some frames at a time: the past at even steps, at the rate of the latest frames."""
    steps = nan_median(np.lib.stride_tricks.sliding_window_view(np.append(np.full(RECENT, np.nan), np.diff(times)), RECENT))
    steps[0] = 1 / fps
    steps = 1 / np.clip(1 / steps, *getattr(lifter, "fps_range", (0, np.inf)))
    field = lifter.receptive_field
    past = field if lifter.causal else field // 2 + 1
    for part in np.array_split(np.arange(len(times)), -(-len(times) * field // WINDOWED)):
        at = times[part, None] - steps[part, None] * np.arange(past)[::-1]
        seen = interpolate(at.ravel(), times, poses).reshape(*at.shape, *poses.shape[1:])
        yield np.concatenate([seen, np.repeat(seen[:, -1:], field - past, 1)], 1).astype(np.float32)


def _place(joints, times, plane, weights, given, skeleton, smooth, height):
    """Joints (T, J, 3) with the body's bones, and the root (T, 3), both filtered; NaN where unknown. `given` (T,) m is the pose network's depth."""
    whole = np.isfinite(joints).all((1, 2))
    known = joints[whole] if not smooth else _filtered(OneEuro(**JOINTS), times[whole], joints[whole])
    known = with_bones(known, skeleton, _running_mean(_lengths(known, skeleton)))
    if height is not None and len(known):
        known = known * _running_mean(np.array([height / stature(pose[None], skeleton) for pose in known]))[:, None, None]
    joints = np.full_like(joints, np.nan)
    joints[whole] = known
    root, sure = fit_root(joints, plane, weights)
    depth = np.where(given > 0, given, np.where(sure > 0, root[:, 2], np.nan))
    depth = np.exp(_filtered(OneEuro(**DEPTH), times, np.log(depth)[:, None]))[:, 0] if smooth else depth
    root = lateral(joints, plane, weights, depth)
    return joints, np.column_stack([_filtered(OneEuro(**LATERAL), times, root[:, :2]), depth]) if smooth else root


def _filtered(low_pass, times, values):
    return np.array([low_pass(time, value) for time, value in zip(times.tolist(), values, strict=True)]).reshape(values.shape)


def _lengths(joints, skeleton):
    """The bone of each joint to its parent (T, J) m, the same left and right, 0 at the root."""
    parent, child = np.array(skeleton.bones).T
    lengths = np.zeros(joints.shape[:2])
    lengths[:, child] = np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1)
    return (lengths + lengths[:, list(skeleton.mirror)]) / 2


def _running_mean(values):
    """The mean of values (T, ...) up to each frame; after SETTLED of them each new one counts 1 / SETTLED."""
    first, rest = values[:SETTLED], values[SETTLED:]
    mean = np.cumsum(first, 0) / np.arange(1, len(first) + 1).reshape(-1, *[1] * (values.ndim - 1))
    if not len(rest):
        return mean
    keep = 1 - 1 / SETTLED
    return np.concatenate([mean, lfilter([1 - keep], [1, -keep], rest, axis=0, zi=keep * mean[-1:])[0]])


def _windows_closed(joints, root, times, trust, skeleton):
    """(row at which it closes, Evidence) of the windows of one stretch; the first frame is one of its own, the last window stays open."""
    rows = np.flatnonzero(np.isfinite(joints).all((1, 2)) & np.isfinite(root).all(1))
    windows = np.split(rows, np.flatnonzero(np.diff(np.floor(times[rows] / WINDOW))) + 1)
    closing = [(rows[0], rows[:1])] if len(rows) else []
    closing += [(after[0], window) for window, after in zip(windows[:-1], windows[1:], strict=True)]
    return [(row, found) for row, used in closing for found in evidence(joints[used], root[used], times[used], trust[used], skeleton)]


def _worlds(closed, tracks, frames):
    """[(frame, world_from_camera known from there on)], the first for the first of all `frames`."""
    remembered, centre = deque(maxlen=REMEMBERED), _centre(tracks)
    worlds = [(int(frames[0]) if len(frames) else 0, world_matrix([], np.zeros(3)))]
    for frame, windows in groupby(sorted(closed, key=lambda window: window[:2]), key=lambda window: window[0]):
        remembered.extend(found for _, _, found in windows)
        worlds.append((frame, world_matrix(list(remembered), centre)))
    return worlds[1:] if len(worlds) > 1 and worlds[1][0] == worlds[0][0] else worlds


def _centre(tracks):
    """The middle (3,) of the people in the first frame in which somebody's place is known."""
    places = [(int(track.frames[row]), track.root[row]) for track in tracks for row in np.flatnonzero(np.isfinite(track.root).all(1))[:1]]
    first = min((frame for frame, _ in places), default=None)
    return np.mean([place for frame, place in places if frame == first], 0) if places else None
