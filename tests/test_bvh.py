"""Motion capture of one's own: BVH files of several makers become clips for the lifters."""

import numpy as np
import pytest

from app.export import save
from core.errors import InputError
from core.skeletons import BODY21, H36M17
from tests.motions import walking
from tests.test_animation import PAIRS, wanted
from training.datasets import bvh, mocap
from training.prepare import motion as prepare

SAME = {"left_ankle": "left_foot", "right_ankle": "right_foot", "pelvis": "hip"}  # in Human3.6M's words
OTHER = {"Hips": "pelvis", "Neck": "neck", "Head": "head", "Shoulder": "clavicle", "Arm": "upper_arm", "ForeArm": "forearm", "Hand": "hand",
         "UpLeg": "thigh", "Leg": "shin", "Foot": "foot"}


@pytest.fixture(scope="module")
def walk():
    return walking(people=2, frames=60)


@pytest.fixture
def folder(walk, tmp_path):
    """Our own files: two people who walk at 25 frames a second."""
    (tmp_path / "ours").mkdir()
    save(walk, tmp_path / "ours" / "m.bvh")
    return tmp_path / "ours"


def renamed(text):
    """A file as another program would write it: sides at the end of names, metres, z up."""
    lines = []
    for line in text.splitlines():
        words = line.split()
        if words and words[0] in ("ROOT", "JOINT"):
            side = next((side for side in ("Left", "Right") if words[1].startswith(side)), "")
            name = OTHER.get(words[1].removeprefix(side), words[1].lower())
            line = f"{words[0]} rig:{name}" + (f".{side[0]}" if side else "")
        elif words and words[0] == "OFFSET":
            line = "OFFSET " + " ".join(str(float(word) / 100) for word in words[1:])
        lines.append(line)
    at = next(i for i, line in enumerate(lines) if line.startswith("Frame Time")) + 1
    table = np.array([line.split() for line in lines[at:]], float)
    table[:, :3] /= 100
    lines[0] = "HIERARCHY\nROOT rig:world\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation"
    lines[1], end = lines[1].replace("ROOT", "JOINT"), lines.index("MOTION")
    rows = [" ".join(["90"] + [f"{value:.5f}" for value in row]) for row in table]
    return "\n".join(lines[:end] + ["}"] + lines[end:at] + rows) + "\n"


def clips(path):
    return mocap.load(path.parent, [path.stem])


def test_our_own_files_come_back_as_the_motion_that_they_are_of(walk, folder, tmp_path):
    files = [bvh.read(path) for path in sorted(folder.glob("*.bvh"))]
    rig = bvh.rig(files)
    assert rig.unit == 0.01 and np.allclose(rig.axes @ (0, 1, 0), (0, 0, 1))
    for number, moving in enumerate(files, 1):
        joints, forward = bvh.human(moving, rig)
        joints = joints - joints[:, :1]
        hips = (wanted(walk, number, "left_hip") + wanted(walk, number, "right_hip")) / 2
        for name in PAIRS.values():
            if name not in ("pelvis", "spine", "thorax"):  # those three are put where motion capture has them
                truth = (wanted(walk, number, name) - hips) / 100 @ rig.axes.T
                miss = np.linalg.norm(joints[:, H36M17.index(SAME.get(name, name))] - truth, axis=1)
                assert miss.max() < 0.045, (name, miss.max())
        ahead = (wanted(walk, number, "nose") - wanted(walk, number, "left_ear") / 2 - wanted(walk, number, "right_ear") / 2) @ rig.axes.T
        assert (np.sum(forward * ahead, 1) / np.linalg.norm(ahead, axis=1)).min() > 0.9
        assert (joints[:, H36M17.index("head"), 2] > joints[:, H36M17.index("thorax"), 2]).all()


