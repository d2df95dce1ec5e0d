"""What a folder run is asked to do, and the videos that it finds: where each is read, where its results go, and the record of it."""

import dataclasses
import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath

from fsspec.utils import glob_translate

from app import places
from app.containers import SUFFIXES
from app.export import SUFFIXES as MOTION
from app.targets import VIDEOS
from core.errors import InputError

RECORDS, PARTS = ".records", ".parts"  # folders beside the results: a record of each video, and unfinished parts of long ones
UNSAID = ("resume", "stats", "quiet", "device", "batch", "weights_dir")  # settings on which results do not depend


@dataclass(frozen=True)
class Request:
    """A folder run: which videos, what of them, and by whom. Folders are local or any URL of fsspec."""

    folder: str
    output_dir: str
    pattern: str | None = None  # of names below the folder; every kind of video when not given
    formats: tuple[str, ...] = ("mp4", "npz")
    workers: int | None = None  # processes, one when not given; on Ray: tasks at a time, as many as the cluster takes
    gpus: tuple[int, ...] | None = None  # one worker for each
    together: int | None = None  # videos whose frames share batches; 1 on a CPU, 4 on a GPU
    engine: str = "local"
    address: str | None = None  # of the Ray cluster; one on this machine when not given
    chunk: float = 600.0  # s: on Ray, longer videos are looked at in such pieces; 0 = never

    def __post_init__(self):
        known = [suffix[1:] for suffix in (*VIDEOS, *MOTION)]
        for name in self.formats:
            if name not in known:
                raise InputError(f"--format '{name}' is not known; there are: {', '.join(known)}")
        if self.engine not in ("local", "ray"):
            raise InputError(f"--engine '{self.engine}' does not exist; there are: local, ray")
        if self.engine == "local" and self.address is not None:
            raise InputError("--address is that of a Ray cluster: give --engine ray too")
        if self.engine == "ray" and (self.gpus or self.together):
            raise InputError("--gpus and --together are for --engine local: Ray gives every task a GPU of its own where it has some")
        for name in ("workers", "together"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"--{name}: expected a number above 0, got {value}")
        if self.workers and self.gpus and self.workers != len(self.gpus):
            raise InputError(f"--workers {self.workers} but {len(self.gpus)} --gpus: there is one worker a GPU (a GPU may be named twice)")
        if self.chunk < 0:
            raise InputError(f"--chunk: expected seconds, 0 for never, got {self.chunk}")


@dataclass(frozen=True)
class Job:
    """One video: its name in the folder, where it is read, what is written ({name below the output folder: place}), where its record and
    unfinished parts are kept, and what decides on its results."""

    name: str
    source: str
    outputs: dict[str, str]
    record: str
    parts: str
    asked: dict


@dataclass(frozen=True)
class Result:
    """What became of a video. state: "whole", "partial" (it breaks in the middle, what came before is there) or "failed".

    outputs: {name: bytes}; people, frames, seconds of work, fps of them; error: one line, empty when whole; version: of the video (places.version).
    """

    video: str
    state: str
    outputs: dict[str, int] = dataclasses.field(default_factory=dict)
    people: int = 0
    frames: int = 0
    seconds: float = 0.0
    error: str = ""
    version: str | None = None
    asked: dict = dataclasses.field(default_factory=dict)

    @property
    def fps(self):
        return self.frames / self.seconds if self.seconds else 0.0

    def json(self):
        return json.dumps(dataclasses.asdict(self), indent=1).encode()


def jobs(request, settings):
    """The Jobs of a request, in the order of their names. Raises InputError where there is nothing to do or an input would be overwritten."""
    folder, target = (place if places.is_url(place) else os.path.abspath(place) for place in (request.folder, request.output_dir))
    if folder.rstrip("/") == target.rstrip("/"):
        raise InputError(f"--output-dir {request.output_dir}: results need a folder of their own")
    results = target.removeprefix(f"{folder}/") + "/" if target.startswith(f"{folder}/") else "/"
    names = [name for name in places.listing(folder) if _wanted(name, request.pattern) and not name.startswith(results)]
    if not names:
        raise InputError(f"{request.folder}: no video in it" + (f" whose name is like {request.pattern}" if request.pattern else ""))
    stems, sources = result_names(names), {places.join(folder, name) for name in names}
    asked = deciding(request, settings)
    found = []
    for name in names:
        outputs = {f"{stems[name]}.{kind}": places.join(target, f"{stems[name]}.{kind}") for kind in request.formats}
        if taken := sources & set(outputs.values()):
            raise InputError(f"--output-dir {request.output_dir}: {taken.pop()} would be overwritten, which is one of the videos")
        found.append(Job(name, places.join(folder, name), outputs, places.join(target, f"{RECORDS}/{name}.json"),
                         places.join(target, f"{PARTS}/{name}"), asked))
    return found


def _wanted(name, pattern):
    """Whether a file is asked for. Hidden files, such as macOS's ._clip.mov, and unfinished ones never are."""
    if any(part.startswith(".") for part in name.split("/")) or ".partial." in name:
        return False
    return bool(re.match(glob_translate(pattern), name)) if pattern else PurePosixPath(name).suffix.lower() in SUFFIXES


def result_names(names):
    """{name: name of its results without ending}: the video's own without its ending, or with it where two would be the same."""
    chosen = {name: str(PurePosixPath(name).with_suffix("")) for name in names}
    while clash := {stem for stem, count in Counter(stem.casefold() for stem in chosen.values()).items() if count > 1}:
        longer = {name: name if stem.casefold() in clash else stem for name, stem in chosen.items()}
        if longer == chosen:
            break
        chosen = longer
    return chosen


def deciding(request, settings):
    """What the results of a video depend on besides the video, as plain JSON."""
    asked = {name: value for name, value in dataclasses.asdict(settings).items() if name not in UNSAID}
    asked |= {kind: settings.spec(kind) for kind in ("detector", "tracker", "pose", "lifter")}
    return {name: None if value is None else str(value) for name, value in asked.items()} | {"formats": " ".join(request.formats)}


def finished(job):
    """The Result of a job that was done before and is whole or as whole as can be: same wish, same video, all files there. Else None."""
    data = places.read(job.record)
    try:
        result = Result(**json.loads(data or b""))
    except (ValueError, TypeError):
        return None
    same = result.state != "failed" and result.asked == job.asked and result.version == places.version(job.source)
    there = same and set(result.outputs) == set(job.outputs) and all(places.size(job.outputs[n]) == size for n, size in result.outputs.items())
    return result if there else None
