"""Many machines: a folder run on a Ray cluster of several processes here, on loopback alone, one node of which is killed in the middle."""

import json
import sys
import threading

import numpy as np
import pytest

from app import export
from app.cli import main
from tests.conftest import person, write_clip
from tests.test_batch import command, files, records, results
from tests.test_offline import assert_equal, wait_for
from tests.test_pieces import matched

FRAMES, SPEED, LEFT = 480, 0.4, 40  # of a long clip: the picture of a person moves so many pixels a frame


def test_without_ray_one_line_says_how_to_get_it(tmp_path, capsys, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*command(tmp_path / "in", tmp_path / "out"), "--engine", "ray"]) == 2
    line = capsys.readouterr().err.strip()
    assert "make ray" in line and "\n" not in line


@pytest.fixture(scope="module")
def cluster():
    """A head without processors and two nodes with one each."""
    pytest.importorskip("ray", reason="Ray is not installed (make ray)")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": 100 << 20})
    made.nodes = [made.add_node(num_cpus=1, object_store_memory=100 << 20) for _ in range(2)]
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    path, at = tmp_path_factory.mktemp("clips"), person(320, 240, 200)
    (path / "sub").mkdir()
    for i in range(6):
        write_clip(path / ("", "sub")[i % 2] / f"clip{i}.mp4", [at(20 + 8 * i + 2 * k) for k in range(30 + i)])
    (path / "zero.mp4").touch()
    return path


def test_a_node_is_killed_and_all_is_as_on_one_machine(cluster, clips, tmp_path, capsys):
    assert main(command(clips, tmp_path / "local")) == 1
    alone = capsys.readouterr().err
    killed = []

    def kill():
        wait_for(lambda: len(records(tmp_path / "ray")) >= 1, 300)
        killed.append(len(records(tmp_path / "ray")))
        cluster.remove_node(cluster.nodes.pop(), allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    assert main([*command(clips, tmp_path / "ray"), "--engine", "ray", "--address", cluster.address]) == 1
    killer.join()
    assert killed[0] < 6, "the node was killed too late to matter"
    assert files(tmp_path / "ray") == files(tmp_path / "local") and capsys.readouterr().err.endswith(alone)
    assert json.loads((tmp_path / "ray" / "summary.json").read_text())["whole"] == 6
    for name, motion in results(tmp_path / "local").items():
        assert_equal(motion, results(tmp_path / "ray")[name])


def test_a_long_clip_in_pieces_is_as_whole(cluster, tmp_path):
    (tmp_path / "in").mkdir()
    at = person(320, 240, 200)
    write_clip(tmp_path / "in" / "long.mp4", (at(LEFT + SPEED * k) for k in range(FRAMES)), fps=20)
    boxes = [f"{k + 1},-1,{LEFT + SPEED * k:.3f},40,148,200,0.9" for k in range(FRAMES)]
    (tmp_path / "boxes.txt").write_text("\n".join(boxes))
    call = ["--detector", f"replay:file={tmp_path}/boxes.txt"]
    assert main([*command(tmp_path / "in", tmp_path / "local"), *call]) == 0
    assert main([*command(tmp_path / "in", tmp_path / "ray"), *call, "--engine", "ray", "--address", cluster.address, "--chunk", "8"]) == 0
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    whole, apart = (export.load(tmp_path / name / "long.npz") for name in ("local", "ray"))
    ((one, other),) = matched(whole, apart).items()
    a, b = whole.tracks[one], apart.tracks[other]
    far = np.abs(a.frames[:, None] - np.array([160, 320])).min(1) > 40
    assert len(a) > 450 and np.abs((a.joints3d + a.root[:, None] - b.joints3d - b.root[:, None])[far]).max() < 1e-3


def test_no_cluster_at_the_address_is_one_line(clips, tmp_path, capsys):
    pytest.importorskip("ray", reason="Ray is not installed (make ray)")
    assert main([*command(clips, tmp_path), "--engine", "ray", "--address", "127.0.0.1:1"]) == 2
    assert "no Ray cluster answers" in capsys.readouterr().err.splitlines()[-1]
