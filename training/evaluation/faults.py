"""The error model of the lifters' training beside the pose network it stands for: `python -m training.evaluate faults --weights pose-body21`.

The network on coco_people val (true boxes, shoulders to ankles), the model on windows of held-back motion; both by the score that a joint was given:
share of the joints, and median and upper quartile of their error over the longer side of the person. Of the pairs that can be told apart: laid on
one, where one joint is nearer to the true joint of the other side; exchanged, where both are.
"""

import argparse
import json
import pathlib

import numpy as np

from core.skeletons import BODY21
from poses import body21
from training.datasets import coco_people, faults, mocap
from training.datasets.views import Sampler
from training.evaluation.lifter import FILES
from training.evaluation.pose import BODY, predict
from training.evaluation.scene import APART

BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95)


def seen(weights, root, device="auto"):
    """Errors (N, 12) over the size, whether sides are exchanged (N, 12; NaN where not to be told) and scores (N, 12) of the network; NaN: unknown."""
    _, files, boxes, truth = (list(column) for column in zip(*coco_people.rows(root, "val"), strict=True))
    points, scores = predict(body21.build(weights, widen=False, device=device), list(zip(files, boxes, strict=True)))
    truth, boxes = np.array(truth, float), np.array(boxes, float)
    known = np.where(truth[..., 2:] > 0, truth[..., :2], np.nan)
    return measured(points[:, :17], known, (boxes[:, 2:] - boxes[:, :2]).max(1), scores[:, :17])


def modelled(root, count=512, seed=5):
    """The same of the error model, in the frames that a centred lifter answers for."""
    draw = Sampler(mocap.load(root, FILES, "val"), 27, False, seed)
    views = draw.views(count, vary=False)
    points, scores = (x[:, draw.target].numpy() for x in faults.observe(views, draw))
    truth = views.plane[:, draw.target].numpy()
    size = (np.nanmax(truth, 1) - np.nanmin(truth, 1)).max(-1)
    found = np.where(scores[..., None] > 0, points, np.nan)
    return measured(found[:, :17], truth[:, :17], size, scores[:, :17])


def measured(points, truth, size, scores):
    """What `seen` gives, of points and truth (N, 17, 2), sizes (N,) and scores (N, 17)."""
    mirror, size = list(BODY21.mirror[:17]), size[:, None]
    miss, across, apart = (np.linalg.norm(a - b, axis=-1) / size for a, b in ((points, truth), (points, truth[:, mirror]), (truth, truth[:, mirror])))
    exchanged = np.where((apart > APART) & np.isfinite(miss), across < miss, np.nan)
    return miss[:, BODY], exchanged[:, BODY], scores[:, BODY]


def table(miss, exchanged, scores):
    """{score from which on: (share, median, upper quartile)} of the joints that were found, and the shares of pairs "laid on one" and "exchanged"."""
    known, pairs = np.isfinite(miss), exchanged.reshape(len(exchanged), -1, 2)
    wrong = pairs[np.isfinite(pairs).all(-1)].sum(-1)
    rows = {"laid on one": float(np.mean(wrong == 1)), "exchanged": float(np.mean(wrong == 2))}
    for low, high in zip(BINS, (*BINS[1:], np.inf), strict=True):
        inside = miss[known & (scores >= low) & (scores < high)]
        rows[str(low)] = (len(inside) / known.sum(), *(np.percentile(inside, [50, 75]) if len(inside) else (np.nan, np.nan)))
    return rows


def main(argv=None):
    parser = argparse.ArgumentParser("python -m training.evaluate faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="pose-body21")
    parser.add_argument("--data", type=pathlib.Path, default="../shared/data")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args(argv)
    found = {"network": table(*seen(options.weights, options.data, options.device)), "model": table(*modelled(options.data))}
    print("score       network: share  median  75%      model: share  median  75%")
    for low in map(str, BINS):
        print(f"from {low:5s}" + "   ".join("         {:6.3f}  {:6.3f} {:6.3f}".format(*rows[low]) for rows in found.values()))
    for kind in ("laid on one", "exchanged"):
        print(f"{kind:18} {found['network'][kind]:.3f}                         {found['model'][kind]:.3f}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
