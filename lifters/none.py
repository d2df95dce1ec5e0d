"""No lifter: 3D stays unknown (NaN) unless the pose network gave relative depth."""

import numpy as np

from core.protocols import Lifted
from core.skeletons import BODY21


class NoLifter:
    """Gives NaN for every joint of body21, so that only the 2D overlay is drawn."""

    skeleton_in = skeleton_out = BODY21
    receptive_field, causal, fps_range = 1, True, (0, float("inf"))

    def __call__(self, windows, cameras):
        return Lifted(np.full((len(windows), len(BODY21), 3), np.nan, np.float32))

    def sequence(self, points, scores, camera):
        return Lifted(np.full((len(points), len(BODY21), 3), np.nan, np.float32))


def build():
    return NoLifter()
