"""Which system a checkpoint belongs to: the published key lists, networks of every class with random weights, ONNX files, and what is unknown."""

import json
import pathlib
import shlex
from importlib.util import find_spec

import pytest
import torch
from torch import nn

import weights
from core import parts
from core.skeletons import H36M17
from lifters._tcn import TemporalModel
from weights.__main__ import main
from weights._files import FOLDER
from weights._recognise import recognise, recognise_onnx

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "shared" / "fixtures"

# Fixture, network in it, and of what is found: the system, words among the facts, the options to run it with.
PUBLISHED = [
    ("vp3d_fullsize_keys", "arc_3,3,3,3,3_ch1024_17to17", "VideoPose3D: lifter", "arc 3,3,3,3,3: 243 frames; 1024 channels|of 17 joints, gives 17",
     "--lifter tcn:weights=FILE,arc=3,3,3,3,3,input=coco17"),
    ("vp3d_fullsize_keys", "arc_3,3,3_ch1024_humaneva15_cocoin_17to15", "VideoPose3D: lifter", "27 frames|17 joints, gives 15",
     "--lifter tcn:weights=FILE,arc=3,3,3,input=coco17"),
    ("vp3d_fullsize_keys", "traj_arc_3,3,3,3,3_17to1", "VideoPose3D: trajectory", "gives 1|beside a lifter", ""),
    ("anatomy3d_fullsize_keys", "arc_3,3,3,3,3", "Anatomy3D", "243 frames; 1024 channels|17 joints|no file tells",
     "--lifter anatomy:weights=FILE,arc=3,3,3,3,3"),
    ("anatomy3d_fullsize_keys", "arc_3,3,3,3", "Anatomy3D", "81 frames", "--lifter anatomy:weights=FILE,arc=3,3,3,3"),
    ("rie_fullsize_keys", "stage1_ch256_lfd256", "Pose3D-RIE", "256 channels; latent_features_dim 256|stage 1|17 joints|no causal form",
     "--lifter rie:weights=FILE,stage=1,latent_features_dim=256"),
    ("rie_fullsize_keys", "stage2_ch256_lfd256", "Pose3D-RIE", "stage 2 or 3", "--lifter rie:weights=FILE,stage=3,latent_features_dim=256"),
    ("rie_fullsize_keys", "stage3_ch256_lfd512", "Pose3D-RIE", "features_dim 512", "--lifter rie:weights=FILE,stage=3,latent_features_dim=512"),
    ("gcn_linear_senet_fullsize_keys", "semgcn128_l4", "SemGCN", "16 joints, 2 numbers each, 128 hidden, 4 residual blocks, without non-local",
     "--lifter semgcn:weights=FILE"),
    ("gcn_linear_senet_fullsize_keys", "semgcn128_l4_nonlocal", "SemGCN", "with non-local", "--lifter semgcn:weights=FILE"),
    ("gcn_linear_senet_fullsize_keys", "pose_se_gcn128_l4", "refiner: upper branch", "17 joints, 3 numbers each",
     "--pose senet:weights=SENET,refine=FILE,LOWER --lifter none"),
    ("gcn_linear_senet_fullsize_keys", "martinez_linear1024", "Martinez", "32 numbers in, 48 out, 1024 hidden, 2 residual stages",
     "--lifter linear:weights=FILE"),
    ("gcn_linear_senet_fullsize_keys", "pose_se_linear1024", "refiner: lower branch", "48 numbers in, 48 out",
     "--pose senet:weights=SENET,refine=UPPER,FILE --lifter none"),
    ("gcn_linear_senet_fullsize_keys", "pose_se_refinenet2048", "refiner: lower branch in two steps", "48 numbers in and out, 2048 hidden",
     "--pose senet:weights=SENET,refine=UPPER,FILE --lifter none"),
    ("gcn_linear_senet_fullsize_keys", "poseSEnet_ResNeXt50", "SENet", "SE-ResNeXt-50, 17 joints", "--pose senet:weights=FILE --lifter none"),
    ("gcn_linear_senet_fullsize_keys", "poseSEnet_ResNet50", "SENet", "SE-ResNet-50, 17 joints", "--pose senet:weights=FILE --lifter none"),
    ("gcn_linear_senet_fullsize_keys", "poseSEnet_ResNeXt101", "SENet", "SE-ResNeXt-101", "--pose senet:weights=FILE --lifter none"),
    ("mppe_fullsize_keys", "posenet_resnet50_J18", "PoseNet", "ResNet-50, 18 joints", "--pose posenet:weights=FILE,root=ROOTNET --lifter none"),
    ("mppe_fullsize_keys", "posenet_resnet50_J21", "PoseNet", "21 joints", "--pose posenet:weights=FILE,root=ROOTNET --lifter none"),
    ("mppe_fullsize_keys", "rootnet_resnet50", "RootNet", "ResNet-50", "--pose rootnet:weights=FILE,of=body21"),
    pytest.param("centernet_dla34_keys", "keys", "CenterNet: DLA-34 with", "80 classes", "--detector centernet:arch=dla34,weights=FILE",
                 marks=pytest.mark.skipif(not find_spec("detectors._dla"), reason="detectors._dla is not there")),
    ("reid_net_keys", "shapes", "centerNet-deep-sort", "512 numbers a person, learned from 751 people", "--tracker deepsort:embedder=FILE"),
]


