"""VideoPose3D's files of 2D keypoints, `data_2d_{set}_{kind}.npz`: read strictly, and written."""

import pathlib

import numpy as np

from core.errors import InputError
from core.files import save_arrays
from training.datasets.lifting import Layout
from training.datasets.pickles import load_npz

LAYOUTS = {name: Layout(joints, tuple(left), tuple(right), name) for name, joints, left, right in (
    ("mpii", 16, (3, 4, 5, 13, 14, 15), (0, 1, 2, 10, 11, 12)),
    ("coco", 17, range(1, 17, 2), range(2, 18, 2)),
    ("h36m", 17, (4, 5, 6, 11, 12, 13), (1, 2, 3, 14, 15, 16)),
    ("humaneva15", 15, (2, 3, 4, 8, 9, 10), (5, 6, 7, 11, 12, 13)),
    ("humaneva20", 20, (*range(3, 7), *range(11, 15)), (*range(7, 11), *range(15, 19))))}


def layout_named(text):
    """The first layout whose name is in `text` ("detectron_pt_coco"). Raises InputError where none is."""
    for name, layout in LAYOUTS.items():
        if name in text:
            return layout
    raise InputError(f"'{text}': its joints cannot be told from the name; it has to contain one of {', '.join(LAYOUTS)}")


def read(path, where=""):
    """(points {subject: {action: [(T, J, 2 or 3) float32 px of each camera]}}, Layout, sizes {video: (width, height)}) of a file.

    `where` says how to obtain a missing one. Raises InputError for a file that is missing, damaged or of another shape.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"no 2D keypoints {path}{where and '; ' + where}")
    data = load_npz(path, "positions_2d", "metadata")
    layout, sizes = _metadata(data["metadata"], path)
    _check(data["positions_2d"], layout, path)
    return data["positions_2d"], layout, sizes


def _metadata(found, path):
    try:
        left, right = (tuple(int(i) for i in side) for side in found["keypoints_symmetry"])
        layout = Layout(int(found["num_joints"]), left, right, found.get("layout_name", ""))
        sizes = {name: (int(size["w"]), int(size["h"])) for name, size in found.get("video_metadata", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: its 'metadata' lacks num_joints, keypoints_symmetry or a video's w and h ({error})") from error
    if len(left) != len(right) or any(not 0 <= i < layout.joints for i in left + right):
        raise InputError(f"{path}: keypoints_symmetry does not pair its {layout.joints} joints")
    return layout, sizes


def _check(points, layout, path):
    if not isinstance(points, dict) or not points:
        raise InputError(f"{path}: 'positions_2d' holds no subjects")
    for subject, actions in points.items():
        for action, views in actions.items():
            for index, view in enumerate(views):
                place, shape = f"{path}: {subject} {action}, camera {index}", getattr(view, "shape", None)
                if shape is None:
                    raise InputError(f"{place}: no keypoints")
                if len(shape) != 3 or shape[1] != layout.joints or shape[2] not in (2, 3):
                    raise InputError(f"{place}: keypoints of shape {shape}, expected (frames, {layout.joints}, 2 or 3)")
                if not np.isfinite(view).all():
                    raise InputError(f"{place}: keypoints that are not finite")


def write(path, points, layout, sizes=None, named=True):
    """Write a file whole or not at all. `named` says whether the layout's name is in it: that of exact 2D has none."""
    metadata = {"layout_name": layout.name} if named and layout.name else {}
    metadata |= {"num_joints": layout.joints, "keypoints_symmetry": [list(layout.left), list(layout.right)]}
    if sizes is not None:
        metadata["video_metadata"] = {name: {"w": width, "h": height} for name, (width, height) in sizes.items()}
    save_npz(path, positions_2d=points, metadata=metadata)


def save_npz(path, **content):
    """An .npz of dictionaries as the published programs read them."""
    save_arrays(path, **{name: np.array(value, dtype=object) for name, value in content.items()})
