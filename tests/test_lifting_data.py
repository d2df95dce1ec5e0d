"""The lifters' data sets: files written and read, what is refused and how, the choice of clips, and batches against the plain way."""

import pickle
import shutil

import numpy as np
import pytest
import torch

from benchmarks._plain_batches import plain_batches
from core import geometry
from core.errors import InputError
from core.records import Camera
from core.skeletons import H36M17, HUMANEVA15
from tests import lifting_data
from training.datasets import keypoints, pickles, rigs, takes, written
from training.datasets.lifting import Clip, drawn
from training.datasets.published import open_set
from training.datasets.windows import Mirrors, Windows, mirrored, mirrored_lens, whole


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return lifting_data.write(tmp_path_factory.mktemp("data"))


# ---- files


def test_written_files_have_the_official_keys_and_shapes(data):
    joints = np.load(data / "data_3d_h36m.npz", allow_pickle=True)["positions_3d"].item()
    assert list(joints) == list(lifting_data.SUBJECTS) and "Directions" not in joints["S11"] and "Directions 1" in joints["S11"]
    assert joints["S1"]["Walking"].shape == (48, 32, 3) and joints["S1"]["Walking"].dtype == np.float32
    file = np.load(data / "data_2d_h36m_detectron_pt_coco.npz", allow_pickle=True)
    views, metadata = file["positions_2d"].item()["S1"]["Walking"], file["metadata"].item()
    assert [view.shape for view in views] == [(48, 17, 3)] * 4
    assert metadata["num_joints"] == 17 and metadata["keypoints_symmetry"][0] == [1, 3, 5, 7, 9, 11, 13, 15]
    assert "layout_name" not in np.load(data / "data_2d_h36m_gt.npz", allow_pickle=True)["metadata"].item()
    custom = np.load(data / "data_2d_custom_walker.npz", allow_pickle=True)["metadata"].item()
    assert custom["video_metadata"] == {"walker.mp4": {"w": 1000, "h": 1002}}


def test_exact_2d_is_the_projection_of_the_3d(data):
    clip = open_set("h36m", "gt", data).clips(["S9"], ["Walking"])[2]
    joints = clip.joints.copy()
    joints[:, 1:] += joints[:, :1]
    lens = torch.from_numpy(clip.camera.lens).expand(len(joints), 9)
    np.testing.assert_allclose(rigs.project(torch.from_numpy(joints), lens).numpy(), clip.points, atol=2e-6)
    assert clip.index == 2 and clip.camera.name == "58860488" and clip.kind == "Walking" and clip.joints.shape[1] == len(H36M17)


def test_a_lens_without_tangential_numbers_is_the_common_one():
    lens = rigs.rig("h36m")["S1"][0].lens.copy()
    lens[7:] = 0
    points = np.random.default_rng(2).uniform([-1, -1, 3], [1, 1, 6], (8, 17, 3)).astype(np.float32)
    camera = Camera(1000, 1002, *(lens[:2] * 500), *rigs.pixels(lens[2:4], rigs.video_camera("", 1000, 1002)), (*lens[4:6], 0, 0, lens[6]))
    own = rigs.project(torch.from_numpy(points), torch.from_numpy(lens).expand(8, 9)).numpy()
    np.testing.assert_allclose(rigs.pixels(own, camera), geometry.project(points, camera), atol=1e-3)
    flat = rigs.project_linear(torch.from_numpy(points), torch.from_numpy(lens).expand(8, 9)).numpy()
    np.testing.assert_allclose(flat, points[..., :2] / points[..., 2:] * lens[:2] + lens[2:4], atol=1e-6)


def test_a_camera_turns_there_and_back():
    camera, world = rigs.rig("h36m")["S9"][1], np.random.default_rng(2).normal(size=(4, 17, 3)).astype(np.float32)
    inside = rigs.to_camera(world, camera)
    np.testing.assert_allclose(rigs.to_world(inside, camera), world, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(inside, axis=-1), np.linalg.norm(world - camera.place, axis=-1), rtol=1e-5)
    up = rigs.to_camera(camera.place + np.array([[0, 0, 1]], np.float32), camera)[0]
    assert up[1] < -0.9  # the world's up is up in the picture


def test_people_stand_before_all_cameras_upright(data):
    clips = open_set("h36m", "gt", data).clips(lifting_data.SUBJECTS)
    depth = np.concatenate([clip.joints[:, 0, 2] for clip in clips])
    head, foot = H36M17.index("head"), H36M17.index("left_foot")
    assert depth.min() > 1.5 and np.abs(np.concatenate([clip.points for clip in clips])).max() < 1.3
    assert all((clip.joints[:, head, 1] < clip.joints[:, foot, 1]).all() for clip in clips if clip.kind == "Walking")


