"""Score tracks against true tracks, both in MOTChallenge form: `python -m training.evaluate mot --gt GT --tracks TRACKS`.

GT is one file, or a folder of <sequence>/gt/gt.txt or <sequence>.txt; TRACKS one file, or a folder of <sequence>.txt. True rows with confidence 0
are not counted (the rules of 2D MOT 2015). A pair counts from IoU 0.5 (HOTA: the mean over .05, .10 ... .95).
MOTA, MOTP, IDs (changes of the identity over a person), FP, FN, Frag (tracks of a person less one, after breaks): Bernardin and Stiefelhagen,
"Evaluating Multiple Object Tracking Performance", 2008, eq. 1-2; MOTP is the mean IoU of the pairs. IDF1: Ristani et al., "Performance Measures
and a Data Set for Multi-Target, Multi-Camera Tracking", 2016, eq. 10. HOTA, DetA, AssA: Luiten et al., "HOTA: A Higher Order Metric for Evaluating
Multi-Object Tracking", 2020, eq. 14-17. Overall figures are those of the summed counts.
"""

import argparse
import json
import pathlib
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from core import mot
from core.errors import InputError
from core.geometry import iou

THRESHOLDS = np.arange(0.05, 0.99, 0.05)
POSSIBLE = 0.5
TINY = np.finfo(float).eps
PERCENT = ("HOTA", "DetA", "AssA", "MOTA", "MOTP", "IDF1")
COUNTS = ("IDs", "FP", "FN", "Frag")


class Step(NamedTuple):
    """A frame: numbers from 0 of the people (N,) and of the tracks (M,) that are there, and their IoU (N, M)."""

    people: np.ndarray
    tracks: np.ndarray
    overlap: np.ndarray


def measure(truth, tracks):
    """The counts of one sequence from rows of core.mot.read; their sums are those of several. Raises ValueError where an id is twice in a frame."""
    steps, sizes = _steps(truth, tracks)
    return _clear(steps, sizes) | _identity(steps, sizes) | _higher_order(steps, sizes)


def summary(counts):
    """The figures {PERCENT in percent, COUNTS, people: true boxes} of counts; what nothing was counted for is NaN."""
    true = counts["TP"] + counts["FN"]
    with np.errstate(invalid="ignore", divide="ignore"):
        detection = counts["h_tp"] / np.maximum(counts["h_tp"] + counts["h_fn"] + counts["h_fp"], 1)
        association = counts["h_association"] / np.maximum(counts["h_tp"], 1)
        values = (np.sqrt(detection * association).mean(), detection.mean(), association.mean(),
                  1 - np.divide(counts["FP"] + counts["FN"] + counts["IDs"], true), np.divide(counts["overlap"], counts["TP"]),
                  np.divide(2 * counts["IDTP"], counts["true"] + counts["found"]))
    return {name: 100 * float(value) for name, value in zip(PERCENT, values, strict=True)} | {name: int(counts[name]) for name in COUNTS} | {
        "people": int(true)}


def _steps(truth, tracks):
    """(a Step for each frame with anything in it, (number of people, number of tracks))."""
    _, people = np.unique(truth[:, 1], return_inverse=True)
    _, others = np.unique(tracks[:, 1], return_inverse=True)
    steps = []
    for frame in np.union1d(truth[:, 0], tracks[:, 0]):
        a, b = np.flatnonzero(truth[:, 0] == frame), np.flatnonzero(tracks[:, 0] == frame)
        for name, numbers in (("truth", people[a]), ("tracks", others[b])):
            if len(np.unique(numbers)) < len(numbers):
                raise ValueError(f"frame {frame:.0f} of the {name} has an id twice")
        steps.append(Step(people[a], others[b], iou(truth[a, 2:6], tracks[b, 2:6])))
    return steps, (people.max(initial=-1) + 1, others.max(initial=-1) + 1)


def _clear(steps, sizes):
    """Matches of the frame before are kept while they are possible; then the best overlaps decide."""
    counts = dict.fromkeys(("TP", "FP", "FN", "IDs", "Frag", "overlap"), 0.0)
    last, before, pieces = np.full(sizes[0], -1), np.full(sizes[0], -1), np.zeros(sizes[0])
    for people, tracks, overlap in steps:
        counts["FN"] += len(people)
        counts["FP"] += len(tracks)
        if not len(people) or not len(tracks):
            continue  # as in the published programs: an empty frame does not break a track
        kept = before[people][:, None] == tracks
        rows, columns = _pairs(np.where(overlap >= POSSIBLE - TINY, overlap + 1000 * kept, 0))
        counts["TP"] += len(rows)
        counts["FN"] -= len(rows)
        counts["FP"] -= len(rows)
        counts["overlap"] += overlap[rows, columns].sum()
        i, j = people[rows], tracks[columns]
        counts["IDs"] += ((last[i] >= 0) & (last[i] != j)).sum()
        pieces[i] += before[i] < 0
        last[i], before[:] = j, -1
        before[i] = j
    counts["Frag"] = np.maximum(pieces - 1, 0).sum()
    return counts


