"""Frames -> observations: detect, track, pose, for a batch of frames at a time."""

from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np

from core import parts
from core.errors import BrokenVideo
from core.geometry import clip_boxes
from core.networks import pick_device
from core.protocols import Detector, Embedder, Lifter, PoseEstimator
from core.records import Observation, Poses
from trackers._appearance import build_embedder
from weights import kept_in


class Parts(NamedTuple):
    """The networks of a run. They hold weights only, so one set serves any number of videos; `tracker` is a spec, made anew for each.

    `embedder` (pictures, boxes) -> features is what the tracker asks for, or None.
    """

    detector: Detector
    tracker: str
    pose: PoseEstimator
    lifter: Lifter
    batch: int
    embedder: Embedder | None = None


def build_parts(settings):
    """The parts that the settings name. Raises InputError for what does not exist or cannot be loaded."""
    settings.check_parts()
    device = pick_device(settings.device)
    common, wishes = {name: getattr(settings, name) for name in parts.COMMON}, parts.make("tracker", settings.spec("tracker"))
    if hasattr(wishes, "lowest"):
        common["threshold"] = wishes.lowest
    with kept_in(settings.weights_dir):
        made = {kind: parts.make(kind, settings.spec(kind), **common) for kind in ("detector", "pose", "lifter")}
        name = getattr(wishes, "embedder", None)
        embedder = build_embedder(name, settings.device, settings.half) if name else None
    return Parts(tracker=settings.spec("tracker"), batch=settings.batch or (4 if device.type == "cpu" else 32), embedder=embedder, **made)


def chunks(iterator, size):
    """Lists of up to `size` items. Where a video breaks, what came before is still yielded, then the break is raised."""
    iterator, broken = iter(iterator), None
    while not broken:
        chunk = []
        try:
            for item in islice(iterator, size):
                chunk.append(item)
        except BrokenVideo as error:
            broken = error
        if chunk:
            yield chunk
        elif not broken:
            return
    raise broken


class Watched:
    """A video that is being looked at: its camera, its tracker, and how often and how far it was looked at.

    In a continued run `seen` frames were observed before (the rhythm of looking goes on from there) and the identities up to `used_ids` are
    taken: motion.py joins people across the cut.
    """

    def __init__(self, made, camera, detect_every=1, seen=0, used_ids=0):
        self.camera, self.detect_every, self.seen, self.used_ids = camera, detect_every, seen, used_ids
        self.tracker = parts.make("tracker", made.tracker)

    def looked(self, frames):
        """Which of the next `frames` the detector looks at: their positions. Between two looks the tracker predicts."""
        return [i for i in range(len(frames)) if (self.seen + i) % self.detect_every == 0]

    def track(self, frames, found):
        """The Tracks of the next frames from {position: Detections} of those that were looked at."""
        self.seen += len(frames)
        return [inside(self.tracker.update(f.time, found.get(i), f.image), self.camera, self.used_ids) for i, f in enumerate(frames)]


def perceive(frames, made, camera, stages, detect_every=1, seen=0, used_ids=0):
    """Observations of an iterator of Frames of one video, in order, a list for each batch. See Watched for the options."""
    watched = Watched(made, camera, detect_every, seen, used_ids)
    for batch in chunks(stages.timed("decode", frames), made.batch):
        yield look([(watched, batch)], made, stages)[0]


def look(batches, made, stages):
    """The Observations of the next frames of several videos, pairs of (Watched, Frames): a list for each. All share the networks' batches."""
    looked = [(k, i) for k, (watched, frames) in enumerate(batches) for i in watched.looked(frames)]
    with stages("detect"):
        found = dict(zip(looked, detect(made.detector, [batches[k][1][i] for k, i in looked]), strict=True)) if looked else {}
    if made.embedder:
        with stages("looks"):
            frames = {(k, i): batches[k][1][i] for k, i in looked}
            found = with_features(made.embedder, frames, found)
    with stages("track"):
        tracks = [watched.track(frames, {i: found[n, i] for n, i in looked if n == k}) for k, (watched, frames) in enumerate(batches)]
    with stages("pose"):
        cameras = [watched.camera for watched, frames in batches for _ in frames]
        poses = iter(pose_people(made.pose, [f for _, frames in batches for f in frames], [t for rows in tracks for t in rows], cameras))
    return [[Observation(f.index, f.time, t, next(poses), t.features) for f, t in zip(frames, rows, strict=True)]
            for (_, frames), rows in zip(batches, tracks, strict=True)]


def detect(detector, frames):
    """Detections of frames; a detector that knows frames by number (`at`) is asked by number."""
    if hasattr(detector, "at"):
        return detector.at([frame.index for frame in frames])
    return detector([frame.image for frame in frames])


def with_features(embedder, frames, found):
    """The Detections {row: people} with what everybody looks like; all people of all frames share batches."""
    features = embedder([frames[i].image for i in found], [people.boxes for people in found.values()])
    return {i: replace(people, features=each) for (i, people), each in zip(found.items(), features, strict=True)}


def inside(tracks, camera, used_ids=0):
    """The tracks of which at least a few pixels are in the picture (a predicted box may have left it), numbered after `used_ids`."""
    visible = clip_boxes(tracks.boxes, camera.width, camera.height)
    keep = ((visible[:, 2:] - visible[:, :2]) > 4).all(1) & np.isfinite(tracks.boxes).all(1)
    kept = tracks[keep]
    return replace(kept, ids=kept.ids + used_ids)


def pose_people(pose, frames, tracks, cameras):
    """Poses of the tracks of every frame; frames without people are not handed to the network."""
    busy = [i for i, people in enumerate(tracks) if len(people)]
    found = pose([frames[i].image for i in busy], [tracks[i].boxes for i in busy], [cameras[i] for i in busy]) if busy else []
    rows = dict(zip(busy, found, strict=True))
    return [rows.get(i) or Poses.empty(pose.skeleton) for i in range(len(frames))]
