"""Broken tracks joined by place, motion and body in space, and by the picture where that is not known."""

from fractions import Fraction

import numpy as np
import pytest

from app import ends
from app.ends import End, Space
from app.motion import assemble
from app.reconstruct import ends_in_space
from core.geometry import project
from core.parts import make
from core.records import Camera, Observation, Poses, Tracks, VideoInfo
from core.skeletons import BODY21
from synthetic.kinematics import Step, perform
from synthetic.motions import Style
from synthetic.shapes import mean_shape

CAMERA = Camera.from_fov(640, 360, 60, guessed=False)
INFO = VideoInfo(640, 360, Fraction(25), 125)
PICTURE = (640, 360)


def at(time, place, velocity=(0, 0, 0), bones=1.0, space=True):
    """An End of a still pose in space; its box is 200 px high."""
    place, velocity = np.array(place, float), np.array(velocity, float)
    still = np.zeros((3, 3))
    pixel, soon = project(np.stack([place, place + 0.1 * velocity]), CAMERA)
    where = Space(place, velocity, still, still, np.full(4, bones)) if space else None
    return End(time, pixel, 10 * (soon - pixel), 200.0, np.full((3, 2), np.nan), where)


def test_who_walks_on_unseen_is_found_where_the_way_goes():
    last, first = at(0, (-1.2, 0, 5), (1.4, 0, 0)), at(1.7, (1.2, 0, 5), (1.4, 0, 0))
    assert ends.cost(last, first, None, PICTURE) < 0.2
    assert ends.cost(last._replace(space=None), first._replace(space=None), None, PICTURE) == np.inf  # in the picture velocities fade
    assert ends.cost(last, at(1.7, (-1.2, 0, 5), (-1.4, 0, 0)), None, PICTURE) > 0.5  # who turned round is possible, and less likely
    assert ends.cost(last, at(0.6, (1.9, 0, 5), (1.4, 0, 0)), None, PICTURE) == np.inf  # nobody is so fast


def test_a_box_that_is_cut_changes_nothing_in_space():
    last, first = at(0, (0, 0, 5)), at(0.5, (0.1, 0, 5))._replace(height=70.0)
    assert np.isfinite(ends.cost(last, first, None, PICTURE))
    assert ends.cost(last._replace(space=None), first, None, PICTURE) == np.inf


def test_another_body_another_pose_and_another_look_are_refused():
    last, first = at(0, (0, 0, 5)), at(0.5, (0, 0, 5))
    assert ends.cost(last, first, None, PICTURE) == pytest.approx(0)
    assert ends.cost(last, at(0.5, (0, 0, 5), bones=1.4), None, PICTURE) == np.inf
    assert ends.cost(last, first._replace(space=first.space._replace(joints=np.full((3, 3), 0.5))), None, PICTURE) == np.inf
    assert ends.cost(last, first, 0.5, PICTURE) == np.inf and np.isfinite(ends.cost(last, first, 0.1, PICTURE))


def test_who_left_the_picture_comes_back_by_looks_alone_and_from_nearby():
    last, first = at(0, (-2.7, 0, 5), (-1, 0, 0)), at(4, (-2.7, 0, 5), (1, 0, 0))
    assert ends.cost(last, first, None, PICTURE) == np.inf
    assert np.isfinite(ends.cost(last, first, 0.1, PICTURE))
    assert ends.cost(last, at(4, (-2.7, 0, 5), (1, 0, 0), bones=1.4), 0.1, PICTURE) == np.inf
    assert ends.cost(last, at(4, (-2.7, 0, 25), (1, 0, 0)), 0.1, PICTURE) == np.inf


def walker(start, heading, seconds=5.0):
    """Points (T, 21, 2) px of somebody who walks along x of the camera, `start` (x, z) m; the camera is 1.4 m above the floor."""
    world = perform(mean_shape(1.75), [Step("walk", seconds)], 25, Style())[:, :21]
    turned = world * (heading, heading, 1)
    return project(np.stack([turned[..., 0] + start[0], 1.4 - turned[..., 2], start[1] - turned[..., 1]], -1), CAMERA).astype(np.float32)


def seen(frame, people, numbers):
    """The Observation of walkers as a wall in the middle leaves them to be seen; whoever comes out behind it has a new number."""
    rows = []
    for (before, after), points in zip(numbers, people, strict=True):
        visible = np.abs(points[frame, :, 0] - 320) > 110
        if visible.mean() > 0.3:
            shown = np.where(visible[:, None], points[frame], np.nan)
            passed = (points[frame, 0, 0] - 320) * (points[0, 0, 0] - 320) < 0
            rows.append((after if passed else before, shown, np.concatenate([np.nanmin(shown, 0), np.nanmax(shown, 0)]), visible * 0.8))
    ids, points, boxes, scores = zip(*rows, strict=True) if rows else ((), np.zeros((0, 21, 2)), np.zeros((0, 4)), np.zeros((0, 21)))
    return Observation(frame, frame / 25, Tracks(list(ids), np.array(boxes).reshape(-1, 4), np.ones(len(ids))), Poses(BODY21, points, scores))


def test_two_who_pass_behind_a_wall_at_once_are_told_apart_in_space():
    people = walker((-3.0, 6.0), 1), walker((3.0, 7.0), -1)
    observed = [seen(i, people, ((1, 4), (2, 3))) for i in range(125)]
    assert any(not len(one.tracks) for one in observed)

    def faults(**how):
        """How far (px) each of two joined tracks ends from the person whom it began with."""
        tracks = assemble(observed, INFO, **how)
        assert sorted(tracks) == [1, 2]
        return [np.linalg.norm(tracks[n].points[-1, 0] - points[tracks[n].frames[-1], 0]) for n, points in zip((1, 2), people, strict=True)]

    assert max(faults(in_space=ends_in_space(CAMERA, make("lifter", "tcn:flip=false"), BODY21))) < 2
    assert min(faults()) > 50  # by the picture alone each is taken for the other, who comes out where they went in


def test_people_seen_at_the_same_time_are_never_joined():
    points = walker((-3.0, 6.0), 1)
    both = [Observation(i, i / 25, Tracks(ids, np.stack([np.concatenate([p.min(0), p.max(0)]) for p in rows]), np.ones(len(ids))),
                        Poses(BODY21, np.stack(rows), np.full((len(ids), 21), 0.8)))
            for i in range(60) for ids, rows in [([1], [points[i]]) if i < 28 else ([1, 2], [points[i], points[i] + (45, 0)]) if i < 30
                                                  else ([2], [points[i] + (45, 0)])]]
    assert sorted(assemble(both, INFO, in_space=ends_in_space(CAMERA, make("lifter", "tcn:flip=false"), BODY21))) == [1, 2]


def test_without_3d_the_picture_decides():
    points = walker((-3.0, 6.0), 1)
    rows = [(i, 1 if i < 20 else 2) for i in range(60) if not 20 <= i < 30]
    observed = [Observation(i, i / 25, Tracks([n], np.concatenate([points[i].min(0), points[i].max(0)])[None], [1]),
                            Poses(BODY21, points[[i]], np.full((1, 21), 0.8))) for i, n in rows]
    assert list(assemble(observed, INFO, in_space=ends_in_space(CAMERA, make("lifter", "none"), BODY21))) == [1]
