"""Public pose networks to learn from and to compare with, as PoseEstimators: `pp-tinypose` (openvino) and `simplepose` (onnxruntime)."""

import pathlib

import numpy as np

from core.errors import InputError
from core.geometry import apply_affine, crop_matrix, invert_affine, warp
from core.networks import MEAN, STD
from core.records import Poses
from core.skeletons import COCO17

SIZE, STRIDE, SCALE = (192, 256), 4, 1.25
FILES = {"pp-tinypose": "tinypose_256_192_fp16.xml", "simplepose": "ultralight_simplepose.onnx"}


def _tinypose(path):
    import openvino

    core = openvino.Core()
    network = core.compile_model(str(path), "CPU", {"INFERENCE_NUM_THREADS": 1})
    return lambda x: network({"image": x})["conv2d_441.tmp_1"][0]


def _simplepose(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"data": x})[0][0]


class Teacher:
    """COCO-17 poses of a public network; scores are the peaks of its heat maps. `flip` averages with the mirror image."""

    skeleton = COCO17

    def __init__(self, maps, flip=False):
        self.maps, self.flip = maps, flip

    def __call__(self, images, boxes, cameras=None):
        """The poses in boxes (N, 4) of each RGB picture."""
        found = []
        for image, some in zip(images, boxes, strict=True):
            each = [self.look(image, crop_matrix(box, SIZE, SCALE)) for box in some]
            found.append(Poses(COCO17, [p for p, _ in each], [s for _, s in each]) if each else Poses.empty(COCO17))
        return found

    def look(self, image, matrix):
        """Points (17, 2) in picture px and scores (17,) in the crop of an affine map (2, 3)."""
        x = ((warp(image, matrix, SIZE) / np.float32(255) - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)
        maps = self.maps(x)
        if self.flip:
            mirrored = self.maps(np.ascontiguousarray(x[..., ::-1]))[list(COCO17.mirror)][..., ::-1]
            mirrored = np.concatenate([mirrored[..., :1], mirrored[..., :-1]], -1)
            maps = (maps + mirrored) / 2
        points, scores = peaks(maps)
        return apply_affine(invert_affine(matrix), points), scores


def peaks(maps):
    """Highest cell of maps (J, h, w), a quarter cell towards the larger neighbour: points (J, 2) in crop px, values (J,)."""
    count, height, width = maps.shape
    best = maps.reshape(count, -1).argmax(1)
    y, x, j = best // width, best % width, np.arange(count)
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge")
    dx = np.sign(padded[j, y + 1, x + 2] - padded[j, y + 1, x])
    dy = np.sign(padded[j, y + 2, x + 1] - padded[j, y, x + 1])
    return np.stack([x + dx / 4, y + dy / 4], 1) * STRIDE, maps.reshape(count, -1).max(1)


def build(name, folder, flip=False):
    """A teacher by name from the folder of public weights. Raises InputError where its file is missing."""
    path = pathlib.Path(folder) / FILES[name]
    if not path.exists():
        raise InputError(f"{path}: no such weights; the comparison with {name} needs them")
    return Teacher({"pp-tinypose": _tinypose, "simplepose": _simplepose}[name](path), flip)
