"""Anatomy3D's visibility scores: the file, and their place beside the 2D."""

import pickle

import numpy as np
import pytest

from core.errors import InputError
from core.skeletons import H36M17
from training.datasets import visibility
from training.datasets.keypoints import LAYOUTS
from training.datasets.lifting import fitted
from training.datasets.rigs import rig


def data(frames=6):
    random = np.random.default_rng(0)
    points = {"S1": {"Walking 1": [random.uniform(0, 1000, (frames, 17, 2)).astype(np.float32) for _ in range(4)]},
              "S9": {"Walking": [random.uniform(0, 1000, (frames, 17, 3)).astype(np.float32) for _ in range(4)]}}
    joints = {"S1": {"Walking 1": random.normal(0, 1, (frames, 17, 3)).astype(np.float32)}}
    return fitted("h36m", "gt", H36M17, LAYOUTS["h36m"], 50, rig("h36m"), joints, points, "here")


def scores(**lengths):
    random = np.random.default_rng(1)
    return {f"{subject}.{camera}": random.uniform(0, 1, (lengths.get(f"{subject[:2]}", 6), 17)).astype(np.float32)
            for subject in ("S1_Walking 1", "S9_Walking") for camera in range(4)}


def test_the_file_comes_back_and_is_the_authors(tmp_path):
    made = scores()
    visibility.write(tmp_path / "score.pkl", made)
    found = visibility.read(tmp_path / "score.pkl")
    assert found.keys() == made.keys() and all((found[key] == made[key]).all() for key in made)
    plain = pickle.loads((tmp_path / "score.pkl").read_bytes())
    assert plain["S1_Walking 1.3"].shape == (6, 17, 1)


@pytest.mark.parametrize(("length", "rows"), [(6, [0, 1, 2, 3, 4, 5]), (9, [0, 1, 2, 3, 4, 5]), (4, [0, 1, 2, 3, 3, 3])])
def test_scores_stand_beside_their_frames(length, rows):
    whole, made = data(), scores(S1=length)
    seen = visibility.seen(whole, made, ["S1"])
    for camera, view in enumerate(seen.points["S1"]["Walking 1"]):
        assert (view[..., 2] == made[f"S1_Walking 1.{camera}"][rows]).all()
        assert (view[..., :2] == whole.points["S1"]["Walking 1"][camera]).all()
    half = seen.clips(["S1"], subset=0.5)[0]
    kept = [i for i, view in enumerate(seen.clips(["S1"])[0].points) if (view == half.points[0]).all()]
    assert (half.points[:, :, 2] == made["S1_Walking 1.0"][rows][kept[0]: kept[0] + 3]).all()
    other = visibility.seen(whole, made, ["S9"]).points["S9"]["Walking"][1]
    assert other.shape == (6, 17, 3) and (other[..., 2] == made["S9_Walking.1"]).all()


def test_what_is_missing_or_other_is_one_line(tmp_path):
    file = tmp_path / "score.pkl"
    with pytest.raises(InputError, match="no visibility scores .*anatomy3d-scores"):
        visibility.read(file)
    for wrong in ([1, 2], {}, {"S1_Walking.0": np.zeros((3, 2, 2, 2))}, {"S1_Walking.0": np.full((3, 17, 1), np.nan)}, {"S1_Walking.0": "text"}):
        file.write_bytes(pickle.dumps(wrong))
        with pytest.raises(InputError, match="score.pkl") as caught:
            visibility.read(file)
        assert "\n" not in str(caught.value)
    made = scores()
    del made["S1_Walking 1.2"]
    with pytest.raises(InputError, match="lack 'S1_Walking 1.2'"):
        visibility.seen(data(), made, ["S1"])
    with pytest.raises(InputError, match="of 16 joints, expected 17"):
        visibility.seen(data(), {key: value[:, :16] for key, value in scores().items()}, ["S1"])
