"""A small data set in the official files, for tests of the trainers of Anatomy3D and Pose3D-RIE, and flags that make their networks small."""

from training.datasets import written

FLAGS = ["-str", "S1", "-ste", "S9,S11", "--device", "cpu", "--threads", "1", "-b", "128", "-e", "1", "-ch", "4", "-arc", "3,3"]


def write(folder, frames=18):
    """Write Human3.6M's files: three subjects, two actions, exact 2D and CPN's with visibility scores; returns the folder."""
    written.write_h36m(folder, ("gt", "cpn_ft_h36m_dbb"), frames, ("S1", "S9", "S11"), ("Walking", "WalkDog"))
    return folder
