"""The array that VideoPose3D's --viz-export writes: one person's Human3.6M joints in camera axes."""

import numpy as np

from core.skeletons import H36M17, convert


def write(motion, path):
    """Write (T, 17, 3) float32 m of the longest track (the first of equals), all of its frames; (0, 17, 3) when there is nobody.

    The root position is added where it is known, else the joints are relative to the root.
    """
    tracks = list(motion.tracks.values())
    joints = np.zeros((0, len(motion.skeleton3d), 3), np.float32)
    if tracks:
        track = max(tracks, key=len)
        joints = track.joints3d + np.where(np.isfinite(track.root).all(), track.root, 0)[:, None]
    if motion.skeleton3d != H36M17:
        joints, _ = convert(joints, np.ones(joints.shape[:2], np.float32), motion.skeleton3d, H36M17)
    with path.open("wb") as file:
        np.save(file, joints.astype(np.float32), allow_pickle=False)
