"""Writes the official files of Human3.6M, HumanEva-I and custom videos from motion that is free: same keys, shapes, cameras, subjects in name only.

Whoever has no licensed data trains and tests on these: `python -m training.prepare written --output data`. The 3D is exact, the 2D of every kind is
its projection through the data set's own cameras, with the errors of a detector but for "gt". Same arguments, same numbers.
"""

import pathlib

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from core.skeletons import COCO17, H36M17, HUMANEVA15, MPII16
from training.datasets import keypoints, visibility
from training.datasets.human36m import RECORDED
from training.datasets.humaneva import cameras as humaneva_cameras
from training.datasets.rigs import FACTS, pixels, project, rig, to_camera
from training.datasets.takes import ACTIONS, EVA_ACTIONS, joints_of, takes

SUBJECTS = ("S1", "S5", "S6", "S7", "S8", "S9", "S11")
EVA_SUBJECTS = ("Train/S1", "Train/S2", "Train/S3", "Validate/S1", "Validate/S2", "Validate/S3")
LOST = ("S11", "Directions")  # whose video is damaged: no file has it
EVA_LENS = np.array([2.6, 2.6, 0, 0, 0, 0, 0, 0, 0], np.float32)  # HumanEva's lenses are not in the files: a plain one stands in
# Each kind of detections: joints, spread of its errors in px of a picture 1,000 px wide, and whether it has scores.
KINDS = {"gt": (H36M17, 0, False), "cpn_ft_h36m_dbb": (H36M17, 5, False), "detectron_ft_h36m": (H36M17, 6, False),
         "detectron_pt_coco": (COCO17, 7, True), "sh_ft_h36m": (MPII16, 8, False), "sh_pt_mpii": (MPII16, 10, False)}
SEEN = "cpn_ft_h36m_dbb"  # whose joints the visibility scores of Anatomy3D are about
LAYOUT = {H36M17: "h36m", COCO17: "coco", MPII16: "mpii", HUMANEVA15: "humaneva15"}


def write_h36m(folder, kinds=tuple(KINDS), frames=400, subjects=SUBJECTS, actions=tuple(ACTIONS), mocap=None, seed=0):
    """`data_3d_h36m.npz`, a 2D file of every kind, `score.pkl` beside CPN's; two takes of each action of `frames` frames.

    `mocap` is a folder of motion capture. Raises InputError where that is not there.
    """
    rate, folder = FACTS["h36m"]["fps"], pathlib.Path(folder)
    motion = takes({name: ACTIONS[name] for name in actions}, subjects, ("", " 1"), frames, rate, mocap, seed)
    motion.get(LOST[0], {}).pop(LOST[1], None)
    joints = {subject: {action: as_recorded(joints_of(world, H36M17)) for action, world in takes_.items()} for subject, takes_ in motion.items()}
    keypoints.save_npz(folder / "data_3d_h36m.npz", positions_3d=joints)
    for kind in kinds:
        _write_points(folder / f"data_2d_h36m_{kind}.npz", motion, rig("h36m"), kind, H36M17, seed)


def as_recorded(joints):
    """The 32 recorded joints (T, 32, 3) float32 of the 17 that are used: each of the others lies where the used one before it does."""
    held = np.searchsorted(FACTS["h36m"]["kept"], np.arange(RECORDED), side="right") - 1
    return joints[:, held].astype(np.float32)


def write_humaneva(folder, kinds=("gt", "detectron_pt_coco"), frames=300, mocap=None, seed=0):
    """`data_3d_humaneva15.npz` and its 2D files: two chunks of one take of each action, and a subject S4 without 3D."""
    rate, folder = FACTS["humaneva15"]["fps"], pathlib.Path(folder)
    motion = takes(EVA_ACTIONS, EVA_SUBJECTS, (" 1 chunk0", " 1 chunk2"), frames, rate, mocap, seed)
    joints = {subject: {action: joints_of(world, HUMANEVA15).astype(np.float32) for action, world in takes_.items()}
              for subject, takes_ in motion.items()}
    keypoints.save_npz(folder / "data_3d_humaneva15.npz", positions_3d=joints)
    hidden = takes({"Walking": EVA_ACTIONS["Walking"]}, ("S4",), (" 1",), frames, rate, mocap, seed + 1)
    for kind in kinds:
        there = motion if kind == "gt" else motion | {"Unlabeled/S4": hidden["S4"]}
        # S4's cameras stand where those of S1 do: nobody knows better, and the file does not say
        _write_points(folder / f"data_2d_humaneva15_{kind}.npz", there, humaneva_cameras() | {"Unlabeled/S4": rig("humaneva15")["S1"]}, kind,
                      HUMANEVA15, seed)


