"""Averaging N frames into one: VideoPose3D's --viz-downsample, for pictures and for motion alike."""

from dataclasses import replace

import numpy as np

from app.perceive import chunks
from core.records import Frame


def average_frames(frames, count):
    """Frames whose picture is the mean of `count` following ones; index and time are the first one's."""
    if count == 1:
        yield from frames
        return
    for group in chunks(frames, count):
        mean = np.mean([frame.image for frame in group], axis=0)
        yield Frame(group[0].index, group[0].time, np.rint(mean).astype(np.uint8))


def average_motion(motion, count, first=0, stride=1):
    """A Motion at 1/count of the rate: every group of `count` processed frames becomes its mean, at the group's first frame.

    `first` is the index of the first processed frame, `stride` the step to the next.
    """
    if count == 1:
        return motion
    tracks = {number: _average(track, first, stride * count) for number, track in motion.tracks.items()}
    return replace(motion, info=replace(motion.info, fps=motion.info.fps / count), tracks=tracks)


def _average(track, start, step):
    groups, first = np.unique((track.frames - start) // step, return_index=True)
    frames = start + groups * step
    parts = np.split(np.arange(len(track)), first[1:])

    def mean(values):
        with np.errstate(invalid="ignore"):
            return np.stack([values[rows].mean(0) for rows in parts])

    return replace(track, frames=frames, times=track.times[first] - _late(track, first, frames), boxes=mean(track.boxes),
                   points=mean(track.points), scores=mean(track.scores), joints3d=mean(track.joints3d), root=mean(track.root),
                   observed=np.array([track.observed[rows].any() for rows in parts]))


def _late(track, first, frames):
    """Seconds by which a group's first row lies after the group's first frame (a person may enter in the middle of a group)."""
    step = np.median(np.diff(track.times) / np.diff(track.frames)) if len(track) > 1 else 0.0
    return (track.frames[first] - frames) * step
