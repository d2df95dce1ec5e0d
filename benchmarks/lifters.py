"""Speed of the lifters: milliseconds for 1,000 frames of a track, by windows and as a whole sequence.

    python -m benchmarks.lifters [--frames N] [--device cpu] [--half] [--busy] [--lifter SPEC ...]

Without --lifter: the bundled ones, and the published networks in their authors' sizes with random weights (their speed is that of the real ones),
all with the average over the mirror image that is their default. `window` lifts every frame from its window, 32 windows at once; `alone` one window
at a time, as a live view of one person does; `stream` frame by frame, where a lifter keeps what it has computed; `sequence` the track at once.
--busy counts the processor's time instead of the clock's, for a CPU that others use too.
"""

import argparse
import sys
import tempfile
import time

import numpy as np
import torch

from core import parts
from core.networks import pick_device
from core.records import Camera
from lifters._published import window_index
from tests.checkpoints import full_size

CAMERA = Camera.from_fov(1280, 720)
BATCH = 32  # windows


def track(skeleton, frames):
    """Points (T, J, 2) px and scores (T, J) of a cloud of joints that wobbles."""
    random = np.random.default_rng(0)
    rest, phase = random.uniform([540, 160], [740, 560], (len(skeleton), 2)), random.uniform(0, 6, (len(skeleton), 2))
    return (rest + 10 * np.sin(np.arange(frames)[:, None, None] / 8 + phase)).astype(np.float32), np.full((frames, len(skeleton)), 0.9, np.float32)


def timed(work, frames, device, clock, rounds=2):
    """Milliseconds for 1,000 frames: the best of some rounds after one to warm up."""
    work()
    return min(_seconds(work, device, clock) for _ in range(rounds)) * 1e6 / frames


def _seconds(work, device, clock):
    _wait(device)
    start = clock()
    work()
    _wait(device)
    return clock() - start


def _wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measured(lifter, frames, device, clock):
    """{way: ms} of a lifter."""
    points, scores = track(lifter.skeleton_in, frames)
    windows = np.concatenate([points, scores[..., None]], -1)[window_index(frames, lifter.receptive_field, lifter.causal)[:BATCH]]
    few = windows[:4]
    ways = {"window": (lambda: lifter(windows, [CAMERA] * len(windows)), len(windows)),
            "alone": (lambda: [lifter(window[None], [CAMERA]) for window in few], len(few)),
            "sequence": (lambda: lifter.sequence(points, scores, CAMERA), frames)}
    if hasattr(lifter, "stream"):
        stream = lifter.stream(CAMERA)
        ways["stream"] = lambda: [stream.step(points[i], scores[i]) for i in range(16)], 16
    return {way: timed(*job, device, clock) for way, job in ways.items()}


def main(argv=None):
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--frames", type=int, default=1000, help="of the track (1000)")
    arguments.add_argument("--device", default="auto")
    arguments.add_argument("--half", action="store_true", help="half precision, on a GPU")
    arguments.add_argument("--busy", action="store_true", help="the processor's time, on a CPU with others' work; all threads together")
    arguments.add_argument("--lifter", action="append", metavar="SPEC", help="instead of all; may be repeated")
    options = arguments.parse_args(argv)
    device = pick_device(options.device)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, {torch.get_num_threads()} threads"
    print(f"ms for 1,000 track-frames; {where}{', half precision' if options.half else ''}; track of {options.frames} frames")
    print(f"{'lifter':28}{'frames':>7}{'window':>10}{'alone':>10}{'stream':>10}{'sequence':>10}")
    with tempfile.TemporaryDirectory() as folder:
        specs = {spec: spec for spec in options.lifter or ()} or {
            "tcn": "bundled, centred", "tcn:weights=lifter-tcn27-causal": "bundled, causal", **full_size(folder)}
        for spec, name in specs.items():
            lifter = parts.make("lifter", spec, device=options.device, half=options.half)
            found = measured(lifter, options.frames, device, time.process_time if options.busy else time.perf_counter)
            cells = "".join(f"{found[way]:10.0f}" if way in found else f"{'-':>10}" for way in ("window", "alone", "stream", "sequence"))
            print(f"{name:28}{lifter.receptive_field:7}{cells}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