def write_custom(folder, kind="walker", frames=300, mocap=None, seed=0):
    """`data_2d_custom_{kind}.npz` of one video "walker.mp4": COCO's joints without scores, as VideoPose3D's converter writes them."""
    world = takes({"Walking": ACTIONS["Walking"]}, ("walker.mp4",), ("",), frames, 50, mocap, seed)["walker.mp4"]["Walking"]
    camera = rig("h36m")["S1"][0]
    points = views(world, [camera], "detectron_pt_coco", np.random.default_rng((11, seed)))[0][..., :2]
    keypoints.write(pathlib.Path(folder) / f"data_2d_custom_{kind}.npz", {"walker.mp4": {"custom": [points]}}, keypoints.LAYOUTS["coco"],
                    {"walker.mp4": (camera.width, camera.height)})


def _write_points(path, motion, cameras, kind, exact, seed):
    rng = np.random.default_rng((10, list(KINDS).index(kind), seed))
    seen = {subject: {action: views(world, cameras[subject], kind, rng, exact) for action, world in takes_.items()}
            for subject, takes_ in motion.items()}
    if kind == SEEN:
        scores = {visibility.name(subject, action, index): view[..., 2] for subject, actions in seen.items() for action, views_ in actions.items()
                  for index, view in enumerate(views_)}
        visibility.write(path.with_name("score.pkl"), scores)
    numbers = 3 if KINDS[kind][2] else 2
    points = {subject: {action: [view[..., :numbers] for view in views_] for action, views_ in actions.items()} for subject, actions in seen.items()}
    layout = LAYOUT[exact if kind == "gt" else KINDS[kind][0]]
    keypoints.write(path, points, keypoints.LAYOUTS[layout], named=kind != "gt" and not kind.startswith("sh_"))


def views(world, cameras, kind, rng, exact=H36M17):
    """The 2D of one take (T, 21, 3) m for each camera: [(T, J, 3) float32: px and score]; `exact` is the skeleton of "gt"."""
    skeleton, spread, _ = KINDS[kind]
    points = joints_of(world, exact if kind == "gt" else skeleton)
    made = []
    for camera in cameras:
        seen = screened(points, camera)
        scores = np.ones(seen.shape[:2])
        if spread:
            seen, scores = observed(seen, spread * camera.width / 1000, rng)
        made.append(np.concatenate([seen, scores[..., None]], -1).astype(np.float32))
    return made


def screened(points, camera):
    """Pixels (T, J, 2) of world points (T, J, 3) m in a RigCamera."""
    lens = torch.from_numpy(EVA_LENS if camera.lens is None else camera.lens)
    inside = torch.from_numpy(to_camera(np.ascontiguousarray(points, np.float32), camera))
    return pixels(project(inside, lens.expand(len(inside), 9)).numpy(), camera)


def observed(points, spread, rng):
    """(points (T, J, 2), scores (T, J)) as a detector gives them: `spread` px, slow and fast errors, now and then a bad joint with a low score."""
    slow = gaussian_filter1d(rng.normal(size=points.shape), 5, 0, mode="nearest") * 4.2
    bad = np.minimum(gaussian_filter1d((rng.random(points.shape[:2]) < 0.003).astype(float), 3, 0, mode="nearest") * 7, 1)
    found = points + spread * (0.8 * slow + 0.6 * rng.normal(size=points.shape)) * (1 + 4 * bad)[..., None]
    return found, np.clip(0.95 - 0.8 * bad + 0.03 * rng.normal(size=bad.shape), 0.02, 1)