def check(found, system, facts, run):
    assert system in found.system and all(words in "; ".join(found.facts) for words in facts.split("|")) and found.run == run, found
    words = shlex.split(found.run)
    for option, spec in zip(words[::2], words[1::2], strict=True):
        kind = option.removeprefix("--")
        if parts.parse(spec)[0] in parts.names(kind):
            parts.check(kind, spec)  # the options exist


@pytest.mark.shared
@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the data folder beside the repository is not there")
@pytest.mark.parametrize(("file", "name", "system", "facts", "run"), PUBLISHED, ids=lambda value: value[:30])
def test_the_published_networks(file, name, system, facts, run):
    content = json.loads((FIXTURES / f"{file}.json").read_text())[name]
    shapes = content.get("shapes") or content.get("keys") or content
    check(recognise({key.removeprefix("module."): shape for key, shape in shapes.items() if isinstance(shape, list)}), system, facts, run)


@pytest.mark.parametrize(("network", "facts", "run"), [
    (TemporalModel((3, 3, 3), 8), "arc 3,3,3: 27 frames; 8 channels|x, y of 17 joints, gives 17|no file tells", "arc=3,3,3,input=coco17"),
    (TemporalModel((3, 5), 8, features_in=3), "arc 3,5: 15 frames|x, y, score of 17 joints", "arc=3,5,input=coco17"),
    (TemporalModel((3, 3, 3), 8, dense=True), "arc 3,3,3, dense: 27 frames", "arc=3,3,3,input=coco17"),
    (TemporalModel((3,), 8, joints_in=15, joints_out=15), "arc 3: 3 frames|15 joints, gives 15", "arc=3,input=humaneva15")])
def test_temporal_networks_of_any_size(network, facts, run):
    found = recognise(network.state_dict())
    assert found.system == "VideoPose3D: lifter" and all(words in "; ".join(found.facts) for words in facts.split("|"))
    assert found.run == f"--lifter tcn:weights=FILE,{run}"


def built(module, make):
    return make(pytest.importorskip(module, reason=f"{module} is not there"))


@pytest.mark.parametrize(("module", "make", "system"), [
    ("lifters._anatomy", lambda m: m.AnatomyModel(m.bones(H36M17) if hasattr(m, "bones") else [(0, 1)] * 16, 17, 3, 8), "Anatomy3D: lifter"),
    ("lifters._rie", lambda m: m.RieModel(H36M17, (3, 3), 8, 8, 3, 8), "Pose3D-RIE: lifter"),
    ("core.graph_networks", lambda m: m.SemGCN((-1, 0, 1), channels=8, blocks=2), "SemGCN: lifter of single frames"),
    ("core.graph_networks", lambda m: m.LinearModel(size=8), "Martinez et al.: linear lifter of single frames"),
    ("core.graph_networks", lambda m: m.LinearModel(48, 48, size=8), "the fifth system's refiner: lower branch"),
    ("poses._refine", lambda m: m.RefineNet(size=8), "the fifth system's refiner: lower branch in two steps"),
    ("poses._posenet", lambda m: m.PoseNet(18, 8, planes=(4, 4, 4, 4), stem=4), "3DMPPE: PoseNet"),
    ("poses._posenet", lambda m: m.RootNet(8, planes=(4, 4, 4, 4), stem=4), "3DMPPE: RootNet"),
    ("poses._senet", lambda m: m.SENet(17), "the fifth system's pose network (SENet)"),
    ("detectors._dla", lambda m: m.DLA34(), "CenterNet: DLA-34 with deformable convolutions"),
    ("trackers._reid", lambda m: m.ReIdNet(), "centerNet-deep-sort: appearance network")])
