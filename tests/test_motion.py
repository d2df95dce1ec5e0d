"""Observations to tracks, on made people."""

from fractions import Fraction

import numpy as np
import pytest

from app.motion import NOBODY, assemble, numbered, select
from core.errors import InputError
from core.records import Observation, Poses, Tracks, VideoInfo
from core.skeletons import COCO17

INFO = VideoInfo(640, 480, Fraction(30), 90)
FIGURE = np.random.default_rng(5).uniform((-20, -80), (20, 80), (17, 2))


def person(x, y=240.0, size=1.0):
    """A standing figure (17, 2) about (x, y) and its box."""
    points = FIGURE * size + (x, y)
    return points, np.concatenate([points.min(0), points.max(0)])


def observe(frame, people, step=1 / 30):
    """The Observation of {id: (points, box)}; an id may carry a feature as a third value."""
    rows = list(people.values())
    features = np.array([row[2] for row in rows]) if rows and len(rows[0]) > 2 else None
    tracks = Tracks(list(people), np.array([row[1] for row in rows]).reshape(-1, 4), np.ones(len(rows)))
    poses = Poses(COCO17, np.array([row[0] for row in rows]).reshape(-1, 17, 2), np.full((len(rows), 17), 0.8))
    return Observation(frame, frame * step, tracks, poses, features)


def walk(frame, start=100, speed=3):
    return person(start + speed * frame)


def test_nobody_and_nothing():
    assert assemble([], INFO) == {}
    assert assemble([observe(i, {}) for i in range(5)], INFO) == {}


def test_one_frame_is_a_track():
    tracks = assemble([observe(0, {4: person(100)})], INFO, min_seconds=0.3)
    assert list(tracks) == [4]
    assert len(tracks[4]) == 1
    assert np.isnan(tracks[4].joints3d).all()


def test_rows_keep_what_was_seen():
    tracks = assemble([observe(i, {1: walk(i), 2: person(500)}) for i in range(30)], INFO)
    assert sorted(tracks) == [1, 2]
    np.testing.assert_allclose(tracks[1].points[7], walk(7)[0], rtol=1e-5)
    assert tracks[1].observed.all()
    assert (tracks[1].scores > 0.7).all()


def test_gap_below_a_second_is_filled_and_marked():
    seen = [observe(i, {1: walk(i)} if not 10 <= i < 30 else {}) for i in range(60)]
    track = assemble(seen, INFO)[1]
    assert track.frames.tolist() == list(range(60))
    assert np.flatnonzero(~track.observed).tolist() == list(range(10, 30))
    np.testing.assert_allclose(track.points[20], walk(20)[0], atol=0.01)
    np.testing.assert_allclose(track.boxes[20], walk(20)[1], atol=0.01)
    np.testing.assert_allclose(track.scores[20], 0.4, atol=1e-6)
    assert not np.isin(np.arange(10, 30), assemble(seen, INFO, fill=False)[1].frames).any()


def test_gap_of_a_second_or_more_stays_open():
    track = assemble([observe(i, {1: walk(i, speed=1)} if not 10 <= i < 45 else {}) for i in range(60)], INFO)[1]
    assert track.frames.tolist() == [*range(10), *range(45, 60)]


def test_strided_frames_are_filled_with_processed_frames_only():
    seen = [observe(i, {1: walk(i)} if i not in (12, 15) else {}) for i in range(0, 60, 3)]
    track = assemble(seen, INFO)[1]
    assert track.frames.tolist() == list(range(0, 60, 3))
    assert (~track.observed).sum() == 2


def test_an_outlier_is_taken_out_and_its_score_lowered():
    people = [walk(i) for i in range(40)]
    people[20] = (people[20][0] + np.where(np.arange(17) == 9, 60, 0)[:, None], people[20][1])
    track = assemble([observe(i, {1: p}) for i, p in enumerate(people)], INFO)[1]
    np.testing.assert_allclose(track.points[20], walk(20)[0], atol=0.01)
    assert track.scores[20, 9] == pytest.approx(0.4)
    assert track.scores[20, 8] == pytest.approx(0.8)


def test_fast_true_motion_is_no_outlier():
    def waving(i):
        points, box = person(300)
        return points + np.where(np.arange(17) == 9, 60 * np.sin(2 * np.pi * 2.5 * i / 30), 0)[:, None], box

    track = assemble([observe(i, {1: waving(i)}) for i in range(60)], INFO)[1]
    assert (track.scores > 0.7).all()


def test_a_missing_joint_is_filled_for_a_while_but_never_invented():
    seen = []
    for i in range(90):
        points, box = walk(i, speed=1)
        points = points.copy()
        if 10 <= i < 20 or i >= 50:
            points[9] = np.nan
        one = observe(i, {1: (points, box)})
        if 10 <= i < 20 or i >= 50:
            one.poses.scores[0, 9] = 0
        seen.append(one)
    track = assemble(seen, INFO)[1]
    np.testing.assert_allclose(track.points[15, 9], walk(15, speed=1)[0][9], atol=0.01)
    assert track.scores[15, 9] == pytest.approx(0.4)
    assert np.isnan(track.points[50:, 9]).all()
    assert (track.scores[50:, 9] == 0).all()


@pytest.mark.parametrize("scores, nobody, kept", [([0.3] * 17, NOBODY, False), ([0.9] * 5 + [0.02] * 12, NOBODY, True), ([0.4] * 17, NOBODY, True),
                                                  ([0.4] * 17, 0.45, False)])
