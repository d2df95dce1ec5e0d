"""The live run: newest frame -> detector, tracker, pose -> causal 3D -> picture, in a window or on a web page, recorded when asked.

Nothing queues: a frame that comes while another one is worked on replaces the one that waits. The rules are those of `--causal`, so what is shown
at a frame is what a file run with `--causal` gives for the same frames.
"""

import os
import sys
import time
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path

import torch

from app import export, video, window
from app.camera import camera_for
from app.capture import Capture, in_real_time, loaded
from app.causal import CausalReconstructor, skeleton_of
from app.figures import Meter, described, told
from app.livepicture import LivePicture
from app.passes import Ending
from app.perceive import build_parts, look
from app.prefetch import prefetch
from app.recorder import Recorder, motion_file
from app.rhythm import Rhythm
from app.server import Page
from app.settings import PORT
from app.shown import Shown
from app.stats import Stages
from app.writer import check_output
from core.errors import BrokenVideo, InputError
from core.records import VideoInfo

AHEAD = 8  # frames of a file that are decoded ahead


class Live:
    """The people of one live source: `see` its frames as they come, in order."""

    def __init__(self, info, settings, made, camera=None):
        camera = camera or camera_for(info, settings)
        self.made, self.stages = made, Stages()
        self.watched = Rhythm(made, camera, settings.detect_every)
        self.people = CausalReconstructor(info, camera, made.lifter, made.pose.skeleton, smooth=settings.smooth, height=settings.height)

    @property
    def looking(self):
        """Seconds spent so far in what is done only when the detector looks."""
        return self.stages.seconds["detect"] + self.stages.seconds["looks"]

    def see(self, frame):
        """The Motion of one Frame: a Track of one row for everybody in it."""
        [[observation]] = look([(self.watched, [frame])], self.made, self.stages)
        with self.stages("3D"):
            return self.people.step(observation)


def run(settings, live, source, exports=()):
    """The whole run of the command line; returns its exit code. Raises InputError for a fault in the request or a source that is not there."""
    settings = settings.changed(causal=True)
    _check_request(settings, live, exports)
    with ExitStack() as stack:
        page = _page(live, stack)
        shots, info, lost = _opened(source, settings, live, stack)
        if page:
            _say(f"live at {page.url} (Ctrl-C ends)")
        _spare_a_core()
        made, camera = build_parts(settings), camera_for(info, settings)
        if camera.guessed and not settings.quiet:
            _say("the lens is guessed (55 degrees over the longer side); --fov, --focal or --camera give the true one")
        skeletons = made.pose.skeleton, skeleton_of(made.lifter, made.pose.skeleton)

        def make_shown(folder):
            return Shown(folder, info, camera, *skeletons)

        session = make_shown(Path(exports[0]).parent) if exports else None
        recorder = Recorder(live.record_dir, make_shown, info)
        with recorder:
            show = Show(settings, page, None if page else window.Window(), recorder, session, described(skeletons[1]), lost)
            if live.record:
                recorder.start(live.record)
            ending = watch(shots, info, Live(info, settings, made, camera), show, settings.limit)
        return _finish(settings, ending, show, session, exports)


def watch(shots, info, live, show, limit=None, clock=time):
    """See and show the Shots of an iterator until it ends, breaks, or somebody quits; the Ending."""
    before = None
    try:
        for shot in shots:
            began, frame = clock.monotonic(), shot and loaded(shot, info)
            if frame is None:
                going = show.idle()
            else:
                looked = live.looking
                going = show.frame(shot, frame, live.see(frame), clock)
                looked = live.looking - looked
                interval = (shot.time - before.time) / (shot.index - before.index) if before else float(1 / info.fps)
                live.watched.spent(looked, clock.monotonic() - began - looked, interval)
                before = shot
            if not going or show.meter.frames == limit:
                break
    except BrokenVideo as error:
        return Ending(show.meter.frames, 1, error.reason)
    except KeyboardInterrupt:
        return Ending(show.meter.frames, 130, "stopped; what was recorded is kept")
    return Ending(show.meter.frames)


