"""`python -m training NAME ...`: the trainers are the modules of this folder that have a `main(argv)`."""

import sys

from training.dispatch import run

if __name__ == "__main__":
    sys.exit(run("training", "training", sys.argv[1:], skip=("evaluate",)))
