"""The trackers on MOTChallenge sequences, from the same detections and boxes alone: python -m benchmarks.tracking --data FOLDER [--public PYTHON]

FOLDER holds <sequence>/det/det.txt, gt/gt.txt, seqinfo.ini. PYTHON is one that has the public package `trackers` (whose name is that of our folder,
so it needs an environment of its own: pip install trackers); its SORT, ByteTrack, OC-SORT, BoT-SORT and C-BIoU then run as they come.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

from core import mot, parts
from core.errors import InputError
from trackers.__main__ import FPS, about, track
from training.evaluation.mot import evaluate, table

OURS = ("sort", "deepsort", "steady")


def run(data, specs, out):
    """Write out/<spec>/<sequence>.txt. Raises InputError where there are no detections."""
    files = sorted(data.glob("*/det/det.txt"))
    if not files:
        raise InputError(f"no <sequence>/det/det.txt in {data}")
    for spec in specs:
        (out / spec).mkdir()
        for path in files:
            fps, frames = about(path)
            lines = track(mot.read(path), parts.make("tracker", spec), fps or FPS, frames)
            (out / spec / f"{path.parts[-3]}.txt").write_text("".join(lines))


def main():
    options = argparse.ArgumentParser(prog="python -m benchmarks.tracking", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data/mot15"))
    options.add_argument("--public", metavar="PYTHON", help="a Python with the package `trackers`")
    options.add_argument("--tracker", nargs="+", default=OURS, metavar="SPEC")
    options.add_argument("--each", action="store_true", help="a line for each sequence too")
    options = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder)
        try:
            run(options.data, options.tracker, out)
            if options.public:
                script = pathlib.Path(__file__).with_name("_public_trackers.py").resolve()
                subprocess.run([options.public, "-P", script, options.data.resolve(), out], check=True, cwd=out)
            figures = {path.name: evaluate(options.data, path) for path in sorted(out.iterdir(), key=lambda path: path.stat().st_mtime)}
        except InputError as error:
            print(f"python -m benchmarks.tracking: {error}", file=sys.stderr)
            return 2
    print(table({name: rows["all"] for name, rows in figures.items()}))
    if options.each:
        for name, rows in figures.items():
            print(f"\n{name}\n{table(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
