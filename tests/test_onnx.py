"""ONNX detectors and pose networks: decoders with known answers, batches, the way back into the picture, and what is refused."""

import dataclasses
import functools
import http.server
import pathlib
import sys
import threading
import zipfile
from itertools import islice

import numpy as np
import pytest

import weights
from app.perceive import build_parts
from app.settings import Settings
from core import parts
from core.errors import InputError
from core.geometry import crop_matrix
from core.skeletons import BODY21, COCO17, EFFICIENTPOSE16, convert
from tests import onnx_files as files
from training.datasets import boxes, coco_people
from training.evaluation.detector import measure as measure_boxes
from training.evaluation.pose import predict
from weights import _files

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"
shared = pytest.mark.skipif(not (SHARED / "weights").is_dir(), reason="the data folder beside the repository is not there")


def detector(path, **options):
    return parts.make("detector", ":".join(["onnx", ",".join(f"{k}={v}" for k, v in {"file": path, **options}.items())]), device="cpu")


def pose(path, **options):
    return parts.make("pose", ":".join(["onnx", ",".join(f"{k}={v}" for k, v in {"file": path, **options}.items())]), device="cpu")


def lit(x, y, side, width=64, height=64, value=255):
    image = np.zeros((height, width, 3), np.uint8)
    image[y : y + side, x : x + side] = value
    return image


def test_yolox_boxes_are_where_its_cells_are(tmp_path):
    found = detector(files.yolox(tmp_path / "a.onnx"), threshold=0.9)([lit(24, 16, 8)])[0]
    np.testing.assert_allclose(found.boxes, [[28 - 8, 20 - 12, 28 + 8, 20 + 12]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [1], atol=1e-6)


def test_yolox_in_a_picture_of_another_size(tmp_path):
    found = detector(files.yolox(tmp_path / "a.onnx"), threshold=0.9)([lit(48, 32, 16, 128, 96)])[0]
    np.testing.assert_allclose(found.boxes, [[40, 16, 72, 64]], atol=1e-3)


def test_rtmdet_takes_blue_green_red_less_their_means(tmp_path):
    image = np.zeros((64, 64, 3), np.uint8)
    image[...] = (255, 128, 0)
    found = detector(files.rtmdet(tmp_path / "a.onnx"), threshold=0, overlap=1)([image])[0]
    logit = np.mean((np.array([0, 128, 255]) - [103.53, 116.28, 123.675]) / [57.375, 57.12, 58.395])
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-logit)), atol=1e-5)
    first = np.array([[max(x - 8, 0), max(y - 4, 0), min(x + 16, 64), min(y + 12, 64)] for y in range(0, 64, 8) for x in range(0, 64, 8)])
    assert len(found) == 64 + 16 + 4 and all(np.abs(found.boxes - box).max(1).min() < 1e-4 for box in first)


def test_suppression_inside_the_file(tmp_path):
    path = files.suppressed(tmp_path / "a.onnx")
    with pytest.raises(InputError, match="give decoder=yolox or decoder=rtmdet"):
        detector(path)
    found = detector(path, decoder="yolox")([np.full((128, 128, 3), 100, np.uint8), np.zeros((64, 64, 3), np.uint8)])
    np.testing.assert_allclose(found[0].boxes, [[16, 16, 48, 80], [80, 20, 120, 100]], atol=1e-3)
    np.testing.assert_allclose(found[0].scores, [0.6, 0.5], atol=1e-4)
    np.testing.assert_allclose(found[1].scores, [0.5, 0.4], atol=1e-4)


@pytest.mark.parametrize("make", [files.yolox, files.rtmdet, files.suppressed])
def test_fixed_and_free_batches_say_the_same(tmp_path, make):
    images = [lit(8 * i, 8, 16, 64 + 8 * i, 64, 60 + 20 * i) for i in range(5)]
    answers = [detector(make(tmp_path / f"{batch}.onnx", batch=batch), decoder=make.__name__.replace("suppressed", "yolox"), threshold=0.2)(images)
               for batch in (1, 2, "batch")]
    for other in answers[1:]:
        for a, b in zip(answers[0], other, strict=True):
            assert len(a) == len(b)
            np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-3)
            np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
    assert detector(make(tmp_path / "none.onnx"), decoder=make.__name__.replace("suppressed", "yolox"))([]) == []


BOX = np.array([[10, 20, 58, 84]], np.float32)  # with scale=1 its crop is itself


