"""Conversions into the lifters' files: original archives as they are laid out, detections of every kind, our own motion and back."""

import tarfile
import zipfile
from fractions import Fraction

import numpy as np
import pytest
from scipy.io import savemat

from app.export import load, save
from core.errors import InputError
from core.skeletons import COCO17
from tests.motions import walking
from training.datasets import keypoints, rigs, takes
from training.datasets.pickles import load_npz
from training.datasets.published import open_set
from training.dispatch import commands
from training.prepare import custom_2d, custom_motion, h36m, h36m_2d_generic, h36m_2d_sh, humaneva
from training.prepare._detections import detectron

RNG = np.random.default_rng(3)
ORIGINAL = [name.replace("Photo", "TakingPhoto").replace("WalkDog", "WalkingDog") for name in takes.ACTIONS]
RECORDINGS = [name + take for name in ORIGINAL for take in ("", " 1")]


def positions(frames=3):
    return RNG.normal(size=(frames, 32, 3)) * 300


def detections(path, frames, numbers=4, joints=17, nobody=()):
    """A Detectron file: in every frame two people, the second with the better box."""
    boxes, points = (np.empty((frames, 2), object) for _ in range(2))
    best = RNG.normal(size=(frames, numbers, joints)).astype(np.float32) * 100
    for i in range(frames):
        boxes[i], points[i] = [None] * 2, [None] * 2
        boxes[i, 0], points[i, 0] = [], []
        boxes[i, 1] = np.zeros((0, 5)) if i in nobody else np.array([[0, 0, 5, 5, 0.5], [0, 0, 5, 5, 0.9]])
        points[i, 1] = np.zeros((0, numbers, joints)) if i in nobody else np.stack([best[i] - 7, best[i]])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, boxes=boxes, keypoints=points, metadata=np.array({"w": 640, "h": 480}, object))
    return best


# ---- Human3.6M


def test_original_mat_files_become_the_official_files(tmp_path):
    first = {}
    for subject in h36m.SUBJECTS:
        folder = tmp_path / "in" / subject / "MyPoseFeatures" / "D3_Positions"
        folder.mkdir(parents=True)
        for name in RECORDINGS:
            first[subject, name] = positions()
            cell = np.empty((1, 1), object)
            cell[0, 0] = first[subject, name].reshape(3, 96)
            savemat(folder / f"{name}.cdf.mat", {"data": cell})
    h36m.main(["--from-source", str(tmp_path / "in"), "--output", str(tmp_path / "out")])
    joints = load_npz(tmp_path / "out" / "data_3d_h36m.npz")["positions_3d"]
    np.testing.assert_allclose(joints["S9"]["Photo 1"], first["S9", "TakingPhoto 1"] / 1000, atol=1e-6)
    assert "Directions" not in joints["S11"] and len(joints["S11"]) == 29 and "WalkDog" in joints["S5"]
    clip = open_set("h36m", "gt", tmp_path / "out").clips(["S1"], ["Walking"])[0]
    assert clip.points.shape == (3, 17, 2) and clip.joints.shape == (3, 17, 3)
    (tmp_path / "in" / "S7" / "MyPoseFeatures" / "D3_Positions" / "Eating.cdf.mat").unlink()
    with pytest.raises(InputError, match="29 recordings of S7, expected 30"):
        h36m.main(["--from-source", str(tmp_path / "in"), "--output", str(tmp_path / "out")])


def test_the_archive_of_hdf5_files(tmp_path):
    h5py = pytest.importorskip("h5py")
    known = positions()
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["3D_positions"] = known.transpose(1, 2, 0).reshape(96, -1)
    with zipfile.ZipFile(tmp_path / "h36m.zip", "w") as archive:
        for subject in h36m.SUBJECTS:
            for name in RECORDINGS:
                archive.write(tmp_path / "one.h5", f"h36m/{subject}/MyPoses/3D_positions/{name.replace(' ', '_')}.h5")
    h36m.main(["--from-archive", str(tmp_path / "h36m.zip"), "--output", str(tmp_path)])
    joints = load_npz(tmp_path / "data_3d_h36m.npz")["positions_3d"]
    np.testing.assert_allclose(joints["S8"]["Walking 1"], known / 1000, atol=1e-6)


def test_an_original_cdf_file_is_read(tmp_path):
    writer = pytest.importorskip("cdflib.cdfwrite")
    known = positions(4)
    file = writer.CDF(str(tmp_path / "Walking.cdf"), cdf_spec={"Compressed": False})
    file.write_var({"Variable": "Pose", "Data_Type": 44, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": [4, 96], "Var_Type": "zVariable",
                    "Dim_Vary": [True, True]}, var_data=known.astype(np.float32).reshape(1, 4, 96))
    file.close()
    np.testing.assert_allclose(h36m._from_cdf(tmp_path / "Walking.cdf"), known, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("line", "words"), [(["--from-archive", "none.zip"], "no file none.zip"), (["--from-source", "none"], "no files S1"),
                                             (["--from-source-cdf", "none"], "no files S1")])