def test_noisy_kinds_stay_near_the_exact_one_and_writing_is_repeatable(data, tmp_path):
    exact = open_set("h36m", "gt", data).clips(["S1"])
    noisy = open_set("h36m", "cpn_ft_h36m_dbb", data).clips(["S1"])
    error = np.concatenate([np.linalg.norm(a.points - b.points, axis=-1) for a, b in zip(exact, noisy, strict=True)]) * 500
    assert 2 < error.mean() < 15
    lifting_data.write(tmp_path)
    for name in ("data_3d_h36m.npz", "data_2d_h36m_cpn_ft_h36m_dbb.npz"):
        assert (tmp_path / name).read_bytes() == (data / name).read_bytes() or _same(tmp_path / name, data / name)


def _same(a, b):
    a, b = (pickle.dumps(pickles.load_npz(path)) for path in (a, b))
    return a == b


def test_humaneva_and_custom_are_read(data):
    eva = open_set("humaneva15", "detectron_pt_coco", data)
    clips = eva.clips(["Train/S1", "Validate/S2"], ["Walk", "Jog"])
    assert {clip.kind for clip in clips} == {"Walking", "Jog"} and len({clip.index for clip in clips}) == 3 and eva.fps == 60
    assert clips[0].joints.shape[1] == len(HUMANEVA15) and clips[0].camera.lens is None
    assert eva.clips(["Unlabeled/S4"], truth=False)[0].joints is None
    custom = open_set("custom", "walker", data).clips(["walker.mp4"])
    assert len(custom) == 1 and custom[0].joints is None and custom[0].points.shape == (30, 17, 2)


def test_motion_capture_beside_the_repository_makes_takes():
    folder = "../shared/data"
    if not __import__("pathlib").Path(folder, "mocap", "cmu.npz").is_file():
        pytest.skip("the data folder beside the repository has no motion capture")
    motion = takes.takes({"Walking": ("walk",)}, ("S1", "S5"), ("", " 1"), 60, 50, folder)
    assert motion["S5"]["Walking 1"].shape == (60, 21, 3) and np.ptp(motion["S1"]["Walking"][:, 17, :2], axis=0).max() <= takes.REACH + 1e-6


# ---- what is refused


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda p: (p / "data_3d_h36m.npz").unlink(), "vision.imar.ro"),
    (lambda p: (p / "data_2d_h36m_gt.npz").unlink(), "dl.fbaipublicfiles.com"),
    (lambda p: (p / "data_3d_h36m.npz").write_bytes(b"no zip"), "cannot be read"),
    (lambda p: np.savez(p / "data_3d_h36m.npz", other=np.zeros(3)), "has no 'positions_3d'"),
    (lambda p: _points(p, lambda d: d.pop("S9")), "subject S9 of the 3D file has no 2D"),
    (lambda p: _points(p, lambda d: d["S9"].pop("Walking")), "S9 Walking of the 3D file has no 2D"),
    (lambda p: _points(p, lambda d: d["S9"]["Walking"].pop()), "has 3 cameras, expected 4"),
    (lambda p: _points(p, lambda d: d["S9"]["Walking"].__setitem__(1, d["S9"]["Walking"][1][:20])), "camera 1: 20 frames of 2D for 48 of 3D"),
    (lambda p: _points(p, lambda d: d["S9"]["Walking"].__setitem__(1, d["S9"]["Walking"][1][:, :9])), r"expected \(frames, 17, 2 or 3\)"),
    (lambda p: _points(p, lambda d: d["S9"]["Walking"][0].__setitem__((3, 2, 1), np.nan)), "not finite")])
def test_a_fault_in_the_files_is_one_clear_line(data, tmp_path, spoil, words):
    for name in ("data_3d_h36m.npz", "data_2d_h36m_gt.npz"):
        shutil.copy(data / name, tmp_path / name)
    spoil(tmp_path)
    with pytest.raises(InputError, match=words) as error:
        open_set("h36m", "gt", tmp_path)
    assert "\n" not in str(error.value)


def _points(folder, change):
    path = folder / "data_2d_h36m_gt.npz"
    points, layout, _ = keypoints.read(path)
    change(points)
    keypoints.write(path, points, layout, named=False)


def test_longer_2d_is_cut_to_the_motion(data, tmp_path):
    for name in ("data_3d_h36m.npz", "data_2d_h36m_gt.npz"):
        shutil.copy(data / name, tmp_path / name)
    _points(tmp_path, lambda d: d["S1"]["Walking"].__setitem__(0, np.concatenate([d["S1"]["Walking"][0]] * 2)))
    assert len(open_set("h36m", "gt", tmp_path).clips(["S1"], ["Walking"])[0]) == 48


def test_nothing_in_a_file_is_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return print, ("run",)

    np.savez(tmp_path / "data_2d_custom_x.npz", positions_2d=np.array({"a": Trap()}, object), metadata=np.array({}, object))
    with pytest.raises(InputError, match="wants to run"):
        open_set("custom", "x", tmp_path)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"a": [1, (2.0, "b")], "n": np.arange(3.0), "s": np.float32(2)}))
    assert pickles.load(tmp_path / "x.pkl")["a"] == [1, (2.0, "b")]


# ---- the choice of clips


