"""What a public network adds to the labels: joints that nobody marked, and doubt about marks that look wrong."""

import sys

import numpy as np

from core.geometry import crop_matrix
from core.skeletons import BODY21, COCO17
from training.pose_teachers import SCALE, SIZE

SURE = 0.4  # peak of the teacher's heat map from which it is believed
TRUST = 0.6  # weight of the teacher's joint where there is no label
DOUBT = 0.3  # weight of a label that the teacher contradicts
FAR = 0.25  # of the box's longer side


def upright(joints):
    """The angle that turns the trunk of joints (21, 3) upright on the screen, 0 where it is not known or nearly so (30 degrees)."""
    hips, shoulders = (joints[BODY21.indices(f"left_{part}", f"right_{part}")] for part in ("hip", "shoulder"))
    if min(hips[:, 2].min(), shoulders[:, 2].min()) <= 0:
        return 0.0
    x, y = (shoulders - hips)[:, :2].mean(0)
    tilt = np.arctan2(x, -y)
    return -tilt if abs(tilt) > np.radians(30) else 0.0


def ask(people, teacher):
    """The teacher's points (N, 17, 2) px and scores (N, 17) of everybody, turned upright where the labels say how."""
    points, scores = [], []
    for i, (image, box, joints) in enumerate(zip(people.images, people.boxes, people.joints, strict=True)):
        found, sure = teacher.look(image, crop_matrix(box, SIZE, SCALE, upright(joints)))
        points.append(found)
        scores.append(sure)
        if i % 1000 == 999:
            print(f"asked the teacher about {i + 1} of {len(people)} people", file=sys.stderr, flush=True)
    return np.array(points, np.float32), np.array(scores, np.float32)


def complete(joints, boxes, points, scores):
    """Joints (N, 21, 3) with the teacher's where there was no label, and labels far from a sure teacher weighed down.

    The joints beyond COCO's 17 stay; the teacher does not know them.
    """
    joints, count = joints.copy(), len(COCO17)
    unknown, sure = joints[:, :count, 2] == 0, scores > SURE
    side = (boxes[:, 2:] - boxes[:, :2]).max(1)[:, None]
    away = np.linalg.norm(joints[:, :count, :2] - points, axis=2) > FAR * side
    weight = np.where(unknown, np.where(sure, TRUST * np.clip(scores, 0, 1), 0), np.where(away & (scores > 0.6), DOUBT, 1) * joints[:, :count, 2])
    joints[:, :count, :2] = np.where((unknown & sure)[..., None], points, joints[:, :count, :2])
    joints[:, :count, 2] = weight
    return joints
