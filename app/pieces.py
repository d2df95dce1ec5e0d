"""A long video in pieces that are looked at anywhere, at the same time, and put together again: all but the looking is that of a whole video.

A piece leaves its log and a note about it in the job's folder for parts, visible when whole, so that what was done stays done.
"""

import json
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import NamedTuple

from app import places, store, video
from app.camera import camera_for
from app.handover import merged
from app.offline import motion_of
from app.passes import expected
from app.perceive import perceive
from app.prefetch import prefetch
from app.stats import Stages
from app.together import failure, record, write
from core.errors import BrokenVideo

WARM_UP = 600  # looks of the detector by which pieces overlap: after so many the boxes of SORT are the same to 0.0001 px


class Piece(NamedTuple):
    """`count` of the frames that are processed, from number `first` on; count None = all there are."""

    number: int
    first: int
    count: int | None


def plan(info, settings, seconds):
    """The Pieces of a video of about so many seconds each, a single one where it is shorter than one and a half or its length is not known.

    They begin where the detector looks in the whole video, too, and WARM_UP (or a piece's length) before the one before them ends.
    """
    rate, total = info.fps / settings.stride, expected(info, settings)
    size, every = round(seconds * rate), settings.looking_every(rate)
    if not size or total is None or total < 1.5 * size:
        return [Piece(0, 0, settings.limit)]
    early = min(WARM_UP, ceil(size / every)) * every
    begins = [k * size // every * every for k in range(round(total / size))]
    firsts, ends = [max(0, begin - early) for begin in begins], [*begins[1:], settings.limit]
    return [Piece(k, first, None if end is None else end - first) for k, (first, end) in enumerate(zip(firsts, ends, strict=True))]


def look_at_piece(job, settings, made, piece):
    """Look at the frames of one Piece and leave its log and note, unless they are there from the same job already. Raises what goes wrong."""
    note = {"asked": job.asked, "version": places.version(job.source), "piece": list(piece)}
    known = _note(job, piece)
    if known and note.items() <= known.items():
        return
    began, broken = time.perf_counter(), None
    with tempfile.TemporaryDirectory() as folder:
        source = places.fetch(job.source, folder)
        info = video.probe(source, settings.fps)
        ranged = settings.changed(skip=settings.skip + piece.first * settings.stride, limit=piece.count)
        with store.open_log(Path(folder) / "log", made.pose.skeleton, {}) as log:
            every = settings.looking_every(info.fps / settings.stride)
            try:
                with closing(prefetch(video.frames(source, **ranged.range()), 2 * made.batch)) as ahead:
                    for seen in perceive(ahead, made, camera_for(info, settings), Stages(), every):
                        log.append(seen)
            except BrokenVideo as error:
                broken = [error.frame, error.reason]
        places.publish(log.path, _place(job, piece, "observations"))
    places.write(_place(job, piece, "json"), json.dumps(note | {"broken": broken, "seconds": time.perf_counter() - began}).encode())


def put_together(job, settings, made, pieces):
    """The Result of a video whose pieces were looked at: one log, one motion, the files. Nothing that goes wrong is raised."""
    try:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            began, notes = time.perf_counter(), [_note(job, piece) for piece in pieces]
            last = next((k for k, note in enumerate(notes) if note["broken"]), len(pieces) - 1)
            broken = BrokenVideo(*notes[last]["broken"]) if notes[last]["broken"] else None
            logs = [stack.enter_context(_log(job, piece, made, folder)) for piece in pieces[: last + 1]]
            whole = stack.enter_context(store.open_log(Path(folder) / "whole", made.pose.skeleton, {}))
            for seen in merged(logs):
                whole.append([seen])
            if broken and not whole.frames:
                raise broken
            source = places.fetch(job.source, folder)
            info = video.probe(source, settings.fps)
            motion = motion_of(whole, info, camera_for(info, settings), settings, made)
            result = write(job, source, motion, whole.frames, broken, settings, folder)
        seconds = time.perf_counter() - began + sum(note["seconds"] for note in notes)
        result = record(job, replace(result, seconds=seconds, version=notes[0]["version"]))
        places.remove(job.parts)
        return result
    except Exception as error:
        return failure(job, error)


def _log(job, piece, made, folder):
    """The log of a piece, opened from a copy."""
    path = Path(folder) / f"{piece.number}.observations"
    path.write_bytes(places.read(_place(job, piece, "observations")))
    return store.open_log(path, made.pose.skeleton, {}, resume=True)


def _note(job, piece):
    return json.loads(places.read(_place(job, piece, "json")) or b"null")


def _place(job, piece, kind):
    return places.join(job.parts, f"{piece.number:05d}.{kind}")