def test_our_own_classes_have_the_published_names(module, make, system):
    assert recognise(built(module, make).state_dict()).system == system


@pytest.mark.parametrize(("file", "system"), [
    ("detector-centernet", "ours: person detector"), ("pose-body21", "ours: pose network"), ("lifter-tcn81", "ours: lifter of view rays")])
def test_the_bundled_files(file, system, capsys):
    path = FOLDER / f"{file}.safetensors"
    found = recognise(*weights.load(path))
    assert found.system == system
    check(found, system, "", found.run)
    assert main(["info", file]) == 0
    text = capsys.readouterr().out
    assert f"{file}: " in text and "licence: Apache-2.0" in text and f"run: python viz.py --video in.mp4 --output out.mp4 {found.run}".replace(
        "FILE", str(path)) in text


def test_a_checkpoint_with_both_networks_and_a_quoted_path(tmp_path, capsys):
    file = tmp_path / "my model.bin"
    networks = {"model_pos": TemporalModel((3, 3), 8).state_dict(), "model_traj": TemporalModel((3, 3), 8, joints_out=1).state_dict()}
    torch.save({"epoch": 80, **networks}, file)
    assert main(["info", str(file)]) == 0
    text = capsys.readouterr().out
    assert "VideoPose3D: lifter" in text and "second network for the root's trajectory" in text and "no file tells" in text
    assert shlex.split(text.partition("run: ")[2].partition("\n")[0])[-1] == f"tcn:weights={file},arc=3,3,input=coco17"


def test_what_is_not_known_is_said(tmp_path, capsys):
    torch.save(nn.Linear(2, 3).state_dict(), tmp_path / "x.pth")
    assert recognise({}) is None and main(["info", str(tmp_path / "x.pth")]) == 0
    assert "of none of the systems that are known here" in capsys.readouterr().out
    (tmp_path / "mars-small128.pb").write_bytes(b"graph")
    assert main(["info", str(tmp_path / "mars-small128.pb")]) == 0
    text = capsys.readouterr().out
    assert "a graph of TensorFlow, which no part here runs" in text and "has the name of deepsort-mars-small128" in text and "GPL-3.0" in text
    (tmp_path / "broken.pth").write_bytes(b"nothing")
    assert main(["info", str(tmp_path / "broken.pth")]) == 2 and "cannot be read" in capsys.readouterr().err


def test_onnx_files(tmp_path, capsys):
    files = pytest.importorskip("tests.onnx_files")
    for make, system, run in ((files.yolox, "YOLOX", "--detector onnx:file=FILE"), (files.rtmdet, "RTMDet", "--detector onnx:file=FILE"),
                              (files.suppressed, "suppression inside", "--detector onnx:file=FILE,decoder=rtmdet"),
                              (files.heatmaps, "heat maps, 17 joints", "--pose onnx:file=FILE"), (files.simcc, "SimCC", "--pose onnx:file=FILE")):
        path = make(tmp_path / f"{make.__name__}.onnx")
        check(recognise_onnx(path), system, "input 64x64|outputs" if make in (files.yolox, files.rtmdet, files.suppressed) else "outputs", run)
        assert main(["info", str(path)]) == 0 and str(path) in capsys.readouterr().out.partition("run: ")[2]
    (tmp_path / "bad.onnx").write_bytes(b"x")
    assert main(["info", str(tmp_path / "bad.onnx")]) == 2 and "cannot be read as an ONNX network" in capsys.readouterr().err
