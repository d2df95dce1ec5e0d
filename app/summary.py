"""What is said of a folder run: progress while it goes, one line for each fault, a table and summary.json at the end."""

import json
import sys
from collections import Counter

from tqdm import tqdm

from app import places

ROWS = 50  # of the table; of more videos only those with a fault are listed


class Progress:
    """Two bars, videos and frames, and above them a line for each fault, those of `earlier` Results first. Faults are said even when it is quiet."""

    def __init__(self, total, earlier, settings):
        self.videos = tqdm(total=total, initial=len(earlier), unit="video", desc="videos", disable=settings.quiet, position=0)
        self.frames = tqdm(unit="frame", desc="frames", disable=settings.quiet, position=1)
        if not (settings.quiet or settings.fov or settings.focal or settings.camera):
            say("the lenses are guessed (55 degrees over the longer side); --fov, --focal or --camera give the true one")
        for result in earlier:
            self._fault(result)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.frames.close()
        self.videos.close()

    def seen(self, frames):
        """Some frames were looked at."""
        self.frames.update(frames)

    def ended(self, result):
        """A video has its Result."""
        self.videos.update()
        self._fault(result)

    def _fault(self, result):
        if result.error:
            say(f"{result.video}: {result.error}")


def say(line):
    tqdm.write(f"viz.py: {line}", file=sys.stderr)


def close(place, results, total, seconds, quiet):
    """Write summary.json to `place` and print the table of Results of a run over `total` videos that took `seconds`."""
    places.write(place, (json.dumps(summary(results, total, seconds), indent=1) + "\n").encode())
    if not quiet:
        print(table(results, seconds))
    if len(results) < total:
        say(f"stopped, {total - len(results)} of {total} videos are not done; the same call with --resume goes on")


def summary(results, total, seconds):
    """The whole run and each of its videos, as plain JSON."""
    videos = [{"video": r.video, "state": r.state, "people": r.people, "frames": r.frames, "seconds": round(r.seconds, 3), "fps": round(r.fps, 2),
               "error": r.error or None, "outputs": r.outputs} for r in results]
    return {"videos": total, **counts(results), "waiting": total - len(results), "people": sum(r.people for r in results),
            "frames": sum(r.frames for r in results), "seconds": round(seconds, 3), "results": videos}


def counts(results):
    """How many Results are whole, partial and failed."""
    found = Counter(result.state for result in results)
    return {state: found[state] for state in ("whole", "partial", "failed")}


def table(results, seconds):
    """Lines with people, frames, seconds of work, frames a second and fault of every video, and of all together."""
    shown = results if len(results) <= ROWS else [result for result in results if result.state != "whole"]
    width = max([len(result.video) for result in shown] + [len("all 100000 videos")])
    lines = [f"{'video':{width}s} {'people':>6s} {'frames':>8s} {'s':>8s} {'fps':>6s}  state"]
    lines += [_row(r.video, r.people, r.frames, r.seconds, r.state + (f": {r.error}" if r.error else ""), width) for r in shown]
    states = ", ".join(f"{number} {state}" for state, number in counts(results).items() if number)
    total = [sum(getattr(result, name) for result in results) for name in ("people", "frames", "seconds")]
    lines.append(_row(f"all {len(results)} videos", *total, f"{states}; the run took {seconds:.1f} s", width))
    return "\n".join(lines)


def _row(name, people, frames, seconds, text, width):
    return f"{name:{width}s} {people:6d} {frames:8d} {seconds:8.1f} {frames / seconds if seconds else 0:6.1f}  {text}"
