"""3D of one picture from joints and how far each is behind the pelvis: the distance at which the bones have the lengths of a grown-up."""

import numpy as np

from core.geometry import rays
from core.skeletons import BODY21

BONES = {"nose": 0.235, "left_eye": 0.05, "right_eye": 0.05, "left_ear": 0.097, "right_ear": 0.097, "left_shoulder": 0.179, "right_shoulder": 0.179,
         "left_elbow": 0.288, "right_elbow": 0.288, "left_wrist": 0.272, "right_wrist": 0.272, "left_hip": 0.089, "right_hip": 0.089,
         "left_knee": 0.4, "right_knee": 0.4, "left_ankle": 0.432, "right_ankle": 0.432, "spine": 0.222, "thorax": 0.244,
         "head_top": 0.156}  # m, mean of recorded bodies of 1.74 m, each bone named by where it ends
NEAR, FAR = 0.1, 300.0  # m: distances that are thought of
LEAST = 3  # bones that tell a distance
SURE = 0.2  # score of a joint whose bones are measured


def relative(points, scores, depth, camera):
    """Joints (N, 21, 3) m around the pelvis in camera axes, of points (N, 21, 2) px with scores (N, 21), and depth (N, 21) m behind the pelvis.

    The pelvis' distance is the one at which the bones between joints of some score are together as long as in BONES: with it every joint lies on
    its ray. NaN for people of whom too little is seen.
    """
    plane = np.nan_to_num(rays(points, camera))
    ends, starts = np.array([i for i, p in enumerate(BODY21.parents) if p >= 0]), np.array([p for p in BODY21.parents if p >= 0])
    sure = (np.minimum(scores[:, ends], scores[:, starts]) > SURE) & np.isfinite(depth[:, ends] + depth[:, starts])
    wanted = (sure * [BONES[BODY21.joints[i]] for i in ends]).sum(1)
    depth = np.nan_to_num(depth)

    def placed(root):
        far = root[:, None] + depth
        return np.concatenate([plane * far[..., None], far[..., None]], -1)

    low, high = np.full(len(points), np.log(NEAR)), np.full(len(points), np.log(FAR))
    for _ in range(30):  # bones grow with distance
        middle = (low + high) / 2
        joints = placed(np.exp(middle))
        long = (np.linalg.norm(joints[:, ends] - joints[:, starts], axis=2) * sure).sum(1) > wanted
        low, high = np.where(long, low, middle), np.where(long, middle, high)
    joints = placed(np.exp(low))
    joints = joints - joints[:, [BODY21.root]]
    return np.where((sure.sum(1) >= LEAST)[:, None, None], joints, np.nan).astype(np.float32)