def test_missing_sources_are_told(tmp_path, monkeypatch, line, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        h36m.main(line)


def test_detections_of_human36m(tmp_path):
    best = {}
    for camera in h36m_2d_generic.CAMERAS:
        best[camera] = detections(tmp_path / "in" / "S1" / f"WalkingDog 1.{camera}.mp4.npz", 5, nobody=(2,))
        detections(tmp_path / "in" / "S11" / f"Directions.{camera}.mp4.npz", 2)
    h36m_2d_generic.main(["-i", str(tmp_path / "in"), "-o", "detectron_pt_coco", "--data", str(tmp_path)])
    points, layout, _ = keypoints.read(tmp_path / "data_2d_h36m_detectron_pt_coco.npz")
    assert list(points) == ["S1"] and list(points["S1"]) == ["WalkDog 1"] and layout == keypoints.LAYOUTS["coco"]
    view, known = points["S1"]["WalkDog 1"][3], best[h36m_2d_generic.CAMERAS[3]]
    np.testing.assert_allclose(view[[0, 1, 3]], known[[0, 1, 3]][:, [0, 1, 3]].swapaxes(1, 2), rtol=1e-6)
    np.testing.assert_array_equal(view[2], view[1])
    (tmp_path / "in" / "S1" / f"WalkingDog 1.{h36m_2d_generic.CAMERAS[0]}.mp4.npz").unlink()
    with pytest.raises(InputError, match="not all four cameras of S1 WalkDog 1"):
        h36m_2d_generic.main(["-i", str(tmp_path / "in"), "-o", "detectron_pt_coco", "--data", str(tmp_path)])


def test_detections_of_other_networks(tmp_path):
    known = RNG.normal(size=(3, 17, 3)).astype(np.float32)
    for camera in h36m_2d_generic.CAMERAS:
        path = tmp_path / "cpn" / "S1" / f"Eating.{camera}.mp4.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, keypoints=known)
    h36m_2d_generic.main(["-i", str(tmp_path / "cpn"), "-o", "cpn_ft_h36m_dbb", "--data", str(tmp_path)])
    points, _, _ = keypoints.read(tmp_path / "data_2d_h36m_cpn_ft_h36m_dbb.npz")
    np.testing.assert_array_equal(points["S1"]["Eating"][0], known[..., :2])
    soft = detections(tmp_path / "soft.npz", 3, numbers=6)
    np.testing.assert_allclose(detectron(tmp_path / "soft.npz"), soft[:, 4:].swapaxes(1, 2), rtol=1e-6)
    with pytest.raises(InputError, match="one of mpii, coco"):
        h36m_2d_generic.main(["-i", str(tmp_path / "cpn"), "-o", "mine", "--data", str(tmp_path)])


def test_stacked_hourglass_archives(tmp_path):
    h5py = pytest.importorskip("h5py")
    known = RNG.normal(size=(3, 16, 2))
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["poses"] = known
    with zipfile.ZipFile(tmp_path / "pt.zip", "w") as archive, tarfile.open(tmp_path / "ft.tar.gz", "w:gz") as tar:
        for camera in h36m_2d_generic.CAMERAS:
            archive.write(tmp_path / "one.h5", f"h36m/S1/StackedHourglass/Sitting_1.{camera}.h5")
            tar.add(tmp_path / "one.h5", f"S1/StackedHourglassFineTuned240/Sitting_1.{camera}.h5")
    h36m_2d_sh.main(["-pt", str(tmp_path / "pt.zip"), "-ft", str(tmp_path / "ft.tar.gz"), "--data", str(tmp_path)])
    for name in ("sh_pt_mpii", "sh_ft_h36m"):
        points, layout, _ = keypoints.read(tmp_path / f"data_2d_h36m_{name}.npz")
        np.testing.assert_allclose(points["S1"]["Sitting 1"][2], known, rtol=1e-6)
        assert layout.joints == 16
    with pytest.raises(InputError, match="give -pt"):
        h36m_2d_sh.main([])


# ---- HumanEva


def test_humaneva_is_cut_where_the_motion_is_broken(tmp_path):
    for subject, actions in humaneva.FRAMES.items():
        folder = tmp_path / "mat" / subject
        folder.mkdir(parents=True)
        for action in ("Box 1",):
            first, end = actions[action]
            joints, points = RNG.normal(size=(end - first, 15, 3)) * 500, RNG.normal(size=(end - first, 3, 15, 2))
            joints[10:13], points[10:13] = np.nan, np.nan
            savemat(folder / f"{action.replace(' ', '_')}.mat", {"poses_3d": joints, "poses_2d": points})
    known = detections(tmp_path / "det" / "S3" / "Box_1_(C2).avi.npz", 1030)
    detections(tmp_path / "det" / "S3" / "Box_1_(C1).avi.npz", 1030)
    detections(tmp_path / "det" / "S3" / "Box_1_(C3).avi.npz", 1030)
    for camera in ("C1", "C2", "C3"):
        detections(tmp_path / "det" / "S4" / f"Walking_1_({camera}).avi.npz", 6)
    humaneva.main(["-p", str(tmp_path / "mat"), "--convert-3d", "--data", str(tmp_path)])
    humaneva.main(["-p", str(tmp_path / "mat"), "--convert-2d", str(tmp_path / "det"), "-o", "detectron_pt_coco", "--data", str(tmp_path)])
    found = open_set("humaneva15", "gt", tmp_path)
    assert list(found.joints["Train/S3"]) == ["Box 1 chunk0", "Box 1 chunk2"] and len(found.joints["Train/S3"]["Box 1 chunk0"]) == 10
    points, _, _ = keypoints.read(tmp_path / "data_2d_humaneva15_detectron_pt_coco.npz")
    first = humaneva.FRAMES["Train/S3"]["Box 1"][0] + humaneva.SKIPPED["S3"]["Box 1"][1] - 1
    np.testing.assert_allclose(points["Train/S3"]["Box 1 chunk0"][1], known[first : first + 10][:, [0, 1, 3]].swapaxes(1, 2), rtol=1e-6)
    assert len(points["Unlabeled/Train/S3"]["Box 1 chunk1"][0]) == 3 and points["Unlabeled/S4"]["Walking 1"][0].shape == (6, 17, 3)
    assert rigs.FACTS["humaneva15"]["skipped"]["S3"]["Box 1"] == [1, 1, 1]


# ---- videos of one's own


def test_detectrons_videos_become_a_custom_set_with_gaps_filled(tmp_path):
    best = detections(tmp_path / "in" / "clip.mp4.npz", 5, nobody=(0, 2))
    custom_2d.main(["-i", str(tmp_path / "in"), "-o", "mine", "--data", str(tmp_path)])
    clip = open_set("custom", "mine", tmp_path).points["clip.mp4"]["custom"][0]
    np.testing.assert_allclose(clip[1], best[1, :2].T, rtol=1e-5)
    np.testing.assert_allclose(clip[2], (best[1, :2].T + best[3, :2].T) / 2, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(clip[0], clip[1])


def test_our_own_motion_becomes_a_custom_set_and_comes_back(tmp_path):
    motion = walking(people=2, frames=20)
    (tmp_path / "in").mkdir()
    save(motion, tmp_path / "in" / "walk.npz")
    custom_2d.main(["-i", str(tmp_path / "in"), "-o", "mine", "--data", str(tmp_path)])
    found = open_set("custom", "mine", tmp_path)
    points = found.points["walk"]["custom"][0]
    np.testing.assert_allclose(points, motion.tracks[1].points[:, : len(COCO17)], atol=1e-3)
    assert found.cameras["walk"][0].width == motion.info.width and found.layout.name == "coco"
    joints = RNG.normal(size=(20, 17, 3)).astype(np.float32) * 0.3 + [0, 0, 5]
    np.save(tmp_path / "joints.npy", joints.astype(np.float32))
    line = ["-k", "mine", "--video", "walk", "--joints", str(tmp_path / "joints.npy"), "-o", str(tmp_path / "back.npz"), "--data", str(tmp_path)]
    custom_motion.main(line + ["--fps", "30000/1001"])
    back = load(tmp_path / "back.npz")
    np.testing.assert_allclose(back.tracks[1].points, points, atol=1e-3)
    np.testing.assert_allclose(back.tracks[1].joints3d + back.tracks[1].root[:, None], joints, atol=1e-5)
    assert back.info.fps == Fraction(30000, 1001)
    custom_2d.main(["-i", str(tmp_path / "in"), "-o", "again", "--data", str(tmp_path)])
    for fault, words in ((["--video", "other"], "the set has walk"), (["--joints", "none.npy"], "none.npy"), (["--fps", "0/0"], "--fps 0/0")):
        with pytest.raises(InputError, match=words):
            custom_motion.main(line + fault)


def test_faults_of_custom_videos_are_told(tmp_path):
    with pytest.raises(InputError, match="no files"):
        custom_2d.main(["-i", str(tmp_path), "-o", "mine", "--data", str(tmp_path)])
    detections(tmp_path / "empty.npz", 3, nobody=(0, 1, 2))
    with pytest.raises(InputError, match="empty.npz: nobody was detected"):
        custom_2d.main(["-i", str(tmp_path), "-o", "mine", "--data", str(tmp_path)])
    (tmp_path / "empty.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no .npz"):
        custom_2d.main(["-i", str(tmp_path), "-o", "mine", "--data", str(tmp_path)])


def test_the_commands_are_listed():
    wanted = {"written", "h36m", "humaneva", "custom_2d", "custom_motion", "motion", "prmd", "h36m_2d_generic", "h36m_2d_sh"}
    assert wanted <= set(commands("training.prepare"))
