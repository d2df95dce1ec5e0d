"""The motion that a live run has shown, kept on disk row by row, so that memory stays flat while it is kept."""

import tempfile

import numpy as np

from core.records import Motion, Track


class Shown:
    """What was shown, frame by frame: `append`, then `motion()` for all of it. `folder` is where the rows wait, in a file without a name."""

    def __init__(self, folder, info, camera, skeleton2d, skeleton3d):
        self.info, self.camera, self.skeletons = info, camera, (skeleton2d, skeleton3d)
        flat, solid = len(skeleton2d), len(skeleton3d)
        self.row = np.dtype([("id", "<i8"), ("frames", "<i8"), ("times", "<f8"), ("boxes", "<f4", 4), ("points", "<f4", (flat, 2)),
                             ("scores", "<f4", flat), ("joints3d", "<f4", (solid, 3)), ("root", "<f4", 3)])
        self.file, self.worlds = tempfile.TemporaryFile(dir=folder), []  # noqa: SIM115 - lives as long as this

    def append(self, motion, frame, time):
        """Add the one frame of a Motion, under another number and time."""
        rows = np.zeros(len(motion.tracks), self.row)
        for row, track in zip(rows, motion.tracks.values(), strict=True):
            row["id"], row["frames"], row["times"] = track.id, frame, time
            for name in ("boxes", "points", "scores", "joints3d", "root"):
                row[name] = getattr(track, name)[0]
        self.file.write(rows.tobytes())
        if not self.worlds or not np.array_equal(self.worlds[-1][1], motion.world_from_camera):
            self.worlds.append((frame, motion.world_from_camera))

    def motion(self):
        """The Motion of all that was shown."""
        self.file.flush()
        self.file.seek(0)
        rows = np.frombuffer(self.file.read(), self.row)
        tracks = {int(number): self._track(int(number), rows[rows["id"] == number]) for number in np.unique(rows["id"])}
        world = self.worlds[-1][1] if self.worlds else np.eye(4)
        history = (np.array([frame for frame, _ in self.worlds]), np.stack([matrix for _, matrix in self.worlds])) if self.worlds else None
        return Motion(self.info, self.camera, world, *self.skeletons, tracks, history)

    def _track(self, number, rows):
        columns = {name: rows[name] for name in self.row.names if name != "id"}
        return Track(number, observed=np.ones(len(rows), bool), **columns)

    def close(self):
        self.file.close()
