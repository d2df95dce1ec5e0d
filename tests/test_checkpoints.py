"""Reading and writing weights: checkpoints of every age, damaged and malicious files, the strict fit."""

import json
import pathlib
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import weights
from core.errors import InputError

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared" / "fixtures"


class Pickled:
    """Pickles as what a numpy of another age wrote for a RandomState."""

    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return self.parts


def generators():
    state = np.random.RandomState(1).get_state(legacy=False)
    yield "numpy 2", np.random.RandomState(1)
    yield "numpy 1.17", Pickled(np.random._pickle.__randomstate_ctor, ("MT19937",), state)
    yield "numpy 1.15", Pickled(getattr(np.random, "__RandomState_ctor"), (), np.random.RandomState(1).get_state())


@pytest.mark.parametrize(("age", "generator"), list(generators()), ids=str)
@pytest.mark.parametrize("zipped", [True, False])
def test_an_official_checkpoint_with_a_pickled_generator(tmp_path, age, generator, zipped):
    file = tmp_path / "official.bin"
    content = {"epoch": 80, "lr": np.float64(1e-3), "random_state": generator, "optimizer": {"state": {0: {"step": 7}}},
               "model_pos": {"module.expand_conv.weight": torch.ones(2, 3, 1, dtype=torch.float16), "n": torch.tensor(3)}, "model_traj": None}
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    if not zipped:  # numpy 1 called its core by another name
        file.write_bytes(file.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    state, header = weights.load(file)
    assert set(state) == {"expand_conv.weight", "n"}
    assert state["expand_conv.weight"].dtype == torch.float32 and state["n"].dtype == torch.int64
    assert header["epoch"] == "80" and header["parts"] == "model_pos" and weights.parts(file) == ("model_pos",)
    with pytest.raises(InputError, match="no model_traj"):
        weights.load(file, "model_traj")


def test_two_networks_in_one_checkpoint(tmp_path):
    file = tmp_path / "both.bin"
    torch.save({"model_pos": {"a": torch.zeros(1)}, "model_traj": {"b": torch.ones(1)}}, file)
    assert list(weights.load(file)[0]) == ["a"] and list(weights.load(file, "model_traj")[0]) == ["b"]
    assert weights.parts(file) == ("model_pos", "model_traj")


@pytest.mark.parametrize("key", ["state_dict", "network", "net_dict"])
def test_other_systems_checkpoints(tmp_path, key):
    file = tmp_path / "snapshot.pth.tar"
    torch.save({"epoch": 3, "optimizer": {"state": {}}, key: {"module.a": torch.ones(2)}}, file)
    assert weights.load(file)[0]["a"].tolist() == [1, 1]


def test_a_bare_state_dict(tmp_path):
    file = tmp_path / "bare.pth"
    torch.save(nn.Linear(2, 3).state_dict(), file)
    assert list(weights.load(file)[0]) == ["weight", "bias"] and weights.parts(file) == ()


class Evil:
    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path("executed"),)


def test_nothing_in_a_file_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": torch.ones(1)}, "x": Evil()}, "evil.pth")
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        weights.load("evil.pth")
    assert not pathlib.Path("executed").exists()


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
@pytest.mark.parametrize("content", [b"", b"short", pickle.dumps([1, 2], 2), b"PK\x03\x04" + bytes(100)], ids=["empty", "text", "list", "zip"])
def test_damaged_files_are_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name) as caught:
        weights.load(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_no_file():
    with pytest.raises(InputError, match="no weights file"):
        weights.load("none.pth")


def test_save_and_load_keep_the_statistics_in_full(tmp_path):
    net, file = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), tmp_path / "a.safetensors"
    net[1].running_var.fill_(1 / 3)
    weights.save(file, net.state_dict(), {"channels": 96})
    state, header = weights.load(file)
    assert header == {"channels": "96"} and torch.equal(state["1.running_var"], net[1].running_var)
    assert torch.equal(state["0.weight"], net[0].weight.half().float()) and state["0.weight"].dtype == torch.float32
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_load_strict_lists_what_is_odd():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    state = net.state_dict()
    del state["1.num_batches_tracked"]
    assert weights.load_strict(net, state, "ok") is net
    state["0.weight"] = torch.zeros(3, 4)
    state["extra"] = state.pop("0.bias")
    with pytest.raises(InputError, match=r"1 \(0.bias\) missing; 1 \(extra\) unknown; 1 \(0.weight \(3, 4\) for \(3, 2\)\) of another shape"):
        weights.load_strict(net, state, "odd")


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the data folder beside the repository is not there")
def test_a_full_size_checkpoint_of_videopose3d_loads(tmp_path):
    system = json.loads((SHARED / "vp3d_fullsize_keys.json").read_text())["arc_3,3,3,3,3_ch1024_17to17"]
    tensors = {key: torch.zeros(shape, dtype=torch.int64 if not shape else torch.float32) for key, shape in system["shapes"].items()}
    torch.save({"epoch": 80, "lr": 1e-5, "random_state": np.random.RandomState(1234), "model_pos": tensors, "model_traj": None}, tmp_path / "a.bin")
    assert {key: list(value.shape) for key, value in weights.load(tmp_path / "a.bin")[0].items()} == system["shapes"]
