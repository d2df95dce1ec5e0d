"""Averaging N frames into one, for pictures and motion, on the same groups."""

from fractions import Fraction

import numpy as np

from app.resample import average_frames, average_motion
from core.records import Camera, Frame, Motion, Track, VideoInfo
from core.skeletons import BODY21


def motion(first, stride, count, late=0):
    """One person who moves one pixel and one millimetre a source frame, seen from processed frame `late` on."""
    frames = first + stride * np.arange(late, count)
    joints = np.broadcast_to(frames[:, None, None] / 1000.0, (len(frames), 21, 3))
    points = np.broadcast_to(frames[:, None, None].astype(float), (len(frames), 21, 2))
    track = Track(1, frames, frames / 50, np.repeat(frames[:, None], 4, 1), points, np.ones((len(frames), 21)), joints, joints[:, 0], frames > 0)
    return Motion(VideoInfo(64, 48, Fraction(50)), Camera.from_fov(64, 48), np.eye(4), BODY21, BODY21, {1: track})


def pictures(first, stride, count):
    for index in range(first, first + stride * count, stride):
        yield Frame(index, index / 50, np.full((4, 4, 3), index, np.uint8))


def test_pictures_and_motion_fall_into_the_same_groups():
    first, stride, count, together = 7, 2, 12, 4
    shown = list(average_frames(pictures(first, stride, count), together))
    track = average_motion(motion(first, stride, count), together, first, stride).tracks[1]
    assert [frame.index for frame in shown] == track.frames.tolist() == [7, 15, 23]
    np.testing.assert_allclose(track.times, [frame.time for frame in shown])
    np.testing.assert_allclose([frame.image.mean() for frame in shown], track.points[:, 0, 0], atol=0.5)
    np.testing.assert_allclose(track.joints3d[:, 0, 0], [0.010, 0.018, 0.026], atol=1e-6)


def test_somebody_who_enters_inside_a_group_is_placed_at_its_start():
    track = average_motion(motion(0, 1, 12, late=5), 4).tracks[1]
    assert track.frames.tolist() == [4, 8]
    np.testing.assert_allclose(track.times, [4 / 50, 8 / 50])


def test_one_is_no_change():
    whole = motion(0, 1, 5)
    assert average_motion(whole, 1) is whole
    assert average_motion(whole, 5).info.fps == 10
