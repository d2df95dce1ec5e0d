"""Score lifters on held-back motion: `python -m training.evaluate lifter --weights lifter-tcn81 --data ../shared/data --json FILE`.

Random windows of the val clips under random cameras (24 to 60 frames a second, field of view 30 to 90 degrees), through the lifter's public
door. Errors in mm over the 20 joints around the pelvis: `mocap` from exact 2D, `mocap_noisy` through the error model of a pose network,
`mocap_causal` and `mocap_causal_noisy` the causal lifter on the same frames. `sigma` is the mean expected error beside the mean error,
`knees_deg` how far knees are bent on average that truly are by less than 10 degrees. `--straight` opens everybody's knees by 30 degrees and elbows
by 25 first, as far as they go: of most who stand upright, motion capture has the knees bent by 15 degrees and more.
`--semgcn FILE` puts the public single-frame lifter SemGCN beside them: PA-MPJPE over the 16 joints that both give (`pa16_mm`).
"""

import argparse
import json
import pathlib
from dataclasses import replace

import numpy as np
import torch

from core import geometry
from core.records import Camera
from core.skeletons import BODY21
from lifters import tcn
from training.datasets import faults, mocap
from training.datasets.variety import HINGES, opened
from training.datasets.views import Sampler
from training.evaluation._semgcn import TO16, SemGcn

FILES = ("cmu2", "hdm05")
BATCH = 512
SIZE = 1920  # px of the picture's longer side
STRAIGHT = 10  # degrees


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
    """{mpjpe_mm, pa_mpjpe_mm, pa16_mm, sigma_mm, knees_deg} of a lifter."""
    errors, aligned, shared, sigmas, knees = [], [], [], [], []
    body = np.arange(len(BODY21)) != BODY21.root
    for part in range(0, count, BATCH):
        x, cameras, truth = windows(motion, lifter.receptive_field, lifter.causal, noisy, min(BATCH, count - part), seed + part)
        lifted = lifter(x, cameras)
        errors.append(_distance(lifted.joints, truth)[:, body])
        aligned.append(_distance(geometry.procrustes(lifted.joints, truth), truth)[:, body])
        shared.append(_distance(geometry.procrustes(TO16 @ lifted.joints, TO16 @ truth), TO16 @ truth))
        sigmas.append(lifted.sigma[:, body])
        knees.append(flexion(lifted.joints)[flexion(truth) < STRAIGHT])
    found = _means(mpjpe_mm=errors, pa_mpjpe_mm=aligned, pa16_mm=shared, sigma_mm=sigmas)
    knees = np.concatenate(knees)
    return found | ({"knees_deg": round(float(knees.mean()), 2)} if len(knees) else {})


def flexion(joints):
    """Degrees (N, 2) by which the left and the right knee of joints (N, 21, 3) are bent, 0 when straight."""
    hip, knee, ankle = (joints[:, BODY21.indices(f"left_{name}", f"right_{name}")] for name in ("hip", "knee", "ankle"))
    upper, lower = knee - hip, ankle - knee
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(upper, lower), axis=-1), (upper * lower).sum(-1)))


def straightened(motion):
    """The clips of people whose knees and elbows are opened as far as in training at most."""
    joints = torch.from_numpy(motion.joints).float()
    for hinge, (_, _, most) in HINGES.items():
        joints = opened(joints, hinge, float(most))
    return replace(motion, joints=joints.half().numpy())


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
    parser.add_argument("--straight", action="store_true", help="of people who straighten their limbs")
    parser.add_argument("--semgcn", help="file of SemGCN's weights, to compare with")
    parser.add_argument("--json", help="write the figures to this file")
    options = parser.parse_args(argv)
    motion = mocap.load(options.data, FILES, "val")
    motion = straightened(motion) if options.straight else motion
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
