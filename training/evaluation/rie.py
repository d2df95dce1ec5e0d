"""Score Pose3D-RIE on Human3.6M in the published manner: `python -m training.evaluate rie --checkpoint official.bin`.

Takes all flags of `python -m training rie`; what is evaluated is --checkpoint FILE, or --evaluate NAME in the folder of the checkpoints.
"""

from training import rie


def main(argv=None):
    rie.evaluate(rie.arguments(argv, "training.evaluate rie"))
