"""Milliseconds of processor time a frame of each tracker for 5, 20 and 100 people: OMP_NUM_THREADS=1 python -m benchmarks.trackers

Beside them the work that the published SORT does with its filters, re-timed: one filterpy object for each person, one call after the other.
People walk in lanes without a gap; looks are random vectors of 128 numbers. No picture is given: the camera's motion is timed by itself on a
1920x1080 picture that moves. Of several rounds the best counts.
"""

import argparse
import time

import cv2
import numpy as np

from core import parts
from core.records import Detections
from trackers import sort
from trackers._camera import CameraMotion

FRAMES, WARM = 150, 105  # galleries of looks are full after 100 frames


def walk(count, frames=FRAMES, looks=False, seed=0):
    """Detections of `count` people in lanes, frame by frame."""
    rng = np.random.default_rng(seed)
    start = np.stack([60.0 * (np.arange(count) % 25), 120.0 * (np.arange(count) // 25)], 1)
    speed, features = rng.uniform(-1, 1, (count, 1)), rng.normal(size=(count, 128)).astype(np.float32)
    for frame in range(frames):
        corner = start + speed * frame * (1, 0) + rng.normal(0, 0.5, (count, 2))
        boxes = np.concatenate([corner, corner + (40, 100)], 1)
        yield Detections(boxes, np.full(count, 0.97), features if looks else None)


def per_frame(step, scene, warm=WARM):
    """Milliseconds a frame of step(index, detections) after the first `warm` frames."""
    scene = list(scene)
    for i in range(warm):
        step(i, scene[i])
    start = time.process_time()
    for i in range(warm, len(scene)):
        step(i, scene[i])
    return 1e3 * (time.process_time() - start) / (len(scene) - warm)


def tracker(spec):
    """step(index, detections) of a fresh tracker."""
    made = parts.make("tracker", spec)
    return lambda i, detections: made.update(i / 25, detections)


def filterpy_loop():
    """step(index, detections) that predicts and updates one filterpy filter for each person, as the published SORT does."""
    people = []

    def step(_, detections):
        people.extend(sort.Person(1, box, 1.0) for box in detections.boxes[len(people) :])
        for person, box in zip(people, detections.boxes, strict=True):
            person.predict()
            person.box()
            person.correct(box, 1.0)

    return step


def camera():
    """Milliseconds a frame of the camera's motion on a picture that moves."""
    wall = cv2.resize(np.random.default_rng(0).integers(0, 255, (70, 125, 3), np.uint8), (2000, 1120), interpolation=cv2.INTER_CUBIC)
    motion, nobody = CameraMotion(), np.zeros((0, 4))
    pictures = [np.ascontiguousarray(wall[3 * i : 3 * i + 1080, 5 * i : 5 * i + 1920]) for i in range(12)]
    return per_frame(lambda i, picture: motion(picture, nobody), pictures, warm=2)


def main():
    options = argparse.ArgumentParser(prog="python -m benchmarks.trackers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--people", type=int, nargs="+", default=[5, 20, 100])
    options.add_argument("--rounds", type=int, default=5)
    options = options.parse_args()
    cv2.setNumThreads(1)
    rows = {"steady": (lambda: tracker("steady"), False), "steady with looks": (lambda: tracker("steady"), True),
            "sort": (lambda: tracker("sort"), False), "deepsort with looks": (lambda: tracker("deepsort"), True),
            "filterpy per person, filters alone": (filterpy_loop, False)}
    print(f"{'ms a frame':36s}" + "".join(f"{count:>8d}" for count in options.people))
    for name, (make, looks) in rows.items():
        times = [min(per_frame(make(), walk(count, looks=looks)) for _ in range(options.rounds)) for count in options.people]
        print(f"{name:36s}" + "".join(f"{value:8.2f}" for value in times), flush=True)
    print(f"{'motion of the camera':36s}{min(camera() for _ in range(options.rounds)):8.2f}")


if __name__ == "__main__":
    main()
