"""Write the picture sets of 3DMPPE and of the fifth system with drawn people: `python -m training.prepare drawn --output data`.

The same files, keys, cameras and places as the licensed sets have; subjects, sequences and numbers are theirs in name only. What is in the
pictures is known exactly: boxes, joints, depth, lenses. People of test sets are nobody of the training sets. The same seed gives the same files.
"""

import argparse
import itertools
import json
import pathlib

import cv2
import numpy as np

from core.errors import InputError
from core.records import Camera
from core.skeletons import COCO17, H36M17, MPII16, MUCO21, MUPOTS17
from synthetic import stage
from training import drawn
from training.datasets import pose_pickles
from training.datasets.mppe_human36m import ACTIONS, EVERY, SUBJECTS
from training.prepare import _stand_ins as stand_ins

TESTED = (9, 11)  # of Human3.6M's subjects
STRANGERS = 100_000  # actors from here on are in test sets alone


def write_human36m(root, options):
    """Each subject in some actions before four cameras; of training subjects every fifth frame, of the others every 64th."""
    folder, numbers = root / "Human36M", itertools.count(1)
    for subject in SUBJECTS[1]["train"] + SUBJECTS[1]["test"]:
        rng = np.random.default_rng((80, options.seed, subject))
        views = [_view(rng, angle, options.width, options.height) for angle in (0.4, 1.9, 3.5, 5.0)]
        every, number_of = EVERY["test" if subject in TESTED else "train"], 1000 + subject + (STRANGERS if subject in TESTED else 0)
        images, annotations, joints = [], [], {}
        for action in range(2, 2 + options.actions):
            moves = near(drawn.motion(number_of, action, options.frames * every / drawn.RATE))
            person = drawn.Person(drawn.actor(number_of)[0], moves)
            frames = range(0, len(moves), every)[: options.frames]
            world = drawn.joints_of(moves, H36M17) * 1000
            joints[str(action)] = {"1": {str(i): _rounded(world[i]) for i in frames}}
            for camera, view in enumerate(views, 1):
                name = f"s_{subject:02d}_act_{action:02d}_subact_01_ca_{camera:02d}"
                for i in frames:
                    shot = drawn.shoot([person], *view, i, np.random.default_rng((81, options.seed, subject, action, camera, i)))
                    number, file = next(numbers), f"{name}/{name}_{i + 1:06d}.jpg"
                    images.append(_image(number, file, shot) | {"subject": subject, "action_name": f"act{action}", "action_idx": action,
                                                                 "subaction_idx": 1, "cam_idx": camera, "frame_idx": i})
                    annotations.append({"id": number, "image_id": number, "bbox": _bbox(shot.boxes[0]), "keypoints_vis": [True] * 17})
                    _save(folder / "images" / file, shot.image)
        start = folder / "annotations" / f"Human36M_subject{subject}"
        _json(f"{start}_data.json", {"images": images, "annotations": annotations})
        _json(f"{start}_camera.json", {str(k): _camera(*view) for k, view in enumerate(views, 1)})
        _json(f"{start}_joint_3d.json", joints)


def write_mpii(root, options):
    """One or two people a picture, joints in the picture; the validation pictures are of others."""
    for name, folder, start in (("train", "images", 0), ("valid", "images/valid", STRANGERS)):
        rows = _crowd(root / "MPII", options, folder, 82, 2, start)
        _write_2d(root / "MPII" / "annotations" / f"{name}.json", rows, MPII16)


def write_mscoco(root, options):
    """One to three people a picture; the validation pictures are of others."""
    for part, start in (("train2017", 0), ("val2017", STRANGERS)):
        rows = _crowd(root / "MSCOCO" / "images", options, part, 83, 3, start, flat=True)
        _write_2d(root / "MSCOCO" / "annotations" / f"person_keypoints_{part}.json", rows, COCO17)