def test_a_track_whose_clearest_joints_are_unclear_is_nobody(scores, nobody, kept):
    seen = [observe(i, {1: walk(i), 2: person(500)}) for i in range(30)]
    for one in seen:
        one.poses.scores[1] = scores
    assert sorted(assemble(seen, INFO, nobody=nobody)) == ([1, 2] if kept else [1])


def test_a_broken_track_is_joined_under_the_earlier_number():
    seen = [observe(i, {1: walk(i)} if i < 20 else {5: walk(i)} if i >= 32 else {}) for i in range(60)]
    assert list(assemble(seen, INFO)) == [1]
    assert len(assemble(seen, INFO)[1]) == 60
    assert list(assemble(seen, INFO, join=False)) == [1, 5]


def test_two_people_who_cross_unseen_are_joined_by_where_they_were_going():
    def people(i):
        a, b = walk(i, 100, 6), walk(i, 460, -6)
        return {1: a, 2: b} if i < 25 else {} if i < 36 else {3: b, 4: a}

    tracks = assemble([observe(i, people(i)) for i in range(60)], INFO)
    assert sorted(tracks) == [1, 2]
    np.testing.assert_allclose(tracks[1].points[59], walk(59, 100, 6)[0], atol=0.1)


def test_people_who_overlap_in_time_far_away_or_of_other_size_are_not_joined():
    together = [observe(i, {n: person(200 + 30 * n) for n in ((1,) if i < 20 else (1, 2) if i < 25 else (2,))}) for i in range(40)]
    far = [observe(i, {1: person(100)} if i < 20 else {2: person(500)}) for i in range(40)]
    other = [observe(i, {1: person(200)} if i < 20 else {2: person(200, size=0.5)}) for i in range(40)]
    for seen in (together, far, other):
        assert sorted(assemble(seen, INFO)) == [1, 2]


def test_appearance_tells_people_apart_and_brings_them_back():
    red, blue = np.eye(8)[0], np.eye(8)[1]

    def scene(second):
        return [observe(i, {1: (*person(200), red)} if i < 20 else {} if i < 110 else {2: (*person(230), second)}) for i in range(140)]

    assert list(assemble(scene(red + 0.1 * blue), INFO)) == [1]
    assert list(assemble(scene(blue), INFO)) == [1, 2]


def test_selection_by_number_by_screen_and_by_length():
    seen = [observe(i, {1: person(100, size=0.5), 2: person(400)} | ({3: person(600)} if i < 4 else {})) for i in range(60)]
    tracks = assemble(seen, INFO)
    assert list(select(tracks, (2, 3))) == [2, 3]
    with pytest.raises(InputError, match="no person 9"):
        select(tracks, (9,))
    assert list(assemble(seen, INFO, max_people=1)) == [2]
    assert list(assemble(seen, INFO, min_seconds=0.3)) == [1, 2]


def test_depth_and_relative_joints_of_the_pose_network_are_kept():
    seen = observe(0, {1: person(100)})
    poses = Poses(COCO17, seen.poses.points, seen.poses.scores, np.ones((1, 17, 3)), np.array([4.0]))
    track = assemble([Observation(0, 0.0, seen.tracks, poses)], INFO)[1]
    assert track.root[0, 2] == 4
    assert (track.joints3d == 1).all()


def test_a_second_track_on_the_same_person_and_a_track_of_nobody_are_dropped():
    def scene(i):
        points, box = walk(i)
        shaky = points + np.random.default_rng(i).normal(0, 2, points.shape)
        return {1: (points, box), 2: (shaky, box + (-5, 0, 9, 3)), 3: person(160 + 3 * i), 4: person(500)}

    seen = [observe(i, scene(i) if i > 3 else {1: walk(i)}) for i in range(40)]
    for one in seen[4:]:
        one.poses.scores[3] = 0.1
    assert list(assemble(seen, INFO)) == [1, 3]


def test_a_box_that_goes_from_person_to_person_is_nobody():
    def at(frame):
        places = [100, 250, 400]
        people = {number: person(x) for number, x in enumerate(places, 1)}
        if frame % 10 < 8:  # mostly on one of the three, now and then between them
            people[4] = person(places[frame // 34] if frame % 10 < 5 else 175 + 150 * (frame // 50))
        return people

    tracks = assemble([observe(i, at(i)) for i in range(100)], INFO)
    assert sorted(tracks) == [1, 2, 3]
    assert all(len(track) == 100 for track in tracks.values())


def test_a_new_track_that_begins_before_the_old_one_ends_continues_it():
    seen = [observe(i, ({1: walk(i)} if i < 30 else {}) | ({2: walk(i)} if i >= 24 else {})) for i in range(50)]
    tracks = assemble(seen, INFO)
    assert list(tracks) == [1]
    assert len(tracks[1]) == 50


def test_people_are_numbered_in_the_order_in_which_they_were_first_seen():
    seen = [observe(f, {18: person(300)} if f < 5 else {9: person(100)}) for f in range(10)]
    found = assemble(seen, INFO, join=False)
    again = numbered(found)
    assert list(found) == [9, 18] and list(again) == [1, 2] and [track.id for track in again.values()] == [1, 2]
    assert again[1].frames[0] == 0 and again[2].frames[0] == 5 and numbered({}) == {}
