"""The trackers on drawn people whose truth is known: python -m benchmarks.identities [--scene KIND ...] [--seeds N ...] [--keep FOLDER]

Scenes of 6 to 8 s, three people, 640x360: they cross each other (crossing; shake: before a camera that wanders by 3 degrees), leave the picture and
come back after some seconds (leaving), or are hidden by a wall for about a second (hidden). All trackers get the same boxes and looks, those of
the bundled networks. Every person in the picture counts, hidden or not. With --keep what the networks saw is kept, and used again if it is there.

With --joins poses are estimated and broken tracks joined after the fact, by the pictures alone and in space too. breaks: tracks of people beyond the
first of each; mended: joins of two tracks of one person; wrong: of two people. A track is of whom it covers (IoU above 0.5) in most of its frames.
"""

import argparse
import itertools
import pathlib
import tempfile
from functools import partial
from typing import NamedTuple

import numpy as np

from app import video
from app.motion import assemble
from app.perceive import Watched, build_parts, chunks, detect, pose_people, with_features
from app.reconstruct import ends_in_space
from app.sample import write_scene
from app.settings import Settings
from core.files import save_arrays
from core.geometry import iou
from core.records import Detections, Observation
from synthetic.absences import hidden_scene, leaving_scene
from synthetic.stage import crossing_scene
from training.evaluation.mot import measure, summary, table

KINDS = {"crossing": crossing_scene, "shake": partial(crossing_scene, shake=3.0), "leaving": leaving_scene, "hidden": hidden_scene}
OURS = ("sort:max_age=30,min_hits=2", "deepsort", "steady:even=0.5", "steady:even=0.5,embedder=appearance-embednet")
STEADY, ENOUGH = 0.1, 0.35  # scores: the least of use to our tracker, and the detector's own threshold, for the others


class Clip(NamedTuple):
    """A drawn video, its Camera, the true rows (N, 7) of core.mot.read, and the Detections of each frame with everybody's looks."""

    path: pathlib.Path
    camera: object
    truth: np.ndarray
    found: list


def clip(kind, seed, folder, made):
    """The Clip of a scene, from what is kept in the folder where it is there."""
    path, scene = folder / f"{kind}{seed}.mp4", KINDS[kind](seed)
    kept = path.with_suffix(".npz")
    if not kept.is_file():
        truth = [[t.index + 1, number, *box, 1] for t in write_scene(scene, path) for number, box in zip(t.ids, t.boxes, strict=True)]
        found = [people for batch in chunks(video.frames(path), 4) for people in looked(batch, made)]
        rows = np.concatenate([np.column_stack([np.full(len(people), i), people.boxes, people.scores]) for i, people in enumerate(found)])
        save_arrays(kept, compress=True, truth=np.array(truth), rows=rows, features=np.concatenate([people.features for people in found]))
    data = np.load(kept)
    found, features = data["rows"], data["features"]
    per_frame = [found[:, 0] == i for i in range(len(scene))]
    return Clip(path, scene.camera, data["truth"], [Detections(found[now, 1:5], found[now, 5], features[now]) for now in per_frame])


def looked(frames, made):
    return with_features(made.embedder, dict(enumerate(frames)), dict(enumerate(detect(made.detector, frames)))).values()


def tracked(made, drawn):
    """The Tracks of each frame of a Clip by a tracker, and the Frames, in lists of four."""
    watched, looks = Watched(made, drawn.camera), "embedder" in made.tracker or made.tracker.startswith("deepsort")
    least = getattr(watched.tracker, "lowest", ENOUGH)
    for batch in chunks(video.frames(drawn.path), 4):
        found = {i: drawn.found[frame.index] for i, frame in enumerate(batch)}
        found = {i: people[people.scores >= least] for i, people in found.items()}
        yield batch, watched.track(batch, found if looks else {i: Detections(people.boxes, people.scores) for i, people in found.items()})


