"""Files for animation and biomechanics: what another program reads in them is the motion."""

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from app.export import save
from app.formats._person import Y_UP
from app.people import to_world
from core.errors import InputError
from core.records import Motion
from core.skeletons import BODY21, COCO19, H36M17, HUMANEVA15, MPII16, MUCO21, Skeleton, convert
from tests.motions import walking


def read_bvh(path):
    """({joint: (frames, 3) cm in the world}, {joint: Rotation in its parent}, seconds of a frame) of a BVH, as its definition has it."""
    words = iter(path.read_text().split())
    tree, stack, channels, name = {}, [], [], None
    for word in words:
        if word in ("ROOT", "JOINT", "End"):
            name = next(words) if word != "End" else f"{stack[-1]} end"
            next(words)
        elif word == "OFFSET":
            tree[name] = (stack[-1] if stack else None, np.array([float(next(words)) for _ in range(3)]))
            stack.append(name)
        elif word == "CHANNELS":
            channels += [(name, next(words)) for _ in range(int(next(words)))]
        elif word == "}":
            stack.pop()
        elif word == "Frames:":
            count = int(next(words))
        elif word == "Time:":
            step = float(next(words))
            break
    values = np.array(list(words), float).reshape(count, len(channels))
    places, turns, own = {}, {}, {}
    for name, (parent, offset) in tree.items():
        here = np.tile(offset, (count, 1))
        turn = Rotation.from_quat(np.tile([0.0, 0, 0, 1], (count, 1)))
        for column, (owner, kind) in enumerate(channels):
            if owner == name and kind.endswith("position"):
                here[:, "XYZ".index(kind[0])] += values[:, column]
            elif owner == name:
                turn = turn * Rotation.from_rotvec(np.outer(np.radians(values[:, column]), np.eye(3)["XYZ".index(kind[0])]))
        places[name] = here if parent is None else places[parent] + turns[parent].apply(here)
        own[name], turns[name] = turn, turn if parent is None else turns[parent] * turn
    return places, own, step


def wanted(motion, number, name):
    """A joint (T, 3) cm, Y up, of the motion."""
    track = motion.tracks[number]
    joints = to_world(track.joints3d.astype(float) + track.root[:, None], motion.world_from_camera)
    return 100 * joints[:, motion.skeleton3d.index(name)] @ Y_UP.T


PAIRS = {"Hips": "pelvis", "Spine": "spine", "Neck": "thorax", "LeftArm": "left_shoulder", "LeftForeArm": "left_elbow", "LeftHand": "left_wrist",
         "RightArm": "right_shoulder", "RightForeArm": "right_elbow", "RightHand": "right_wrist", "LeftUpLeg": "left_hip", "LeftLeg": "left_knee",
         "LeftFoot": "left_ankle", "RightUpLeg": "right_hip", "RightLeg": "right_knee", "RightFoot": "right_ankle"}


def test_a_bvh_moves_as_the_motion_does(tmp_path):
    motion = walking(people=2, frames=40)
    save(motion, tmp_path / "m.bvh")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.bvh", "m.person2.bvh"]
    for number, file in ((1, "m.bvh"), (2, "m.person2.bvh")):
        places, own, step = read_bvh(tmp_path / file)
        assert step == pytest.approx(1 / 25)
        for joint, turn in own.items():
            assert (turn[:-1].inv() * turn[1:]).magnitude().max() < 0.35, joint  # nothing flips
        for joint, ours in PAIRS.items():
            miss = np.linalg.norm(places[joint] - wanted(motion, number, ours), axis=1)
            assert miss.max() < 2.5, (joint, miss.max())  # pelvis and hips of this walker are not on one line
        ahead = places["LeftFoot end"] - places["LeftFoot"]
        nose = wanted(motion, number, "nose") - wanted(motion, number, "left_ear")
        assert (np.sum(ahead * nose, axis=1) > 0).mean() > 0.9  # feet point the way that the face looks


def test_limbs_of_any_posture_lie_where_they_are(tmp_path):
    """Random postures, upside down ones among them: bones of one length are met to the rounding of the file, and angles do not jump by turns."""
    rng = np.random.default_rng(0)
    motion = walking(people=1, frames=30)
    track, index = motion.tracks[1], BODY21.index
    joints = track.joints3d.astype(float)
    for side, part in itertools.product(("left", "right"), (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))):
        for near, far in itertools.pairwise(part):
            way = rng.normal(size=(30, 3))
            joints[:, index(f"{side}_{far}")] = joints[:, index(f"{side}_{near}")] + 0.3 * way / np.linalg.norm(way, axis=1, keepdims=True)
    turned = np.einsum("tij,tkj->tki", Rotation.random(30, rng=rng).as_matrix(), joints)
    motion = replace(motion, tracks={1: replace(track, joints3d=turned)})
    save(motion, tmp_path / "m.bvh")
    places, *_ = read_bvh(tmp_path / "m.bvh")
    for joint, ours in PAIRS.items():
        assert np.linalg.norm(places[joint] - wanted(motion, 1, ours), axis=1).max() < 2.5, joint
    for name, near, far in (("LeftHand", "left_elbow", "left_wrist"), ("RightFoot", "right_knee", "right_ankle")):
        bone = places[name] - places["LeftForeArm" if "Hand" in name else "RightLeg"]
        np.testing.assert_allclose(bone, wanted(motion, 1, far) - wanted(motion, 1, near), atol=0.05)


