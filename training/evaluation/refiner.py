"""The fifth system's refiner, branch by branch, against its input: `python -m training.evaluate refiner [gcn|linear] --load FILE`.

The same as `python -m training refiner --mode test`: figures of refiner/data/valid.pkl, by the names that the author prints.
"""

from training import refiner


def main(argv=None):
    refiner.main([*(argv or []), "--mode", "test"])
