"""Average precision of person boxes: `python -m training.evaluate detector --weights FILE|rtmdet-nano|yolox-nano --data ../shared/data`.

COCO's definition (mean over IoU .50 ... .95 of the precision at 101 recalls, 100 boxes a picture) on pictures in which everybody has a box; what
matches an ignore box does not count.
"""

import argparse
import json
import pathlib

import numpy as np

from core.files import save_arrays
from core.geometry import coverage, iou
from detectors import centernet
from training.box_teachers import TEACHERS
from training.datasets import boxes as data

IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)


def verdicts(found, truth, ignore, threshold):
    """For boxes (N, 4), best first: 1 where a person is found, 0 where none is, -1 where an ignore box is met (N,)."""
    overlap = iou(found, truth)
    covered = coverage(found, ignore).max(1, initial=0) >= threshold - 1e-9
    verdict = np.where(covered, -1, 0)
    for i in range(len(found)):
        best = int(overlap[i].argmax()) if len(truth) else -1
        if best >= 0 and overlap[i, best] >= threshold - 1e-9:
            overlap[:, best], verdict[i] = -1, 1
    return verdict


def average_precision(people, detections, threshold):
    """AP (0..1) at one IoU of detections [(boxes, scores)] against people [(boxes, ignore)], a pair for each picture."""
    verdict, score = [], []
    for (truth, ignore), (boxes, scores) in zip(people, detections, strict=True):
        order = np.argsort(-scores, kind="stable")[:100]
        verdict.append(verdicts(boxes[order], truth, ignore, threshold))
        score.append(scores[order])
    verdict = np.concatenate(verdict)[np.argsort(-np.concatenate(score), kind="stable")]
    hits, number = (verdict == 1).cumsum()[verdict >= 0], (verdict >= 0).sum()
    if not number:
        return 0.0
    precision = np.maximum.accumulate((hits / np.arange(1, number + 1))[::-1])[::-1]
    recall = hits / max(1, sum(len(truth) for truth, _ in people))
    return float(np.append(precision, 0)[np.searchsorted(recall, RECALLS)].mean())


def score(people, detections):
    """{"person_boxes.ap50", "person_boxes.ap"} in percent."""
    each = [100 * average_precision(people, detections, threshold) for threshold in IOUS]
    return {"person_boxes.ap50": each[0], "person_boxes.ap": float(np.mean(each))}


def measure(detector, photographs):
    """The scores of a detector (RGB pictures -> Detections) and its detections [(boxes, scores)]."""
    detections = []
    for photograph in photographs:
        found = detector([np.ascontiguousarray(data.decode(photograph))])[0]
        detections.append((found.boxes, found.scores))
    return score([(p.boxes, p.ignore) for p in photographs], detections), detections


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.evaluate detector", description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="detector-centernet", help=f"file or name, or a teacher: {', '.join(TEACHERS)}")
    parser.add_argument("--teachers", type=pathlib.Path, default=pathlib.Path("../shared/weights"), help="folder of the teachers' files")
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    parser.add_argument("--size", type=int, nargs="+", default=[None], help="longer side of the network's input, px; several give a line each")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--detections", type=pathlib.Path, help="write the boxes as npz (image, boxes, scores)")
    options = parser.parse_args(argv)
    photographs = data.load(options.data / "person_boxes", "val")
    for size in options.size:
        result, detections = measure(_detector(options, size), photographs)
        print(f"{options.weights}  size {size or 'own'}  " + "  ".join(f"{name} {value:.1f}" for name, value in result.items()), flush=True)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    if options.detections:
        rows = data.rows(options.data / "person_boxes", "val")
        save_arrays(options.detections, image=np.repeat(rows, [len(b) for b, _ in detections]),
                    boxes=np.concatenate([b for b, _ in detections]), scores=np.concatenate([s for _, s in detections]))


def _detector(options, size):
    """The detector to measure, all its low scores kept: AP wants the whole curve."""
    if options.weights in TEACHERS:
        file, build = TEACHERS[options.weights]
        return build(options.teachers / file)
    return centernet.build(options.weights, threshold=0.001, **({"size": size} if size else {}))