def test_the_clips_are_motion_that_the_lifters_learn_from(folder, tmp_path):
    prepare.main([str(folder), "-o", str(tmp_path / "mine.npz")])
    found = clips(tmp_path / "mine.npz")
    assert found.start.tolist() == [0, 60, 120] and np.allclose(found.fps, 25)
    assert found.joints.shape == (120, len(BODY21), 3) and np.isfinite(found.joints).all()
    assert ((found.stature > 1.5) & (found.stature < 2)).all()
    left, right = (found.joints[:, BODY21.index(f"{side}_knee")].astype(float) for side in ("left", "right"))
    assert np.linalg.norm(left - right, axis=1).std() > 0.05  # they walk


def test_another_makers_names_unit_and_axes_change_nothing(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for path in folder.glob("*.bvh"):
        (other / path.name).write_text(renamed(path.read_text()))
    for name in ("ours", "other"):
        prepare.main([str(tmp_path / name), "-o", str(tmp_path / f"{name}.npz")])
    assert np.allclose(bvh.rig([bvh.read(other / "m.bvh")]).axes, np.eye(3))
    ours, theirs = (clips(tmp_path / f"{name}.npz") for name in ("ours", "other"))
    turned = ours.joints.astype(float) @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])  # which of the level axes is which is left open
    assert np.abs(turned - theirs.joints).max() < 0.005
    assert np.abs(ours.root[..., 2] - theirs.root[..., 2]).max() < 0.005


def test_what_is_faster_than_people_is_cut_out_and_short_rests_are_left():
    joints = np.zeros((100, 17, 3))
    joints[40:, 5] += 1  # at 30 frames a second: 30 m/s
    joints[85:, 5] += 1
    assert prepare.pieces(joints, 30) == [(0, 40), (40, 85)]
    assert prepare.pieces(joints[:0], 30) == [] and prepare.pieces(joints[:20], 30) == []


def test_fast_recordings_are_thinned(folder, tmp_path):
    text = (folder / "m.bvh").read_text().replace("Frame Time: 0.04000000", "Frame Time: 0.00833333")
    (tmp_path / "fast").mkdir()
    head, _, table = text.partition("Frame Time: 0.00833333\n")
    rows = [row for row in table.splitlines() for _ in range(4)]
    (tmp_path / "fast" / "a.bvh").write_text(head.replace("Frames: 60", "Frames: 240") + "Frame Time: 0.00833333\n" + "\n".join(rows) + "\n")
    prepare.main([str(tmp_path / "fast"), "-o", str(tmp_path / "fast.npz")])
    assert np.allclose(clips(tmp_path / "fast.npz").fps, 60, atol=0.1)


@pytest.mark.parametrize(("text", "says"), [("HIERARCHY\n", "no readable BVH"), ("ROOT a\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n}\nMOTION\n"
                                            "Frames: 2\nFrame Time: 0.1\n1\n", "no readable BVH"), ("", "no readable BVH"),
                                           ("ROOT a\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n}\nMOTION\nFrames: 0\nFrame Time: 0.1\n", "no frames")])
def test_damaged_files_are_told_and_the_others_kept(folder, tmp_path, capsys, text, says):
    (folder / "bad.bvh").write_text(text)
    prepare.main([str(folder), "-o", str(tmp_path / "mine.npz")])
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and "bad.bvh" in told[0] and says in told[0]
    assert len(clips(tmp_path / "mine.npz").fps) == 2


def test_what_is_no_person_is_told(tmp_path, capsys):
    text = "HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n}\nMOTION\nFrames: 1\nFrame Time: 0.1\n1\n"
    (tmp_path / "box.bvh").write_text(text)
    with pytest.raises(InputError, match="no motion"):
        prepare.main([str(tmp_path), "-o", str(tmp_path / "mine.npz")])
    assert "do not tell" in capsys.readouterr().err
    with pytest.raises(InputError, match="no readable .bvh"):
        prepare.main([str(tmp_path / "nowhere"), "-o", str(tmp_path / "mine.npz")])
