"""Builds every part that a folder holds, for the contracts that all parts of a kind keep.

A part that needs an option to be built has it in OPTIONS; one whose weights are not here is skipped with the reason. Nothing is downloaded.
"""

import pathlib
from functools import partial

import numpy as np
import pytest
import torch
from torchvision.models import get_model

from core import parts
from core.errors import InputError
from core.records import Camera
from core.skeletons import HUMANEVA15
from tests import checkpoints, published
from weights import _files


def _random_weights(model, folder):
    path = folder / f"{model}.pth"
    if not path.is_file():
        torch.manual_seed(0)
        torch.save(get_model(model, weights=None, weights_backbone=None).state_dict(), path)
    return path


def _boxes(folder):
    path = folder / "det.txt"
    path.write_text("1,-1,10,20,30,40,0.9\n3,-1,50,20,30,40,0.8\n")
    return path


def _onnx(kind, folder):
    files = pytest.importorskip("tests.onnx_files")
    make = {"detector": files.yolox, "pose": files.simcc}[kind]
    return make(folder / f"{kind}.onnx", batch="batch")


def _published(spec):
    """Options whose {name} are small networks of the published kinds."""
    return lambda folder: spec.format(**published.saved(folder))


def _file(write, name):
    """weights= of a checkpoint of random numbers, written at the first use."""

    def options(folder):
        path = folder / name
        return f"weights={path if path.is_file() else write(path)}"

    return options


OPTIONS = {
    ("detector", "onnx"): lambda folder: f"file={_onnx('detector', folder)}",
    ("pose", "onnx"): lambda folder: f"file={_onnx('pose', folder)}",
    ("lifter", "tcn:causal=true"): _file(checkpoints.tcn, "tcn.bin"),
    ("lifter", "tcn:flip=false"): _file(partial(checkpoints.tcn, skeleton=HUMANEVA15, features=3), "humaneva.bin"),
    ("lifter", "anatomy"): _file(checkpoints.anatomy, "anatomy.bin"),
    ("lifter", "anatomy:causal=true"): _file(checkpoints.anatomy, "anatomy.bin"),
    ("lifter", "anatomy:causal=published"): _file(checkpoints.anatomy, "anatomy.bin"),
    ("lifter", "rie"): _file(checkpoints.rie, "rie.bin"),
    ("lifter", "rie:stage=1"): _file(partial(checkpoints.rie, stage=1, skeleton=HUMANEVA15), "rie15.bin"),
    ("lifter", "semgcn"): _file(checkpoints.gcn, "semgcn.pth.tar"),
    ("lifter", "semgcn:fit=false"): _file(partial(checkpoints.gcn, nonlocal_blocks=False), "plain.pth.tar"),
    ("lifter", "linear"): _file(checkpoints.linear, "linear.pth.tar"),
    ("detector", "replay"): lambda folder: f"file={_boxes(folder)}",
    ("detector", "torchvision"): lambda folder: f"weights={_random_weights('fasterrcnn_mobilenet_v3_large_320_fpn', folder)},threshold=0.01",
    ("pose", "posenet"): _published("weights={posenet},root={rootnet},flip=true"),
    ("pose", "rootnet"): _published("weights={rootnet}"),
    ("pose", "senet"): _published("weights={senet},root={rootnet},refine={upper},{lower}"),
    ("pose", "keypointrcnn"): lambda folder: f"weights={_random_weights('keypointrcnn_resnet50_fpn', folder)},size=200",
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="session")
def built(folder):
    """built(kind, spec) makes a part; skips the test where its weights cannot be had."""
    made = {}

    def build(kind, spec, fresh=False):
        if fresh or (kind, spec) not in made:
            options = OPTIONS.get((kind, spec))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(_files, "download", _no_download)
                try:
                    made[kind, spec] = parts.make(kind, f"{spec}{',' if ':' in spec else ':'}{options(folder)}" if options else spec, device="cpu")
                except InputError as error:
                    pytest.skip(f"{kind} '{spec}' cannot be built here: {error}")
        return made[kind, spec]

    return build


def _no_download(*_):
    raise OSError("tests do not download")


def _photograph():
    """A person (public domain, in scikit-image's wheel), 256 x 256, or noise where scikit-image has no picture."""
    skimage = pytest.importorskip("skimage")
    path = pathlib.Path(skimage.__file__).parent / "data" / "astronaut.png"
    if not path.is_file():
        return np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    return np.ascontiguousarray(skimage.io.imread(path)[::2, ::2, :3])


@pytest.fixture(scope="session")
def pictures():
    """RGB pictures of several sizes, with and without a person."""
    person = _photograph()
    noise = np.random.default_rng(1).integers(0, 256, (120, 161, 3), np.uint8)
    return [person, noise, np.ascontiguousarray(person[:, ::-1]), np.zeros((64, 48, 3), np.uint8), np.ascontiguousarray(person[:201, 30:231])]


@pytest.fixture(scope="session")
def cameras(pictures):
    return [Camera.from_fov(image.shape[1], image.shape[0]) for image in pictures]
