"""The lifters' data sets by the names that the published programs give them."""

from core.errors import InputError
from training.datasets import custom, human36m, humaneva

SETS = {"h36m": human36m, "humaneva15": humaneva, "custom": custom}


def open_set(name, kind, folder="data"):
    """The LiftingSet `name` (h36m, humaneva15, custom) of a folder with its 2D keypoints of a `kind`. Raises InputError in one line."""
    if name not in SETS:
        raise InputError(f"no data set '{name}'; there are {', '.join(SETS)}")
    return SETS[name].load(folder, kind)