def test_somebody_who_comes_later_and_was_away_for_a_while(tmp_path):
    """All files begin together; where somebody is away the bones keep their lengths, and the markers are missing."""
    motion = walking(people=2, frames=40)
    second = motion.tracks[2]
    keep = np.r_[10:20, 30:40]
    second = replace(second, **{f.name: getattr(second, f.name)[keep] for f in fields(second) if f.name not in ("id", "feature")})
    motion = replace(motion, tracks={1: motion.tracks[1], 2: second})
    for suffix in ("bvh", "trc"):
        save(motion, tmp_path / f"m.{suffix}")
    places, *_ = read_bvh(tmp_path / "m.person2.bvh")
    assert len(places["Hips"]) == 40
    bones = np.linalg.norm(places["LeftFoot"] - places["LeftLeg"], axis=1)
    np.testing.assert_allclose(bones, bones[0], atol=1e-2)
    np.testing.assert_allclose(places["Hips"][keep], wanted(motion, 2, "pelvis"), atol=0.02)
    rows = [line.split("\t") for line in (tmp_path / "m.person2.trc").read_text().split("\n")[6:-1]]
    known = np.array([row[2] != "" for row in rows])
    np.testing.assert_array_equal(np.flatnonzero(known), keep)
    assert [float(row[1]) for row in rows] == pytest.approx(np.arange(40) / 25, abs=1e-5)
    pelvis = 2 + 3 * BODY21.index("pelvis")
    found = np.array([[float(cell) for cell in row[pelvis : pelvis + 3]] for row in np.array(rows, object)[known]])
    np.testing.assert_allclose(found * 100, wanted(motion, 2, "pelvis"), atol=0.01)


@pytest.mark.parametrize("skeleton", [H36M17, HUMANEVA15, COCO19], ids=lambda skeleton: skeleton.name)
def test_skeletons_of_the_published_systems(skeleton, tmp_path):
    motion = walking(people=1, frames=6)
    track = motion.tracks[1]
    among = set(skeleton.joints) <= set(BODY21.joints)
    joints = track.joints3d[:, BODY21.indices(*skeleton.joints)] if among else convert(track.joints3d, track.scores, BODY21, skeleton)[0]
    save(replace(motion, skeleton3d=skeleton, tracks={1: replace(track, joints3d=joints)}), tmp_path / "m.bvh")
    places, *_ = read_bvh(tmp_path / "m.bvh")
    for joint in ("LeftForeArm", "RightHand", "LeftLeg", "RightFoot"):
        assert np.linalg.norm(places[joint] - wanted(motion, 1, PAIRS[joint]), axis=1).max() < 5, joint


@pytest.mark.parametrize("skeleton", [MPII16, MUCO21], ids=lambda skeleton: skeleton.name)
def test_other_joint_sets_make_a_body_too(skeleton, tmp_path):
    motion = walking(people=1, frames=3)
    joints = np.random.default_rng(0).normal(size=(3, len(skeleton), 3))
    save(replace(motion, skeleton3d=skeleton, tracks={1: replace(motion.tracks[1], joints3d=joints)}), tmp_path / "m.bvh")
    assert np.isfinite(read_bvh(tmp_path / "m.bvh")[0]["RightFoot end"]).all()


def test_nobody_one_frame_no_3d_and_a_stick(tmp_path):
    motion = walking(people=1, frames=5)
    nobody = Motion(motion.info, motion.camera, motion.world_from_camera, BODY21, BODY21)
    flat = replace(motion, tracks={1: replace(motion.tracks[1], joints3d=np.full((5, 21, 3), np.nan))})
    once = walking(people=1, frames=1)
    for case, frames in ((nobody, 0), (flat, 0), (once, 1)):
        for suffix in ("bvh", "trc"):
            save(case, tmp_path / f"m.{suffix}")
        assert len(read_bvh(tmp_path / "m.bvh")[0]["LeftHand"]) == frames
    stick = Skeleton("stick", ("foot", "head"), (-1, 0))
    with pytest.raises(InputError, match="'stick' has not the joints of a whole person"):
        save(replace(once, skeleton3d=stick, tracks={1: replace(once.tracks[1], joints3d=np.zeros((1, 2, 3)))}), tmp_path / "s.bvh")
    assert not list(tmp_path.glob("s*"))
