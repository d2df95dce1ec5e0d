"""Score Anatomy3D on Human3.6M in the published manner: `python -m training.evaluate anatomy3d --checkpoint official.bin`.

Takes all flags of `python -m training anatomy3d`; what is evaluated is --checkpoint FILE, or --evaluate NAME in the folder of the checkpoints.
"""

from training import anatomy3d


def main(argv=None):
    anatomy3d.evaluate(anatomy3d.arguments(argv, "training.evaluate anatomy3d"))
