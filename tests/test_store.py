import numpy as np
import pytest

from app.store import SPAN, open_log
from core.errors import InputError
from core.records import Observation, Poses, Tracks
from core.skeletons import BODY21, COCO17

JOB = {"source": "in.mp4", "pose": "body21"}


def seen(frame, people=2, relative=False, features=None):
    rng = np.random.default_rng(frame)
    tracks = Tracks(np.arange(1, people + 1), rng.random((people, 4)), rng.random(people))
    points = rng.random((people, 21, 2)).astype(np.float32)
    points[:1, 3] = np.nan
    depths = {"relative": rng.random((people, 21, 3)), "root_depth": rng.random(people)} if relative else {}
    depths |= {"rivals": rng.random((people, 21, 3))} if frame % 3 else {}
    poses = Poses(BODY21, points, rng.random((people, 21)), **depths)
    return Observation(frame, frame / 25, tracks, poses, features)


def same(a, b):
    assert (a.frame, a.time) == (b.frame, b.time)
    for x, y in [(a.tracks.ids, b.tracks.ids), (a.tracks.boxes, b.tracks.boxes), (a.tracks.scores, b.tracks.scores), (a.poses.points, b.poses.points),
                 (a.poses.scores, b.poses.scores), (a.poses.relative, b.poses.relative), (a.poses.root_depth, b.poses.root_depth),
                 (a.poses.rivals, b.poses.rivals)]:
        assert (x is None and y is None) or np.array_equal(x, y, equal_nan=True)


@pytest.mark.parametrize("relative", [False, True])
def test_what_was_written_is_read(tmp_path, relative):
    written = [seen(k, people=k % 3, relative=relative) for k in range(0, 60, 2)]
    with open_log(tmp_path / "new" / "log", BODY21, JOB) as log:
        log.append(written[:7])
        log.append(written[7:])
        assert (log.frames, log.last_frame, log.last_id) == (30, 58, 2)
        read = list(log.read())
    assert len(read) == 30
    for a, b in zip(written, read, strict=True):
        same(a, b)


def test_goes_on_after_a_cut(tmp_path):
    path = tmp_path / "log"
    with open_log(path, BODY21, JOB) as log:
        log.append([seen(k) for k in range(10)])
    whole = path.read_bytes()
    for cut in (1, 30, 500):
        path.write_bytes(whole[:-cut])
        with open_log(path, BODY21, JOB, resume=True) as log:
            assert (log.frames, log.last_frame) == (9, 8)
            log.append([seen(9), seen(10, people=4)])
            assert [o.frame for o in log.read()] == list(range(11))
            assert log.last_id == 4


def test_damage_ends_the_log(tmp_path):
    path = tmp_path / "log"
    with open_log(path, BODY21, JOB) as log:
        log.append([seen(k) for k in range(10)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(bytes(data))
    with open_log(path, BODY21, JOB, resume=True) as log:
        assert 0 < log.frames < 10
        assert len(list(log.read())) == log.frames


@pytest.mark.parametrize(("skeleton", "job", "resume"), [(BODY21, {"source": "other.mp4"}, True), (COCO17, JOB, True), (BODY21, JOB, False)])
def test_another_job_starts_anew(tmp_path, skeleton, job, resume):
    with open_log(tmp_path / "log", BODY21, JOB) as log:
        log.append([seen(0)])
    with open_log(tmp_path / "log", skeleton, job, resume=resume) as log:
        assert log.frames == 0 and not list(log.read())


def test_resume_without_a_log_and_with_something_else(tmp_path):
    (tmp_path / "other").write_text("not a log")
    for name in ("none", "other"):
        with open_log(tmp_path / name, BODY21, JOB, resume=True) as log:
            assert log.frames == 0


def test_features_become_the_means_of_tracks_in_spans_of_time(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.random((300, 2, 8)).astype(np.float32)
    rows[5, 1] = np.nan  # covered
    span = np.arange(300) / 25 // SPAN
    with open_log(tmp_path / "log", BODY21, JOB) as log:
        log.append([seen(k, features=rows[k]) for k in range(300)])
        given = {o.frame: o.features for o in log.read() if o.features is not None}
        assert list(given) == [int(np.flatnonzero(span == k)[0]) for k in range(48)]
        assert all(np.allclose(given[frame], np.nanmean(rows[span == span[frame]], 0), atol=1e-6) for frame in given)
        assert len(log._means) <= 4  # the others are on disk alone
    with open_log(tmp_path / "log", BODY21, JOB, resume=True) as log:
        assert np.allclose(log.features()[2, 3], rows[span == 3, 1].mean(0), atol=1e-5)
        log.append([seen(300, people=3, features=np.ones((3, 8))), seen(301, features=np.zeros((2, 8)))])
        assert np.allclose(log.features()[1, 48], 0.5) and (3, 48) in log.features() and (3, 47) not in log.features()
    assert (tmp_path / "log").stat().st_size < 302 * 1000


def test_frames_in_order_only_and_discard(tmp_path):
    with open_log(tmp_path / "log", BODY21, JOB) as log:
        log.append([seen(3)])
        with pytest.raises(ValueError, match="frame 3 after frame 3"):
            log.append([seen(3)])
        log.discard()
    assert not (tmp_path / "log").exists()


def test_unwritable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        open_log(tmp_path / "file" / "log", BODY21, JOB)
