"""Time per stage and peak memory of a run."""

import resource
import sys
import time
from collections import defaultdict
from contextlib import contextmanager


class Stages:
    """Seconds spent in named stages; `with stages("pose"): ...`. Times are those of the thread that waits, so work ahead on threads shows as none."""

    def __init__(self):
        self.seconds = defaultdict(float)

    @contextmanager
    def __call__(self, name):
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def timed(self, name, iterator):
        """The items of an iterator, the waiting for them counted as a stage."""
        iterator = iter(iterator)
        while True:
            with self(name):
                item = next(iterator, self)
            if item is self:
                return
            yield item

    def table(self, frames):
        """Lines for `--stats`: seconds, share and milliseconds a frame of every stage, then peak memory."""
        total = sum(self.seconds.values()) or 1e-9
        lines = [f"{'stage':12s} {'s':>8s} {'share':>6s} {'ms/frame':>9s}"]
        for name, seconds in sorted(self.seconds.items(), key=lambda item: -item[1]):
            lines.append(f"{name:12s} {seconds:8.2f} {100 * seconds / total:5.1f}% {1e3 * seconds / max(frames, 1):9.2f}")
        lines.append(f"{'all':12s} {total:8.2f}  {frames} frames, {frames / total:.1f} frames/s, peak memory {peak_memory_mb():.0f} MB")
        return "\n".join(lines)


def peak_memory_mb():
    """The largest resident size of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
