"""A long video in pieces gives what it gives whole: the same people and frames, 1 mm away from the cuts; stand-ins for the networks."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from app import export, folder, handover, pieces, store, together, video
from app.perceive import Parts
from app.settings import Settings
from core.parts import make
from core.records import Observation, Poses, Tracks, VideoInfo
from core.skeletons import BODY21
from detectors.replay import Replay
from tests import media
from tests.motions import walking

FRAMES, SECONDS = 2400, 26.0  # at 30 frames a second: three pieces
SETTINGS = Settings(device="cpu", quiet=True)


class Template:
    """A pose network that puts one body into every box, as wide and high as the box."""

    skeleton = BODY21

    def __init__(self):
        track = walking(1, 2).tracks[1]
        self.body = (track.points[0] - track.boxes[0, :2]) / (track.boxes[0, 2:] - track.boxes[0, :2])

    def __call__(self, images, boxes, cameras):
        return [Poses(BODY21, rows[:, None, :2] + self.body * (rows[:, 2:] - rows[:, :2])[:, None], np.full((len(rows), 21), 0.9)) for rows in boxes]


def passing(frames=FRAMES, seed=0):
    """Rows of a replayed detector: three people who walk to and fro and cross, one who comes late; noisy, a tenth of the looks sees nobody."""
    random, time = np.random.default_rng(seed), np.arange(frames) / 30
    rows = []
    for person, (speed, top, height) in enumerate([(0.5, 90, 190), (0.37, 100, 170), (0.21, 60, 200), (0.6, 80, 185)]):
        left = 280 + 250 * np.sin(speed * time + person)
        boxes = np.stack([left, np.full(frames, top), np.full(frames, height * 0.4), np.full(frames, height)], 1) + random.normal(0, 1, (frames, 4))
        seen = (random.random(frames) > 0.1) & (time > (20 if person == 3 else 0))
        rows.append(np.column_stack([np.arange(1, frames + 1), boxes, np.full(frames, 0.9)])[seen])
    return np.concatenate(rows)


@pytest.fixture(scope="module")
def made():
    return Parts(Replay(passing()), "sort:max_age=30,min_hits=2", Template(), make("lifter", "tcn", device="cpu"), 16)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return media.video(path, FRAMES, (640, 320), options={"preset": "ultrafast", "g": "60"})


def job_of(clip, out):
    return folder.jobs(folder.Request(str(clip).rsplit("/", 1)[0], str(out), formats=("npz",)), SETTINGS)[0]


def in_pieces(clip, out, made, settings=SETTINGS, order=1):
    """(Result, Pieces) of the clip, its pieces looked at in this order."""
    job = job_of(clip, out)
    cut = pieces.plan(video.probe(clip), settings, SECONDS)
    for piece in cut[::order]:
        pieces.look_at_piece(job, settings, made, piece)
    return pieces.put_together(job, settings, made, cut), cut


def alone(clip, out, made, settings=SETTINGS):
    return next(together.work([job_of(clip, out)], settings, made))


def matched(a, b):
    """{number in a: number in b} of two motions: the person who is there at the same frames at the same place."""
    pairs = {}
    for number, track in a.tracks.items():
        for other in b.tracks.values():
            if np.array_equal(track.frames, other.frames) and np.nanmax(np.abs(track.boxes - other.boxes)) < 5:
                pairs[number] = other.id
    return pairs


def same_motion(whole, apart, cuts):
    """Checks that two motions are one: people up to renaming, joints to 1 mm two seconds away from the cuts."""
    pairs = matched(whole, apart)
    assert len(pairs) == len(set(pairs.values())) == len(whole.tracks) == len(apart.tracks)
    for number, track in whole.tracks.items():
        other = apart.tracks[pairs[number]]
        far = np.abs(track.frames[:, None] - np.array(cuts)).min(1) > 60
        placed, again = (t.joints3d[far] + t.root[far, None] for t in (track, other))
        assert np.abs(placed - again).max() < 1e-3, f"{number}: {1e3 * np.abs(placed - again).max()} mm"


def test_in_pieces_as_whole(clip, tmp_path, made):
    result, cut = in_pieces(clip, tmp_path / "apart", made, order=-1)
    assert [piece.first for piece in cut] == [0, 180, 960] and cut[-1].count is None
    assert result.state == "whole" and result.frames == FRAMES and not (tmp_path / "apart" / ".parts" / "long.mp4").exists()
    assert alone(clip, tmp_path / "whole", made).people == result.people
    same_motion(*(export.load(tmp_path / name / "long.npz") for name in ("whole", "apart")), [780, 1560])


def test_a_range_and_a_stride_in_pieces(clip, tmp_path, made):
    settings = replace(SETTINGS, skip=7, stride=2, limit=1150)
    job, info = job_of(clip, tmp_path / "apart"), video.probe(clip)
    cut = pieces.plan(info, settings, 30.0)
    for piece in cut:
        pieces.look_at_piece(job, settings, made, piece)
    result, whole = pieces.put_together(job, settings, made, cut), alone(clip, tmp_path / "whole", made, settings)
    assert len(cut) == 3 and result.frames == whole.frames == 1150 and result.people == whole.people
    a, b = (export.load(tmp_path / name / "long.npz") for name in ("whole", "apart"))
    assert len(matched(a, b)) == len(a.tracks)


def test_a_broken_video_in_pieces_ends_where_it_breaks(tmp_path, made):
    (tmp_path / "in").mkdir()
    broken = media.cut(media.video(tmp_path / "in" / "long.mkv", FRAMES, (640, 320), options={"preset": "ultrafast", "g": "60"}))
    (result, _), whole = in_pieces(broken, tmp_path / "apart", made), alone(broken, tmp_path / "whole", made)
    assert result.state == whole.state == "partial" and result.frames == whole.frames > 900 and result.error == whole.error


def test_what_was_looked_at_is_not_looked_at_again(clip, tmp_path, made):
    job, cut = job_of(clip, tmp_path), pieces.plan(video.probe(clip), SETTINGS, SECONDS)
    pieces.look_at_piece(job, SETTINGS, made, cut[1])
    pieces.look_at_piece(job, SETTINGS, made._replace(detector=None), cut[1])  # would fail if it looked
    with pytest.raises(TypeError):
        pieces.look_at_piece(replace(job, asked={"other": "wish"}), SETTINGS, made._replace(detector=None), cut[1])


def test_short_videos_and_those_of_unknown_length_stay_whole():
    info = VideoInfo(640, 360, Fraction(30), 1000)
    assert [len(pieces.plan(info, SETTINGS, seconds)) for seconds in (30.0, 0)] == [1, 1]
    assert len(pieces.plan(replace(info, frames=None), SETTINGS, 3)) == 1
    cut = pieces.plan(replace(info, frames=216000, fps=Fraction(60)), SETTINGS, 600)
    assert len(cut) == 6 and all(piece.first % 3 == 0 for piece in cut)  # the detector looks every third frame
    assert cut[1].first == 36000 - 3 * pieces.WARM_UP and cut[0].count == 36000


def seen(frame, people, feature=None):
    """An Observation of people {number: left edge of the box}."""
    boxes = np.array([[x, 0, x + 40, 100] for x in people.values()]).reshape(-1, 4)
    features = None if feature is None else np.full((len(people), 2), feature)
    return Observation(frame, frame / 25, Tracks(list(people), boxes, np.ones(len(people))), Poses(BODY21, np.zeros((len(people), 21, 2)),
                       np.zeros((len(people), 21))), features)


def log_of(path, observations):
    log = store.open_log(path, BODY21, {})
    log.append(observations)
    return log


def test_the_cut_is_where_people_are_apart_and_numbers_go_on(tmp_path):
    first = log_of(tmp_path / "1", [seen(f, {4: 10, 7: 200 if f in (17, 18) else 20}, 1.0) for f in range(20)])
    second = log_of(tmp_path / "2", [seen(f, {1: 200 if f in (17, 18) else 20, 2: 10, 3: 400}, 2.0) for f in range(8, 30)])
    empty = log_of(tmp_path / "3", [])
    whole = list(handover.merged([first, second, empty]))
    assert [one.frame for one in whole] == list(range(30))
    assert handover.safest([seen(f, {1: 0, 2: 5 if f % 2 else 90}) for f in range(20)]) == 18
    assert [one.tracks.ids.tolist() for one in (whole[0], whole[17], whole[18], whole[29])] == [[1, 2], [1, 2], [2, 1, 3], [2, 1, 3]]
    assert whole[0].features is not None and whole[18].features is not None and whole[20].features is None


def test_nobody_and_pieces_that_do_not_meet(tmp_path):
    logs = [log_of(tmp_path / "1", [seen(f, {}) for f in range(5)]), log_of(tmp_path / "2", [seen(f, {1: 10}) for f in range(5, 9)]),
            log_of(tmp_path / "3", [seen(f, {1: 10}) for f in range(9, 12)])]
    whole = list(handover.merged(logs))
    assert [one.frame for one in whole] == list(range(12)) and list(handover.merged([])) == []
    assert [one.tracks.ids.tolist() for one in whole[4:]] == [[]] + [[1]] * 4 + [[2]] * 3
