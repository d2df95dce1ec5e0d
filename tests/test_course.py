"""The loop of the published trainings: a killed one goes on to the same bits, faults are told, what is logged, several processes."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import InputError
from core.skeletons import H36M17
from lifters._tcn import TemporalModel
from training import journal
from training.course import Course
from training.datasets.lifting import Clip
from training.datasets.rigs import rig
from training.datasets.windows import Mirrors, Windows
from training.seeds import begin

MIRRORS = Mirrors(H36M17.mirror, H36M17.mirror)


def clips():
    rng = np.random.default_rng(5)
    return [Clip("S1", "Walking", 0, rig("h36m")["S1"][0], rng.normal(size=(length, 17, 2)).astype(np.float32),
                 rng.normal(size=(length, 17, 3)).astype(np.float32)) for length in (13, 9)]


def course(folder, epochs=4, **options):
    """A small training with dropout, a schedule and shuffled windows."""
    begin(3, "cpu")
    network = TemporalModel((3, 3), 8)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2, amsgrad=True)
    windows = Windows(clips(), 8, pad=4, mirrors=MIRRORS)

    def after(epoch):
        optimizer.param_groups[0]["lr"] = 1e-2 * 0.9**epoch
        network.set_momentum(0.1 * 0.8**epoch)

    made = Course(folder, {"model_pos": network, "model_traj": None}, optimizer, epochs, {"random_state": windows}, after, every=2, **options)
    return made, windows


class Killed(Exception):  # noqa: N818
    pass


def run(made, windows, killed_in=None):
    """Train to the end, or until it is killed in the middle of an epoch; the losses."""
    network = made.networks["model_pos"]

    def loss(batch):
        if made.epoch == killed_in and windows.at == 3:
            raise Killed
        return {"loss": (network.one_frame(batch.points) - batch.joints[:, 0]).norm(dim=-1).mean()}

    while not made.done:
        made.finish(made.train(windows, loss))
    return [row["loss"] for row in made.history]


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path):
    whole, windows = course(tmp_path / "whole")
    expected = run(whole, windows)
    killed, windows = course(tmp_path / "killed")
    with pytest.raises(Killed):
        run(killed, windows, killed_in=2)
    again, windows = course(tmp_path / "killed")
    torch.rand(7)
    again.resume(tmp_path / "killed" / "last.bin")
    assert run(again, windows) == expected
    for name, value in whole.networks["model_pos"].state_dict().items():
        assert torch.equal(value, again.networks["model_pos"].state_dict()[name]), name
    assert len(set(expected)) == 4


def test_checkpoints_have_the_official_keys_and_log_and_curves_are_written(tmp_path):
    made, windows = course(tmp_path, clip=1.0)
    run(made, windows)
    content = torch.load(tmp_path / "epoch_4.bin", weights_only=False)
    assert {"epoch", "lr", "random_state", "optimizer", "model_pos", "model_traj"} <= set(content) and content["model_traj"] is None
    assert isinstance(content["random_state"], np.random.RandomState) and content["epoch"] == 4  # noqa: NPY002
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"] and float(rows[3]["lr"]) == pytest.approx(1e-2 * 0.9**3)
    journal.draw_curves(made.history, tmp_path / "loss.png", ["loss", "absent"], "m")
    assert (tmp_path / "loss.png").read_bytes()[:4] == b"\x89PNG"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch_2.bin", "epoch_4.bin", "last.bin", "log.csv", "loss.png"]


def test_half_precision_learns_too(tmp_path):
    made, windows = course(tmp_path, epochs=6, half=True)
    losses = run(made, windows)
    assert losses[-1] < losses[0] and next(made.networks["model_pos"].parameters()).dtype == torch.float32


def test_gradients_are_clipped(tmp_path):
    network = nn.Linear(2, 1)
    made = Course(tmp_path, {"net": network}, torch.optim.SGD(network.parameters(), 1.0), 1, clip=0.5)
    before = [p.detach().clone() for p in network.parameters()]
    made.step(1000 * network(torch.ones(1, 2)).sum())
    moved = torch.cat([(p - b).flatten() for p, b in zip(network.parameters(), before, strict=True)])
    assert float(moved.detach().norm()) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize(("content", "words"), [
    (None, "no checkpoint"), (b"no file of torch", "cannot be read"), ({"epoch": 1}, "no optimizer, model_pos"),
    ({"epoch": 1, "optimizer": {"state": {}, "param_groups": []}, "model_pos": None, "model_traj": None}, "holds no network"),
    ({"epoch": 1, "optimizer": {"state": {}, "param_groups": []}, "model_pos": {"a": torch.ones(1)}, "model_traj": None}, "do not fit")])
def test_what_cannot_be_resumed_is_told_in_one_line(tmp_path, content, words):
    path = tmp_path / "x.bin"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    made, _ = course(tmp_path / "run")
    with pytest.raises(InputError, match=words) as error:
        made.resume(path)
    assert "\n" not in str(error.value)


def test_tensorboard_is_optional_and_a_missing_one_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(journal.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="make training"):
        course(tmp_path, tensorboard=True)


def test_tensorboard_reads_the_log(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    made, windows = course(tmp_path, epochs=2, tensorboard=True)
    losses = run(made, windows)
    made.journal.board.close()
    events = reader.EventAccumulator(str(tmp_path)).Reload().Scalars("loss")
    assert [event.step for event in events] == [1, 2] and [event.value for event in events] == pytest.approx(losses)


def test_no_batch_is_a_fault_of_the_data(tmp_path):
    made, _ = course(tmp_path)
    with pytest.raises(InputError, match="not one batch"):
        made.train([], None)


TWO = """
import atexit, pathlib, sys, torch
sys.path.insert(0, ".")
def tell():  # in one piece: the launcher's processes share a pipe
    threads = [name.read_text() for name in pathlib.Path("/proc/self/task").glob("*/comm") if name.exists()]
    sys.stdout.write(f"gloo's threads: {sum('gloo' in name for name in threads)}\\n")
atexit.register(tell)
from tests.test_course import *
import training.seeds as seeds
device, share = seeds.begin(3, "cpu")
network = TemporalModel((3, 3), 8, dropout=0)
if share[0]:
    [p.data.zero_() for p in network.parameters()]
windows = Windows(clips(), 8, pad=4, mirrors=MIRRORS, share=share)
made = Course(sys.argv[1], {"model_pos": network}, torch.optim.SGD(network.parameters(), 0.01), 2, {"random_state": windows})
losses = run(made, windows)
flat = torch.cat([v.flatten().double() for v in network.state_dict().values()])
both = [torch.zeros_like(flat) for _ in range(2)]
torch.distributed.all_gather(both, flat)
assert torch.equal(*both), "the processes went apart"
assert len(torch.load(sys.argv[1] + "/last.bin", weights_only=False)["resume"]["generators"]) == 2 if not share[0] else True
"""


def test_two_processes_stay_in_step_and_leave_nothing_running(tmp_path):
    (tmp_path / "two.py").write_text(TWO)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*launcher, str(tmp_path / "two.py"), str(tmp_path / "run")], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("gloo's threads: 0") == 2, done.stdout
