"""From a trained pose network to its weights file: fused, calibrated on held-out training people, with all that inference needs in the header."""

import copy

import numpy as np
from scipy.optimize import minimize

import weights
from core.networks import fuse
from core.runtime import runnable
from core.skeletons import BODY21
from poses.body21 import REACH, Body21, calibrated
from training.datasets.people import decoded

SCALE = 1.2  # a little closer than in training (1.25 on average): measured to be better on held-out training people
BLOCK, EVERY = 20, 25  # of every 25 blocks of 20 neighbours (who may share a photograph) one is held out


def held_out(count):
    """Which of `count` people are kept from training for calibration: (count,) bool."""
    return np.arange(count) // BLOCK % EVERY == 0


def fit(mass, hit):
    """Slope and offset of `calibrated` by maximum likelihood (Platt 1999)."""
    def loss(values):
        p = np.clip(calibrated(mass, *values), 1e-6, 1 - 1e-6)
        return -np.where(hit, np.log(p), np.log(1 - p)).mean()
    return minimize(loss, (1.0, 0.0), method="Nelder-Mead").x


def look(estimator, people):
    """Uncalibrated scores of the labelled joints of all people, and which of them are right: two flat arrays."""
    scores, hits = [], []
    for start in range(0, len(people), 64):
        part = people[start : start + 64]
        found = estimator([decoded(image) for image in part.images], [box[None] for box in part.boxes])
        points, sure = (np.concatenate([getattr(poses, name) for poses in found]) for name in ("points", "scores"))
        side = (part.boxes[:, 2:] - part.boxes[:, :2]).max(1)[:, None]
        known = part.joints[..., 2] >= 1
        scores.append(sure[known])
        hits.append((np.linalg.norm(points - part.joints[..., :2], axis=2) <= REACH * side)[known])
    return np.concatenate(scores), np.concatenate(hits)


def release(model, people, path, size, device, **header):
    """Write the weights of `model` for crops of `size` (width, height); returns the share of right joints on the held-out `people`."""
    model = fuse(copy.deepcopy(model))
    deep = str(model.head.out_channels > len(BODY21)).lower()
    fields = {"network": "PoseNet", "skeleton": "body21", "size": f"{size[0]}x{size[1]}", "scale": SCALE, "depth": deep, "calibration": "1,0"}
    scores, hit = look(Body21(runnable(model, device), fields, rivals=False), people)
    slope, offset = fit(scores, hit)
    fields |= {"calibration": f"{slope:.4f},{offset:.4f}"} | header
    weights.save(path, model.state_dict(), fields)
    return hit.mean()
