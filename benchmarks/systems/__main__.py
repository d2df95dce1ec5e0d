"""`python -m benchmarks.systems NAME ...`: the systems are the modules of this folder."""

import sys

from training.dispatch import run

if __name__ == "__main__":
    sys.exit(run("benchmarks.systems", "benchmarks.systems", sys.argv[1:]))
