"""The trainers and evaluations of 3DMPPE and of the fifth system: each command line of their authors, its program replaced, on drawn people.

What is added to a line makes the network and the run small; what it leaves out has the authors' defaults.
"""

import json
import pathlib
import shutil

import cv2
import numpy as np
import pytest
import torch
import yaml
from scipy.io import loadmat

from core.errors import InputError
from core.skeletons import H36M17, H36M18
from poses import posenet as posenet_part
from poses import senet as senet_part
from training import mppe, posenet, refiner, rootnet, senet, senet_config
from training.datasets import mppe as files
from training.evaluation import demo
from training.evaluation import posenet as posenet_test
from training.evaluation import refiner as refiner_test
from training.evaluation import rootnet as rootnet_test
from training.evaluation import senet as senet_test

SMALL = ["--width", "4", "--resnet_type", "14", "--input_size", "64", "--batch_size", "16"]


@pytest.fixture(scope="module")
def places(picture_sets, tmp_path_factory):
    """The flags that say where data and outputs are."""
    return ["--data", str(picture_sets), "--output", str(tmp_path_factory.mktemp("out") / "output")]


@pytest.fixture(scope="module")
def posenet_run(places):
    """The authors' `python train.py --gpu 0-1`, an epoch of it; its output folder."""
    posenet.main([*["--gpu", "0-1"], *SMALL, *places, "--end_epoch", "1"])
    return pathlib.Path(places[-1])


@pytest.fixture(scope="module")
def muco_run(places):
    """PoseNet and RootNet of MuCo's joints after an epoch; the folder of their outputs."""
    for name, trainer in (("posenet", posenet), ("rootnet", rootnet)):
        trainer.main([*SMALL, *places[:-1], f"{places[-1]}-{name}", "--trainset_3d", "MuCo", "--trainset_2d", "MSCOCO", "--end_epoch", "1"])
    return pathlib.Path(places[-1]).parent


# ---- 3DMPPE


def test_defaults_are_the_authors():
    pose, root = (mppe.parser("x", "", *each).parse_args(["--gpu", "0-1"]) for each in ((25, "17,21"), (20, "17")))
    assert (pose.batch_size, pose.lr, pose.end_epoch, pose.resnet_type, pose.input_size, pose.trainset_3d, pose.trainset_2d) == (
        32, 1e-3, 25, 50, 256, "Human36M", "MPII")
    assert [mppe.rate_at(epoch, pose) for epoch in (0, 16, 17, 20, 21, 24)] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])
    assert [mppe.rate_at(epoch, root) for epoch in (16, 17, 19)] == pytest.approx([1e-3, 1e-4, 1e-4])
    assert mppe.gpus("0-1") == mppe.gpus("0,1") == [0, 1] and mppe.gpus("3") == [3]


def test_train_py_gpu_0_1(posenet_run):
    assert {each.name for each in posenet_run.iterdir()} == {"log", "model_dump", "result", "vis"}
    state = torch.load(posenet_run / "model_dump" / "snapshot_0.pth.tar", weights_only=True)
    assert state.keys() == {"epoch", "network", "optimizer"} and all(key.startswith("module.") for key in state["network"])
    assert state["network"]["module.head.final_layer.weight"].shape[0] == 18 * 64
    assert (posenet_run / "log" / "log.csv").is_file() and (posenet_run / "log" / "curves.png").is_file()
    assert posenet_part.build(weights=posenet_run / "model_dump" / "snapshot_0.pth.tar", device="cpu").skeleton == H36M18  # the application takes it


def test_train_py_gpu_0_1_continue(posenet_run, places, tmp_path):
    """It goes on to the same weights as a run that was never stopped, from its own state and, as the authors' program, from a snapshot."""
    whole, pieces, foreign = (tmp_path / name for name in ("whole", "pieces", "foreign"))
    flags = [*SMALL, *places[:-1]]
    posenet.main([*["--gpu", "0-1"], *flags, str(whole), "--end_epoch", "2"])
    for folder in (pieces, foreign):
        shutil.copytree(posenet_run, folder)
    (foreign / "log" / "last.bin").unlink()
    for folder in (pieces, foreign):
        posenet.main([*["--gpu", "0-1", "--continue"], *flags, str(folder), "--end_epoch", "2"])
    wanted, *found = (torch.load(folder / "model_dump" / "snapshot_1.pth.tar", weights_only=True)["network"] for folder in (whole, pieces, foreign))
    for state in found:
        assert all(torch.equal(value, state[key]) for key, value in wanted.items())
    losses = [(folder / "log" / "log.csv").read_text().splitlines()[-1].split(",")[-1] for folder in (whole, pieces)]
    assert losses[0] == losses[1]


