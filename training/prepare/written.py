"""Write stand-ins for licensed data sets from free motion: `python -m training.prepare written --output data [--mocap ../shared/data]`.

Official file formats, cameras and keys; subjects in name only. Without --mocap people of our own making move.
"""

import argparse

from core.errors import InputError
from training.datasets import written

WRITERS = {"h36m": written.write_h36m, "humaneva15": written.write_humaneva, "custom": written.write_custom}


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.prepare written", description=__doc__)
    parser.add_argument("-o", "--output", default="data", help="folder of the files (data)")
    parser.add_argument("--sets", default=",".join(WRITERS), help=f"which of {', '.join(WRITERS)}")
    parser.add_argument("--frames", type=int, default=400, help="of each take (400)")
    parser.add_argument("--mocap", help="folder with motion capture (cmu.npz, cmu2.npz, acro30.npz) instead of motion of our own making")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    if options.frames < 1:
        raise InputError(f"--frames {options.frames}: expected 1 or more")
    for name in options.sets.split(","):
        if name not in WRITERS:
            raise InputError(f"--sets {name}: expected some of {', '.join(WRITERS)}")
        WRITERS[name](options.output, frames=options.frames, mocap=options.mocap, seed=options.seed)
