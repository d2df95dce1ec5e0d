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
    common, wishes = {"device": settings.device, "half": settings.half}, parts.make("tracker", settings.spec("tracker"))
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


def perceive(frames, made, camera, stages, detect_every=1, seen=0, used_ids=0):
    """Observations of an iterator of Frames, in order, a list for each batch.

    Between two looks of the detector the tracker predicts. In a continued run `seen` frames were observed before (the rhythm of looking
    goes on from there) and the identities up to `used_ids` are taken: motion.py joins people across the cut.
    """
    tracker = parts.make("tracker", made.tracker)
    for batch in chunks(stages.timed("decode", frames), made.batch):
        looked = [i for i in range(len(batch)) if (seen + i) % detect_every == 0]
        with stages("detect"):
            found = dict(zip(looked, detect(made.detector, [batch[i] for i in looked]), strict=True)) if looked else {}
        if made.embedder:
            with stages("looks"):
                found = with_features(made.embedder, batch, found)
        with stages("track"):
            tracks = [inside(tracker.update(frame.time, found.get(i), frame.image), camera, used_ids) for i, frame in enumerate(batch)]
        with stages("pose"):
            poses = pose_people(made.pose, batch, tracks, camera)
        seen += len(batch)
        yield [Observation(f.index, f.time, t, p, t.features) for f, t, p in zip(batch, tracks, poses, strict=True)]


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


def pose_people(pose, frames, tracks, camera):
    """Poses of the tracks of every frame; frames without people are not handed to the network."""
    busy = [i for i, people in enumerate(tracks) if len(people)]
    found = pose([frames[i].image for i in busy], [tracks[i].boxes for i in busy], [camera] * len(busy)) if busy else []
    rows = dict(zip(busy, found, strict=True))
    return [rows.get(i) or Poses.empty(pose.skeleton) for i in range(len(frames))]