def test_a_run_killed_within_an_epoch_goes_on_to_the_same_losses(muco_run, places, tmp_path, monkeypatch):
    flags = [*SMALL, *places[:-1], str(tmp_path / "x"), "--trainset_3d", "MuCo", "--trainset_2d", "", "--batch_size", "2", "--end_epoch", "2"]
    course = rootnet.main([*flags, "--output", str(tmp_path / "whole")])
    plain, calls = rootnet.loss, iter(range(100))

    def dies(network, batch):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return plain(network, batch)

    monkeypatch.setattr(rootnet, "loss", dies)
    with pytest.raises(KeyboardInterrupt):
        rootnet.main(flags)
    monkeypatch.setattr(rootnet, "loss", plain)
    again = rootnet.main([*flags, "--continue"])
    assert [row["loss"] for row in again.history] == [row["loss"] for row in course.history]


def test_test_py_gpu_0_1_test_epoch_20(posenet_run, places, capsys):
    dump = posenet_run / "model_dump"
    shutil.copy(dump / "snapshot_0.pth.tar", dump / "snapshot_20.pth.tar")
    for protocol, title in ((2, "protocol 2: MPJPE, 17 joints, subjects S9, S11"), (1, "protocol 1: PA-MPJPE (rigid alignment without scale), 17")):
        posenet_test.main([*["--gpu", "0-1", "--test_epoch", "20"], *places, "--input_size", "64", "--protocol", str(protocol), "--vis", "1"])
        text = capsys.readouterr().out
        assert title in text and "Directions" in text and str(posenet_test.PUBLISHED[protocol, True]) in text
    rows = json.loads((posenet_run / "result" / "bbox_root_pose_human36m_output.json").read_text())
    assert len(rows) == 4 and np.shape(rows[0]["joint_cam"]) == (17, 3) and rows[0].keys() == {"image_id", "joint_cam", "bbox", "root_cam"}
    drawn = list((posenet_run / "vis").glob("*.png"))
    assert len(drawn) == 2 and all(cv2.imread(str(path)).std() > 10 for path in drawn)
    (dump / "snapshot_20.pth.tar").unlink()


def test_demo_py_gpu_0_test_epoch_24(posenet_run, places, picture_sets, tmp_path, monkeypatch):
    shutil.copy(next((picture_sets / "Human36M" / "images").glob("*/*.jpg")), tmp_path / "input.jpg")
    shutil.copy(posenet_run / "model_dump" / "snapshot_0.pth.tar", tmp_path / "snapshot_24.pth.tar")
    (tmp_path / "boxes.json").write_text(json.dumps([{"bbox": [20, 10, 60, 90], "depth": 4000}, {"bbox": [50, 10, 60, 90], "depth": 5000}]))
    monkeypatch.chdir(tmp_path)
    demo.main([*["--gpu", "0", "--test_epoch", "24"], "--input_size", "64", "--boxes", "boxes.json"])
    assert all((tmp_path / f"output_pose_{name}").is_file() for name in ("2d.jpg", "3d.png"))
    with pytest.raises(InputError, match="outside the picture"):  # the authors' boxes are of their picture of 640 x 392
        demo.main([*["--gpu", "0", "--test_epoch", "24"], "--input_size", "64"])


