"""COCO keypoints with track ids and 3D: an object of images, categories and annotations. Missing numbers are null."""

import json

import numpy as np

from app.people import to_world


def write(motion, path):
    """Write JSON text, one image or annotation a line."""
    rows = sorted((int(frame), number, row) for number, track in motion.tracks.items() for row, frame in enumerate(track.frames))
    annotations = (_annotation(motion, count, *row) for count, row in enumerate(rows, 1))
    times = {int(frame): float(time) for track in motion.tracks.values() for frame, time in zip(track.frames, track.times, strict=True)}
    size = {"width": motion.info.width, "height": motion.info.height}
    images = ({"id": frame, "frame": frame, "time_s": round(times[frame], 6), **size} for frame in sorted(times))
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{"info": {_text(_info(motion))},\n"categories": {_text([_category(motion)])},\n"images": [\n')
        _lines(file, images)
        file.write('],\n"annotations": [\n')
        _lines(file, annotations)
        file.write("]}\n")


def _lines(file, values):
    """The members of a JSON list, one a line, without holding them all."""
    for count, value in enumerate(values):
        file.write(("," if count else "") + _text(value) + "\n")


def _text(value):
    return json.dumps(value, allow_nan=False)


def _info(motion):
    camera = motion.camera
    return {"fps": [motion.info.fps.numerator, motion.info.fps.denominator],
            "camera": {"width": camera.width, "height": camera.height, "fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy,
                       "distortion": None if camera.distortion is None else _numbers(camera.distortion, 8), "guessed": camera.guessed},
            "world_from_camera": motion.world_from_camera.tolist()}


def _category(motion):
    """COCO counts joints in `skeleton` from 1."""
    one_based = [[a + 1, b + 1] for a, b in motion.skeleton2d.bones]
    return {"id": 1, "name": "person", "keypoints": motion.skeleton2d.joints, "skeleton": one_based, "keypoints3d": motion.skeleton3d.joints,
            "skeleton3d": [[a + 1, b + 1] for a, b in motion.skeleton3d.bones]}


def _annotation(motion, count, frame, number, row):
    track = motion.tracks[number]
    keypoints = np.concatenate([track.points[row], track.scores[row, :, None]], 1)
    seen = np.isfinite(track.points[row]).all(1)
    score = float(np.nan_to_num(track.scores[row][seen]).mean()) if seen.any() else 0.0
    left, top, right, bottom = track.boxes[row].astype(float)
    world = to_world(track.joints3d[row] + track.root[row], motion.world_at(frame))
    return {"id": count, "image_id": frame, "category_id": 1, "track_id": number, "observed": bool(track.observed[row]), "score": round(score, 4),
            "bbox": _numbers([left, top, right - left, bottom - top], 2), "keypoints": _numbers(keypoints.ravel(), 3),
            "num_keypoints": int(seen.sum()), "keypoints3d_cam_m": _numbers(track.joints3d[row], 4), "root_cam_m": _numbers(track.root[row], 4),
            "keypoints3d_world_m": _numbers(world, 4)}


def _numbers(values, digits):
    """An array as nested lists, NaN as None."""
    rounded = np.round(np.asarray(values, np.float64), digits)
    missing = ~np.isfinite(rounded)
    if missing.any():
        rounded = rounded.astype(object)
        rounded[missing] = None
    return rounded.tolist()
