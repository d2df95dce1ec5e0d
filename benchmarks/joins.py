"""How many broken tracks are mended after the fact, and how many wrongly: python -m benchmarks.joins [--scenes N] [--seed N]

Drawn people, four to a scene, without pictures: their true joints in 2D with errors of 1.5 % of the height, as far as they can be seen. They pass
behind a wall for a second or two (hidden), vanish for 0.3 to 1.6 s anywhere (cut), or leave the picture and come back (leaving); every stretch
is a track, joined by the pictures alone and in space, with the bundled lifter, without looks. alone: how many of the pairs of tracks of two
different people would be joined if there was nobody else.
"""

import argparse

import numpy as np

from app.ends import cost, end_of
from app.join import join_tracks
from app.motion import clean
from app.reconstruct import ends_in_space
from core import parts
from core.geometry import project
from core.records import Track
from core.skeletons import BODY21
from synthetic.absences import hidden_scene, leaving_scene
from synthetic.stage import crossing_scene

KINDS = {"hidden": hidden_scene, "cut": crossing_scene, "leaving": leaving_scene}
ERROR, ALIKE = 0.015, 0.7  # share of the height; of an error that stays to the next frame
SHOWN, LEAST = 0.3, 8  # share of the joints, and frames, from which on somebody has a track


def stretches(scene, rng, cut):
    """(person, Track) of each stretch in which somebody is seen."""
    to_camera, number = np.linalg.inv(scene.world_from_camera), 0
    for who, person in enumerate(scene.people):
        points = project(person.points[:, :21] @ to_camera[:3, :3].T + to_camera[:3, 3], scene.camera)
        seen = visible(points, scene)
        if cut:
            start = int(rng.integers(40, 90))
            seen[start : start + int(25 * rng.uniform(0.3, 1.6))] = False
        noisy = np.where(seen[..., None], points + errors(points, rng), np.nan)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], seen.mean(1) >= SHOWN, [0]]).astype(int)))
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            if last - first >= LEAST:
                number += 1
                yield who, stretch(number, np.arange(first, last), noisy[first:last], scene.camera)


def visible(points, scene):
    """Which joints (T, 21) are in the picture and not behind the wall."""
    with np.errstate(invalid="ignore"):
        inside = ((points >= 0) & (points < (scene.camera.width, scene.camera.height))).all(-1)
    if scene.front is not None:
        column = np.clip(np.nan_to_num(points[..., 0]).astype(int), 0, scene.camera.width - 1)
        inside &= scene.front[0, column, 3] < 0.5
    return inside


def errors(points, rng):
    noise = rng.normal(size=points.shape)
    for i in range(1, len(noise)):
        noise[i] = ALIKE * noise[i - 1] + np.sqrt(1 - ALIKE**2) * noise[i]
    return ERROR * noise * np.nan_to_num(np.ptp(points[..., 1], axis=1))[:, None, None]


def stretch(number, frames, points, camera):
    corners = np.concatenate([np.nanmin(points, 1), np.nanmax(points, 1)], 1)
    margin = 0.04 * (corners[:, 2:] - corners[:, :2])
    boxes = np.clip(corners + np.concatenate([-margin, margin], 1), 0, (camera.width, camera.height) * 2)
    scores, unknown = 0.8 * np.isfinite(points).all(-1), np.full((*points.shape[:2], 3), np.nan)
    return clean(Track(number, frames, frames / 25, boxes, points, scores, unknown, unknown[:, 0], np.ones(len(frames), bool)), BODY21)


def counted(tracks, people, camera, in_space):
    """(breaks, mended, wrong, pairs of different people, those of them that are possible) of the Tracks of people (N,)."""
    picture = camera.width, camera.height
    owner, begins = {(int(t.frames[0]), t.boxes[0].tobytes()): who for who, t in zip(people, tracks, strict=True)}, []
    for track in join_tracks(tracks, *picture, in_space):
        keys = zip(track.frames.tolist(), (box.tobytes() for box in track.boxes), strict=True)
        begins.append([owner[key] for key in keys if key in owner])
    links = [a == b for parts_of in begins for a, b in zip(parts_of, parts_of[1:], strict=False)]
    ends = {side: [(in_space or end_of)(track, side) for track in tracks] for side in (-1, 0)}
    others = [np.isfinite(cost(last, first, None, picture)) for a, last in zip(people, ends[-1], strict=True)
              for b, first in zip(people, ends[0], strict=True) if a != b and first.time > last.time]
    return np.array([len(tracks) - len(set(people)), sum(links), len(links) - sum(links), len(others), sum(others)])


def main():
    options = argparse.ArgumentParser(prog="python -m benchmarks.joins", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scenes", type=int, default=10, help="of each kind")
    options.add_argument("--seed", type=int, default=600, help="of the first")
    options = options.parse_args()
    lifter = parts.make("lifter", "tcn")
    for kind, draw in KINDS.items():
        counts = np.zeros((2, 5), int)
        for seed in range(options.seed, options.seed + options.scenes):
            scene = draw(seed, people=4)
            people, tracks = zip(*stretches(scene, np.random.default_rng(seed), kind == "cut"), strict=True)
            for row, in_space in enumerate((None, ends_in_space(scene.camera, lifter, BODY21))):
                counts[row] += counted(list(tracks), people, scene.camera, in_space)
        for how, (breaks, mended, wrong, pairs, alone) in zip(("in the picture", "in space"), counts, strict=True):
            share = f"{alone / max(pairs, 1):.0%} of {pairs}"
            print(f"{kind:8s} {how:15s} breaks {breaks:3d} mended {mended:3d} wrong {wrong:3d} alone {share}", flush=True)


if __name__ == "__main__":
    main()
