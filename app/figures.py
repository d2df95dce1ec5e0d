"""What is told of a live run: how fast it is, and the people as the page shows them."""

from collections import deque

import numpy as np

from app.shapes import identity_colour, rgb, side_colour
from core.skeletons import Skeleton

RECENT = 300  # pictures that the latencies are taken from
SPAN = 3.0  # s that the rate is taken from


class Meter:
    """Counts pictures: `frames` that were shown, `skipped` that came and were passed over; latency is from capture to picture."""

    def __init__(self):
        self.frames, self.skipped, self.last = 0, 0, None
        self.latencies, self.whens = deque(maxlen=RECENT), deque()

    def count(self, index, captured, now):
        """A picture of the source's frame `index`, captured and shown at these readings of the clock."""
        self.skipped += 0 if self.last is None else index - self.last - 1
        self.frames, self.last = self.frames + 1, index
        self.latencies.append(now - captured)
        self.whens.append(now)
        while self.whens[0] < now - SPAN:
            self.whens.popleft()

    def figures(self):
        """Pictures a second, latency p50 and p95 in ms over the latest RECENT pictures (None before there are any), and what was skipped."""
        long = len(self.whens) > 1
        p50, p95 = np.percentile(self.latencies, [50, 95]) * 1e3 if self.latencies else (None, None)
        return {"fps": (len(self.whens) - 1) / max(self.whens[-1] - self.whens[0], 1e-6) if long else None, "p50_ms": p50, "p95_ms": p95,
                "frames": self.frames, "skipped": self.skipped, "skipped_share": self.skipped / max(self.frames + self.skipped, 1)}

    def line(self):
        """One line for the end of a run."""
        now = self.figures()
        if not self.frames:
            return "no frame was shown"
        rate = "" if now["fps"] is None else f"{now['fps']:.1f} frames/s, "
        return (f"{self.frames} frames shown, {self.skipped} skipped ({now['skipped_share']:.0%}); at the end {rate}capture to picture "
                f"{now['p50_ms']:.0f} ms p50, {now['p95_ms']:.0f} ms p95")


def described(skeleton: Skeleton):
    """A 3D skeleton for the page: joints, root, and bones as [parent, child, side]."""

    def side(joint):
        return next((word for word in ("left", "right") if skeleton.joints[joint].startswith(word + "_")), "")

    bones = [[parent, child, side(child)] for parent, child in skeleton.bones]
    return {"joints": skeleton.joints, "root": skeleton.root, "bones": bones}


def told(people):
    """The app.people.Persons for the page: joints in the world (z up, floor at 0) in metres, None where unknown."""
    return [{"id": person.id, "depth": round(person.depth, 2) if np.isfinite(person.depth) else None, **_colours(person.id),
             "joints": np.round(person.joints, 3).tolist() if np.isfinite(person.joints).all() else None} for person in people]


def _colours(number):
    colour = identity_colour(number)
    tones = rgb([colour, side_colour(colour, "left"), side_colour(colour, "right")])
    return {name: "#{:02x}{:02x}{:02x}".format(*tone) for name, tone in zip(("colour", "light", "deep"), tones, strict=True)}
