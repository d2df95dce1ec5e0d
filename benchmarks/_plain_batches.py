"""Batches put together sample by sample, the plain way: what `training/datasets/windows.py` is compared with, in its numbers and its speed."""

import numpy as np


def plain_batches(clips, batch, stride=1, pad=0, shift=0, shuffle=True, mirrors=None, seed=1234):
    """One epoch of (points (B, W, J, D), joints (B, S, K, 3)) float64 arrays: every window cut, padded and mirrored by itself."""
    chunks = []
    for number, clip in enumerate(clips):
        count = (len(clip) + stride - 1) // stride
        offset = (count * stride - len(clip)) // 2
        starts = [k * stride - offset for k in range(count)]
        chunks += [(number, start, False) for start in starts] + [(number, start, True) for start in starts if mirrors]
    order = np.random.RandomState(seed).permutation(len(chunks)) if shuffle else range(len(chunks))  # noqa: NPY002
    for at in range(0, len(chunks), batch):
        rows = [chunks[i] for i in order[at: at + batch]]
        points, joints = [], []
        for number, start, flip in rows:
            clip = clips[number]
            window = plain_cut(clip.points, start - pad - shift, start + stride + pad - shift)
            target = plain_cut(clip.joints, start, start + stride)
            if flip:
                window, target = plain_mirror(window, mirrors.points), plain_mirror(target, mirrors.joints)
            points.append(window)
            joints.append(target)
        yield np.array(points, np.float64), np.array(joints, np.float64)


def plain_cut(frames, first, end):
    """Frames [first, end) of (T, J, D), the ends repeated."""
    low, high = max(first, 0), min(end, len(frames))
    inside = frames[low:high]
    if low != first or high != end:
        return np.pad(inside, ((low - first, end - high), (0, 0), (0, 0)), "edge")
    return inside


def plain_mirror(frames, partner):
    mirrored = frames[:, list(partner)].copy()
    mirrored[..., 0] *= -1
    return mirrored