class Show:
    """Where the pictures of a live run go: a Page, a Window, a Recorder, a Shown that holds all of the motion; any of them may be None."""

    def __init__(self, settings, page=None, win=None, recorder=None, session=None, skeleton=None, lost=lambda: ""):
        self.page, self.window, self.recorder, self.session, self.lost = page, win, recorder, session, lost
        self.meter, self.picture, self.people = Meter(), LivePicture(settings), []
        if page:
            page.about = skeleton

    def frame(self, shot, frame, motion, clock=time):
        """Show what is known of a Frame; returns whether to go on."""
        self.people, going, whole = self.picture.people(motion, frame.time), True, None
        recording = self.recorder and self.recorder.running
        if self.window or recording:
            whole = self.picture.whole(frame.image, motion, self.people, frame.time)
        over = self.picture.overlay(frame.image, motion, self.people) if self.page else None
        self.meter.count(shot.index, shot.captured, clock.monotonic())
        if self.page:
            self._tell(over, shot)
        if self.window:
            going = self.window.show(whole)
        if recording:
            self.recorder.write(whole, motion, frame.time)
        if self.session:
            self.session.append(motion, frame.index, frame.time)
        return going

    def idle(self):
        """Keep window and page alive while no picture comes; returns whether to go on."""
        if self.page:
            self._tell(None)
        return self.window.show(None) if self.window else True

    def _tell(self, image, shot=None):
        recorder, saving = self.recorder, self.recorder.saving()
        while self.page.orders:
            recorder.start() if self.page.orders.popleft() == "start" else recorder.stop()
        names = [[path, motion_file(path)] for path in recorder.done]
        self.page.recordings = {path.name: path for path in chain(*names)}
        record = {"running": recorder.running and recorder.running.name, "seconds": recorder.seconds, "saving": saving,
                  "files": [[path.name for path in pair] for pair in names], "faults": recorder.faults}
        self.page.publish(image, {
            "frame": shot and shot.index, "time": shot and shot.time, "people": told(self.people), "record": record, "trouble": self.lost(),
            "stats": self.meter.figures() | {"viewers": self.page.viewers},
        })


def _check_request(settings, live, exports):
    for name, usual in (("downsample", 1), ("resume", False)):
        if getattr(settings, name) != usual:
            raise InputError(f"--{name} is for files, not for a live source")
    if live.realtime is False and (settings.start, settings.end, settings.skip, settings.stride) != (None, None, 0, 1):
        raise InputError("--start, --end, --skip and --stride are for files; --limit FRAMES ends a live run")
    settings.check_parts()
    if live.record:
        check_output(live.record)
    for path in exports:
        export.check_export(path)


def _page(live, stack):
    """The Page, None where a window serves."""
    if live.serve is None and window.available():
        return None
    try:
        return stack.enter_context(Page(live.host, PORT if live.serve is None else live.serve, live.token))
    except InputError:
        if live.serve is not None:
            raise
        return stack.enter_context(Page(live.host, 0, live.token))


def _opened(source, settings, live, stack):
    """(Shots, VideoInfo, a function that says what is wrong with the source) of what is to be watched."""
    if live.realtime and not video.camera_number(source) and not video.is_live(source):
        info = video.probe(source, settings.fps)
        frames = stack.enter_context(closing(prefetch(video.frames(source, **settings.range() | {"limit": None}), AHEAD)))
        return in_real_time(frames), info, lambda: ""
    capture = stack.enter_context(Capture(source, live.reconnect, clock=time))
    image = next(image for shot in capture if shot and (image := shot.load()) is not None)
    return iter(capture), VideoInfo(image.shape[1], image.shape[0], capture.rate), lambda: capture.trouble


def _spare_a_core():
    """Leave a core to the camera, the page and the encoder: networks whose threads wait for a busy core are many times slower than with fewer."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() - 1))


def _finish(settings, ending, show, session, exports):
    """Save the motion, say what happened; the exit code."""
    for path in exports:
        export.save(session.motion(), path)
    for reason in filter(None, [ending.reason, *show.recorder.faults]):
        _say(reason)
    if not settings.quiet:
        _say(show.meter.line())
        written = [*show.recorder.done, *map(motion_file, show.recorder.done), *exports]
        print(" ".join(map(str, written)), end="\n" if written else "")
    return ending.code or (1 if show.recorder.faults else 0)


def _say(words):
    print(f"viz.py: {words}", file=sys.stderr)