def _pairs(value):
    """Rows and columns of the best assignment of value (N, M), those of value 0 left out."""
    rows, columns = linear_sum_assignment(-value)
    keep = value[rows, columns] > 0
    return rows[keep], columns[keep]


def _identity(steps, sizes):
    """IDTP of the best pairing of people and tracks over the whole sequence, and the numbers of true and found boxes."""
    common = np.zeros(sizes)
    for people, tracks, overlap in steps:
        i, j = np.nonzero(overlap >= POSSIBLE)
        common[people[i], tracks[j]] += 1
    return {"IDTP": common[linear_sum_assignment(-common)].sum(), "true": sum(len(step.people) for step in steps),
            "found": sum(len(step.tracks) for step in steps)}


def _higher_order(steps, sizes):
    """For each threshold TP, FN, FP and the association scores of TP summed; pairs that go together over the whole sequence come first."""
    affinity, lengths = np.zeros(sizes), [np.zeros(size) for size in sizes]
    for people, tracks, overlap in steps:
        lengths[0][people] += 1
        lengths[1][tracks] += 1
        affinity[np.ix_(people, tracks)] += overlap / np.maximum(overlap.sum(0) + overlap.sum(1)[:, None] - overlap, TINY)
    total = lengths[0][:, None] + lengths[1]
    alignment = affinity / np.maximum(total - affinity, TINY)
    matches, (tp, fn, fp) = np.zeros((len(THRESHOLDS), *sizes)), np.zeros((3, len(THRESHOLDS)))
    for people, tracks, overlap in steps:
        rows, columns = linear_sum_assignment(-alignment[np.ix_(people, tracks)] * overlap)
        hits = overlap[rows, columns] >= THRESHOLDS[:, None] - TINY
        tp += hits.sum(1)
        fn += len(people) - hits.sum(1)
        fp += len(tracks) - hits.sum(1)
        matches[:, people[rows], tracks[columns]] += hits
    return {"h_tp": tp, "h_fn": fn, "h_fp": fp, "h_association": (matches**2 / np.maximum(total - matches, 1)).sum((1, 2))}


def sequences(gt, tracks):
    """{name: (true rows, track rows)} of two files or folders. Raises InputError for a sequence without tracks and where nothing is found."""
    if gt.is_file():
        return {gt.stem: (_true(gt), mot.read(tracks / gt.name if tracks.is_dir() else tracks))}
    files = {path.parts[-3]: path for path in sorted(gt.glob("*/gt/gt.txt"))} or {path.stem: path for path in sorted(gt.glob("*.txt"))}
    if not files:
        raise InputError(f"no truth in {gt}: expected a file, or <sequence>/gt/gt.txt or <sequence>.txt in a folder")
    missing = [name for name in files if not (tracks / f"{name}.txt").is_file()]
    if missing:
        raise InputError(f"no tracks of {', '.join(missing)} in {tracks}: expected <sequence>.txt")
    return {name: (_true(path), mot.read(tracks / f"{name}.txt")) for name, path in files.items()}


def _true(path):
    rows = mot.read(path)
    return rows[rows[:, 6] != 0]


def evaluate(gt, tracks):
    """{sequence: figures} and, under "all", those of the summed counts. Raises InputError."""
    counts = {}
    for name, pair in sequences(pathlib.Path(gt), pathlib.Path(tracks)).items():
        try:
            counts[name] = measure(*pair)
        except ValueError as error:
            raise InputError(f"{name}: {error}") from error
    total = {key: sum(c[key] for c in counts.values()) for key in next(iter(counts.values()))}
    return {name: summary(c) for name, c in (counts | {"all": total}).items()}


def table(figures):
    """The figures {name: figures} as text, a line each."""
    names = (*PERCENT, *COUNTS, "people")
    lines = [f"{'':24s}" + "".join(f"{name:>8s}" for name in names)]
    lines += [f"{name:24s}" + "".join(f"{row[key]:8.1f}" if key in PERCENT else f"{row[key]:8d}" for key in names) for name, row in figures.items()]
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.evaluate mot", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gt", type=pathlib.Path, required=True)
    parser.add_argument("--tracks", type=pathlib.Path, required=True)
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    options = parser.parse_args(argv)
    figures = evaluate(options.gt, options.tracks)
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
