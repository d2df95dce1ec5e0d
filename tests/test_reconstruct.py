"""Tracks to 3D motion, with a lifter that knows the truth: made people who walk in front of a tilted camera."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from app.body import bone_lengths, fit_root, stature
from app.motion import assemble
from app.past import reconstruct_causal
from app.reconstruct import _smoothed, reconstruct, upright
from app.smooth import OneEuro, butterworth, excursions, hampel, interpolate, spline
from core.errors import InputError
from core.geometry import project, rays
from core.protocols import Lifted
from core.records import Camera, Observation, Poses, Tracks, VideoInfo
from core.skeletons import BODY21, COCO17, H36M17
from lifters.none import build

INFO, CAMERA = VideoInfo(1280, 720, Fraction(30), 120), Camera.from_fov(1280, 720)
SIDEWAYS = {"hip": 0.1, "knee": 0.1, "ankle": 0.1, "shoulder": 0.18, "elbow": 0.2, "wrist": 0.2, "eye": 0.03, "ear": 0.07}
HEIGHTS = {"hip": 0.92, "knee": 0.5, "ankle": 0.08, "shoulder": 1.42, "elbow": 1.14, "wrist": 0.88, "eye": 1.6, "ear": 1.58, "nose": 1.57,
           "pelvis": 0.92, "spine": 1.15, "thorax": 1.42, "head_top": 1.72}
FORWARD = {"nose": 0.1, "eye": 0.08}


def walker(times, start=(0.0, 5.0), heading=0.0, speed=1.2, size=1.0):
    """Joints (T, J, 3) m of body21 in a world with z up: a person who walks from `start` along `heading` (radians from x), legs stiff."""
    swing = 0.45 * np.sin(2 * np.pi * 0.9 * times) * (speed > 0)
    joints = np.zeros((len(times), len(BODY21), 3))
    for i, joint in enumerate(BODY21.joints):
        part = joint.split("_", 1)[1] if joint.startswith(("left_", "right_")) else joint
        side = 1 if joint.startswith("left_") else -1 if joint.startswith("right_") else 0
        pivot = 0.92 if part in ("knee", "ankle") else 1.42 if part in ("elbow", "wrist") else HEIGHTS[part]
        angle = swing * side * (1 if pivot < 1 else -1)
        hang = HEIGHTS[part] - pivot
        joints[:, i] = np.stack([FORWARD.get(part, 0) - hang * np.sin(angle), np.full(len(times), side * SIDEWAYS.get(part, 0)),
                                 pivot + hang * np.cos(angle)], -1)
    joints[..., 2] -= joints[:, BODY21.indices("left_ankle", "right_ankle"), 2].min(1)[:, None] - 0.08
    turn = np.array([[np.cos(heading), -np.sin(heading), 0], [np.sin(heading), np.cos(heading), 0], [0, 0, 1]])
    path = np.array(start) + speed * times[:, None] * (np.cos(heading), np.sin(heading))
    return size * joints @ turn.T + np.column_stack([path, np.zeros(len(times))])[:, None]


def camera_space(world, pitch=12.0, roll=3.0, height=1.5):
    """World points (z up, y ahead) seen by a camera at `height` that looks down by `pitch` degrees; and up (3,) in camera axes."""
    p, r = np.radians((pitch, roll))
    level = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float)
    tilt = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    bank = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    rotation = bank @ tilt @ level
    return (world - (0, 0, height)) @ rotation.T, rotation[:, 2]


class Oracle:
    """A lifter that finds the 3D of a pose by its 2D among the true ones, and can be wrong by noise (T, J, 3)."""

    skeleton_in = skeleton_out = BODY21
    receptive_field, causal, fps_range = 27, True, (24, 60)

    def __init__(self, *bodies, noise=0.0, seed=0):
        truth = np.concatenate(bodies)
        self.pixels = project(truth, CAMERA)
        self.truth = truth - truth[:, [BODY21.root]]
        self.truth = self.truth + noise * np.random.default_rng(seed).normal(size=self.truth.shape)
        self.rates = []

    def sequence(self, points, scores, camera):
        nearest = np.linalg.norm(np.nan_to_num(points[:, None, :5]) - self.pixels[None, :, :5], axis=-1).sum(-1).argmin(1)
        self.rates.append(len(points))
        return Lifted(self.truth[nearest].astype(np.float32))

    def __call__(self, windows, cameras):
        return self.sequence(windows[:, -1, :, :2], windows[:, -1, :, 2], cameras[0])


def observations(bodies, times, frames=None):
    """One Observation a frame of {id: camera-space joints (T, J, 3)}, exactly projected."""
    seen = {number: project(body, CAMERA) for number, body in bodies.items()}
    for i in range(len(times)):
        points = np.array([p[i] for p in seen.values()]).reshape(-1, len(BODY21), 2)
        boxes = np.concatenate([points.min(1), points.max(1)], 1)
        yield Observation(i if frames is None else frames[i], times[i], Tracks(list(seen), boxes, np.ones(len(seen))),
                          Poses(BODY21, points, np.ones((len(seen), len(BODY21)))))


def scene(count=120, rate=30, **options):
    times = np.arange(count) / rate
    body, up = camera_space(walker(times, (-1.5, 5.0), 0.3, **options))
    return times, body, up


def lifted_motion(bodies, times, lifter=None, **options):
    tracks = assemble(observations(bodies, times), INFO)
    return reconstruct(tracks, INFO, CAMERA, lifter or Oracle(*bodies.values()), BODY21, **options)


def test_exact_projection_gives_the_exact_root_and_pose():
    times, body, _ = scene()
    track = lifted_motion({1: body}, times, smooth=False).tracks[1]
    np.testing.assert_allclose(track.root, body[:, BODY21.root], atol=1e-4)
    np.testing.assert_allclose(track.joints3d, body - body[:, [BODY21.root]], atol=1e-4)


def test_fit_root_survives_wrong_joints_and_says_what_it_does_not_know():
    _, body, _ = scene(20)
    relative, plane, weights = body - body[:, [BODY21.root]], rays(project(body, CAMERA), CAMERA), np.ones((20, 21))
    plane[:, 9] += 0.05
    root, known = fit_root(relative, plane, weights, rounds=10)
    np.testing.assert_allclose(root, body[:, BODY21.root], atol=0.03)
    plane[3] = np.nan
    weights[4, 1:] = 0
    root, known = fit_root(relative, plane, weights)
    assert known[3] == known[4] == 0
    assert np.isnan(root[3:5]).all()
    assert np.isfinite(np.delete(root, (3, 4), 0)).all()


def test_smoothing_removes_jitter_and_hardly_moves_the_person():
    times, body, _ = scene()
    lifter = Oracle(body, noise=0.02)
    rough, smooth = (lifted_motion({1: body}, times, lifter, smooth=on).tracks[1] for on in (False, True))

    def error(track):
        return np.linalg.norm(track.joints3d + track.root[:, None] - body, axis=-1).mean()

    def jitter(track):
        return np.linalg.norm(np.diff(track.joints3d + track.root[:, None] - body, 2, axis=0), axis=-1).mean()

    assert jitter(smooth) < 0.3 * jitter(rough)
    assert error(smooth) < 0.7 * error(rough)
    assert np.linalg.norm(smooth.root - body[:, BODY21.root], axis=1).max() < 0.12


def test_bones_are_constant_and_the_same_on_both_sides():
    times, body, _ = scene()
    track = lifted_motion({1: body}, times, Oracle(body, noise=0.03)).tracks[1]
    parents = [child if parent < 0 else parent for child, parent in enumerate(BODY21.parents)]
    lengths = np.linalg.norm(track.joints3d - track.joints3d[:, parents], axis=-1)
    assert np.ptp(lengths, axis=0).max() < 1e-5
    np.testing.assert_allclose(lengths[0], lengths[0][list(BODY21.mirror)], atol=1e-5)


def test_height_sets_the_stature_and_the_distance():
    times, body, _ = scene()
    assert stature(body, BODY21) == pytest.approx(1.72, abs=0.02)
    small = lifted_motion({1: body}, times, height=0.86).tracks[1]
    assert stature(small.joints3d, BODY21) == pytest.approx(0.86, abs=1e-3)
    np.testing.assert_allclose(small.root[60], body[60, BODY21.root] * 0.86 / stature(body, BODY21), rtol=0.01)


def test_the_world_is_upright_on_its_floor():
    times = np.arange(120) / 30
    people = {n: camera_space(walker(times, start, heading))[0] for n, start, heading in ((1, (-1.5, 5), 0.3), (2, (1, 6), 2.0))}
    _, up = camera_space(np.zeros((1, 3)))
    motion = lifted_motion(people, times)
    rotation = motion.world_from_camera[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert np.degrees(np.arccos(rotation[2] @ up)) < 2
    assert rotation[1, 2] > 0.9
    for track in motion.tracks.values():
        world = (track.joints3d + track.root[:, None]) @ rotation.T + motion.world_from_camera[:3, 3]
        assert world[:, BODY21.indices("left_ankle", "right_ankle"), 2].min(1).mean() == pytest.approx(0.08, abs=0.05)
        assert world[:, BODY21.index("head_top"), 2].mean() == pytest.approx(1.7, abs=0.08)


def test_without_standing_people_the_camera_counts_as_level():
    times = np.arange(60) / 30
    lying = walker(times, speed=0)[..., [2, 1, 0]] * (1, 1, 0.2) + (0, 5, 0)
    body, _ = camera_space(lying, pitch=0, roll=0)
    up = upright(lifted_motion({1: body}, times).tracks.values(), BODY21, BODY21)[2, :3]
    assert np.degrees(np.arccos(up @ (0, -1, 0))) < 6


def test_nobody_one_frame_and_a_still():
    assert reconstruct({}, INFO, CAMERA, Oracle(scene(2)[1]), BODY21).tracks == {}
    times, body, _ = scene(1)
    motion = lifted_motion({3: body}, times)
    np.testing.assert_allclose(motion.tracks[3].root, body[:, BODY21.root], atol=1e-3)


def test_a_track_does_not_depend_on_who_else_is_there():
    times = np.arange(60) / 30
    a, b = (camera_space(walker(times, start))[0] for start in ((-1, 5), (1, 7)))
    lifter = Oracle(a, b, noise=0.01)
    alone, together = lifted_motion({1: a}, times, lifter), lifted_motion({1: a, 2: b}, times, lifter)
    np.testing.assert_array_equal(alone.tracks[1].joints3d, together.tracks[1].joints3d)
    np.testing.assert_array_equal(alone.tracks[1].root, together.tracks[1].root)


def test_gaps_and_pauses():
    times = np.arange(150) / 30
    body, _ = camera_space(walker(times, (-1.5, 5), 0.3, 0.5))
    seen = [o if not (20 <= i < 40 or 70 <= i < 110) else replace(o, tracks=Tracks.empty(), poses=Poses.empty(BODY21))
            for i, o in enumerate(observations({1: body}, times))]
    track = reconstruct(assemble(seen, INFO), INFO, CAMERA, Oracle(body), BODY21).tracks[1]
    assert len(track) == 110
    assert (~track.observed).sum() == 20
    np.testing.assert_allclose(track.root, body[track.frames, BODY21.root], atol=0.15)


@pytest.mark.parametrize("rate", [10, 120])
def test_a_lifter_is_asked_at_a_rate_it_knows(rate):
    times, body, _ = scene(4 * rate, rate)
    lifter = Oracle(body)
    track = lifted_motion({1: body}, times, lifter).tracks[1]
    assert 4 * 24 - 3 <= lifter.rates[0] <= 4 * 60 + 3
    assert len(track) == 4 * rate
    assert np.linalg.norm(track.root - body[:, BODY21.root], axis=1).mean() < 0.1


def test_without_a_lifter_3d_is_unknown_or_the_pose_networks():
    times, body, _ = scene(10)
    motion = lifted_motion({1: body}, times, build())
    assert motion.skeleton3d is BODY21
    assert np.isnan(motion.tracks[1].joints3d).all()
    assert np.isnan(motion.tracks[1].root).all()
    relative = body[:, :17] - body[:, :1]
    seen = [Observation(o.frame, o.time, o.tracks, Poses(COCO17, o.poses.points[:, :17], o.poses.scores[:, :17], relative[[i]]))
            for i, o in enumerate(observations({1: body}, times))]
    whole, live = reconstruct(assemble(seen, INFO), INFO, CAMERA, build(), COCO17), reconstruct_causal(seen, INFO, CAMERA, build(), COCO17)
    assert whole.skeleton3d is live.skeleton3d is COCO17
    np.testing.assert_allclose(whole.tracks[1].root, body[:, 0], atol=0.02)
    np.testing.assert_allclose(live.tracks[1].root, body[:, 0], atol=0.12)


def test_a_lifter_that_cannot_read_the_joints_is_the_users_fault():
    with pytest.raises(InputError, match="no conversion from h36m17 to body21"):
        reconstruct({}, INFO, CAMERA, Oracle(scene(2)[1]), H36M17)
    with pytest.raises(InputError, match="no conversion"):
        reconstruct_causal([], INFO, CAMERA, Oracle(scene(2)[1]), H36M17)


def test_causal_sees_only_the_past():
    times, body, up = scene()
    seen, lifter = list(observations({1: body}, times)), Oracle(body, noise=0.02)
    whole, cut = (reconstruct_causal(part, INFO, CAMERA, lifter, BODY21) for part in (seen, seen[:50]))
    for name in ("joints3d", "root"):
        np.testing.assert_allclose(getattr(whole.tracks[1], name)[:50], getattr(cut.tracks[1], name), atol=1e-6)
    np.testing.assert_array_equal(whole.world_at(49), cut.world_from_camera)
    assert np.linalg.norm(whole.tracks[1].root - body[:, BODY21.root], axis=1).mean() < 0.15
    assert np.degrees(np.arccos(whole.world_from_camera[2, :3] @ up)) < 3


def test_butterworth_has_no_delay_and_keeps_what_is_slow():
    for times in (np.arange(300) / 60, (np.arange(300) + np.random.default_rng(1).uniform(-0.3, 0.3, 300)) / 60):
        slow, fast = np.sin(2 * np.pi * times), np.sin(2 * np.pi * 20 * times)
        inner = slice(30, -30)
        assert np.abs(butterworth(slow, times, 6.0) - slow)[inner].max() < 0.05
        assert np.abs(butterworth(slow + fast, times, 6.0) - slow)[inner].mean() < 0.15
    step = (np.arange(101) >= 50) - (np.arange(101) <= 50) * 1.0
    smooth = butterworth(step, np.arange(101) / 60, 6.0)
    np.testing.assert_allclose(smooth, -smooth[::-1], atol=1e-6)


def test_butterworth_halves_the_power_at_the_cutoff_and_leaves_nan_and_short_alone():
    times = np.arange(600) / 60
    wave = np.sin(2 * np.pi * 6 * times)
    assert butterworth(wave, times, 6.0)[100:-100].std() / wave[100:-100].std() == pytest.approx(0.707, abs=0.005)
    values = np.sin(times)[:, None].repeat(2, 1)
    values[100:110, 1] = np.nan
    smooth = butterworth(values, times, 6.0)
    assert np.isnan(smooth[100:110, 1]).all()
    np.testing.assert_allclose(smooth[:, 0], values[:, 0], atol=1e-3)
    np.testing.assert_array_equal(butterworth(values[:3], times[:3], 6.0), values[:3])


def test_spline_bridges_what_has_no_weight():
    times = np.arange(90) / 30
    values, weights = 2 + 0.5 * times, np.ones(90)
    values[30:60], weights[30:60] = np.nan, 0
    np.testing.assert_allclose(spline(values, weights, times, 1.0), 2 + 0.5 * times, atol=1e-4)


def test_one_euro_is_causal_follows_and_calms():
    rng, times = np.random.default_rng(0), np.arange(200) / 30
    still, moving = rng.normal(0, 0.02, (200, 1, 3)), np.where(times[:, None, None] > 3, 2.0, 0.0) * np.ones((1, 3))

    def run(values, count=200):
        one = OneEuro(1.0, 3.0)
        return np.array([one(t, v) for t, v in zip(times[:count], values, strict=False)])

    np.testing.assert_array_equal(run(still)[:80], run(still, 80))
    assert run(still)[20:].std() < 0.6 * still.std()
    assert np.abs(run(moving)[-60:] - 2).max() < 0.02


def test_hampel_finds_spikes_and_leaves_motion():
    times = np.arange(100) / 30
    points = np.stack([100 * times, 50 * np.sin(6 * times)], -1)[:, None].repeat(2, 1)
    points[40, 0] += 50
    points[0, 1] -= 60
    points[70:75, 1] = np.nan
    found = hampel(points, np.full(100, 3.0))
    assert np.argwhere(found).tolist() == [[0, 1], [40, 0]]


@pytest.mark.parametrize(("begin", "end", "score", "away"), [
    (40, 50, 0.4, True), (40, 41, 0.4, True), (40, 50, 0.95, False), (40, 60, 0.4, False), (90, 100, 0.4, False), (0, 10, 0.4, False)])
def test_an_excursion_comes_back_soon_and_was_less_sure(begin, end, score, away):
    times, scores = np.arange(100) / 30, np.full((100, 2), 0.8)
    points = np.stack([30 * times, 10 * np.sin(3 * times)], -1)[:, None].repeat(2, 1)
    points[begin:end, 1] += [60, 30]
    scores[begin:end, 1] = score
    points[45, 1] = np.nan
    found = excursions(times, points, scores, np.full(100, 200.0))
    expected = np.zeros((100, 2), bool)
    expected[begin:end, 1] = away & np.isfinite(points[begin:end, 1]).all(-1)
    np.testing.assert_array_equal(found, expected)


def test_a_quick_somersault_is_no_excursion():
    times, scores = np.arange(60) / 30, np.random.default_rng(0).uniform(0.3, 0.9, (60, 1))
    turn = 2 * np.pi * 2 * times  # two turns a second
    points = 40 * np.stack([np.cos(turn), np.sin(turn)], -1)[:, None]
    assert not excursions(times, points, scores, np.full(60, 200.0)).any()


def test_interpolation_holds_the_ends_and_ignores_a_neighbour_that_is_missing():
    known = np.array([[1.0], [3.0], [np.nan]])
    np.testing.assert_allclose(interpolate(np.array([-1.0, 0.5, 1.0]), np.array([0.0, 1.0, 2.0]), known)[:, 0], [1, 2, 3])
    np.testing.assert_allclose(interpolate(np.array([5.0]), np.array([1.0]), np.array([[7.0]])), [[7.0]])


def test_bone_lengths_leave_out_frames_without_weight():
    _, body, _ = scene(10)
    stretched = body.copy()
    stretched[:6] *= 3
    weights = np.arange(10) >= 6
    np.testing.assert_allclose(bone_lengths(stretched, BODY21, weights), bone_lengths(body, BODY21), atol=1e-9)


def test_joints_that_are_less_known_are_smoothed_more_and_missing_ones_stay_missing():
    times = np.arange(90) / 30
    noise = np.random.default_rng(0).normal(0, 0.03, (90, 3, 3)).astype(np.float32)
    noise[40, 2] = np.nan
    weights = np.ones((90, 3)) * (1.0, 0.2, 0.2)
    smooth = _smoothed(noise, weights, times, [np.arange(90)])
    shaking = [np.abs(np.diff(part, 2, axis=0)).mean() for part in (noise[:, 0], smooth[:, 0], smooth[:, 1])]
    assert shaking[2] < 0.7 * shaking[1] < 0.3 * shaking[0]
    assert np.isnan(smooth[40, 2]).all() and np.isfinite(np.delete(smooth[:, 2], 40, 0)).all()


def test_frames_of_little_weight_lean_on_their_neighbours():
    times, weights = np.arange(60) / 30, np.ones((60, 1))
    joints = np.zeros((60, 1, 3), np.float32)
    joints[30], weights[30] = 1.0, 0.05
    leaning, even = (np.abs(_smoothed(joints, each, times, [np.arange(60)])).max() for each in (weights, weights**0))
    assert leaning < 0.1 < even
