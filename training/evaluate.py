"""`python -m training.evaluate NAME ...`: the protocols are the modules of training/evaluation that have a `main(argv)`."""

import sys

from training.dispatch import run

if __name__ == "__main__":
    sys.exit(run("training.evaluation", "training.evaluate", sys.argv[1:]))
