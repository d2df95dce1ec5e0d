"""Videos of a folder run in one process: several at once share the networks' batches, and what goes wrong with one stays with it."""

import tempfile
import time
import traceback
from dataclasses import replace
from itertools import islice
from pathlib import Path

from app import export, places, store, video
from app.camera import camera_for
from app.folder import Result
from app.motion import select
from app.offline import motion_of
from app.passes import draw
from app.perceive import Watched, look
from app.prefetch import prefetch
from app.stats import Stages
from app.targets import check_output
from core.errors import BrokenVideo, InputError


def work(jobs, settings, made, at_once=1, note=lambda frames: None):
    """Yield the Result of each Job (or Running) when it ends, with the parts `made`.

    Up to `at_once` videos are looked at together; note(frames) is called when some were seen. Nothing that goes wrong with a video is raised.
    Where something unforeseen strikes several at once, each is done again by itself.
    """
    jobs, running = iter(jobs), []
    while True:
        begun = [job if isinstance(job, Running) else begin(job, settings, made) for job in islice(jobs, at_once - len(running))]
        if not begun and not running:
            return
        yield from (one for one in begun if isinstance(one, Result))
        running += [one for one in begun if isinstance(one, Running)]
        try:
            _round(running, made, note)
        except Exception as error:
            yield from _apart(running, error, settings, made, note)
            running = []
        for one in [one for one in running if one.ended]:
            running.remove(one)
            yield one.finish()


class Running:
    """A Job in its first pass: where its frames come from, who looks at them, the log of what was seen, and the seconds spent on it."""

    def __init__(self, job, settings, made):
        self.job, self.settings, self.made, self.began, self.seconds, self.ended = job, settings, made, time.perf_counter(), 0.0, None
        self.version, self.folder = places.version(job.source), tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.log = self.ahead = None
        try:
            self.source = places.fetch(job.source, self.folder.name)
            self.info = video.probe(self.source, settings.fps)
            self.camera = camera_for(self.info, settings)
            self.log = store.open_log(Path(self.folder.name) / "observations", made.pose.skeleton, {})
            self.ahead = prefetch(video.frames(self.source, **settings.range()), 2 * made.batch)
            self.watched = Watched(made, self.camera, settings.looking_every(self.info.fps / settings.stride))
        except BaseException:
            self.close()
            raise
        self.seconds = time.perf_counter() - self.began

    def take(self, count):
        """The next `count` Frames. Fewer at the end, after which `ended` holds how: an exception, or True."""
        frames = []
        try:
            for frame in islice(self.ahead, count):
                frames.append(frame)
            self.ended = len(frames) < count
        except Exception as error:
            self.ended = error
        return frames

    def finish(self):
        """From what was seen to the files: the Result."""
        began, seen = time.perf_counter(), self.log.frames
        try:
            if isinstance(self.ended, Exception) and not (isinstance(self.ended, BrokenVideo) and seen):
                raise self.ended
            motion = motion_of(self.log, self.info, self.camera, self.settings, self.made)
            result = write(self.job, self.source, motion, seen, self.ended, self.settings, self.folder.name)
            return record(self.job, replace(result, seconds=self.seconds + time.perf_counter() - began, version=self.version))
        except Exception as error:
            return failure(self.job, error)
        finally:
            self.close()

    def close(self):
        for thing in (self.ahead, self.log):
            if thing is not None:
                thing.close()
        self.folder.cleanup()


def begin(job, settings, made):
    """A Job begun: Running, or its Result where it cannot be."""
    try:
        return Running(job, settings, made)
    except Exception as error:
        return failure(job, error)


def _round(running, made, note):
    """Look at one batch of frames, shared out evenly; what a video that ends leaves free goes to those after it. Its time is theirs in proportion."""
    began, room, batches = time.perf_counter(), made.batch, []
    for waiting, one in zip(range(len(running), 0, -1), running, strict=True):
        if frames := one.take(max(1, room // waiting)):
            batches.append((one, frames))
            room -= len(frames)
    if not batches:
        return
    for (one, _), seen in zip(batches, look([(one.watched, frames) for one, frames in batches], made, Stages()), strict=True):
        one.log.append(seen)
    total = sum(len(frames) for _, frames in batches)
    note(total)
    for one, frames in batches:
        one.seconds += (time.perf_counter() - began) * len(frames) / total


def _apart(running, error, settings, made, note):
    """The Results of videos that an unforeseen error struck together: of a single one that error, of several what each gives by itself."""
    for one in running:
        one.close()
    if len(running) == 1:
        yield failure(running[0].job, error)
    else:
        for one in running:
            yield from work([one.job], settings, made, 1, note)


def write(job, source, motion, frames, ended, settings, folder):
    """Write the results of a video of which `frames` were seen, and send them where they belong; the Result.

    ended: the BrokenVideo that ended it, if one did. folder: for files on their way to a store. Raises InputError where something cannot be written.
    """
    broken = isinstance(ended, BrokenVideo)
    if broken:
        settings = settings.changed(limit=frames)  # draw what was seen
    motion = replace(motion, tracks=select(motion.tracks, settings.select)) if settings.select else motion
    reasons, sizes = [f"{ended}; the {frames} frames before it were processed"] if broken else [], {}
    for name, place in job.outputs.items():
        path = Path(folder) / "results" / Path(name).name if places.is_url(place) else Path(place)
        reasons += _save(motion, source, path, settings)
        if places.is_url(place):
            places.publish(path, place)
        sizes[name] = places.size(place)
    return Result(job.name, "partial" if reasons else "whole", sizes, len(motion.tracks), frames, error="; ".join(reasons), asked=job.asked)


def _save(motion, source, path, settings):
    """Write one file; the reason (in a list) where its source broke. Raises InputError where it is not written."""
    if path.suffix in export.SUFFIXES:
        export.save(motion, path)
        return []
    check_output(path, source)
    ending = draw(motion, source, path, settings, Stages())
    if ending.resumable:
        raise InputError(ending.reason)
    return [ending.reason] if ending.reason else []


def record(job, result):
    """Keep the Result for a run with --resume, and give it back."""
    places.write(job.record, result.json())
    return result


def failure(job, error):
    """The Result of a video that `error` ended. What is not the video's or the user's fault is a fault of ours and shown with its traceback."""
    if not isinstance(error, (InputError, BrokenVideo, OSError)):
        traceback.print_exception(error)
        return Result(job.name, "failed", error=f"{type(error).__name__}: {error}".splitlines()[0])
    place, _, text = str(error).partition(": ")
    return Result(job.name, "failed", error=text if place.endswith(Path(job.name).name) else str(error))
