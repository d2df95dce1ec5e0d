"""Joints in the picture: PCKh (Andriluka et al., CVPR 2014) and AP by object keypoint similarity (COCO, by pycocotools)."""

import contextlib
import io

import numpy as np

from core.errors import InputError
from core.skeletons import COCO17, MPII16

HEAD = MPII16.indices("neck", "head")


def head_sizes(truth, visible):
    """The lengths (N,) px from upper neck to head top of MPII's 16 joints (N, 16, 2), NaN where one is not seen.

    They stand for the published size, 0.6 of the diagonal of the head's box, which 3DMPPE's files do not hold.
    """
    return np.where(visible[:, HEAD].all(1), np.linalg.norm(truth[:, HEAD[0], :2] - truth[:, HEAD[1], :2], axis=1), np.nan)


def pckh(found, truth, visible, size, within=0.5):
    """(percent over all joints, percent of each joint (J,)) of points (N, J, 2) px nearer than `within` of the head's size (N,); visible (N, J)."""
    counted = visible & (size > 0)[:, None]
    with np.errstate(invalid="ignore"):
        right = (np.linalg.norm(found[..., :2] - truth[..., :2], axis=2) <= within * size[:, None]) & counted
        each = 100 * right.sum(0) / counted.sum(0)
        return float(100 * right.sum() / counted.sum()), each


def oks_ap(path, rows, joints=COCO17.joints):
    """{AP, AP50, AP75, AR} in percent of a COCO keypoint file and rows [{image_id, points (17, 2) px, score}], over `joints` alone."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise InputError("OKS-AP needs pycocotools: pip install pycocotools (the training extra)") from error
    used = [COCO17.index(name) for name in joints if name in COCO17.joints]
    if not used or not rows:
        raise InputError(f"OKS-AP of {len(rows)} people and {len(used)} of COCO's joints: nothing to measure")
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        for each in truth.dataset["annotations"]:
            kept = np.array(each["keypoints"], float).reshape(17, 3)
            kept[np.setdiff1d(np.arange(17), used)] = 0
            each["keypoints"], each["num_keypoints"] = kept.ravel().tolist(), int((kept[:, 2] > 0).sum())
        found = truth.loadRes([{"image_id": row["image_id"], "category_id": 1, "score": float(row["score"]),
                                "keypoints": np.column_stack([row["points"], np.ones(17)]).ravel().tolist()} for row in rows])
        measure = COCOeval(truth, found, "keypoints")
        measure.evaluate()
        measure.accumulate()
        measure.summarize()
    return dict(zip(("AP", "AP50", "AP75"), (100 * measure.stats[:3]).tolist(), strict=True)) | {"AR": 100 * float(measure.stats[5])}
