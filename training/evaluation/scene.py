"""Score the whole application from pixels to metres on synthetic scenes with exact truth: `python -m training.evaluate scene --json FILE`.

Every scene holds people who walk, turn round and cross before a still camera; it is written as a video and analysed with its true focal length.
found: share of the people of a frame (those shown at least half) with a track over them, box IoU above 0.5; false: tracks a frame over nobody.
switches: changes of the track over a person who is shown at least half. pixel, pixel_relative: mean distance of the visible joints in px and as
a share of the box's longer side. swapped: share of limb joints nearer to the true joint of the other side, where the two are told apart.
mpjpe_mm, pa_mpjpe_mm: 3D joints around the pelvis, as they are and after a similarity alignment of each pose. depth: median relative error of
the pelvis' depth. up_degrees, floor_mm: errors of the world's vertical and of the camera's height over its floor.
"""

import argparse
import json
import pathlib
import tempfile
from collections import defaultdict
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from app import analyse
from app.perceive import build_parts
from app.sample import write_scene
from app.settings import Settings
from core.geometry import iou, procrustes
from core.skeletons import BODY21, convert
from synthetic.stage import crossing_scene

LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
SHOWN = 0.5
APART = 0.08  # of the box: joints of a pair that are nearer to each other cannot be told apart


class Pair(NamedTuple):
    """A person of a frame under a track: truth and its row, the track's id and its row."""

    truth: object
    row: int
    track: int
    place: int


def match(motion, truths, threshold=0.5):
    """(pairs, share found, tracks a frame over nobody). Who was under a track stays under it while the boxes still agree."""
    rows = {(track.id, int(frame)): place for track in motion.tracks.values() for place, frame in enumerate(track.frames)}
    pairs, last, wanted, found, spare = [], {}, 0, 0, 0
    for truth in truths:
        tracks = [number for number in motion.tracks if (number, truth.index) in rows]
        places = [rows[number, truth.index] for number in tracks]
        boxes = np.array([motion.tracks[number].boxes[place] for number, place in zip(tracks, places, strict=True)]).reshape(-1, 4)
        overlap = iou(truth.boxes, boxes)
        merit = np.where(overlap > threshold, overlap + [[last.get(person) == number for number in tracks] for person in truth.ids], 0)
        taken = [(i, j) for i, j in zip(*linear_sum_assignment(-merit), strict=True) if merit[i, j] > 0] if merit.size else []
        pairs += [Pair(truth, i, tracks[j], places[j]) for i, j in taken]
        last.update({truth.ids[i]: tracks[j] for i, j in taken if truth.shown[i] >= SHOWN})
        counted = np.flatnonzero(truth.shown >= SHOWN)
        wanted, found = wanted + len(counted), found + len(set(counted) & {i for i, _ in taken})
        spare += len(tracks) - len(taken)
    return pairs, found / max(wanted, 1), spare / max(len(truths), 1)


def switches(pairs):
    """How often the track over a person is another than before, while at least half of the person is shown."""
    last, count = {}, 0
    for pair in pairs:
        person = pair.truth.ids[pair.row]
        if pair.truth.shown[pair.row] < SHOWN:
            continue
        count += last.get(person, pair.track) != pair.track
        last[person] = pair.track
    return count


def score_2d(motion, pairs):
    """{pixel, pixel_relative, swapped} of the pairs; joints without a prediction are left out."""
    skeleton = motion.skeleton2d
    sides = [skeleton.index(f"{side}_{name}") for side in ("left", "right") for name in LIMBS if f"{side}_{name}" in skeleton.joints]
    distance, relative, wrong = [], [], []
    for pair in pairs:
        truth = pair.truth
        points, visible = convert(truth.points[pair.row], truth.visible[pair.row].astype(np.float32), BODY21, skeleton)
        miss = np.linalg.norm(motion.tracks[pair.track].points[pair.place] - points, axis=1)
        size = (truth.boxes[pair.row, 2:] - truth.boxes[pair.row, :2]).max()
        seen = (visible > 0) & np.isfinite(miss)
        distance.append(miss[seen])
        relative.append(miss[seen] / size)
        across = np.linalg.norm(motion.tracks[pair.track].points[pair.place] - points[list(skeleton.mirror)], axis=1)
        apart = np.linalg.norm(points - points[list(skeleton.mirror)], axis=1) > APART * size
        wrong.append((across < miss)[sides][apart[sides] & np.isfinite(miss[sides])])
    return {"pixel": _mean(distance), "pixel_relative": _mean(relative), "swapped": _mean(wrong)}


