"""How well the roots of people are placed in space: MRPE and AP of the root, as RootNet's authors measure them."""

import numpy as np

from core.skeletons import MUPOTS17

WITHIN = 0.25  # m
FARTHEST = 9.999  # m: nobody farther off is looked at


def mrpe(predicted, truth):
    """{MRPE, x, y, z: mm} of roots (N, 3) m: the mean distance, and the mean error along each axis. Moon et al., ICCV 2019, section 8."""
    error = np.abs(predicted - truth) * 1000
    return {"MRPE": float(np.linalg.norm(error, axis=1).mean())} | dict(zip("xyz", error.mean(0).tolist(), strict=True))


def ap_root(found, annotations, within=WITHIN):
    """AP of the root in percent: `found` [{image_id, root_cam mm, score}], `annotations` those of MuPoTS-3D.json.

    By falling score a root is right where the nearest valid person is nearer than `within` m and not taken yet. Pictures without valid people do not
    count. The area before the first root's recall is left out, as published.
    """
    people, taken, precision, recall, right = {}, set(), [], [], 0
    for each in annotations:
        if each["is_valid"] == 1:
            people.setdefault(each["image_id"], []).append(np.array(each["keypoints_cam"][MUPOTS17.root]) / 1000)
    total = sum(len(roots) for roots in people.values())
    for row in sorted(found, key=lambda row: -row["score"]):
        if row["image_id"] not in people:
            continue
        gap = np.linalg.norm(np.array(people[row["image_id"]]) - np.reshape(row["root_cam"], 3) / 1000, axis=1)
        key = (row["image_id"], int(gap.argmin()))
        hit = gap.min() < min(within, FARTHEST) and key not in taken
        taken |= {key} if hit else set()
        right += hit
        precision.append(right / (len(precision) + 1))
        recall.append(right / total)
    return 100 * float(np.sum(np.array(precision[1:]) * np.diff(recall))) if recall else 0.0


def median_share(predicted, truth):
    """The median error of roots (N, 3) as a share of their distance from the camera."""
    return float(np.median(np.linalg.norm(predicted - truth, axis=1) / np.linalg.norm(truth, axis=1)))
