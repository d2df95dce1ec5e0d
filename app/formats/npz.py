"""The whole motion as numpy arrays, one row per person and frame; the only format that loads again."""

import zipfile
import zlib
from fractions import Fraction

import numpy as np

from core.errors import InputError
from core.records import Camera, Motion, Track, VideoInfo
from core.skeletons import SKELETONS, Skeleton

SCHEMA_VERSION = 1


def write(motion, path):
    """Write to an open-able path; arrays only, no pickles."""
    tracks = [motion.tracks[number] for number in sorted(motion.tracks)]
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, schema_version=np.int64(SCHEMA_VERSION), **_rows(tracks, motion), **_features(tracks),
                            **_skeleton("skeleton2d", motion.skeleton2d), **_skeleton("skeleton3d", motion.skeleton3d),
                            **_camera(motion.camera), **_world(motion), **_video(motion.info))


def read(path):
    """The Motion of a file. Raises InputError where it is not one, or one of a later version."""
    try:
        with path.open("rb") as file:
            data = np.load(file, allow_pickle=False)
            data = {} if isinstance(data, np.ndarray) else dict(data)
        version = int(data["schema_version"])
        if version > SCHEMA_VERSION:
            raise InputError(f"{path} has schema version {version}; this program reads up to {SCHEMA_VERSION}")
        return _motion(data)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} does not hold saved motion ({error})") from error


def _rows(tracks, motion):
    """The columns that have one row per person and frame: tracks one after another, frames in order."""
    joints2d, joints3d = len(motion.skeleton2d), len(motion.skeleton3d)
    columns = {"frame": ("frames", np.int64, ()), "time_s": ("times", np.float64, ()), "boxes_px": ("boxes", np.float32, (4,)),
               "joints2d_px": ("points", np.float32, (joints2d, 2)), "joints2d_score": ("scores", np.float32, (joints2d,)),
               "joints3d_cam_m": ("joints3d", np.float32, (joints3d, 3)), "root_cam_m": ("root", np.float32, (3,)),
               "observed": ("observed", bool, ())}
    arrays = {name: np.concatenate([np.zeros((0, *shape), dtype), *(getattr(track, field) for track in tracks)])
              for name, (field, dtype, shape) in columns.items()}
    numbers = np.array([track.id for track in tracks], np.int64)
    return arrays | {"track_id": np.repeat(numbers, [len(track) for track in tracks]), "track_ids": numbers}


def _features(tracks):
    """Mean appearance (K, D) in the order of track_ids, NaN where a track has none."""
    size = max((len(track.feature) for track in tracks if track.feature is not None), default=0)
    features = np.full((len(tracks), size), np.nan, np.float32)
    for row, track in enumerate(tracks):
        if track.feature is not None:
            features[row] = track.feature
    return {"track_features": features}


def _skeleton(prefix, skeleton):
    return {f"{prefix}_name": np.array(skeleton.name), f"{prefix}_joints": np.array(skeleton.joints), f"{prefix}_parents": np.array(skeleton.parents),
            f"{prefix}_bones": np.array(skeleton.bones, np.int64).reshape(-1, 2)}


def _camera(camera):
    distortion = np.zeros(0, np.float32) if camera.distortion is None else camera.distortion
    intrinsics = np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float64)
    return {"camera_size": np.array([camera.width, camera.height]), "camera_fx_fy_cx_cy": intrinsics,
            "camera_distortion": distortion, "camera_guessed": np.array(camera.guessed)}


def _world(motion):
    frames, matrices = motion.worlds or (np.zeros(0, np.int64), np.zeros((0, 4, 4)))
    return {"world_from_camera": motion.world_from_camera, "world_frames": np.asarray(frames, np.int64), "world_matrices": matrices}


def _video(info):
    return {"video_size": np.array([info.width, info.height]), "video_fps": np.array([info.fps.numerator, info.fps.denominator]),
            "video_frames": np.array(-1 if info.frames is None else info.frames), "video_rotation": np.array(info.rotation),
            "video_has_audio": np.array(info.has_audio)}


def _motion(data):
    width, height = data["video_size"].tolist()
    frames, fps = int(data["video_frames"]), Fraction(*data["video_fps"].tolist())
    info = VideoInfo(width, height, fps, None if frames < 0 else frames, int(data["video_rotation"]), bool(data["video_has_audio"]))
    distortion = data["camera_distortion"] if len(data["camera_distortion"]) else None
    camera = Camera(*data["camera_size"].tolist(), *data["camera_fx_fy_cx_cy"].tolist(), distortion, bool(data["camera_guessed"]))
    worlds = (data["world_frames"], data["world_matrices"]) if len(data["world_frames"]) else None
    skeletons = (_read_skeleton(data, name) for name in ("skeleton2d", "skeleton3d"))
    return Motion(info, camera, data["world_from_camera"], *skeletons, _tracks(data), worlds)


def _read_skeleton(data, prefix):
    skeleton = Skeleton(str(data[f"{prefix}_name"]), tuple(data[f"{prefix}_joints"].tolist()), tuple(data[f"{prefix}_parents"].tolist()))
    known = SKELETONS.get(skeleton.name)
    return known if known == skeleton else skeleton


def _tracks(data):
    names = ("frame", "time_s", "boxes_px", "joints2d_px", "joints2d_score", "joints3d_cam_m", "root_cam_m", "observed")
    tracks = {}
    for number, feature in zip(data["track_ids"].tolist(), data["track_features"], strict=True):
        rows = data["track_id"] == number
        has_feature = len(feature) and np.isfinite(feature).all()
        tracks[number] = Track(number, *(data[name][rows] for name in names), feature if has_feature else None)
    return tracks
