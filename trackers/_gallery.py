"""Looks: what the trackers compare people by."""

import numpy as np


def unit(looks):
    """Looks (N, D) of length 1; unknown ones become 0, which is like nobody."""
    looks = np.nan_to_num(looks)
    return looks / np.maximum(np.linalg.norm(looks, axis=1, keepdims=True), 1e-12)


class Gallery:
    """The last `budget` unit vectors added (None: all of them), in an array that is written round and round; `latest` is the newest (D,)."""

    def __init__(self, budget):
        self.budget, self.count, self.latest = budget, 0, None

    def add(self, look):
        if self.latest is None:
            self.room = np.empty((self.budget or 16, len(look)), look.dtype)
        elif self.budget is None and self.count == len(self.room):
            self.room = np.concatenate([self.room, np.empty_like(self.room)])
        self.room[self.count % len(self.room)] = look
        self.count, self.latest = self.count + 1, look

    def distance(self, looks):
        """The least cosine distance (M,) of each of the looks (M, D) to those here."""
        return 1 - (self.room[: self.count] @ looks.T).max(0)
