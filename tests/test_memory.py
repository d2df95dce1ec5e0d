"""Memory does not grow with the length of a video, with stand-ins for the networks so that only the application's own is measured."""

import os

import numpy as np
import psutil

from app import analyse
from app.perceive import Parts
from app.settings import Settings
from core.records import Detections, Poses
from core.skeletons import BODY21
from lifters.none import build as no_lifter
from tests.conftest import write_clip


class TwoPeople:
    """A detector that sees two people and notes the memory in use at every batch."""

    def __init__(self):
        self.used = []

    def __call__(self, images):
        self.used.append(psutil.Process(os.getpid()).memory_info().rss / 1e6)
        return [Detections([[20, 20, 60, 160], [200, 30, 240, 170]], [0.9, 0.8]) for _ in images]


class StickPeople:
    skeleton = BODY21

    def __call__(self, images, boxes, cameras):
        return [Poses(BODY21, np.repeat(rows[:, None, :2], 21, 1) + np.arange(21)[:, None], np.ones((len(rows), 21))) for rows in boxes]


def test_memory_is_flat_over_a_long_clip(tmp_path):
    shades = (np.full((240, 320, 3), 60 + i % 100, np.uint8) for i in range(3000))
    clip = write_clip(tmp_path / "long.mp4", shades)
    detector = TwoPeople()
    motion = analyse(clip, Settings(quiet=True, detect_every=1), made=Parts(detector, "sort", StickPeople(), no_lifter(), 8))
    assert [len(track) for track in motion.tracks.values()] == [3000, 3000]
    settled, end = np.mean(detector.used[60:80]), np.mean(detector.used[-20:])
    whole = 3000 * 240 * 320 * 3 / 1e6  # MB, were the frames kept
    assert end - settled < 0.05 * whole, f"{settled:.0f} MB after 70 batches, {end:.0f} MB at the end"
