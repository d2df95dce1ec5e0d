"""The folder run: every video of a folder, its results in a tree of the same shape, a summary at the end.

Each video is the file run by itself: the same motion, the same pictures. A video that cannot be read, breaks or kills its process is one line and
stops no other. The record of each finished video lies in .records/ beside the results: `--resume` leaves out what is whole.
"""

import importlib
import time

from app import folder, places, summary

ENGINES = {"local": "app.workers", "ray": "app.cluster"}


def run(settings, request):
    """The folder run of a Request; returns its exit code. Raises InputError for what is wrong with the request, before any network is loaded."""
    began = time.perf_counter()
    settings.check_parts()
    engine, jobs = importlib.import_module(ENGINES[request.engine]), folder.jobs(request, settings)
    earlier = [result for job in jobs if settings.resume and (result := folder.finished(job))]
    results, code = {result.video: result for result in earlier}, 0
    waiting = [job for job in jobs if job.name not in results]
    try:
        with summary.Progress(len(jobs), earlier, settings) as progress:
            for result in engine.run(waiting, settings.changed(quiet=True), request, progress.seen):
                results[result.video] = result
                progress.ended(result)
    except KeyboardInterrupt:
        code = 130
    known = [results[job.name] for job in jobs if job.name in results]
    summary.close(places.join(request.output_dir, "summary.json"), known, len(jobs), time.perf_counter() - began, settings.quiet)
    return code or int(any(result.state != "whole" for result in known))