def test_the_way_of_the_whole_system_on_mupots(muco_run, picture_sets, capsys):
    """Boxes of a detector -> RootNet's file -> PoseNet's .mat files and tables."""
    flags = ["--data", str(picture_sets), "--testset", "MuPoTS", "--input_size", "64"]
    rootnet_test.main([*flags, "--output", str(muco_run / "output-rootnet"), "--use_gt_bbox", "false"])
    assert "AP_root" in capsys.readouterr().out
    made = muco_run / "output-rootnet" / "result" / "bbox_root_mupots_output.json"
    (picture_sets / "MuPoTS" / "bbox_root").mkdir(exist_ok=True)
    shutil.copy(made, picture_sets / "MuPoTS" / "bbox_root")
    posenet_test.main([*flags, "--output", str(muco_run / "output-posenet"), "--use_gt_info", "false", "--vis", "1"])
    text = capsys.readouterr().out
    assert all(word in text for word in ("TS1", "TS2", "relative, all people: PCK", "absolute, matched people: AUC", "81.8", "82.5"))
    rows = files.found_boxes(picture_sets / "MuPoTS" / "bbox_root", "bbox_root", "mupots")
    flat, space = (loadmat(muco_run / "output-posenet" / "result" / f"preds_{kind}_kpt_mupots.mat") for kind in ("2d", "3d"))
    names = [key for key in flat if key.startswith("TS")]
    assert set(names) == {"TS1_img_000000", "TS2_img_000000"} and sum(len(flat[name]) for name in names) == len(rows)
    assert flat[names[0]].shape[1:] == (17, 2) and space[names[0]].shape[1:] == (17, 3)


def test_roots_of_human36m_and_coco(muco_run, picture_sets, capsys):
    flags = ["--data", str(picture_sets), "--output", str(muco_run / "output-rootnet"), "--input_size", "64"]
    rootnet_test.main(flags)
    text = capsys.readouterr().out
    assert "mean root position error" in text and "S9, S11" in text and "120.0" in text
    rootnet_test.main([*flags, "--testset", "MSCOCO"])
    made = muco_run / "output-rootnet" / "result" / "bbox_root_coco_output.json"
    rows = json.loads(made.read_text())
    assert rows and all(row["root_cam"][2] != 0 for row in rows)
    (picture_sets / "MSCOCO" / "bbox_root").mkdir(exist_ok=True)
    shutil.copy(made, picture_sets / "MSCOCO" / "bbox_root")
    pytest.importorskip("pycocotools")
    flags[3] = str(muco_run / "output-posenet")
    posenet_test.main([*flags, "--testset", "MSCOCO", "--vis", "0"])
    assert "over 12 of 17 joints" in capsys.readouterr().out
    assert (muco_run / "output-posenet" / "result" / "preds_3d_kpt_coco.mat").is_file()
    posenet_test.main([*flags, "--testset", "MPII"])
    assert "PCKh@0.5 over 15 of 16 joints" in capsys.readouterr().out


@pytest.mark.parametrize(("flags", "says"), [
    (["--trainset_3d", "LSP"], "there are Human36M, MuCo"), (["--trainset_3d", ""], "at least one set with depth"),
    (["--gpu", "x"], "expected 0, 0,1"), (["--input_size", "100"], "multiple of 32"), (["--init", "nothing.pth"], "no such file"),
    (["--continue"], "epochs there: none")])
def test_faults_of_flags_are_one_line(places, tmp_path, flags, says):
    with pytest.raises(InputError, match=says) as error:
        posenet.main([*SMALL, *places[:-1], str(tmp_path), *flags])
    assert "\n" not in str(error.value)


def test_the_trunk_starts_from_a_file(tmp_path):
    options = mppe.parser("x", "", 1, "1").parse_args([*SMALL, "--init", str(tmp_path / "w.pth")])
    source, network = (posenet.PoseNet(18, **mppe.trunk(options)) for _ in range(2))
    torch.save(source.backbone.state_dict() | {"fc.weight": torch.zeros(2, 2)}, tmp_path / "w.pth")
    mppe.start(network, options)
    assert all(torch.equal(value, network.backbone.state_dict()[key]) for key, value in source.backbone.state_dict().items())
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(InputError, match="not the weights of this ResNet"):
        mppe.start(network, options)


# ---- the fifth system