@pytest.mark.parametrize(("make", "cell"), [(files.heatmaps, 4), (files.simcc, 1)])
@pytest.mark.parametrize("flip", [False, True])
def test_a_joint_is_where_the_light_is(tmp_path, make, cell, flip):
    estimator = pose(make(tmp_path / "a.onnx"), scale=1, flip=flip)
    found = estimator([lit(10 + 24, 20 + 36, cell, 120, 100)], [BOX])[0]
    assert found.skeleton.name == "coco17"
    np.testing.assert_allclose(found.points[0], np.tile([34, 56], (17, 1)), atol=0.5 + (cell if flip else 0) / 2)
    assert (found.scores > (0.05 if flip else 0.5)).all() and (found.scores <= 1).all()


def test_a_joint_moves_with_the_light_through_crop_and_scale(tmp_path):
    estimator, errors = pose(files.simcc(tmp_path / "a.onnx")), []
    box = np.array([30, 10, 150, 190], np.float32)
    for x, y in ((50, 30), (90, 120), (120, 171)):
        point = estimator([lit(x, y, 5, 200, 220)], [box[None]])[0].points[0, 0]
        errors.append(point - (x + 2.5, y + 2.5))
    step = 1 / np.hypot(*crop_matrix(box, (48, 64), 1.25)[0, :2])
    assert np.abs(errors).max() <= step, "not within a pixel of the crop"


def test_simcc_in_either_order(tmp_path):
    people, image = [BOX], [lit(30, 50, 3, 120, 100)]
    first = pose(files.simcc(tmp_path / "xy.onnx"), scale=1)(image, people)[0]
    second = pose(files.simcc(tmp_path / "yx.onnx", names=("simcc_y", "simcc_x")), scale=1)(image, people)[0]
    np.testing.assert_allclose(first.points, second.points, atol=1e-4)


def test_peaks_above_one_are_held_and_dark_crops_score_nothing(tmp_path):
    estimator = pose(files.heatmaps(tmp_path / "a.onnx"), scale=1)
    bright, dark = estimator([np.full((100, 120, 3), 255, np.uint8), np.zeros((100, 120, 3), np.uint8)], [BOX, BOX])
    assert 0 < bright.scores.min() <= 1 and (dark.scores == 0).all() and np.isfinite(dark.points).all()


def test_joint_sets(tmp_path):
    path = files.heatmaps(tmp_path / "a.onnx", joints=16)
    with pytest.raises(InputError, match="16 joints; give skeleton=.*efficientpose16"):
        pose(path)
    with pytest.raises(InputError, match="coco17 does not fit"):
        pose(path, skeleton="coco17")
    assert pose(path, skeleton="efficientpose16").skeleton == EFFICIENTPOSE16
    with pytest.raises(InputError, match="none that is known"):
        pose(files.heatmaps(tmp_path / "b.onnx", joints=5))


def test_what_has_no_source_in_another_skeleton_is_missing():
    points, scores = np.random.default_rng(0).uniform(size=(2, 16, 2)).astype(np.float32), np.full((2, 16), 0.5, np.float32)
    moved, sure = convert(points, scores, EFFICIENTPOSE16, BODY21)
    face = BODY21.indices("nose", "left_eye", "right_eye", "left_ear", "right_ear")
    assert np.isnan(moved[:, face]).all() and (sure[:, face] == 0).all()
    rest = [i for i in range(21) if i not in face]
    assert np.isfinite(moved[:, rest]).all() and (sure[:, rest] == 0.5).all()
    np.testing.assert_allclose(moved[:, BODY21.index("left_knee")], points[:, EFFICIENTPOSE16.index("left_knee")])


def test_a_free_input_size_is_asked_for(tmp_path):
    path = files.yolox(tmp_path / "a.onnx", batch=1)
    model = files.onnx.load(path)
    for place in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[place].dim_param = f"side{place}"
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "cells"
    files.onnx.save(model, path)
    with pytest.raises(InputError, match="give size=WIDTH,HEIGHT"):
        detector(path)
    found = detector(path, size="96,64", threshold=0.9)([lit(24, 16, 8, 96)])[0]
    np.testing.assert_allclose(found.boxes, [[20, 8, 36, 32]], atol=1e-4)
    with pytest.raises(InputError, match="takes 64x64 only"):
        detector(files.yolox(tmp_path / "b.onnx"), size=96)


def test_networks_of_another_kind_are_refused_with_their_outputs(tmp_path):
    with pytest.raises(InputError, match=r"neither YOLOX nor RTMDet; it gives maps \(1, 17, 16, 12\)"):
        detector(files.heatmaps(tmp_path / "maps.onnx"))
    with pytest.raises(InputError, match=r"neither heat maps.*output \(1, 84, 7\)"):
        pose(files.yolox(tmp_path / "rows.onnx"))
    with pytest.raises(InputError, match="neither YOLOX nor RTMDet as decoder=rtmdet says"):
        detector(tmp_path / "rows.onnx", decoder="rtmdet")
    with pytest.raises(InputError, match="expected one of yolox, rtmdet"):
        detector(tmp_path / "rows.onnx", decoder="ssd")


