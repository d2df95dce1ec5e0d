"""The clock of a container: seconds from the ticks of its stream."""

from fractions import Fraction

import av
from av.format import Flags


def begin(container):
    return Fraction(container.start_time or 0, av.time_base)


def adrift(container):
    """Broadcast and network clocks start anywhere: what counts there is the time since the container's own beginning."""
    return bool(container.format.flags & Flags.ts_discont.value) or "://" in container.name


class Clock:
    """Times in seconds from the stream's ticks: strictly increasing, the first not below 0, a missing tick made up from the rate."""

    def __init__(self, container, stream, rate):
        self.tick, self.step = stream.time_base, 1 / rate
        self.zero = begin(container) if adrift(container) else Fraction(0)
        self.last = None

    def __call__(self, frame):
        time = self._time(frame)
        self.last = time
        return time

    def begin(self, first):
        """The stream's first tick, where decoding begins later than there."""
        self.zero = min(self.zero, first * self.tick)

    def _time(self, frame):
        if frame.pts is None:
            return Fraction(0) if self.last is None else self.last + self.step
        time = frame.pts * self.tick - self.zero
        if self.last is None and time < 0 or self.last is not None and time < self.last - 2 * self.step:
            begin = Fraction(0) if self.last is None else self.last + self.step
            self.zero += time - begin
            return begin
        return time if self.last is None or time > self.last else self.last + self.tick