def write_muco(root, options):
    """One to three people a picture with their 3D."""
    images, annotations = [], []
    for number, file, shot in _crowd(root / "MuCo" / "data", options, "augmented_set", 84, 3):
        lens = shot.camera
        images.append(_image(number, file, shot) | {"f": [lens.fx, lens.fy], "c": [lens.cx - 0.5, lens.cy - 0.5]})
        for row in range(len(shot.boxes)):
            annotations.append({"id": len(annotations) + 1, "image_id": number, "bbox": _bbox(shot.boxes[row])} | _labels(shot, row, MUCO21))
    _json(root / "MuCo" / "data" / "MuCo-3DHP.json", {"images": images, "annotations": annotations})


def write_mupots(root, options):
    """TS1, TS2, ...: two or three people a sequence; and the boxes of a detector that is off by a few pixels."""
    folder, images, annotations, boxes = root / "MuPoTS" / "data", [], [], []
    for sequence in range(1, options.sequences + 1):
        rng = np.random.default_rng((85, options.seed, sequence))
        view = drawn.random_view(rng, options.width, options.height)
        cast = drawn.group(rng, [STRANGERS + 500 + 3 * sequence + k for k in range(2 + sequence % 2)], *view)
        for i in range(options.shots):
            shot = drawn.shoot(cast, *view, 10 * i, np.random.default_rng((86, options.seed, sequence, i)))
            number, file, lens = len(images), f"TS{sequence}/img_{i:06d}.jpg", shot.camera
            images.append(_image(number, file, shot) | {"intrinsic": [lens.fx, lens.fy, lens.cx - 0.5, lens.cy - 0.5]})
            for row in range(len(shot.boxes)):
                annotations.append({"id": len(annotations) + 1, "image_id": number, "bbox": _bbox(shot.boxes[row]),
                                    "is_valid": int(shot.visible[row].any())} | _labels(shot, row, MUPOTS17))
                off = rng.normal(0, 0.01, 4) * np.tile(shot.boxes[row, 2:] - shot.boxes[row, :2], 2)
                boxes.append({"image_id": number, "bbox": _bbox(shot.boxes[row] + off), "score": float(rng.uniform(0.6, 1))})
            _save(folder / "MultiPersonTestSet" / file, shot.image)
    _json(folder / "MuPoTS-3D.json", {"images": images, "annotations": annotations})
    _json(root / "MuPoTS" / "bbox" / "bbox_mupots_output.json", boxes)


def write_pickles(root, options):
    """The fifth system's train_5hz.pkl and valid_5hz.pkl of the drawn Human3.6M, its pictures where the program looks for them."""
    if not (root / "Human36M" / "annotations").is_dir():
        write_human36m(root, options)
    pose_pickles.convert(root, root / "h36m", every=1)


WRITERS = {"Human36M": write_human36m, "MPII": write_mpii, "MSCOCO": write_mscoco, "MuCo": write_muco, "MuPoTS": write_mupots, "h36m": write_pickles,
           "VOC2012": stand_ins.write_voc, "refiner": stand_ins.write_refiner}


# ---- pieces


def near(points, reach=1.2):
    """Key points (T, 27, 3) m whose pelvis stays within `reach` of the middle: in sight of all cameras of the studio."""
    away = points[:, drawn.KEY["pelvis"], :2]
    far = np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
    moved = points.copy()
    moved[..., :2] -= (away * np.maximum(1 - reach / far, 0))[:, None]
    return moved


def _view(rng, angle, width, height):
    """(Camera, world_from_camera) some 4.5 m from the middle, as a studio's cameras are."""
    far, turn = rng.uniform(4.2, 5.2), angle + rng.normal(0, 0.1)
    lens = Camera(width, height, 1.15 * height, 1.15 * height, width / 2 + rng.normal(0, 2), height / 2 + rng.normal(0, 2))
    return lens, stage.look_at(np.array([far * np.cos(turn), far * np.sin(turn), rng.uniform(1.4, 1.7)]), (0, 0, 0.9))


