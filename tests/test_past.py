"""The live rules twice: frame by frame for a camera, whole tracks at once for a file. Both must say the same of the same observations."""

from fractions import Fraction

import numpy as np
import pytest
from safetensors.torch import save_file

from app.causal import SETTLED, CausalReconstructor
from app.past import reconstruct_causal
from core import parts
from core.records import Observation, Poses, Tracks
from core.skeletons import BODY21
from lifters._tcn import TemporalModel
from tests.motions import walking

FRAMES = SETTLED + 60
MOTION = walking(people=3, frames=FRAMES, fps=Fraction(30))


@pytest.fixture(scope="module")
def observed():
    """Three people with noise, joints that are missing, uneven times, a pause of one of them, and frames without anybody."""
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.choice([1, 1, 1, 2, 4], FRAMES)) / 30
    seen = []
    for i, time in enumerate(times.tolist()):
        there = [] if 50 <= i < 54 else [n for n in (3, 1, 2) if not (n == 2 and 100 <= i < 150) and not (n == 3 and i < 20)]
        rows = [MOTION.tracks[n] for n in there]
        points = np.array([track.points[i] for track in rows]).reshape(-1, 21, 2) + rng.normal(0, 1.5, (len(rows), 21, 2))
        scores = rng.uniform(0.3, 1, (len(rows), 21))
        lost = rng.random(scores.shape) < 0.03
        relative = np.array([track.joints3d[i] for track in rows]).reshape(-1, 21, 3) + rng.normal(0, 0.02, (len(rows), 21, 3))
        depth = np.array([track.root[i, 2] for track in rows]) * rng.normal(1, 0.03, len(rows)) * np.where(rng.random(len(rows)) < 0.2, np.nan, 1)
        rivals = np.concatenate([points[:, list(BODY21.mirror)], rng.uniform(0, 0.5, (len(rows), 21, 1))], -1)
        poses = Poses(BODY21, np.where(lost[..., None], np.nan, points), np.where(lost, 0, scores), None if i % 40 == 7 else relative,
                      depth if 200 <= i < 260 else None, None if 300 <= i < 310 else rivals)
        tracks = Tracks(there, np.array([track.boxes[i] for track in rows]).reshape(-1, 4), np.full(len(rows), 0.9))
        seen.append(Observation(3 * i, time, tracks, poses))
    return seen


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """A checkpoint of VideoPose3D's shapes with random weights."""
    import torch

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file(TemporalModel((3, 3, 3), 64).state_dict(), path)
    return path


def live(observed, lifter, skeleton, **options):
    """What the live view has shown: (world of each frame, {id: [(frame, joints, root)]})."""
    stream, worlds, rows = CausalReconstructor(MOTION.info, MOTION.camera, lifter, skeleton, **options), {}, {}
    for seen in observed:
        now = stream.step(seen)
        worlds[seen.frame] = now.world_from_camera
        for number, track in now.tracks.items():
            rows.setdefault(number, []).append((seen.frame, track.joints3d[0], track.root[0]))
    return worlds, rows


@pytest.mark.parametrize("options", [{}, {"smooth": False, "height": 1.8}])
@pytest.mark.parametrize("spec", ["none", "tcn:weights=lifter-tcn27-causal", "tcn", "official"])
def test_frame_by_frame_is_the_same_as_whole_tracks(observed, official, spec, options):
    lifter = parts.make("lifter", f"tcn:weights={official},causal=true" if spec == "official" else spec, device="cpu")
    motion = reconstruct_causal(observed, MOTION.info, MOTION.camera, lifter, BODY21, **options)
    worlds, rows = live(observed, lifter, BODY21, **options)
    assert list(motion.tracks) == sorted(rows)
    for number, track in motion.tracks.items():
        frames, joints, roots = (np.array(column) for column in zip(*rows[number], strict=True))
        assert track.frames.tolist() == frames.tolist()
        assert np.isfinite(track.joints3d).all((1, 2)).mean() > 0.9
        np.testing.assert_allclose(track.joints3d, joints, atol=1e-4, rtol=0)
        np.testing.assert_allclose(track.root, roots, atol=1e-3 if spec == "official" else 1e-4, rtol=0)
    for frame, world in worlds.items():
        np.testing.assert_allclose(motion.world_at(frame), world, atol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_frames(observed, count):
    lifter = parts.make("lifter", "tcn:weights=lifter-tcn27-causal", device="cpu")
    motion = reconstruct_causal(observed[:count], MOTION.info, MOTION.camera, lifter, BODY21)
    _, rows = live(observed[:count], lifter, BODY21)
    assert {n: len(track) for n, track in motion.tracks.items()} == {n: len(track) for n, track in sorted(rows.items())}
