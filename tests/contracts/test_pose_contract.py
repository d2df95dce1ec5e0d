"""What every pose network promises."""

import numpy as np
import pytest

from core import parts
from core.records import Poses
from core.skeletons import Skeleton

BOXES = [np.array([[60, 10, 190, 250], [-30, -10, 120, 300], [100, 100, 104, 140]], np.float32), np.zeros((0, 4), np.float32),
         np.array([[20, 5, 230, 256]], np.float32), np.array([[5, 5, 40, 60], [0, 0, 48, 64]], np.float32),
         np.array([[300, 300, 340, 400]], np.float32)]


@pytest.fixture(params=parts.names("pose"))
def pose(request, built):
    return built("pose", request.param)


def same(a, b, rows=slice(None)):
    np.testing.assert_allclose(a.points[rows], b.points, atol=0.05)
    np.testing.assert_allclose(a.scores[rows], b.scores, atol=1e-3)


def test_rows_are_those_of_the_boxes(pose, pictures, cameras):
    before = [image.copy() for image in pictures]
    found = pose(pictures, BOXES, cameras)
    assert isinstance(pose.skeleton, Skeleton) and [len(people) for people in found] == [len(boxes) for boxes in BOXES]
    for people in found:
        assert isinstance(people, Poses) and people.skeleton == pose.skeleton
        assert ((people.scores >= 0) & (people.scores <= 1)).all()
        assert (np.isfinite(people.points).all(-1) | (people.scores == 0)).all(), "what is missing has score 0"
    assert all((a == b).all() for a, b in zip(before, pictures, strict=True)), "a pose network changed its input"


def test_points_are_in_the_pictures_pixels(pose, pictures, cameras):
    people = pose(pictures[:1], [BOXES[0][:1]], cameras[:1])[0]
    x1, y1, x2, y2 = BOXES[0][0]
    seen = people.points[0][people.scores[0] > 0]
    margin = np.array([x2 - x1, y2 - y1])
    assert (seen >= np.array([x1, y1]) - margin).all() and (seen <= np.array([x2, y2]) + margin).all()


def test_answers_do_not_depend_on_the_batch(pose, pictures, cameras):
    together = pose(pictures, BOXES, cameras)
    for people, image, boxes, camera in zip(together, pictures, BOXES, cameras, strict=True):
        same(people, pose([image], [boxes], [camera])[0])
    same(together[0], pose(pictures[:1], [BOXES[0][:1]], cameras[:1])[0], slice(0, 1))
    same(together[0], pose(pictures[:1], [BOXES[0][::-1].copy()], cameras[:1])[0], slice(None, None, -1))


def test_nobody(pose, pictures, cameras):
    assert pose([], [], []) == []
    nobody = pose(pictures[:2], [np.zeros((0, 4))] * 2, cameras[:2])
    assert [len(people) for people in nobody] == [0, 0]