def score_3d(motion, pairs):
    """{mpjpe_mm, pa_mpjpe_mm, depth} of the pairs; poses without 3D are left out."""
    skeleton, plain, aligned, depth = motion.skeleton3d, [], [], []
    for pair in pairs:
        track = motion.tracks[pair.track]
        truth, _ = convert(pair.truth.joints[pair.row], np.ones(len(BODY21)), BODY21, skeleton)
        truth = truth - truth[skeleton.root]
        found = track.joints3d[pair.place]
        if np.isfinite(found).all():
            plain.append(np.linalg.norm(found - truth, axis=1))
            aligned.append(np.linalg.norm(procrustes(found.astype(float), truth.astype(float)) - truth, axis=1))
        depth.append(abs(track.root[pair.place, 2] / pair.truth.root_depth[pair.row] - 1))
    median = float(np.nanmedian(depth)) if np.isfinite(depth).any() else float("nan")
    return {"mpjpe_mm": 1000 * _mean(plain), "pa_mpjpe_mm": 1000 * _mean(aligned), "depth": median}


def score_world(motion, truth):
    """{up_degrees, floor_mm}: the angle between the true vertical and the motion's, and the error of the camera's height over the floor."""
    found, true = motion.world_from_camera, truth.world_from_camera
    cosine = found[2, :3] @ true[2, :3]
    angle = np.arctan2(np.linalg.norm(np.cross(found[2, :3], true[2, :3])), cosine)
    return {"up_degrees": float(np.degrees(angle)), "floor_mm": float(1000 * abs(found[2, 3] - true[2, 3]))}


def score(motion, truths):
    """All figures of a Motion against the Truths of its frames."""
    pairs, found, spare = match(motion, truths)
    counts = {"found": found, "false": spare, "switches": switches(pairs)}
    return counts | score_2d(motion, pairs) | score_3d(motion, pairs) | score_world(motion, truths[0])


def _mean(parts):
    values = np.concatenate(parts) if parts else np.zeros(0)
    return float(values.mean()) if len(values) else float("nan")


def summary(rows):
    """The mean of each figure over the scenes, the total of the switches and the share of scenes without any."""
    columns = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            columns[name].append(value)
    means = {name: float(np.nanmean(values)) if np.isfinite(values).any() else float("nan") for name, values in columns.items()}
    return means | {"switches": int(sum(columns["switches"])), "scenes": len(rows), "scenes_without_switch": columns["switches"].count(0)}


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.evaluate scene", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1000, help="of the first scene; the others follow")
    parser.add_argument("--people", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="a setting of the application: detector, tracker, pose, lifter, device")
    parser.add_argument("--keep", metavar="FOLDER", help="keep the videos there")
    parser.add_argument("--json", help="write the figures to this file")
    options = parser.parse_args(argv)
    rows = [_scene(seed, options) for seed in range(options.seed, options.seed + options.scenes)]
    total = summary(rows)
    _table(options.seed, rows, total)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"scene": total, "scenes": rows}, indent=2))


def _scene(seed, options):
    scene = crossing_scene(seed, options.people, seconds=options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(options.keep or folder)
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"scene{seed}.mp4"
        truths = write_scene(scene, path)
        settings = Settings(quiet=True, focal=scene.camera.fx).changed(**dict(pair.split("=", 1) for pair in options.set))
        made = build_parts(settings)
        return score(analyse(path, settings, made=made), truths)


def _table(first, rows, total):
    names = list(rows[0])
    print("scene   " + " ".join(f"{name:>14}" for name in names))
    for seed, row in enumerate([*rows, total], first):
        print(f"{'all' if row is total else seed:<8}" + " ".join(f"{row[name]:14.3f}" for name in names))
    print(f"{total['scenes_without_switch']} of {total['scenes']} scenes without a switch of identity")
