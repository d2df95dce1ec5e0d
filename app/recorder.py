"""Recordings of a live run: the drawn pictures as a video, and beside it the motion that they show."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from app import export
from app.targets import check_output, target_of
from app.writer import WriteError, open_writer
from core.errors import InputError


class Recorder:
    """One recording at a time; finishing one goes on behind the live run. A context manager: leaving it finishes all.

    `running` is the file of the recording that runs, None without; `done` are the videos that are whole, `faults` what went wrong, a line each.
    """

    def __init__(self, folder, make_shown, info):
        self.folder, self.make_shown, self.info = Path(folder), make_shown, info
        self.running, self.done, self.faults = None, [], []
        self._writer = self._shown = self._began = self._last = None
        self._frames, self._behind, self._jobs = 0, ThreadPoolExecutor(1, "recorder"), []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self._behind.shutdown()
        self.saving()

    def start(self, path=None):
        """Begin to record, into a new file of the folder when no path is given. What cannot be written is a fault."""
        if self.running is not None:
            return
        path = self.folder / f"{time.strftime('%Y-%m-%dT%H-%M-%S')}-{len(self.done) + len(self._jobs) + 1}.mp4" if path is None else path
        try:
            check_output(path)
            self._shown = self.make_shown(target_of(path).parent)
            self._writer = open_writer(path, self.info)
            self._writer.__enter__()
            self.running, self._began, self._frames = Path(path), None, 0
        except (InputError, OSError) as error:
            self.faults.append(str(error))

    def write(self, image, motion, when):
        """Add a picture (H, W, 3) with the Motion of its frame at `when` seconds; nothing while no recording runs."""
        if self.running is None:
            return
        self._began = when if self._began is None else self._began
        try:
            self._writer.write(image, when - self._began)
        except WriteError as error:
            self.faults.append(str(error))
            self.stop(error)
            return
        self._shown.append(motion, self._frames, when - self._began)
        self._last = when
        self._frames += 1

    @property
    def seconds(self):
        """How long the running recording is."""
        return self._last - self._began if self.running and self._frames else 0.0

    def stop(self, error=None):
        """End the recording that runs, if any; it is finished behind."""
        if self.running is None:
            return
        job = self._behind.submit(_finish, self._writer, self._shown, self.running, self._frames, error)
        self._jobs.append(job)
        self.running = None

    def saving(self):
        """Whether a recording is being finished; what became whole since is in `done` and `faults`."""
        for job in [job for job in self._jobs if job.done()]:
            self._jobs.remove(job)
            path, fault = job.result()
            if fault:
                self.faults.append(fault)
            elif path:
                self.done.append(path)
        return bool(self._jobs)


def _finish(writer, shown, path, frames, error):
    """Close the video and save its motion: (path, ""), (None, why not), or (None, "") after an `error` that was told already."""
    try:
        motion = shown.motion()
        export.save(replace(motion, info=replace(motion.info, frames=frames)), motion_file(path))
        writer.__exit__(type(error) if error else None, error, None)
        return None if error else path, ""
    except (WriteError, InputError, OSError) as fault:
        return None, str(fault)
    finally:
        shown.close()


def motion_file(path):
    """Where the motion of a recording is."""
    return target_of(path).with_suffix(".npz")
