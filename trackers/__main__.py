"""Track boxes from a MOTChallenge file: python -m trackers --det det.txt --tracker steady --out tracks.txt"""

import argparse
import configparser
import pathlib
import sys

import numpy as np

from core import mot, parts
from core.errors import InputError
from core.records import Detections

FPS = 25.0  # where nothing says how fast the video is


def track(rows, tracker, fps, frames=None):
    """The lines of the tracks of rows (N, 7) of core.mot.read, in the order of frames; empty frames are looked at too, up to `frames`.

    A tracker on appearance goes without it: there are no pictures.
    """
    order = np.argsort(rows[:, 0], kind="stable")
    last = max(int(rows[:, 0].max(initial=0)), frames or 0)
    starts = np.searchsorted(rows[order, 0], np.arange(1, last + 2))
    lines = []
    for frame in range(1, last + 1):
        now = rows[order[starts[frame - 1] : starts[frame]]]
        tracks = tracker.update((frame - 1) / fps, Detections(now[:, 2:6], now[:, 6]), None)
        lines += [mot.line(frame, *row) for row in zip(tracks.ids.tolist(), tracks.boxes, tracks.scores.tolist(), strict=True)]
    return lines


def about(det):
    """(frames a second, number of frames) from the seqinfo.ini beside the file or one folder up, None where it is not told.

    Raises InputError where such a file is there and cannot be read.
    """
    for path in (det.parent / "seqinfo.ini", det.parent.parent / "seqinfo.ini"):
        if path.is_file():
            info = configparser.ConfigParser()
            try:
                info.read(path)
                return info.getfloat("Sequence", "frameRate"), info.getint("Sequence", "seqLength")
            except (configparser.Error, ValueError) as error:
                raise InputError(f"{path} does not say frameRate and seqLength: {str(error).splitlines()[0]}") from error
    return None, None


def main(argv=None):
    """Run and return the exit code: 0, or 2 for a fault of the user's, told in one line."""
    parser = argparse.ArgumentParser(prog="python -m trackers", description=__doc__, epilog="trackers:\n" + parts.describe("tracker"),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--det", type=pathlib.Path, required=True, metavar="DET", help="frame,id,left,top,width,height,score,...; frames from 1")
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="TRACKS", help="the same with identities")
    parser.add_argument("--tracker", default="steady", metavar="NAME[:OPTIONS]", help="one of those below (%(default)s)")
    parser.add_argument("--fps", type=float, help=f"frames a second; else those of seqinfo.ini beside the file, else {FPS:.0f}")
    options = parser.parse_args(argv)
    try:
        run(options)
    except InputError as error:
        print(f"python -m trackers: {error}", file=sys.stderr)
        return 2
    return 0


def run(options):
    """Track one file and say what was left out. Raises InputError."""
    tracker = parts.make("tracker", options.tracker)
    fps, frames = about(options.det)
    fps = options.fps or fps or FPS
    if not 0 < fps < 1e6:
        raise InputError(f"--fps: expected a number above 0, got {fps:g}")
    rows = mot.read(options.det, "det")
    lines = track(rows, tracker, fps, frames)
    partial = options.out.with_name(options.out.name + ".partial")
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text("".join(lines), encoding="ascii")
        partial.replace(options.out)
    except OSError as error:
        raise InputError(f"cannot write {options.out}: {error.strerror}") from error
    if getattr(tracker, "dropped", 0):
        print(f"{tracker.dropped} boxes without a size were dropped", file=sys.stderr)
    if len(rows) and not lines:
        print(f"nobody was tracked: the best score in {options.det} is {rows[:, 6].max():g} (the trackers' options say which scores they want)",
              file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