def _crowd(folder, options, part, stream, most, start=0, flat=False):
    """[(number, file, Shot)] of saved pictures of one to `most` people; file names are relative to `folder`, or (`flat`) to its `part`."""
    rows = []
    for number in range(1, options.pictures + 1):
        seed = (stream * 1000 + options.seed) * 100_000 + start + number
        shot = drawn.random_shot(seed, [start + 3 * number + k for k in range(1 + number % most)], (options.width, options.height), 25)
        if len(shot.boxes):
            file = f"{number:012d}.jpg"
            _save(folder / part / file, shot.image)
            rows.append((number, file if flat else f"{part}/{file}", shot))
    return rows


def _write_2d(path, rows, skeleton):
    images, annotations = [], []
    for number, file, shot in rows:
        images.append(_image(number, file, shot))
        for row in range(len(shot.boxes)):
            points, seen = drawn.pixels(shot.keypoints[row], skeleton, shot.camera), drawn.seen(shot, row, skeleton)
            flags = np.where(seen, 2, 0)
            keypoints = np.column_stack([points * seen[:, None], flags])
            box = _bbox(shot.boxes[row])
            annotations.append({"id": len(annotations) + 1, "image_id": number, "bbox": box, "area": box[2] * box[3], "iscrowd": 0, "category_id": 1,
                                "keypoints": [round(float(value), 3) for value in keypoints.ravel()], "num_keypoints": int(seen.sum())})
    category = {"id": 1, "name": "person", "keypoints": list(skeleton.joints), "skeleton": []}
    _json(path, {"images": images, "annotations": annotations, "categories": [category]})


def _labels(shot, row, skeleton):
    return {"keypoints_cam": _rounded(drawn.joints_of(shot.keypoints[row], skeleton) * 1000),
            "keypoints_img": _rounded(drawn.pixels(shot.keypoints[row], skeleton, shot.camera)),
            "keypoints_vis": [bool(value) for value in drawn.seen(shot, row, skeleton)]}


def _camera(lens, pose):
    """A camera in Human3.6M's terms: R and t (mm) of world to camera."""
    inner = np.linalg.inv(pose)
    return {"R": inner[:3, :3].tolist(), "t": (inner[:3, 3] * 1000).tolist(), "f": [lens.fx, lens.fy], "c": [lens.cx - 0.5, lens.cy - 0.5]}


def _image(number, file, shot):
    return {"id": number, "file_name": file, "width": shot.camera.width, "height": shot.camera.height}


def _bbox(box):
    left, top, right, bottom = (round(float(value), 3) for value in box)
    return [left, top, right - left, bottom - top]


def _rounded(values):
    return np.round(values, 4).tolist()


def _save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])


def _json(path, value):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.prepare drawn", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("data"), help="the folder `data` of the programs")
    parser.add_argument("--sets", default=",".join(WRITERS), help="which, with commas between")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--width", type=int, default=250, help="of the pictures, px")
    parser.add_argument("--height", type=int, default=250)
    parser.add_argument("--actions", type=int, default=2, help="of each Human3.6M subject")
    parser.add_argument("--frames", type=int, default=4, help="pictures of each action and camera of Human3.6M")
    parser.add_argument("--pictures", type=int, default=60, help="of MPII, MuCo and each part of MSCOCO")
    parser.add_argument("--sequences", type=int, default=20, help="of MuPoTS")
    parser.add_argument("--shots", type=int, default=3, help="pictures of each sequence of MuPoTS")
    options = parser.parse_args(argv)
    for flag, most in (("actions", len(ACTIONS)), ("frames", 1000), ("pictures", 100_000), ("sequences", 20), ("shots", 1000)):
        if not 1 <= getattr(options, flag) <= most:
            raise InputError(f"--{flag} {getattr(options, flag)}: expected 1 to {most}")
    for name in options.sets.split(","):
        if name not in WRITERS:
            raise InputError(f"no set '{name}'; there are: {', '.join(WRITERS)}")
        WRITERS[name](options.output, options)
