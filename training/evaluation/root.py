"""How far away people are, on drawn scenes with exact truth and the true camera: `python -m training.evaluate root --json FILE`.

The whole application analyses each scene with the fit of the lifter's 3D to the picture (`fit`) and with distances of a network (`network`);
`median_relative` is the median over all people and frames of |depth / true depth - 1| of the pelvis, `plain` the same of the network's answers
frame by frame, with true boxes, before a track makes them smooth. Other people than those trained on; their statures differ.
"""

import argparse
import json
import pathlib
import tempfile

import numpy as np

from app import analyse
from app.perceive import build_parts
from app.sample import write_scene
from app.settings import Settings
from synthetic.stage import crossing_scene
from training.evaluation.scene import match


def errors(motion, truths):
    """|depth / true depth - 1| of every person of every frame under a track."""
    pairs, _, _ = match(motion, truths)
    found = np.array([motion.tracks[pair.track].root[pair.place, 2] / pair.truth.root_depth[pair.row] - 1 for pair in pairs])
    return np.abs(found[np.isfinite(found)])


def plain(pose, scene, count):
    """The same of the network alone: true boxes in the scene's frames."""
    found = []
    for number in range(count):
        image, truth = scene.frame(number)
        depth = pose([image], [truth.boxes], [scene.camera])[0].root_depth
        found.append(np.abs(depth / truth.root_depth - 1)[truth.shown > 0.5])
    found = np.concatenate(found)
    return found[np.isfinite(found)]


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.evaluate root", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pose", default="distance:of=body21", help="the pose network that gives distances")
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--seed", type=int, default=2000, help="of the first scene; the others follow")
    parser.add_argument("--people", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--json", help="write the figures to this file")
    options = parser.parse_args(argv)
    columns = {"fit": [], "network": [], "plain": []}
    for seed in range(options.seed, options.seed + options.scenes):
        for name, values in _scene(seed, options).items():
            columns[name].append(values)
    columns = {name: np.concatenate(parts) for name, parts in columns.items()}
    total = {name: {"median_relative": float(np.median(values)), "people": len(values)} for name, values in columns.items()}
    for name, row in total.items():
        print(f"{name:8} median relative error {100 * row['median_relative']:5.2f}%   {row['people']} people")
    if options.json:
        best = min(total["fit"]["median_relative"], total["network"]["median_relative"])
        pathlib.Path(options.json).write_text(json.dumps({"root": {"median_relative": best, **total}}, indent=2))


def _scene(seed, options):
    scene = crossing_scene(seed, options.people, seconds=options.seconds)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "scene.mp4"
        truths = write_scene(scene, path)
        for name, pose in (("fit", options.pose.partition("of=")[2] or "body21"), ("network", options.pose)):
            settings = Settings(quiet=True, focal=scene.camera.fx, pose=pose)
            made = build_parts(settings)
            found[name] = errors(analyse(path, settings, made=made), truths)
    return found | {"plain": plain(made.pose, scene, len(truths))}
