"""What people look like: crops, batches, files of several kinds."""

import numpy as np
import pytest
import torch

import weights
from core.errors import InputError
from core.networks import fuse
from core.records import Detections, Frame, Tracks
from trackers import _appearance as appearance
from trackers._embednet import EmbedNet
from trackers._reid import ReIdNet


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of untrained networks of both kinds."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("looks")
    weights.save(folder / "ours.safetensors", fuse(EmbedNet()).state_dict(), {"network": "EmbedNet"})
    torch.save({"net_dict": ReIdNet((8, 8, 16, 16), 8, 5).state_dict(), "acc": 0.5, "epoch": 3}, folder / "ckpt.t7")
    weights.save(folder / "other.safetensors", {"a": torch.zeros(2)}, {"network": "Other"})
    return folder


PICTURES = [np.random.default_rng(i).integers(0, 255, (120 + 40 * i, 200, 3), np.uint8) for i in range(3)]
BOXES = [np.array([[10, 10, 60, 110], [100, 5, 150, 100], [120, 20, 190, 119]]), np.zeros((0, 4)), np.array([[5, 5, 80, 150.5]])]


@pytest.mark.parametrize("name", ["ours.safetensors", "ckpt.t7"])
def test_features_are_unit_and_do_not_depend_on_the_batch(files, name, monkeypatch):
    embed = appearance.build_embedder(str(files / name), "cpu")
    together = embed(PICTURES, BOXES)
    assert [len(rows) for rows in together] == [3, 0, 1]
    np.testing.assert_allclose(np.linalg.norm(together[0], axis=1), 1, atol=1e-5)
    alone = embed([PICTURES[0]], [BOXES[0][[1]]])[0]
    np.testing.assert_allclose(alone[0], together[0][1], atol=1e-5)
    monkeypatch.setattr(appearance, "BATCH", 1)
    np.testing.assert_allclose(np.concatenate(embed(PICTURES, BOXES)), np.concatenate(together), atol=1e-5)
    assert embed([], []) == []


def test_a_box_that_shows_nothing_has_no_features(files):
    embed = appearance.build_embedder(str(files / "ours.safetensors"), "cpu")
    found = embed([PICTURES[0]], [np.array([[500, 500, 600, 600], [10, 10, 60, 110], [np.nan] * 4])])[0]
    assert np.isnan(found[[0, 2]]).all() and np.isfinite(found[1]).all()
    assert embed([PICTURES[0]], [np.array([[500, 500, 600, 600.0]])])[0].shape[0] == 1


def test_other_files_are_refused_in_one_line(files):
    with pytest.raises(InputError, match="no appearance network"):
        appearance.build_embedder(str(files / "other.safetensors"), "cpu")
    with pytest.raises(InputError):
        appearance.build_embedder("no-such-network", "cpu")


def test_crops_follow_the_published_rules():
    box = np.array([10.7, 20.2, 30.9, 80.6])
    assert appearance.inside(box, 25, 70).tolist() == [10, 20, 25, 70]
    assert appearance.half_as_wide(np.array([0, 0, 10, 100.0]), 200, 90).tolist() == [0, 0, 30, 89]
    crops = np.full((1, 2, 2, 3), (255, 0, 0), np.uint8)
    assert appearance.blue_first(crops)[0, 0, 0].tolist() == [0, 0, 255]
    np.testing.assert_allclose(appearance.normalised(crops)[0, :, 0, 0], (np.array([1, 0, 0]) - appearance.MEAN) / appearance.STD, rtol=1e-5)


def test_perceive_fills_the_looks_that_the_tracker_asks_for(files):
    from app.perceive import with_features

    embed = appearance.build_embedder(str(files / "ours.safetensors"), "cpu")
    frames = [Frame(i, i / 25, picture) for i, picture in enumerate(PICTURES)]
    found = with_features(embed, frames, {0: Detections(BOXES[0], np.ones(3)), 2: Detections.empty()})
    assert found[0].features.shape[0] == 3 and found[2].features.shape[0] == 0


def test_tracks_carry_looks_row_by_row():
    tracks = Tracks([1, 2], np.zeros((2, 4)), [1, 1], np.eye(2))
    assert tracks[np.array([False, True])].features.tolist() == [[0, 1]]
    with pytest.raises(ValueError, match="features"):
        Tracks([1], np.zeros((1, 4)), [1], np.eye(2))


@pytest.mark.parametrize(("raw", "batch"), [(False, "batch"), (False, 1), (True, "batch"), (True, 2)])
def test_a_network_of_an_onnx_file_describes_boxes(tmp_path, raw, batch):
    made = pytest.importorskip("tests.onnx_files").vectors(tmp_path / "looks.onnx", batch=batch, raw=raw)
    embed = appearance.build_embedder(str(made), "cpu")
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, 80:] = (250, 100, 50)
    found = embed([image, image], [np.array([[5, 5, 45, 85], [110, 5, 150, 85], [500, 5, 550, 85.0]]), np.array([[100, 5, 140, 85.0]])])
    colours = np.array([[0, 0, 0], [50, 100, 250]] if raw else (np.array([[0, 0, 0], [250, 100, 50]]) / 255 - appearance.MEAN) / appearance.STD)
    np.testing.assert_allclose(found[0][:2], colours / np.maximum(np.linalg.norm(colours, axis=1, keepdims=True), 1e-12), atol=1e-5)
    np.testing.assert_array_equal(found[1][0], found[0][1])
    assert np.isnan(found[0][2]).all()


def test_onnx_files_of_other_networks_are_refused_in_one_line(tmp_path):
    files = pytest.importorskip("tests.onnx_files")
    (tmp_path / "no.onnx").write_bytes(b"nothing")
    for path, message in ((files.heatmaps(tmp_path / "maps.onnx"), "no appearance network"), (tmp_path / "no.onnx", "cannot be read as an ONNX"),
                          (files.vectors(tmp_path / "free.onnx", size=("width", "height")), "pictures of one size")):
        with pytest.raises(InputError, match=message):
            appearance.build_embedder(str(path), "cpu")
    from weights._onnx import open_network

    with pytest.raises(InputError, match="of floats"):
        open_network(files.vectors(tmp_path / "bytes.onnx", raw=True), "cpu")
