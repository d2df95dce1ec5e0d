"""`python -m training.prepare NAME ...`: the commands are the modules of this folder that have a `main(argv)`."""

import sys

from training.dispatch import run

if __name__ == "__main__":
    sys.exit(run("training.prepare", "training.prepare", [arg.replace("-", "_") for arg in sys.argv[1:2]] + sys.argv[2:]))
