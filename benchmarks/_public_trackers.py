"""Run by benchmarks/tracking.py with a Python that has the public package `trackers`: its trackers as they come, on MOTChallenge folders.

    python -P _public_trackers.py DATA OUT        writes OUT/<tracker>/<sequence>.txt
"""

import inspect
import pathlib
import sys

import numpy as np
import supervision

import trackers

NAMES = {"SORTTracker": "their SORT", "ByteTrackTracker": "ByteTrack", "OCSORTTracker": "OC-SORT", "BoTSORTTracker": "BoT-SORT without pictures",
         "CBIoUTracker": "C-BIoU"}


def lines(tracker, rows):
    """The result of one sequence as MOTChallenge lines."""
    for frame in range(1, int(rows[:, 0].max()) + 1):
        now = rows[rows[:, 0] == frame]
        found = tracker.update(supervision.Detections(xyxy=np.hstack([now[:, 2:4], now[:, 2:4] + now[:, 4:6]]), confidence=now[:, 6]))
        for (x0, y0, x1, y1), number in zip(found.xyxy, found.tracker_id, strict=True):
            if number >= 0:
                yield f"{frame},{number + 1},{x0:.2f},{y0:.2f},{x1 - x0:.2f},{y1 - y0:.2f},1,-1,-1,-1\n"


def main(data, out):
    for name, title in NAMES.items():
        kind = getattr(trackers, name)
        still = {"enable_cmc": False} if "enable_cmc" in inspect.signature(kind.__init__).parameters else {}
        for sequence in sorted(path.parent.parent for path in pathlib.Path(data).glob("*/det/det.txt")):
            rows = np.loadtxt(sequence / "det" / "det.txt", delimiter=",", ndmin=2)
            target = pathlib.Path(out) / title / f"{sequence.name}.txt"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("".join(lines(kind(**still), rows)))


if __name__ == "__main__":
    main(*sys.argv[1:])