@pytest.mark.parametrize("content", [b"", b"no network", bytes(200)])
def test_a_damaged_file_is_one_line(tmp_path, content):
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(InputError, match="a.onnx cannot be read as an ONNX network") as caught:
        detector(tmp_path / "a.onnx")
    assert "\n" not in str(caught.value)


def test_no_file_and_no_onnxruntime(tmp_path, monkeypatch):
    for make in (detector, pose):
        with pytest.raises(InputError, match="neither a file nor a known name"):
            make(tmp_path / "none.onnx")
    with pytest.raises(InputError, match="onnx:file="):
        parts.make("detector", "onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match="python -m pip install onnxruntime"):
        detector(files.yolox(tmp_path / "a.onnx"))


def test_a_gpu_is_used_where_onnxruntime_offers_it(monkeypatch, capsys):
    import onnxruntime

    from weights import _onnx

    assert _onnx._providers(onnxruntime, "cpu") == ["CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    assert _onnx._providers(onnxruntime, "auto") == [("CUDAExecutionProvider", {"device_id": 0}), "CPUExecutionProvider"]
    assert _onnx._providers(onnxruntime, "cuda:1")[0] == ("CUDAExecutionProvider", {"device_id": 1})
    assert _onnx._providers(onnxruntime, "cpu") == ["CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert _onnx._providers(onnxruntime, "cuda") == ["CPUExecutionProvider"] and "runs on the CPU" in capsys.readouterr().err


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path):
    """(folder, address) of a folder that a local server gives out."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_preset_rtm_fetches_unpacks_and_runs(tmp_path, served, monkeypatch, capsys):
    folder, address = served
    rows = dict(weights.manifest())
    for name, make in (("rtmdet-m", files.suppressed), ("rtmpose-m", files.simcc)):
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as packed:
            packed.write(make(tmp_path / "end2end.onnx"), "20230831/folder/end2end.onnx")
        rows[name] = dataclasses.replace(rows[name], origin=f"{address}/{name}.zip")
    monkeypatch.setattr(_files, "manifest", lambda: rows)
    made = build_parts(Settings(preset="rtm", weights_dir=str(tmp_path / "cache"), device="cpu"))
    assert sorted(p.name for p in (tmp_path / "cache").glob("*.onnx")) == sorted(rows[name].file for name in ("rtmdet-m", "rtmpose-m"))
    said = capsys.readouterr().err
    assert said.count("Apache-2.0 (OpenMMLab)") == 2 and said.count("seen for the first time") == 2
    image = np.full((64, 64, 3), 200, np.uint8)
    found = made.detector([image])[0]
    assert len(found) == 2 and made.pose([image], [found.boxes])[0].points.shape == (2, 17, 2)
    assert Settings(preset="rtm", causal=True).spec("lifter") == "tcn:weights=lifter-tcn27-causal"


@shared
@pytest.mark.shared
@pytest.mark.parametrize("file", ["yolox_nano_416.onnx", "rtmdet_nano_person.onnx"])
def test_public_detectors_find_people_on_photographs(file):
    photographs = boxes.load(SHARED / "data" / "person_boxes", "val")[:40]
    scores, _ = measure_boxes(detector(SHARED / "weights" / file, threshold=0.01), photographs)
    assert scores["person_boxes.ap50"] > 55


@shared
@pytest.mark.shared
@pytest.mark.parametrize(("file", "options", "least"), [
    ("ultralight_simplepose.onnx", {}, 70), ("efficientpose_I_exported.onnx", {"skeleton": "efficientpose16", "scale": 1.2}, 45)])
def test_public_pose_networks_find_joints_on_photographs(file, options, least):
    estimator = pose(SHARED / "weights" / file, **options)
    _, names, people, truth = zip(*islice(coco_people.rows(SHARED / "data", "val"), 60), strict=True)
    points, _ = predict(estimator, list(zip(names, people, strict=True)))
    joints, truth, people = COCO17.joints[5:], np.array(truth, float)[:, 5:], np.array(people, float)
    off = np.linalg.norm(points[:, estimator.skeleton.indices(*joints)] - truth[..., :2], axis=-1)
    hit = off <= 0.1 * (people[:, 2:] - people[:, :2]).max(1)[:, None]
    assert 100 * hit[truth[..., 2] > 0].mean() > least
