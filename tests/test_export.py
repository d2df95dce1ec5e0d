import csv
import json
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest

from app.export import check_export, load, save
from core.errors import InputError
from core.records import Motion, VideoInfo
from core.skeletons import BODY21, COCO17, H36M17, Skeleton, convert
from tests.motions import walking


@pytest.fixture
def motion():
    """Two people, the first with a missing joint, a filled-in frame and a hole, the second with an appearance."""
    made = walking(people=2, frames=12)
    first = made.tracks[1]
    keep = np.array([0, 1, 2, 5, 6])
    points, scores, observed = first.points[keep].copy(), first.scores[keep].copy(), first.observed[keep].copy()
    points[1, 3], scores[1, 3], observed[2] = np.nan, 0, False
    cut = {field.name: getattr(first, field.name)[keep] for field in fields(first) if field.name not in ("id", "feature")}
    first = replace(first, **(cut | {"points": points, "scores": scores, "observed": observed}))
    return replace(made, tracks={1: first, 2: replace(made.tracks[2], feature=np.arange(5.0))})


def equal(a, b):
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, tuple) and not isinstance(a, Skeleton):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if hasattr(a, "__dataclass_fields__") and not isinstance(a, Skeleton):
        return all(equal(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)
    return a == b


def test_npz_gives_the_motion_back(motion, tmp_path):
    save(motion, tmp_path / "new folder" / "m.npz")
    back = load(tmp_path / "new folder" / "m.npz")
    assert equal(motion, back) and back.skeleton2d is BODY21
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["m.npz"]


def test_npz_of_other_skeletons_camera_and_nobody(motion, tmp_path):
    stick = Skeleton("stick", ("foot", "tête"), (-1, 0))
    camera = replace(motion.camera, distortion=np.arange(5) / 10, guessed=False)
    info = VideoInfo(640, 480, motion.info.fps * 999 / 1000, None, 90, True)
    empty = Motion(info, camera, motion.world_from_camera, stick, H36M17)
    save(empty, tmp_path / "m.npz")
    assert equal(empty, load(tmp_path / "m.npz"))


def test_worlds_of_a_causal_run_are_kept_and_used(motion, tmp_path):
    tilted = np.eye(4)
    tilted[2, 3] = 7
    causal = replace(motion, worlds=(np.array([0, 6]), np.stack([tilted, motion.world_from_camera])))
    save(causal, tmp_path / "m.npz")
    assert equal(causal, load(tmp_path / "m.npz"))
    for made, suffix in ((motion, "a.csv"), (causal, "b.csv")):
        save(made, tmp_path / suffix)
    before, after = (list(csv.DictReader((tmp_path / name).open(newline=""))) for name in ("a.csv", "b.csv"))
    assert before[0]["z_world_m"] != after[0]["z_world_m"] and before[-1] == after[-1]


def test_npz_needs_numpy_alone(motion, tmp_path):
    save(motion, tmp_path / "m.npz")
    code = "import numpy, sys; d = numpy.load('m.npz'); print(d['joints3d_cam_m'].shape, d['skeleton2d_joints'][0], int(d['schema_version']))"
    out = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert out.strip() == "(17, 21, 3) nose 1"


def test_what_is_not_saved_motion(motion, tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "other.npz", a=1)
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    save(motion, tmp_path / "later.npz")
    later = dict(np.load(tmp_path / "later.npz")) | {"schema_version": 99}
    np.savez(tmp_path / "later.npz", **later)
    whole = tmp_path / "cut.npz"
    save(motion, whole)
    whole.write_bytes(whole.read_bytes()[:-300])
    for name in ("text.npz", "other.npz", "array.npz", "later.npz", "cut.npz", "none.npz", "m.json"):
        with pytest.raises(InputError):
            load(tmp_path / name)


def test_json(motion, tmp_path):
    save(motion, tmp_path / "m.json")
    data = json.loads((tmp_path / "m.json").read_text(), parse_constant=pytest.fail)
    assert data["categories"][0]["keypoints"] == list(BODY21.joints) and len(data["images"]) == 12
    rows = data["annotations"]
    assert len(rows) == 17 and [(r["image_id"], r["track_id"]) for r in rows[:3]] == [(0, 1), (0, 2), (1, 1)]
    assert rows[2]["keypoints"][9:12] == [None, None, 0] and rows[2]["num_keypoints"] == 20
    assert np.allclose(rows[0]["keypoints3d_cam_m"], motion.tracks[1].joints3d[0], atol=1e-4)
    assert rows[0]["bbox"][2] > 0 and rows[4]["observed"] is False


def test_csv(motion, tmp_path):
    save(motion, tmp_path / "m.csv")
    with (tmp_path / "m.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 17 * 21
    assert rows[2 * 21 + 3]["x_px"] == "" and rows[2 * 21 + 3]["joint"] == BODY21.joints[3]
    camera = np.array([[float(row[f"{axis}_cam_m"]) for axis in "xyz"] for row in rows[:21]])
    assert np.allclose(camera, motion.tracks[1].joints3d[0] + motion.tracks[1].root[0], atol=1e-4)
    assert 0 < min(float(row["z_world_m"]) for row in rows) < 0.1


def test_csv_has_the_joints_of_both_skeletons(motion, tmp_path):
    tracks = {k: replace(t, joints3d=convert(t.joints3d, t.scores, BODY21, H36M17)[0]) for k, t in motion.tracks.items()}
    save(replace(motion, skeleton3d=H36M17, tracks=tracks), tmp_path / "m.csv")
    lines = (tmp_path / "m.csv").read_text().splitlines()
    assert any(",neck_nose,,,," in line for line in lines) and any(",left_ear," in line and line.endswith(",,,,,,") for line in lines)


def test_mot_challenge(motion, tmp_path):
    save(motion, tmp_path / "m.txt")
    rows = np.loadtxt(tmp_path / "m.txt", delimiter=",")
    assert rows.shape == (17, 10) and rows[0, 0] == 1 and (rows[:, 7:] == -1).all() and (np.diff(rows[:, 0]) >= 0).all()
    left, top, right, bottom = motion.tracks[1].boxes[0]
    assert np.allclose(rows[0, 2:6], [left, top, right - left, bottom - top], atol=0.01)


def test_videopose(motion, tmp_path):
    save(motion, tmp_path / "m.npy")
    joints = np.load(tmp_path / "m.npy")
    track = motion.tracks[2]
    assert joints.shape == (12, 17, 3) and joints.dtype == np.float32
    assert np.allclose(joints[:, 0], track.root, atol=1e-5)
    assert np.allclose(joints[:, 6], track.joints3d[:, BODY21.index("left_ankle")] + track.root, atol=1e-5)
    lost = {2: replace(track, root=np.full_like(track.root, np.nan))}
    save(replace(motion, tracks=lost), tmp_path / "m.npy")
    assert np.allclose(np.load(tmp_path / "m.npy")[:, 0], 0, atol=1e-5)


@pytest.mark.parametrize("suffix", ["npz", "json", "csv", "bvh", "trc", "txt", "npy"])
def test_nobody_in_every_format(motion, tmp_path, suffix):
    save(replace(motion, tracks={}), tmp_path / f"m.{suffix}")
    assert (tmp_path / f"m.{suffix}").exists()
    if suffix == "npy":
        assert np.load(tmp_path / "m.npy").shape == (0, 17, 3)


def test_coco_skeleton_in_every_format(motion, tmp_path):
    tracks = {k: replace(t, points=t.points[:, :17], scores=t.scores[:, :17], joints3d=t.joints3d[:, :17]) for k, t in motion.tracks.items()}
    coco = replace(motion, skeleton2d=COCO17, skeleton3d=COCO17, tracks=tracks)
    for suffix in ("npz", "json", "csv", "bvh", "trc", "txt", "npy"):
        save(coco, tmp_path / f"m.{suffix}")
    assert equal(coco, load(tmp_path / "m.npz"))


def test_faults_are_said_before_work(motion, tmp_path):
    (tmp_path / "file").write_text("")
    for bad in ("m.xyz", "m", "file/m.npz"):
        with pytest.raises(InputError):
            check_export(tmp_path / bad)
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(InputError, match="folder"):
        check_export(tmp_path / "folder.npz")
    check_export(tmp_path / "a" / "b" / "M.NPZ")


def test_a_failed_export_leaves_the_old_file(motion, tmp_path, monkeypatch):
    from app import export

    save(motion, tmp_path / "m.txt")
    before = (tmp_path / "m.txt").read_bytes()

    def breaks(motion, path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(export._WRITERS, ".txt", breaks)
    with pytest.raises(InputError, match="No space"):
        save(motion, tmp_path / "m.txt")
    assert (tmp_path / "m.txt").read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["m.txt"]
