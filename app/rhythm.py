"""How often a live run looks for people: as often as time allows, so that pictures are followed at the rate at which they come."""

import numpy as np

from app.perceive import Watched
from app.settings import LOOKS_PER_SECOND

LOOKS_AT_LEAST = 5  # a second: with fewer, people who enter are seen too late; pictures are passed over instead
LOAD = 0.85  # share of the time between two pictures that may be used
MEMORY = 0.1  # weight of the latest measurement in the running means


class Rhythm(Watched):
    """A video of which the detector looks at every `detect_every`-th picture, or, without that, at as many as its cost allows."""

    def __init__(self, made, camera, detect_every=None):
        super().__init__(made, camera, detect_every or 1)
        self.fixed, self.since = detect_every is not None, None
        self.look = self.rest = self.interval = 0.0

    def looked(self, frames):
        if self.fixed:
            return super().looked(frames)
        self.since = None if self.since is None else self.since + 1
        if self.since is None or self.since >= self.detect_every:
            self.since = 0
            return [0]
        return []

    def spent(self, look, rest, interval):
        """Learn from one picture: seconds of its look and of all else, and seconds between two pictures of the source."""
        self.rest, self.interval = _mean(self.rest, rest), _mean(self.interval, interval)
        if not self.fixed:
            self.look = _mean(self.look, look) if self.since == 0 else self.look
            spare = LOAD * self.interval - self.rest
            wanted = self.look / spare if spare > 0 else float("inf")
            most = max(1.0, 1 / LOOKS_AT_LEAST / max(self.interval, self.rest, 1e-3))
            least = max(1, int(1 / max(self.interval, 1e-3) / LOOKS_PER_SECOND))
            self.detect_every = max(least, int(min(np.ceil(wanted), most)))


def _mean(before, value):
    return value if not before else before + MEMORY * (value - before)
