"""Scores that mean what they say: the share of boxes of that score that hold a person (IoU 0.5), by Platt scaling of the trained network."""

import numpy as np
import torch

from core.networks import fuse
from core.runtime import runnable
from detectors.centernet import CentreNet, CentreNetDetector
from training.datasets import boxes as data
from training.evaluation.detector import verdicts


def calibrate(model, photographs, size=512, least=0.05):
    """Change the last layer of the score heads of a CentreNet, in place, so that scores on labelled photographs are probabilities; (slope, shift).

    Platt, "Probabilistic outputs for support vector machines", 1999: logit' = slope * logit + shift. The order of the boxes stays as it was.
    """
    copy = CentreNet()
    copy.load_state_dict(model.state_dict())
    detector = CentreNetDetector(runnable(fuse(copy), torch.device("cpu")), [size], least, 0.5)
    scores, hits = zip(*(_seen(detector, photograph) for photograph in photographs), strict=True)
    slope, shift = platt(np.concatenate(scores), np.concatenate(hits))
    with torch.no_grad():
        for head in model.score:
            head[-1].weight.mul_(slope)
            head[-1].bias.mul_(slope).add_(shift)
    return slope, shift


def _seen(detector, photograph):
    """Scores of the boxes in a photograph and whether each holds a person; those in ignore boxes are left out."""
    found = detector([data.decode(photograph)])[0]
    verdict = verdicts(found.boxes, photograph.boxes, photograph.ignore, 0.5)
    return found.scores[verdict >= 0], verdict[verdict >= 0]


def platt(scores, hits, steps=30):
    """(slope, shift) of the logistic regression of hits (N,) 0/1 on the logits of scores (N,), by Newton's method."""
    logits = np.log(scores) - np.log1p(-scores.astype(np.float64))
    x, weights = np.stack([logits, np.ones_like(logits)], 1), np.array([1.0, 0.0])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-x @ weights))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(2)
        weights = weights + np.linalg.solve(hessian, x.T @ (hits - p))
    return tuple(float(w) for w in weights)
