"""The file run: frames -> observations on disk -> one motion -> pictures and exports.

Pass 1 streams the source through `perceive` and appends what it sees to a log beside the output. Between the passes each track is an array.
Pass 2 decodes again, draws, encodes. So memory does not grow with the video, and an interrupted run goes on from its log.
"""

import pathlib
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace

from app import export, store, video
from app.camera import camera_for
from app.motion import NOBODY, assemble, numbered, select
from app.passes import draw, observe
from app.past import reconstruct_causal
from app.perceive import build_parts
from app.reconstruct import ends_in_space, reconstruct
from app.settings import Settings
from app.stats import Stages
from app.writer import check_output
from core.errors import InputError


def analyse(source, settings=None, *, made=None, **options):
    """The Motion of a video: a path, a URL or a camera number. Options are the fields of Settings.

    `made` are parts of `perceive.build_parts` to use again for several videos. Raises InputError, and video.BrokenVideo where the source breaks.
    """
    settings = (settings or Settings()).changed(**options)
    info = video.probe(source, settings.fps)
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "observations"
        motion, ending = _motion(source, info, settings, made or build_parts(settings), log, Stages())
    _raise(ending)
    return motion


def render(motion, source, output, settings=None, **options):
    """Draw a Motion over its source and write it to `output`. `source` None draws the 3D view alone."""
    settings = (settings or Settings()).changed(**options)
    check_output(output, source)
    ending = draw(motion, source, output, settings, Stages())
    _raise(ending)


def _raise(ending):
    """For the library: how a pass ended, as an exception."""
    if ending.code == 130:
        raise KeyboardInterrupt
    if ending.code:
        raise video.BrokenVideo(ending.frames, ending.reason)


def run(settings, source=None, output=None, exports=(), poses=None, show=False):
    """The whole run of the command line; returns its exit code. What is wrong with the request raises InputError before weights are loaded."""
    _check_request(settings, source, output, exports, poses, show)
    stages, endings = Stages(), []
    with _workplace(output or next(iter(exports), None)) as place:
        if poses:
            motion = export.load(poses)
        else:
            info = video.probe(source, settings.fps)
            made = build_parts(settings)
            motion, ending = _motion(source, info, settings, made, place.with_suffix(".observations"), stages)
            endings.append(ending)
            if not ending.frames and ending.code:
                return _report(settings, endings, stages, [])
            settings = settings.changed(limit=ending.frames) if ending.code else settings  # draw what was seen
        motion = replace(motion, tracks=select(motion.tracks, settings.select)) if settings.select else motion
        for path in exports:
            with stages("export"):
                export.save(motion, path)
        if output:
            endings.append(draw(motion, source, output, settings, stages))
        if show:
            from app.show import show_motion

            show_motion(motion)
        if not any(ending.resumable for ending in endings):
            place.with_suffix(".observations").unlink(missing_ok=True)
    return _report(settings, endings, stages, [*exports, *([output] if output else [])])


def _check_request(settings, source, output, exports, poses, show):
    if source is None and poses is None:
        raise InputError("nothing to look at: give --video IN, --webcam N or --poses SAVED.npz (--help lists everything)")
    if not output and not exports and not show:
        raise InputError("nothing to make: give --output OUT, --export FILE or --show")
    if poses and source is None and output and settings.layout != "3d":
        raise InputError("--poses without --video has no pictures to draw on: give --video too, or --layout 3d")
    if output:
        check_output(output, source)
    for path in exports:
        export.check_export(path)


@contextmanager
def _workplace(beside):
    """The stem of the files that a run needs while it goes: beside what it makes, so that --resume finds them; else a temporary folder."""
    if beside is None:
        with tempfile.TemporaryDirectory() as folder:
            yield pathlib.Path(folder) / "run"
        return
    target = pathlib.Path(beside)
    target = target.parent if "*" in target.name else target
    target.parent.mkdir(parents=True, exist_ok=True)
    yield target.with_name(target.name + ".partial")


def _motion(source, info, settings, made, path, stages):
    """Pass 1 and what is between the passes: (Motion, Ending)."""
    camera = camera_for(info, settings)
    if camera.guessed and not settings.quiet:
        print("viz.py: the lens is guessed (55 degrees over the longer side); --fov, --focal or --camera give the true one", file=sys.stderr)
    frames = video.frames(source, **settings.range())
    fingerprint = {"source": str(source), **settings.observing()}
    with store.open_log(path, made.pose.skeleton, fingerprint, resume=settings.resume) as log:
        ending = observe(frames, info, settings, made, camera, log, stages)
        with stages("motion"):
            motion = motion_of(log, info, camera, settings, made)
    return motion, ending


def motion_of(log, info, camera, settings, made):
    """The Motion of a log of observations: with past and future, or by the live rules."""
    if settings.causal:
        return reconstruct_causal(log.read(), info, camera, made.lifter, made.pose.skeleton, smooth=settings.smooth, height=settings.height)
    tracks = assemble(log.read(), info, join=settings.join, fill=settings.fill, min_seconds=settings.min_track, max_people=settings.max_people,
                      in_space=ends_in_space(camera, made.lifter, made.pose.skeleton), nobody=getattr(made.pose, "nobody", NOBODY))
    return reconstruct(numbered(tracks), info, camera, made.lifter, made.pose.skeleton, smooth=settings.smooth, height=settings.height)


def _report(settings, endings, stages, written):
    """Say what went wrong and what was written; the exit code."""
    reasons = dict.fromkeys(ending.reason for ending in endings if ending.reason)
    for reason in reasons:
        print(f"viz.py: {reason}", file=sys.stderr)
    if settings.stats:
        print(stages.table(endings[0].frames if endings else 0), file=sys.stderr)
    if written and not settings.quiet:
        print(" ".join(str(path) for path in written))
    return max((ending.code for ending in endings), default=0)
