"""Score lifters on held-back motion: `python -m training.evaluate lifter --weights lifter-tcn81 --data ../shared/data --json FILE`.

Random windows of the val clips under random cameras (24 to 60 frames a second, field of view 30 to 90 degrees), through the lifter's public
door. Errors in mm over the 20 joints around the pelvis: `mocap` from exact 2D, `mocap_noisy` through the error model of a pose network,
`mocap_causal` and `mocap_causal_noisy` the causal lifter on the same frames. `sigma` is the mean expected error beside the mean error.
`--semgcn FILE` puts the public single-frame lifter SemGCN beside them: PA-MPJPE over the 16 joints that both give (`pa16_mm`).
"""

import argparse
import json
import pathlib

import numpy as np
import torch

from core import geometry
from core.records import Camera
from core.skeletons import BODY21
from lifters import tcn
from training.datasets import faults, mocap
from training.datasets.views import Sampler
from training.evaluation._semgcn import TO16, SemGcn

FILES = ("cmu2", "hdm05")
BATCH = 512
SIZE = 1920  # px of the picture's longer side


def windows(motion, field, causal, noisy, count, seed):
    """Windows (N, R, 21, 3) in px, their cameras, truth (N, 21, 3) m. Centred and causal windows of a seed end and centre on the same frames."""
    draw = Sampler(motion, field, causal, seed)
    views = draw.views(count, vary=False)
    plane, scores = views.plane, views.plane.isfinite().all(-1).float()
    if noisy:
        plane, scores = faults.observe(views, draw)
    cameras = [_camera(half) for half in views.frame.double().numpy()]
    focal = torch.tensor([camera.fx for camera in cameras])[:, None, None, None]
    centre = torch.tensor([(camera.cx, camera.cy) for camera in cameras])[:, None, None]
    points = torch.cat([plane * focal + centre, scores[..., None]], -1)
    return points.numpy().astype(np.float32), cameras, views.truth.numpy()


def _camera(half):
    """The camera whose picture has these half sides on the unit plane."""
    focal = SIZE / 2 / half.max()
    width, height = (int(round(2 * focal * side)) for side in half)
    return Camera(width, height, focal, focal, width / 2, height / 2)


def score(lifter, motion, noisy, count, seed):
    """{mpjpe_mm, pa_mpjpe_mm, pa16_mm, sigma_mm} of a lifter."""
    errors, aligned, shared, sigmas = [], [], [], []
    body = np.arange(len(BODY21)) != BODY21.root
    for part in range(0, count, BATCH):
        x, cameras, truth = windows(motion, lifter.receptive_field, lifter.causal, noisy, min(BATCH, count - part), seed + part)
        lifted = lifter(x, cameras)
        errors.append(_distance(lifted.joints, truth)[:, body])
        aligned.append(_distance(geometry.procrustes(lifted.joints, truth), truth)[:, body])
        shared.append(_distance(geometry.procrustes(TO16 @ lifted.joints, TO16 @ truth), TO16 @ truth))
        sigmas.append(lifted.sigma[:, body])
    return _means(mpjpe_mm=errors, pa_mpjpe_mm=aligned, pa16_mm=shared, sigma_mm=sigmas)


def score_semgcn(path, motion, count, seed):
    """{pa16_mm} of SemGCN on the frames of the exact windows."""
    lifter, aligned = SemGcn(path), []
    for part in range(0, count, BATCH):
        views = Sampler(motion, 1, False, seed + part).views(min(BATCH, count - part), vary=False)
        joints, turn = lifter.lift(views.plane[:, 0], views.plane[:, 0].isfinite().all(-1).float())
        truth = TO16 @ (views.truth @ turn.transpose(1, 2)).numpy()
        aligned.append(_distance(geometry.procrustes(joints.numpy(), truth), truth))
    return _means(pa16_mm=aligned)


def _distance(a, b):
    return np.linalg.norm(a - b, axis=-1)


def _means(**values):
    return {name: round(float(np.concatenate(parts).mean() * 1000), 2) for name, parts in values.items()}


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.evaluate lifter", description=__doc__)
    parser.add_argument("--weights", default="lifter-tcn81")
    parser.add_argument("--causal", default="lifter-tcn27-causal", help="weights of the causal lifter, '' for none")
    parser.add_argument("--data", default="../shared/data", help="folder with cmu2.npz and hdm05.npz")
    parser.add_argument("--count", type=int, default=4096, help="windows")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-flip", action="store_true", help="without averaging over the mirror image")
    parser.add_argument("--semgcn", help="file of SemGCN's weights, to compare with")
    parser.add_argument("--json", help="write the figures to this file")
    options = parser.parse_args(argv)
    motion = mocap.load(options.data, FILES, "val")
    made = {"": tcn.build(options.weights, flip=not options.no_flip)}
    if options.causal:
        made["_causal"] = tcn.build(options.causal, flip=not options.no_flip)
    found = {f"mocap{name}{'_noisy' if noisy else ''}": score(lifter, motion, noisy, options.count, options.seed)
             for name, lifter in made.items() for noisy in (False, True)}
    if options.semgcn:
        found["mocap_semgcn"] = score_semgcn(options.semgcn, motion, options.count, options.seed)
    for name, values in found.items():
        print(f"{name:20}" + "  ".join(f"{key} {value:7.2f}" for key, value in values.items()))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(found, indent=2))