def experiment(path, root, **model):
    """A small experiment's YAML file in `path`, for the data in `root`."""
    settings = {"OUTPUT_DIR": str(path.parent / "output"), "DATASET": {"ROOT": str(root / "h36m"), "OCCLUSION": True, "VOC": str(root / "VOC2012")},
                "MODEL": {"IMAGE_SIZE": [64, 64], "EXTRA": {"NET_TYPE": "ResNeXt14", "WIDTH": 4, "NUM_DECONV_FILTERS": [16, 16, 16]}} | model,
                "TRAIN": {"BATCH_SIZE": 8, "END_EPOCH": 1, "LR_STEP": [1]}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture(scope="module")
def senet_run(picture_sets, tmp_path_factory):
    """The author's `python src/train.py --cfg experiments/h36m/train.yaml`; the folder it ran in."""
    folder = tmp_path_factory.mktemp("senet")
    senet.main(["--cfg", str(experiment(folder / "experiments" / "h36m" / "train.yaml", picture_sets))])
    return folder


def test_train_py_cfg_train_yaml(senet_run):
    folder = senet_run / "experiments" / "h36m" / "output" / "h36m" / "poseSEnet_ResNeXt14" / "training"
    state = torch.load(folder / "checkpoint.pth.tar", weights_only=True)
    assert state.keys() == {"epoch", "model", "state_dict", "perf", "optimizer"} and state["epoch"] == 1
    best, final = (torch.load(folder / name, weights_only=True) for name in ("model_best.pth.tar", "final_state.pth"))
    assert {f"module.{key}" for key in final} == set(best) == set(state["state_dict"])
    assert (folder / "log.csv").read_text().startswith("epoch,seconds,lr,loss,MPJPE")


def test_model_resume_goes_on(senet_run, picture_sets, tmp_path):
    old = senet_run / "experiments" / "h36m" / "output"
    shutil.copytree(old, tmp_path / "output")
    own = tmp_path / "output" / "h36m" / "poseSEnet_ResNeXt14" / "training" / "checkpoint.pth.tar"
    path = experiment(tmp_path / "train.yaml", picture_sets, RESUME=str(own))
    path.write_text(path.read_text().replace("END_EPOCH: 1", "END_EPOCH: 2"))
    senet.main(["--cfg", str(path)])
    state = torch.load(own, weights_only=True)
    assert state["epoch"] == 2 and state["optimizer"]["param_groups"][0]["lr"] == pytest.approx(1e-4)
    whole = experiment(tmp_path / "whole" / "train.yaml", picture_sets)  # the same as a run that was never stopped
    whole.write_text(whole.read_text().replace("END_EPOCH: 1", "END_EPOCH: 2"))
    senet.main(["--cfg", str(whole)])
    wanted = torch.load(tmp_path / "whole" / own.relative_to(tmp_path), weights_only=True)["state_dict"]
    assert all(torch.equal(value, state["state_dict"][key]) for key, value in wanted.items())
    with pytest.raises(InputError, match="MODEL.RESUME"):
        senet.main(["--cfg", str(experiment(tmp_path / "other.yaml", picture_sets, RESUME="nothing.pth.tar"))])


@pytest.fixture(scope="module")
def refiner_run(picture_sets, tmp_path_factory):
    """Both of the author's `main_gcn.py --mode train` and `main_linear.py --mode train`; the folder of outputs."""
    folder = tmp_path_factory.mktemp("refiner")
    for branch in ("gcn", "linear"):
        refiner.main([branch, *["--mode", "train"], *refiner_flags(picture_sets, folder)])
    return folder


def refiner_flags(root, folder, epochs=2):
    sizes = ["--hidden", "16", "--linear_size", "32", "--num_epochs", str(epochs)]
    return ["--data", str(root.parent / "refiner" / "data"), "--output", str(folder), *sizes]


@pytest.mark.parametrize("branch", ["gcn", "linear"])
def test_main_mode_train(refiner_run, branch, picture_sets, capsys):
    state = torch.load(refiner_run / branch / "last.pth.tar", weights_only=True)
    assert state.keys() == {"epoch", "lr", "step", "state_dict", "err", "optimizer"} and state["epoch"] == 2
    rows = (refiner_run / branch / "log.csv").read_text().splitlines()
    losses = [float(row.split(",")[3]) for row in rows[1:]]
    assert losses[1] < losses[0]
    refiner.main([branch, *["--mode", "test"], *refiner_flags(picture_sets, refiner_run)])
    assert "pose network" in capsys.readouterr().out


@pytest.mark.parametrize("branch", ["gcn", "linear"])
def test_a_refiner_goes_on_to_the_same_weights(refiner_run, branch, picture_sets, tmp_path):
    shutil.copytree(refiner_run / branch, tmp_path / branch)
    refiner.main([branch, "--resume", *refiner_flags(picture_sets, tmp_path, 3)])
    refiner.main([branch, *refiner_flags(picture_sets, tmp_path / "whole", 3)])
    a, b = (torch.load(folder / branch / "last.pth.tar", weights_only=True) for folder in (tmp_path, tmp_path / "whole"))
    assert a["step"] == b["step"] and all(torch.equal(value, b["state_dict"][key]) for key, value in a["state_dict"].items())


def test_rates_of_the_refiner():
    options = refiner.arguments([])
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], options.lr)

    def at(branch, step):
        refiner.set_rate(optimizer, branch, step, options)
        return optimizer.param_groups[0]["lr"]

    same = torch.optim.lr_scheduler.CyclicLR(torch.optim.AdamW([torch.zeros(1, requires_grad=True)], 1e-3), 1e-4, 1e-3, 100_000, mode="exp_range",
                                             gamma=0.96, cycle_momentum=False)
    for step in range(4):
        assert at("gcn", step) == pytest.approx(same.get_last_lr()[0], rel=1e-9)
        same.optimizer.step()
        same.step()
    assert [at("linear", step) for step in (0, 9998, 9999, 20_000)] == pytest.approx([1e-3 * 0.96**n for n in (1e-4, 1e-4, 1, 2)])


