"""How good 2D joints are: `python -m training.evaluate pose --weights pose-body21 --data ../shared/data [--json FILE]`.

lspet.pck02: share of the marked limb joints within 0.2 torso lengths; _head_down: people whose trunk points up from the shoulders, by at most
45 degrees from the vertical.
coco_people.oks: mean object keypoint similarity (COCO's sigmas, area 0.53 of the box); pck01: shoulders to ankles within 0.1 of the box's longer
side; _hidden: joints that are marked as occluded; ece: expected calibration error of the scores for "within 0.1", 10 bins. Val splits, true boxes,
or with --cut boxes that leave a part of everybody out, as a detector's sometimes do. Both sets' labels number the pixels from 0: they are read as
the centres of these, at + 0.5.
"""

import argparse
import json
import pathlib

import numpy as np

from core.records import Camera
from core.skeletons import COCO_SIGMAS
from poses import body21
from training import pose_teachers
from training.datasets import coco_people, lspet
from training.datasets.people import read

LIMBS = slice(0, 12)  # of LSP: without neck and head top
BODY = slice(5, 17)  # of COCO: without the face


def predict(estimator, rows, chunk=64):
    """Points (N, J, 2) and scores (N, J) of (file, box) pairs, a chunk of pictures at a time."""
    points, scores = [], []
    for start in range(0, len(rows), chunk):
        images = [read(file) for file, _ in rows[start : start + chunk]]
        cameras = [Camera.from_fov(image.shape[1], image.shape[0]) for image in images]
        found = estimator(images, [box[None] for _, box in rows[start : start + chunk]], cameras)
        points += [poses.points for poses in found]
        scores += [poses.scores for poses in found]
    return np.concatenate(points).astype(float), np.concatenate(scores).astype(float)


def torso(joints):
    """Left shoulder to right hip of LSP joints (N, 14, 3), or the other diagonal, NaN where neither is marked: (N,)."""
    marked = joints[..., 2] > 0
    first, second = (np.linalg.norm(joints[:, a, :2] - joints[:, b, :2], axis=1) for a, b in ((9, 2), (8, 3)))
    return np.where(marked[:, 9] & marked[:, 2], first, np.where(marked[:, 8] & marked[:, 3], second, np.nan))


def head_down(joints):
    """Whose hips (middle) are above the shoulders (middle) by more than 45 degrees: (N,) bool; all four must be marked."""
    shoulders, hips = joints[:, [8, 9], :2].mean(1), joints[:, [2, 3], :2].mean(1)
    trunk = hips - shoulders
    return (joints[:, [2, 3, 8, 9], 2] > 0).all(1) & (-trunk[:, 1] > np.abs(trunk[:, 0]))


def score_lspet(points, joints):
    """PCK@0.2 of LSP-ordered points (N, 14, 2) against joints (N, 14, 3), in per cent."""
    reference = torso(joints)
    with np.errstate(invalid="ignore"):
        hit = np.linalg.norm(points - joints[..., :2], axis=2) <= 0.2 * reference[:, None]
    counted = (joints[..., 2] > 0) & np.isfinite(reference)[:, None]
    down = head_down(joints)
    share = lambda rows: 100 * hit[rows, LIMBS][counted[rows, LIMBS]].mean()  # noqa: E731
    return {"lspet.pck02": share(slice(None)), "lspet.pck02_head_down": share(down), "lspet.people_head_down": int(down.sum())}


def score_coco(points, scores, keypoints, boxes):
    """OKS, PCK@0.1 and calibration of COCO-ordered points (N, 17, 2), scores (N, 17) against keypoints (N, 17, 3) in boxes (N, 4)."""
    size = boxes[:, 2:] - boxes[:, :2]
    distance = np.linalg.norm(points - keypoints[..., :2], axis=2)
    marked, hidden = keypoints[..., 2] > 0, keypoints[..., 2] == 1
    similarity = np.exp(-(distance**2) / (2 * 0.53 * size.prod(1)[:, None] * (2 * COCO_SIGMAS) ** 2))
    hit = distance <= 0.1 * size.max(1)[:, None]
    oks = (similarity * marked).sum(1) / marked.sum(1)
    return {"coco_people.oks": oks.mean(), "coco_people.pck01": 100 * hit[:, BODY][marked[:, BODY]].mean(),
            "coco_people.pck01_hidden": 100 * hit[:, BODY][hidden[:, BODY]].mean(), "coco_people.ece": calibration_error(scores[marked], hit[marked])}


def calibration_error(scores, hit, bins=10):
    """Expected calibration error: mean over the rows of |share of hits - mean score| of their score bin (Guo et al. 2017, eq. 5)."""
    which = np.clip((scores * bins).astype(int), 0, bins - 1)
    return float(sum(abs((hit[which == b] - scores[which == b]).sum()) for b in range(bins)) / max(len(scores), 1))


def shortened(boxes, share):
    """Boxes (N, 4) without a share of their height, at the bottom, or, where it is negative, at the top."""
    boxes = np.array(boxes, float)
    boxes[:, 3 if share > 0 else 1] -= share * (boxes[:, 3] - boxes[:, 1])
    return boxes


def evaluate(estimator, root, cut=0.0):
    """All figures of an estimator on the val splits of the data folder; of the boxes it gets, a share `cut` is missing."""
    skeleton, result = estimator.skeleton, {}
    number, files, boxes, joints = zip(*lspet.rows(root, "val"), strict=True)
    points, _ = predict(estimator, list(zip(files, shortened(boxes, cut), strict=True)))
    wanted = [skeleton.joints.index(j) if j in skeleton.joints else None for j in lspet.JOINTS]
    placed = np.stack([points[:, i] if i is not None else np.full_like(points[:, 0], np.nan) for i in wanted], 1)
    result |= score_lspet(placed, np.array(joints, float))
    number, files, boxes, keypoints = zip(*coco_people.rows(root, "val"), strict=True)
    points, scores = predict(estimator, list(zip(files, shortened(boxes, cut), strict=True)))
    return result | score_coco(points[:, :17], scores[:, :17], np.array(keypoints, float), np.array(boxes, float))


def estimator_of(options):
    if options.weights in pose_teachers.FILES:
        return pose_teachers.build(options.weights, options.teachers, options.flip)
    return body21.build(options.weights, options.flip, options.upright, widen=options.widen, device=options.device)


def main(argv=None):
    parser = argparse.ArgumentParser("python -m training.evaluate pose", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="pose-body21", help=f"weights file or name, or a teacher: {', '.join(pose_teachers.FILES)}")
    parser.add_argument("--data", type=pathlib.Path, default="../shared/data")
    parser.add_argument("--teachers", default="../shared/weights", help="folder of the public weights")
    parser.add_argument("--flip", action="store_true", help="average with the mirror image")
    parser.add_argument("--upright", action="store_true", help="look at people who are hard to read in other rotations too")
    parser.add_argument("--widen", action="store_true", help="look again, wider, at people of whom joints seem to be outside their box, as in videos")
    parser.add_argument("--cut", type=float, default=0.0, help="share of the height that the boxes leave out at the bottom, or, below 0, at the top")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args(argv)
    result = evaluate(estimator_of(options), options.data, options.cut)
    for name, value in result.items():
        print(f"{name:28s} {value:.3f}" if isinstance(value, float) and value < 1 else f"{name:28s} {value:.1f}")
    if options.json:
        options.json.write_text(json.dumps({name: float(value) for name, value in result.items()}, indent=1))
