"""The camera of a run: calibrated, given by its lens, or guessed."""

import json
import pathlib
import tomllib

import numpy as np

from core.errors import InputError
from core.records import Camera


def camera_for(info, settings):
    """The camera of a source: from `--camera`, `--focal` or `--fov`; otherwise guessed (55 degrees, `guessed` is True)."""
    if settings.camera:
        return _scaled(load_camera(settings.camera), info.width, info.height, settings.camera)
    if settings.focal:
        return Camera(info.width, info.height, settings.focal, settings.focal, info.width / 2, info.height / 2)
    if settings.fov:
        return Camera.from_fov(info.width, info.height, settings.fov, guessed=False)
    return Camera.from_fov(info.width, info.height)


def load_camera(path):
    """A camera from JSON or TOML: width, height, fx, fy, cx, cy and optionally distortion (k1, k2, p1, p2[, k3]); or the tables of
    Pose2Sim and Anipose (`matrix`, `distortions`, `size`; the first camera of the file). Raises InputError."""
    path = pathlib.Path(path)
    try:
        text = path.read_text()
        data = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a camera file ({error})") from error
    tables = [data, *(value for value in data.values() if isinstance(value, dict))]
    for table in tables:
        try:
            if "matrix" in table:
                (fx, _, cx), (_, fy, cy), _ = table["matrix"]
                return _camera(table["size"], (fx, fy, cx, cy), table.get("distortions"))
            if "fx" in table:
                return _camera((table["width"], table["height"]), [table[k] for k in ("fx", "fy", "cx", "cy")], table.get("distortion"))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: camera table is not complete ({error})") from error
    raise InputError(f"{path}: no camera in it; expected width, height, fx, fy, cx, cy or Pose2Sim's matrix, distortions, size")


def _camera(size, intrinsics, distortion):
    coefficients = None if not distortion or not any(distortion) else np.pad(np.asarray(distortion, float), (0, 5 - len(distortion)))
    return Camera(int(size[0]), int(size[1]), *(float(v) for v in intrinsics), coefficients)


def _scaled(camera, width, height, path):
    """The camera for a picture of another size but the same aspect."""
    factor = width / camera.width
    if abs(height / camera.height - factor) > 0.01 * factor:
        raise InputError(f"{path}: made for {camera.width}x{camera.height}, the video is {width}x{height}")
    return Camera(width, height, camera.fx * factor, camera.fy * factor, camera.cx * factor, camera.cy * factor, camera.distortion)
