"""Linear assignment with a limit, shared by the trackers."""

import numpy as np
from scipy.optimize import linear_sum_assignment


def assign(cost):
    """The pairs (K, 2) of rows and columns whose cost (N, M) has the least sum; K = min(N, M), sorted by row. Infinite costs are never paired."""
    if not cost.size:
        return np.zeros((0, 2), np.int64)
    finite = np.isfinite(cost)
    ceiling = 1 + 2 * np.abs(cost[finite]).max(initial=0) * min(cost.shape)
    pairs = np.stack(linear_sum_assignment(np.where(finite, cost, ceiling)), 1)
    return pairs[finite[pairs[:, 0], pairs[:, 1]]]