def test_actions_are_prefixes_and_clips_come_by_subject_action_camera(data):
    clips = open_set("h36m", "gt", data).clips(["S1", "S9"], ["Walk"])
    assert [(c.subject, c.action, c.index) for c in clips[:5]] == [("S1", "Walking", i) for i in range(4)] + [("S1", "Walking 1", 0)]
    assert {clip.kind for clip in clips} == {"Walking", "WalkDog"} and len(clips) == 2 * 4 * 4


def test_subset_and_downsample(data):
    found = open_set("h36m", "gt", data)
    all_frames, part = found.clips(["S1"], ["Walking"])[0], found.clips(["S1"], ["Walking"], 0.25, 2)[0]
    start = drawn(0, 48 - 12 + 1, "48")
    np.testing.assert_array_equal(part.points, all_frames.points[start : start + 12 : 2])
    np.testing.assert_array_equal(part.joints, all_frames.joints[start : start + 12 : 2])
    assert len(found.clips(["S1"], ["Walking"], downsample=5)[0]) == 10
    assert drawn(0, 100, "1383") == 32  # SHA-256 of "1383" begins with 5b 6f 66 52


def test_unknown_subjects_and_actions_are_named(data):
    found = open_set("h36m", "gt", data)
    with pytest.raises(InputError, match="no subject S77; there are S1"):
        found.clips(["S77"])
    with pytest.raises(InputError, match="begins with Swimming"):
        found.clips(["S1"], ["Swimming"])
    with pytest.raises(InputError, match="no data set 'mpii'"):
        open_set("mpii", "gt", data)


# ---- batches


def clip(length, seed=0):
    rng = np.random.default_rng(seed)
    return Clip("S1", "Walking", 0, rigs.rig("h36m")["S1"][0], rng.normal(size=(length, 17, 2)).astype(np.float32),
                rng.normal(size=(length, 17, 3)).astype(np.float32))


CLIPS = [clip(7, 1), clip(4, 2), clip(1, 3)]
MIRRORS = Mirrors(H36M17.mirror, H36M17.mirror)


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize("mirrors", [None, MIRRORS])
def test_batches_are_those_of_the_plain_way(stride, shift, mirrors):
    made = Windows(CLIPS, 5, stride, 3, shift, mirrors=mirrors)
    plain = list(plain_batches(CLIPS, 5, stride, 3, shift, mirrors=mirrors))
    assert len(made) == len(plain)
    for batch, (points, joints) in zip(made, plain, strict=True):
        np.testing.assert_array_equal(batch.points.double().numpy(), points)
        np.testing.assert_array_equal(batch.joints.double().numpy(), joints)


def test_an_epoch_is_reshuffled_and_a_mirrored_chunk_has_a_mirrored_lens():
    windows = Windows(CLIPS, 4, mirrors=MIRRORS)
    first, second = (torch.cat([batch.rows for batch in windows]) for _ in range(2))
    assert not torch.equal(first, second) and sorted(first.tolist()) == sorted(second.tolist())
    for batch in windows:
        expected = torch.from_numpy(CLIPS[0].camera.lens).expand(len(batch.rows), 9)
        assert torch.equal(batch.lens, torch.where(batch.rows[:, 3:] > 0, mirrored_lens(expected), expected))


def test_endless_batches_go_on_from_a_saved_place():
    windows = Windows(CLIPS, 5, endless=True, seed=4321)
    stream = iter(windows)
    for _ in range(4):
        next(stream)
    state, after = windows.state(), None
    state = pickle.loads(pickle.dumps(state))
    expected = [next(stream).points for _ in range(5)]
    after = Windows(CLIPS, 5, endless=True, seed=1)
    after.restore(state)
    for batch, points in zip(after, expected, strict=False):
        assert torch.equal(batch.points, points)


def test_processes_share_a_batch():
    whole_batch = next(iter(Windows(CLIPS, 6))).points
    parts = [next(iter(Windows(CLIPS, 6, share=(i, 2)))).points for i in range(2)]
    assert torch.equal(torch.cat(parts), torch.cat([whole_batch[::2], whole_batch[1::2]]))


def test_a_last_batch_too_small_for_every_process_is_left_out():
    counts = [[len(batch.rows) for batch in Windows(CLIPS, 11, share=(i, 2), least=2)] for i in range(2)]
    assert counts == [[6], [5]] and [len(batch.rows) for batch in Windows(CLIPS, 11)] == [11, 1]


def test_whole_clips_are_padded_and_mirrored():
    points, joints = whole(CLIPS[0], 4, 4, MIRRORS)
    assert points.shape == (2, 15, 17, 2) and torch.equal(points[0, :8], points[0, 8].expand(8, 17, 2))
    assert torch.equal(points[0, 8:], torch.from_numpy(CLIPS[0].points)) and torch.equal(points[1], mirrored(points[0], list(H36M17.mirror)))
    assert torch.equal(joints[0], torch.from_numpy(CLIPS[0].joints))


def test_written_actions_are_human36ms_fifteen():
    assert len(takes.ACTIONS) == 15 and len(written.SUBJECTS) == 7