def rows(steps):
    """Rows (N, 7) of core.mot.read of what `tracked` yields."""
    found = [[frame.index + 1, number, *box, 1] for frames, tracks in steps for frame, now in zip(frames, tracks, strict=True)
             for number, box in zip(now.ids, now.boxes, strict=True)]
    return np.array(found).reshape(-1, 7)


def observations(made, drawn):
    """The Observations of a Clip by a tracker."""
    cameras = [drawn.camera] * 4
    return [Observation(frame.index, frame.time, now, pose, now.features) for frames, tracks in tracked(made, drawn)
            for frame, now, pose in zip(frames, tracks, pose_people(made.pose, frames, tracks, cameras), strict=True)]


def owner(track, truth):
    """The number of the person whom a Track is of, 0 for nobody."""
    votes = []
    for frame, box in zip(track.frames, track.boxes, strict=True):
        there = truth[truth[:, 0] == frame + 1]
        overlap = iou(box, there[:, 2:6])[0]
        votes.append(int(there[overlap.argmax(), 1]) if overlap.max(initial=0) > 0.5 else 0)
    return int(np.bincount(votes).argmax())


def joins(made, drawn, seen):
    """{how: (breaks, mended, wrong)} of the Observations of a Clip."""
    info, counts = video.probe(drawn.path), {}
    broken = assemble(seen, info, join=False, fill=False).values()
    people = {(int(track.frames[0]), track.boxes[0].tobytes()): owner(track, drawn.truth) for track in broken}
    known = [who for who in people.values() if who]
    breaks = len(known) - len(set(known))
    for how, in_space in (("in the picture", None), ("in space", ends_in_space(drawn.camera, made.lifter, made.pose.skeleton))):
        mended = wrong = 0
        for track in assemble(seen, info, fill=False, in_space=in_space).values():
            parts = [people[key] for key in zip(track.frames.tolist(), (box.tobytes() for box in track.boxes), strict=True) if key in people]
            same = [a == b != 0 for a, b in itertools.pairwise(parts)]
            mended, wrong = mended + sum(same), wrong + len(same) - sum(same)
        counts[how] = breaks, mended, wrong
    return counts


def print_joins(made, drawn, specs):
    for spec in specs:
        chosen = made._replace(tracker=spec)
        each = [joins(chosen, one, observations(chosen, one)) for one in drawn]
        for how in each[0]:
            breaks, mended, wrong = np.sum([counts[how] for counts in each], axis=0)
            print(f"{spec:48s} joined {how:16s} breaks {breaks:3d} mended {mended:3d} wrong {wrong:3d}", flush=True)


def main():
    options = argparse.ArgumentParser(prog="python -m benchmarks.identities", description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scene", nargs="+", choices=list(KINDS), default=list(KINDS))
    options.add_argument("--seeds", nargs="+", type=int, default=[100, 101, 102, 103])
    options.add_argument("--tracker", nargs="+", default=OURS, metavar="SPEC")
    options.add_argument("--keep", type=pathlib.Path, metavar="FOLDER")
    options.add_argument("--joins", action="store_true", help="measure what joining mends, instead of the trackers")
    options = options.parse_args()
    made = build_parts(Settings(detector=f"centernet:threshold={STEADY}"))
    with tempfile.TemporaryDirectory() as folder:
        folder = options.keep or pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for kind in options.scene:
            drawn = [clip(kind, seed, folder, made) for seed in options.seeds]
            if options.joins:
                print(kind)
                print_joins(made, drawn, options.tracker)
                continue
            counts = {spec: [measure(one.truth, rows(tracked(made._replace(tracker=spec), one))) for one in drawn] for spec in options.tracker}
            figures = {spec: summary({key: sum(count[key] for count in some) for key in some[0]}) for spec, some in counts.items()}
            print(f"{kind}\n{table(figures)}\n", flush=True)


if __name__ == "__main__":
    main()