def test_eval_py_cfg_eval_yaml(senet_run, refiner_run, picture_sets, tmp_path, capsys):
    weights = next((senet_run / "experiments").rglob("model_best.pth.tar"))
    branches = {f"RESUME_{key}": str(refiner_run / name / "best.pth.tar") for key, name in (("GCN", "gcn"), ("REF", "linear"))}
    path = experiment(tmp_path / "experiments" / "h36m" / "eval.yaml", picture_sets, RESUME=str(weights), **branches)
    senet_test.main(["--cfg", str(path), "--save", str(tmp_path / "valid.pkl")])
    text = capsys.readouterr().out
    assert all(word in text for word in ("pose network", "with refiner", "Directions", "47.3", "PCK150"))
    assert len(refiner.refiner_pickles.load(tmp_path / "valid.pkl")) == 8
    part = senet_part.build(weights=weights, refine=[branches["RESUME_GCN"], branches["RESUME_REF"]], device="cpu")  # the application takes them
    assert part.skeleton == H36M17 and part.refiner is not None
    refiner_test.main(["--data", str(picture_sets.parent / "refiner" / "data"), "--output", str(refiner_run)])
    text = capsys.readouterr().out
    assert all(name in text for name in ("pose network", "gcn", "linear", "both"))


def test_settings_are_checked(tmp_path):
    path = tmp_path / "x.yaml"
    for text, says in (("MODEL: {SIZE: 3}", "no setting MODEL.SIZE"), ("MODEL: 3", "expected names and values"), (":", "expected|YAML"),
                       ("DATASET: {FLIP: true}", "DATASET.FLIP"), ("MODEL: {EXTRA: {NET_TYPE: X}}", "NET_TYPE: there are")):
        path.write_text(text)
        with pytest.raises(InputError, match=says):
            senet_config.read(path)
    with pytest.raises(InputError, match="no such file"):
        senet_config.read(tmp_path / "y.yaml")
    path.write_text("TRAIN: {END_EPOCH: 3}")
    settings = senet_config.read(path)
    assert settings["TRAIN"]["END_EPOCH"] == 3 and settings["TRAIN"]["LR_STEP"] == [20, 90]
    assert senet_config.network_sizes(settings) == {"blocks": (3, 4, 6, 3), "planes": (64, 128, 256, 512), "widths": (128, 256, 512, 1024),
                                                    "groups": 32, "reduction": 16, "stem": 64, "channels": 256}
