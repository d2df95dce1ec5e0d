"""A small data set in the official files, for tests of everything that trains lifters."""

from training.datasets import written

SUBJECTS = ("S1", "S5", "S9", "S11")
ACTIONS = ("Directions", "Walking", "WalkDog", "Sitting")


def write(folder, frames=48, subjects=SUBJECTS, actions=ACTIONS):
    """Write Human3.6M's files with some subjects and actions, HumanEva's and a custom video's; returns the folder."""
    written.write_h36m(folder, ("gt", "cpn_ft_h36m_dbb", "detectron_pt_coco"), frames, subjects, actions)
    written.write_humaneva(folder, frames=24)
    written.write_custom(folder, frames=30)
    return folder
