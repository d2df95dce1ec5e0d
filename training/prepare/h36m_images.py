"""Human3.6M's videos to pictures, 3DMPPE's JSON and the fifth system's pickles: `python -m training.prepare h36m-images --videos H36M --output data`.

--videos is the folder with S1/Videos/*.mp4 ... S11; --joints the data_3d_h36m.npz that `python -m training.prepare h36m` makes. Pictures are written
for every fifth frame and, of S9 and S11, every 64th; an interrupted run goes on where pictures are missing. Boxes are those of the joints, 1.2 times
as large (the authors' come from the data set's masks). Then every tenth frame becomes h36m/annot/{train,valid}_5hz.pkl.
"""

import argparse
import json
import pathlib

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from app import video
from core.errors import BrokenVideo, InputError
from core.files import whole
from training.datasets import pose_pickles, rigs
from training.datasets.human36m import RECORDED, TO_HAVE, kept, read_joints
from training.datasets.mppe_human36m import ACTIONS, EVERY, SUBJECTS
from training.prepare.h36m import canonical

NUMBERS = SUBJECTS[1]["train"] + SUBJECTS[1]["test"]
TESTED = (9, 11)


def frames_of(subject, count):
    """The frames, from 0, of which pictures are kept."""
    return [i for i in range(count) if i % EVERY["train"] == 0 or subject in TESTED and i % EVERY["test"] == 0]


def parts(names):
    """{name: (action from 2, subaction 1 or 2)} of a subject's takes: "Eating 1" is the first, "Eating 2" the second, "Eating" the other one."""
    found = {}
    for name in sorted(names):
        action, _, digit = name.partition(" ")
        if action not in ACTIONS:
            raise InputError(f"take '{name}': expected one of {', '.join(ACTIONS)}, and a number")
        taken = {name.partition(" ")[2] for name in names if name.partition(" ")[0] == action}
        found[name] = (2 + ACTIONS.index(action), int(digit) if digit else 1 if "2" in taken else 2)
    return found


def camera(view):
    """A RigCamera in 3DMPPE's terms: R, t (mm) of world to camera, f and c px; the lens' distortion is left out, as there."""
    turn = Rotation.from_quat(view.turn, scalar_first=True).as_matrix().T
    centre = (view.lens[2:4] + (1, view.height / view.width)) * view.width / 2
    return {"R": turn.tolist(), "t": (-turn @ view.place * 1000).tolist(), "f": (view.lens[:2] * view.width / 2).tolist(), "c": centre.tolist()}


def box(points):
    """[left, top, width, height] around points (J, 2) px, 1.2 times as large."""
    low, high = points.min(0), points.max(0)
    extent = np.maximum(high - low - 1, 1) * 1.2
    return [*((low + high) / 2 - extent / 2).tolist(), *extent.tolist()]


def extract(path, folder, name, wanted, size):
    """Write the frames `wanted` of a video as folder/name/name_000001.jpg ..., those that are missing. Raises InputError for another video."""
    missing = {i for i in wanted if not (folder / name / f"{name}_{i + 1:06d}.jpg").is_file()}
    if not missing:
        return
    (folder / name).mkdir(parents=True, exist_ok=True)
    try:
        for frame in video.frames(path, limit=max(missing) + 1):
            if frame.image.shape[1::-1] != size:
                raise InputError(f"{path}: pictures of {frame.image.shape[1]}x{frame.image.shape[0]}, expected {size[0]}x{size[1]}")
            if frame.index in missing:
                _save(folder / name / f"{name}_{frame.index + 1:06d}.jpg", frame.image)
                missing.discard(frame.index)
    except BrokenVideo as error:
        raise InputError(f"{path}: {error}") from error
    if missing:
        raise InputError(f"{path}: it ends before frame {min(missing)}, the joints go on: another recording, or a cut one")


def _save(path, image):
    with whole(path) as partial:
        cv2.imwrite(str(partial), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])


def subject_files(number, takes, videos, output):
    """Write the pictures and the three JSON files of a subject; `takes` {take: (T, 17, 3) m}."""
    views = rigs.rig("h36m")[f"S{number}"]
    images, annotations, joints = [], [], {}
    sources = {(canonical(path.name.partition(".")[0]), path.suffixes[-2][1:] if len(path.suffixes) > 1 else ""): path
               for path in (videos / f"S{number}" / "Videos").glob("*.mp4")}
    for take, (action, part) in parts(takes).items():
        wanted = frames_of(number, len(takes[take]))
        joints.setdefault(str(action), {})[str(part)] = {str(i): np.round(1000 * takes[take][i], 4).tolist() for i in wanted}
        for index, view in enumerate(views, 1):
            name = f"s_{number:02d}_act_{action:02d}_subact_{part:02d}_ca_{index:02d}"
            if (take, view.name) not in sources:
                raise InputError(f"no {videos / f'S{number}' / 'Videos'}/{take}.{view.name}.mp4; {TO_HAVE.partition(';')[0]}")
            extract(sources[take, view.name], output / "images", name, wanted, (view.width, view.height))
            lens = camera(view)
            for i in wanted:
                space = takes[take][i] @ np.array(lens["R"]).T + np.array(lens["t"]) / 1000
                row = {"id": number * 10_000_000 + len(images) + 1, "file_name": f"{name}/{name}_{i + 1:06d}.jpg", "width": view.width,
                       "height": view.height, "subject": number, "action_name": take, "action_idx": action, "subaction_idx": part, "cam_idx": index,
                       "frame_idx": i}
                images.append(row)
                annotations.append({"id": row["id"], "image_id": row["id"], "keypoints_vis": [True] * 17,
                                    "bbox": box(space[:, :2] / space[:, 2:] * lens["f"] + lens["c"])})
    (output / "annotations").mkdir(parents=True, exist_ok=True)
    tables = {"data": {"images": images, "annotations": annotations}, "camera": {str(i): camera(view) for i, view in enumerate(views, 1)},
              "joint_3d": joints}
    for what, table in tables.items():
        (output / "annotations" / f"Human36M_subject{number}_{what}.json").write_text(json.dumps(table))


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.prepare h36m-images", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=pathlib.Path, required=True, help="folder with S1/Videos and so on")
    parser.add_argument("--joints", type=pathlib.Path, default=pathlib.Path("data/data_3d_h36m.npz"))
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("data"), help="folder of Human36M/ and h36m/")
    parser.add_argument("--subjects", default=",".join(map(str, NUMBERS)), help="the pickles need all of them")
    options = parser.parse_args(argv)
    recorded = read_joints(options.joints, TO_HAVE, (RECORDED, 17))
    chosen = [int(number) for number in options.subjects.split(",")]
    for number in chosen:
        if number not in NUMBERS or f"S{number}" not in recorded:
            raise InputError(f"--subjects {number}: there are {', '.join(name[1:] for name in recorded)}")
        subject_files(number, {take: kept(world) for take, world in recorded[f"S{number}"].items()}, options.videos, options.output / "Human36M")
    if set(chosen) >= set(NUMBERS):
        pose_pickles.convert(options.output, options.output / "h36m")
