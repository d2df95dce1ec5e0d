"""Human3.6M's videos to 3DMPPE's JSON and pictures, from files of our own that are named and laid out like the originals."""

import shutil

import cv2
import numpy as np
import pytest
import torch

from core.errors import InputError
from tests.conftest import write_clip
from training.datasets import keypoints, mppe_human36m, rigs
from training.prepare import h36m_images

FRAMES = 66  # the 64th is among those of S11


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A folder with S11/Videos of one take before four cameras, and its joints."""
    folder = tmp_path_factory.mktemp("originals")
    (folder / "S11" / "Videos").mkdir(parents=True)
    clips = {}
    for width, height in {(view.width, view.height) for view in rigs.rig("h36m")["S11"]}:
        flat = np.full((height, width, 3), 60, np.uint8)
        clips[width, height] = write_clip(folder / f"{width}x{height}.mp4", (flat + np.uint8(2 * i) for i in range(FRAMES)), 50)
    for view in rigs.rig("h36m")["S11"]:
        shutil.copy(clips[view.width, view.height], folder / "S11" / "Videos" / f"TakingPhoto 1.{view.name}.mp4")
    joints = np.random.default_rng(0).normal(0, 0.4, (FRAMES, 32, 3)).astype(np.float32) + np.float32([0, 0, 1])
    keypoints.save_npz(folder / "data_3d_h36m.npz", positions_3d={"S11": {"Photo 1": joints}})
    return folder


def run(originals, output, *flags):
    files = ["--videos", str(originals), "--joints", str(originals / "data_3d_h36m.npz")]
    h36m_images.main([*files, "--output", str(output), "--subjects", "11", *flags])


def test_pictures_cameras_and_joints(originals, tmp_path):
    run(originals, tmp_path)
    persons = mppe_human36m.load(tmp_path, "test", 1)
    assert len(persons) == 8 and set(persons.actions) == {mppe_human36m.ACTIONS.index("Photo")}  # frames 0 and 64 of four cameras
    recorded = keypoints.load_npz(originals / "data_3d_h36m.npz", "positions_3d")["positions_3d"]["S11"]["Photo 1"][:, rigs.FACTS["h36m"]["kept"]]
    for row, path in enumerate(persons.paths):
        view = rigs.rig("h36m")["S11"][int(path.split("_ca_")[1][:2]) - 1]
        frame = int(path[-10:-4]) - 1
        space = rigs.to_camera(np.ascontiguousarray(recorded[frame]), view)
        np.testing.assert_allclose(persons.space[row, :17], space, atol=1e-4)
        plain = rigs.project_linear(torch.from_numpy(space)[None], torch.from_numpy(view.lens)[None])[0].numpy()
        inside = (np.abs(space[:, :2] / space[:, 2:]) < 1).all(1)
        np.testing.assert_allclose(persons.points[row, :17, :2][inside], rigs.pixels(plain, view)[inside], atol=0.02)
        assert abs(cv2.imread(path).mean() - (60 + 2 * frame)) < 3
    assert len(mppe_human36m.load(tmp_path, "train", 1, subjects=(11,))) == 4 * 14


def test_an_interrupted_run_goes_on(originals, tmp_path):
    run(originals, tmp_path)
    pictures = sorted((tmp_path / "Human36M" / "images").rglob("*.jpg"))
    assert len(pictures) == 4 * 15 and not list(tmp_path.rglob("*.partial*"))
    kept = pictures[1].stat().st_mtime_ns
    pictures[0].unlink()
    run(originals, tmp_path)
    assert pictures[0].is_file() and pictures[1].stat().st_mtime_ns == kept


def test_names_of_takes():
    assert h36m_images.parts(["Directions 1", "Directions", "Photo", "Photo 2"]) == {"Directions": (2, 2), "Directions 1": (2, 1), "Photo": (12, 1),
                                                                                     "Photo 2": (12, 2)}
    with pytest.raises(InputError, match="take 'Dancing'"):
        h36m_images.parts(["Dancing"])


def test_faults_are_one_line(originals, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(originals, broken)
    next((broken / "S11" / "Videos").glob("*.mp4")).unlink()
    with pytest.raises(InputError, match="no .*Photo 1.*mp4"):
        run(broken, tmp_path / "out")
    joints = np.zeros((FRAMES + 5, 17, 3), np.float32)
    keypoints.save_npz(originals / "long.npz", positions_3d={"S11": {"Photo 1": joints}})
    with pytest.raises(InputError, match="it ends before frame 70"):
        run(originals, tmp_path / "long", "--joints", str(originals / "long.npz"))
    with pytest.raises(InputError, match="--subjects 4"):
        run(originals, tmp_path / "x", "--subjects", "4")
    with pytest.raises(InputError, match="no 3D motion"):
        run(originals, tmp_path / "x", "--joints", "nothing.npz")
