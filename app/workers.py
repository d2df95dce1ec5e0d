"""The videos of a folder run on the processes of one machine: each loads the networks once, and a process that dies loses no more than its videos.

A worker asks for a video when it can take one, over a pipe of its own; nothing else is shared. Videos that were under way in a worker that died are
done once more, each in a process by itself, so that the one that kills its process does not take others along.
"""

import multiprocessing
import os
import signal
import tempfile
from collections import deque
from contextlib import suppress
from multiprocessing.connection import wait

from app.folder import Result
from core.errors import InputError

GPU_TOGETHER = 4  # videos at once on a GPU: their decoding, one thread each, keeps up with its networks


def run(jobs, settings, request, seen):
    """Yield the Results of the Jobs as they end. seen(frames) is called on the way. Raises InputError where the networks cannot be had."""
    jobs, devices = deque(jobs), [f"cuda:{number}" for number in request.gpus or ()] or [settings.device] * (request.workers or 1)
    with tempfile.TemporaryDirectory() as scratch:
        seats = [Seat(settings.changed(device=device), request, len(devices), scratch, jobs) for device in devices[: len(jobs)]]
        try:
            while busy := {seat.pipe: seat for seat in seats if seat.filled()}:
                for pipe in wait(list(busy)):
                    yield from busy[pipe].hear(seen)
        finally:
            for seat in seats:
                seat.stop()


class Seat:
    """The place of one worker at a time: its process, the videos that it holds, and those that its predecessors lost."""

    def __init__(self, settings, request, seats, scratch, jobs):
        self.settings, self.request, self.seats, self.scratch, self.jobs = settings, request, seats, scratch, jobs
        self.process, self.pipe, self.held, self.lost = None, None, {}, deque()
        self.barren = 0  # workers in a row that ended without asking for a video

    def filled(self):
        """Start a worker where there is none but work; whether one is there."""
        if self.process is None and (self.lost or self.jobs):
            self.source = deque([self.lost.popleft()]) if self.lost else self.jobs
            self.last_try = self.source is not self.jobs
            context = multiprocessing.get_context("spawn")
            self.pipe, other = context.Pipe()
            together = 1 if self.last_try else self.request.together
            self.process = context.Process(target=_work, args=(other, self.settings, together, self.seats, self.scratch), daemon=True)
            self.process.start()
            other.close()  # the worker's alone, so that its death is heard
        return self.process is not None

    def hear(self, seen):
        """Take one message of the worker; yields Results. Raises InputError for a fault that is the request's."""
        try:
            kind, value = self.pipe.recv()
        except (EOFError, OSError):
            yield from self._ended()
            return
        if kind == "fault":
            raise InputError(value)
        if kind == "seen":
            seen(value)
        elif kind == "done":
            del self.held[value.video]
            yield value
        elif kind == "next":
            self.barren = 0
            job = self.source.popleft() if self.source else None
            if job is not None:
                self.held[job.name] = job
            self._send(job)

    def _send(self, job):
        with suppress(OSError):  # it has just died: the next message is the end of the pipe
            self.pipe.send(job)

    def _ended(self):
        """The worker is gone: what it held is lost, for the first time or for good."""
        self.process.join()
        code, self.process = self.process.exitcode, None
        self.barren += 1
        if self.barren > 2:
            raise RuntimeError(f"worker after worker ended {_how(code)} before it asked for a video")
        held, self.held = list(self.held.values()), {}
        if self.last_try:
            self.lost.extendleft(self.source)
            yield from (Result(job.name, "failed", error=f"its process ended {_how(code)}, twice") for job in held)
        else:
            self.lost.extend(held)

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.join(5)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()


def _how(code):
    return f"by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"with code {code}"


def _work(pipe, settings, together, workers, scratch):
    """A worker: load the networks, then do the videos that come through the pipe until there are none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that leads
    tempfile.tempdir = scratch
    from app.perceive import build_parts
    from app.together import work
    from core.networks import pick_device

    _share_cores(workers)
    try:
        made = build_parts(settings)
        at_once = together or (1 if pick_device(settings.device).type == "cpu" else GPU_TOGETHER)
        for result in work(_asked(pipe), settings, made, at_once, lambda frames: pipe.send(("seen", frames))):
            pipe.send(("done", result))
    except InputError as error:
        pipe.send(("fault", str(error)))
    except (EOFError, OSError):
        pass  # the process that leads has gone


def _asked(pipe):
    """The Jobs that come through the pipe, one for each time they are asked for."""
    while True:
        pipe.send(("next", None))
        job = pipe.recv()
        if job is None:
            return
        yield job


def _share_cores(workers):
    """A worker's share of the cores, unless the environment says how many threads there shall be."""
    import cv2
    import torch

    if workers > 1 and "OMP_NUM_THREADS" not in os.environ:
        threads = max(1, torch.get_num_threads() // workers)
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
