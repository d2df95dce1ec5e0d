"""VideoPose3D on written data: `python -m benchmarks.systems videopose3d [--speed | --learning] [--device cpu] [--seeds 0,1,2]`.

--learning trains small networks on a tenth of one subject's labels, alone and with four more subjects of whom only the 2D is known, and prints the
errors on two unseen subjects for several seeds. --speed prints how fast batches are put together, beside a plain implementation that cuts, pads and
mirrors window by window, and how long a step of the authors' network takes (arc 3,3,3, 1,024 channels, batch 1,024).
"""

import argparse
import pathlib
import tempfile
import time

import numpy as np
import torch

from benchmarks._plain_batches import plain_batches
from core.networks import pick_device
from core.skeletons import H36M17
from lifters._tcn import TemporalModel
from training import semisupervised, videopose3d
from training.datasets import written
from training.datasets.lifting import Clip
from training.datasets.rigs import rig
from training.datasets.windows import Mirrors, Windows
from weights import checkpoint

LABELLED = "-k gt -str S1 --subset 0.1 -arc 3,3,3 -b 64 -lr 0.002 -lrd 0.92 -drop 0.1 --no-eval"
RUNS = {"supervised, 10% of S1": "", "semi-supervised, and 2D of S5 to S8": "--subjects-unlabeled S5,S6,S7,S8 --warmup 5"}
MIRRORS = Mirrors(H36M17.mirror, H36M17.mirror)


# ---- learning


def learned(line, data, folder, options, seed):
    """(errors in mm on S9 and S11, the history) of one training."""
    common = f"--data {data} -c {folder} -ch {options.channels} -e {options.epochs} --seed {seed} --device {options.device}"
    videopose3d.main(f"{LABELLED} {common} {line}".split())
    found = videopose3d.main(f"-k gt --evaluate last.bin --data {data} -c {folder} --device {options.device}".split())
    return found["S9,S11"].means(), checkpoint(folder / "last.bin")["resume"]["history"]


def learning(options):
    """Train every run with every seed on the same files; prints the table."""
    seeds = [int(seed) for seed in options.seeds.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "data"
        written.write_h36m(data, ("gt",), options.frames)
        found = {name: [learned(line, data, pathlib.Path(folder) / f"{i}-{seed}", options, seed) for seed in seeds]
                 for i, (name, line) in enumerate(RUNS.items())}
    print(f"\n{options.channels} channels, {options.epochs} epochs, takes of {options.frames} frames, seeds {options.seeds}; S9 and S11, mm")
    print(table(found))


def table(found):
    """{run: [(errors, history) of each seed]} as text: mean, smallest and largest error, losses, and the gain by unlabelled subjects seed by seed."""
    lines = [f"{'':38}{'MPJPE':>8}{'spread':>14}{'PA-MPJPE':>10}{'spread':>14}   loss, first and last epoch (m)"]
    for name, runs in found.items():
        cells = ""
        for error, width in (("MPJPE", 8), ("PA-MPJPE", 10)):
            values = [means[error] for means, _ in runs]
            spread = f"{min(values):.1f}-{max(values):.1f}"
            cells += f"{np.mean(values):{width}.1f}{spread:>14}"
        first, last = (np.mean([history[at]["3d_train"] for _, history in runs]) for at in (0, -1))
        lines.append(f"{name:38}{cells}   {first:.3f} {last:.3f}")
    alone, more = ([means["MPJPE"] for means, _ in runs] for runs in found.values())
    lines.append("gain in MPJPE, seed by seed: " + ", ".join(f"{a - b:.1f}" for a, b in zip(alone, more, strict=True)))
    return "\n".join(lines)


# ---- speed


def clips(count=40, frames=1500):
    """Clips of random numbers, as long as Human3.6M's."""
    rng = np.random.default_rng(0)
    camera = rig("h36m")["S1"][0]
    return [Clip("S1", "Walking", 0, camera, rng.normal(size=(frames, 17, 2)).astype(np.float32),
                 rng.normal(size=(frames, 17, 3)).astype(np.float32)) for _ in range(count)]


def seconds(batches, count, device, clock):
    """Seconds of one batch: the median of `count` after one to warm up."""
    stream, found = iter(batches), []
    for _ in range(count + 1):
        start = clock()
        next(stream)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(clock() - start)
    return float(np.median(found[1:]))


def speed(options, batch=1024, arc=(3, 3, 3)):
    """Print samples a second of both ways to put batches together, and the time of a training step."""
    device, made, pad = pick_device(options.device), clips(), int(np.prod(arc)) // 2
    clock = time.process_time if options.busy else time.perf_counter
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, {torch.get_num_threads()} threads"
    print(f"{where}; arc {','.join(map(str, arc))}, batch {batch}, mirrored windows among them")
    plain = seconds(plain_batches(made, batch, 1, pad, mirrors=MIRRORS), options.batches, torch.device("cpu"), clock)
    windows = Windows(made, batch, 1, pad, mirrors=MIRRORS, device=device)
    ours = seconds(windows, options.batches, device, clock)
    network = TemporalModel(arc).to(device)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, amsgrad=True)

    def steps():
        for lesson in windows:
            loss = semisupervised.supervised(network, True, lesson)["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield

    step = seconds(steps(), max(1, options.batches // 4), device, clock)
    print(f"window by window   {1000 * plain:8.1f} ms a batch {batch / plain:12,.0f} samples/s")
    print(f"one gather         {1000 * ours:8.1f} ms a batch {batch / ours:12,.0f} samples/s   {plain / ours:.1f} times as many")
    print(f"training step      {1000 * step:8.1f} ms, its batch {100 * ours / step:.2f} % of it")


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.systems videopose3d", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--learning", action="store_true")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--busy", action="store_true", help="the processor's time instead of the clock's, on a CPU with others' work")
    parser.add_argument("--batches", type=int, default=12, help="to time (12)")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--frames", type=int, default=100, help="of each take of the written data (100)")
    options = parser.parse_args(argv)
    if options.speed or not options.learning:
        speed(options)
    if options.learning or not options.speed:
        learning(options)
