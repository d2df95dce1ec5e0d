"""The videos of a folder run on many machines: one Ray task for a video or for a piece of a long one.

Nothing is shared but the places where videos are read and results are written. Tasks whose machine or process dies are done again elsewhere by Ray.
"""

import contextlib
import functools
import os
from collections import deque

from app.folder import Result
from core.errors import InputError
from core.parts import ROOT

RETRIES = 3  # times that a task is begun anew after its process or machine died
WAITING = 1000  # tasks handed to Ray at once
SENT = ("app", "core", "detectors", "trackers", "poses", "lifters", "weights", "synthetic")  # what of this folder the machines need


def run(jobs, settings, request, seen):
    """Yield the Results of the Jobs as they end; seen(frames) is called for each. Raises InputError where Ray or the networks are not to be had."""
    local = {name: os.path.abspath(path) for name in ("camera", "weights_dir") if (path := getattr(settings, name))}
    with _connected(request) as ray:
        flow = Flow(ray, jobs, settings.changed(**local), request)
        while flow.refs or flow.jobs:
            for result in flow.step():
                seen(result.frames)
                yield result


class Flow:
    """The tasks under way: of each the job that it belongs to and, for the looking at pieces, the pieces."""

    def __init__(self, ray, jobs, settings, request):
        self.ray, self.jobs, self.settings, self.chunk = ray, deque(jobs), settings, request.chunk
        self.most, self.refs = request.workers or WAITING, {}
        gpus = settings.device.startswith("cuda") or (settings.device == "auto" and ray.cluster_resources().get("GPU", 0) > 0)
        options = {"num_cpus": 1, "num_gpus": int(gpus), "max_retries": RETRIES}
        self.video, self.piece, self.join = (ray.remote(**options)(function) for function in (_video, _piece, _join))

    def step(self):
        """Hand out what can be, wait for a task; yields the Results there are then."""
        while self.jobs and len(self.refs) < self.most:
            job = self.jobs.popleft()
            self.refs[self.video.remote(job, self.settings, self.chunk)] = job
        done, _ = self.ray.wait(list(self.refs))
        for ref in done:
            job = self.refs.pop(ref)
            answer = self._answer(ref, job)
            if isinstance(answer, Result):
                yield answer
            else:
                looked = [self.piece.remote(job, self.settings, piece) for piece in answer]
                self.refs[self.join.remote(job, self.settings, answer, *looked)] = job

    def _answer(self, ref, job):
        try:
            return self.ray.get(ref)
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, InputError):
                raise InputError(str(error.cause)) from error
            return Result(job.name, "failed", error=f"{type(error.cause).__name__}: {error.cause}".splitlines()[0])
        except self.ray.exceptions.RayError as error:
            return Result(job.name, "failed", error=f"its task was lost {RETRIES + 1} times ({str(error).splitlines()[0]})")


@functools.lru_cache(maxsize=1)
def _parts(settings):
    """The networks, loaded once in a process: Ray gives its next task to the same."""
    from app.perceive import build_parts

    return build_parts(settings)


def _video(job, settings, chunk):
    """The Result of a video, or the Pieces of one that is too long for one task."""
    from app import pieces, places, together

    made = _parts(settings)
    begun = together.begin(job, settings, made)
    if isinstance(begun, Result):
        return begun
    cut = pieces.plan(begun.info, settings, chunk)
    if len(cut) == 1:
        return next(together.work([begun], settings, made))
    begun.close()
    if not settings.resume:
        places.remove(job.parts)
    return cut


def _piece(job, settings, piece):
    """Look at a piece; the Result of the video where that fails, else None."""
    from app import pieces, together

    try:
        pieces.look_at_piece(job, settings, _parts(settings), piece)
    except Exception as error:
        return together.failure(job, error)
    return None


def _join(job, settings, cut, *looked):
    """The Result of a video from its pieces, of which `looked` holds those that failed."""
    from app import pieces

    return next((failed for failed in looked if failed), None) or pieces.put_together(job, settings, _parts(settings), cut)


@contextlib.contextmanager
def _connected(request):
    """The module ray, connected to the cluster of a Request, or to one of this machine alone that ends with the run."""
    try:
        import ray
    except ImportError as error:
        raise InputError("--engine ray needs Ray, which is not installed: make ray (or pip install -r requirements-ray.txt)") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    local = {"include_dashboard": False, "num_cpus": request.workers, "object_store_memory": 100 << 20, "_node_ip_address": "127.0.0.1"}
    code = {"working_dir": str(ROOT), "excludes": [f"/{name}" for name in os.listdir(ROOT) if name not in SENT] + ["__pycache__"]}
    try:
        ray.init(address=request.address or "local", runtime_env=code, logging_level="ERROR", **({} if request.address else local))
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"--address {request.address}: no Ray cluster answers ({str(error).strip().splitlines()[0]})") from error
    try:
        yield ray
    finally:
        ray.shutdown()
