"""What the networks saw, appended to disk frame by frame, so that memory stays flat and an interrupted run can go on.

The file: magic, then records of (kind, length, CRC-32) and that many bytes. The first record is a JSON header; a frame record holds its number,
time and the rows of all people column by column; a feature record holds the mean appearance of tracks in a span of time. A record that is cut or
damaged ends the file: it and everything after it are left out, and overwritten when the run goes on.
"""

import json
import pathlib
import struct
import zlib

import numpy as np

from core.errors import InputError
from core.records import Observation, Poses, Tracks

_MAGIC = b"OBSLOG1\n"
_RECORD = struct.Struct("<cII")  # kind, length, CRC-32
_FRAME = struct.Struct("<qdIB")  # frame, time, people, which optional columns follow
_FEATURE = struct.Struct("<qqqI")  # track id, span, times seen, dimensions
_OPTIONAL = ("relative", "root_depth", "rivals")  # columns of Poses, one bit each
_SNAPSHOT = 256  # frames between feature records: an interrupted run loses the appearance of no more than these
SPAN = 0.25  # s over which the appearance of a track is averaged


class ObservationLog:
    """An open log: `append` observations, `read` them back. Made by `open_log`; a context manager.

    `frames` complete frames are in it, empty ones too; `last_id` is the largest track id so far, `last_frame` the last source index (-1).
    """

    def __init__(self, path, skeleton, file):
        self.path, self.skeleton, self._file = path, skeleton, file
        self.frames, self.last_frame, self.last_id = 0, -1, 0
        self._means, self._changed = {}, set()
        self._recover()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def append(self, observations):
        """Write a list of observations, in the order of their frames. Appearance goes into the mean of each track and span."""
        for seen in observations:
            if seen.frame <= self.last_frame:
                raise ValueError(f"ObservationLog: frame {seen.frame} after frame {self.last_frame}")
            self._write(b"F", _pack(seen))
            self._count(seen.frame, seen.tracks.ids)
            if seen.features is not None:
                self._remember(seen.tracks.ids, int(seen.time // SPAN), seen.features)
            if self.frames % _SNAPSHOT == 0:
                self._snapshot()
        self._file.flush()

    def read(self):
        """Every Observation, one at a time. Features are the means of tracks in each SPAN, given in the first frame of it; elsewhere they are NaN."""
        means = self.features()
        waiting = set(means)
        with self.path.open("rb") as file:
            for kind, data, _ in _records(file):
                if kind == b"F":
                    frame, time, tracks, poses = _unpack(data, self.skeleton)
                    yield Observation(frame, time, tracks, poses, due_features(tracks.ids, time, means, waiting))

    def features(self):
        """{(track id, span): mean appearance (D,)} of the tracks that have one."""
        self._snapshot()
        self._file.flush()
        with self.path.open("rb") as file:
            packed = [row for kind, data, _ in _records(file) if kind == b"A" for row in _unpack_features(data)]
        return {key: mean.astype(np.float32) for key, (_, mean) in packed}  # of several the last

    def close(self):
        """Write what is pending and close the file, which stays."""
        if not self._file.closed:
            self._snapshot()
            self._file.close()

    def discard(self):
        """Close the log and remove its file: the run is whole."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _recover(self):
        """Count what is whole and go on writing right after it."""
        self._file.seek(0)
        end = 0
        for kind, data, end in _records(self._file):  # noqa: B007 - the end of the last whole record is needed
            if kind == b"F":
                frame, _, people, _ = _FRAME.unpack_from(data)
                self._count(frame, np.frombuffer(data, "<i4", people, _FRAME.size))
            elif kind == b"A":
                self._means.update(_unpack_features(data))
        self._file.seek(end)
        self._file.truncate()

    def _count(self, frame, ids):
        self.frames, self.last_frame = self.frames + 1, frame
        self.last_id = max(self.last_id, int(ids.max(initial=0)))

    def _remember(self, ids, span, features):
        for number, feature in zip(ids.tolist(), features, strict=True):
            if np.isfinite(feature).all():
                count, mean = self._means.get((number, span), (0, np.zeros(len(feature))))
                self._means[number, span] = count + 1, mean + (feature - mean) / (count + 1)
                self._changed.add((number, span))

    def _snapshot(self):
        if self._changed:
            self._write(b"A", b"".join(_pack_feature(*key, *self._means[key]) for key in sorted(self._changed)))
            latest = max(span for _, span in self._means)
            self._means = {key: value for key, value in self._means.items() if key[1] == latest}  # the others are on disk
            self._changed.clear()

    def _write(self, kind, data):
        self._file.write(_RECORD.pack(kind, len(data), zlib.crc32(data)) + data)


def open_log(path, skeleton, fingerprint, resume=False):
    """An `ObservationLog` at `path`, empty unless `resume` finds one of the same job there.

    fingerprint: dict of all that the observations depend on (source, parts, ...), compared as JSON. Raises InputError where the file cannot
    be written.
    """
    path = pathlib.Path(path)
    header = json.dumps({"joints": skeleton.joints, "skeleton": skeleton.name, "job": fingerprint}, sort_keys=True, default=str).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if resume and _header(path) == header:
            return ObservationLog(path, skeleton, path.open("r+b"))
        file = path.open("w+b")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    file.write(_MAGIC + _RECORD.pack(b"H", len(header), zlib.crc32(header)) + header)
    file.flush()
    return ObservationLog(path, skeleton, file)


def _header(path):
    """The header of a log, None where there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        kind, data, _ = next(_records(file), (None, None, 0))
    return data if kind == b"H" else None


def _records(file):
    """(kind, data, end position) of every whole record from the start of a log."""
    if file.read(len(_MAGIC)) != _MAGIC:
        return
    while len(head := file.read(_RECORD.size)) == _RECORD.size:
        kind, length, check = _RECORD.unpack(head)
        data = file.read(length)
        if len(data) < length or zlib.crc32(data) != check:
            return
        yield kind, data, file.tell()


def _pack(seen):
    tracks, poses = seen.tracks, seen.poses
    given = [getattr(poses, name) for name in _OPTIONAL]
    optional = sum(1 << bit for bit, column in enumerate(given) if column is not None)
    columns = [tracks.ids.astype("<i4"), tracks.boxes, tracks.scores, poses.points, poses.scores, *given]
    data = [np.ascontiguousarray(column).tobytes() for column in columns if column is not None]
    return _FRAME.pack(seen.frame, seen.time, len(tracks), optional) + b"".join(data)


def _unpack(data, skeleton):
    """(frame, time, Tracks, Poses) of a frame record."""
    frame, time, people, optional = _FRAME.unpack_from(data)
    joints, place = len(skeleton), _FRAME.size
    shapes = [(people,), (people, 4), (people,), (people, joints, 2), (people, joints), (people, joints, 3), (people,), (people, joints, 3)]
    columns = []
    for kind, (shape, given) in enumerate(zip(shapes, [True] * 5 + [optional >> bit & 1 for bit in range(len(_OPTIONAL))], strict=True)):
        count = int(np.prod(shape))
        columns.append(np.frombuffer(data, "<f4" if kind else "<i4", count, place).reshape(shape) if given else None)
        place += 4 * count if given else 0
    return frame, time, Tracks(*columns[:3]), Poses(skeleton, *columns[3:])


def _pack_feature(number, span, count, mean):
    return _FEATURE.pack(number, span, count, len(mean)) + mean.astype("<f4").tobytes()


def _unpack_features(data):
    place = 0
    while place < len(data):
        number, span, count, size = _FEATURE.unpack_from(data, place)
        place += _FEATURE.size
        yield (number, span), (count, np.frombuffer(data, "<f4", size, place).astype(np.float64))
        place += 4 * size


def due_features(ids, time, means, waiting):
    """The mean features (N, D) of a frame's people whose span of time is still `waiting` and then no longer, NaN for the others; None for nobody."""
    keys = [(number, int(time // SPAN)) for number in ids.tolist()]
    due = waiting.intersection(keys)
    if not due:
        return None
    waiting -= due
    nobody = np.full(len(means[next(iter(due))]), np.nan)
    return np.stack([means[key] if key in due else nobody for key in keys])
