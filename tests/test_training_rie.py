"""`python -m training rie`: the authors' command lines on written data, the three stages, resuming, checkpoints, evaluation."""

import csv

import numpy as np
import PIL.Image
import pytest
import torch

import lifters.rie
from core.normal import mirrored
from core.skeletons import H36M17, HUMANEVA15
from lifters._rie import RieModel
from tests import bones_data, checkpoints
from tests.conftest import write_clip
from training import lifting_flags, rie
from training.datasets import written
from training.datasets.windows import Windows, rooted
from training.dispatch import run
from weights import checkpoint

SMALL = [*bones_data.FLAGS, "--width", "8", "-lfd", "4"]
LINES = {  # the authors' but for that which draws, it has its own test
    "evaluate gt": "-k gt --evaluate gt_pretrained.bin --stage 3 -lfd 256",
    "evaluate cpn": "-k cpn_ft_h36m_dbb --evaluate cpn_pretrained.bin --stage 3 -lfd 512",
    1: "-k gt --stage 1 -lfd 256", 2: "-k gt --stage 2 -lfd 256 -p stage_1_epoch_80.bin",
    3: "-k gt --stage 3 -lfd 256 -ft stage_2_epoch_80.bin -lr 0.0005 -e 20"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return bones_data.write(tmp_path_factory.mktemp("written"))


@pytest.fixture
def call(data, tmp_path):
    """call(line, *more) -> exit code of the trainer on the written data, in a folder of the test's own, with a small network."""
    def called(line, *more, package="training", small=SMALL):
        place = [] if "-c" in more or "--checkpoint" in more else ["-c", str(tmp_path / "run")]
        return run(package, "training", ["rie", *line.split(), *small, "--data", str(data), *place, *more], skip=("evaluate",))

    return called


def figures(folder, stage=1):
    with (folder / f"stage_{stage}_log.csv").open() as file:
        return [{name: float(value) for name, value in row.items() if value and name != "seconds"} for row in csv.DictReader(file)]


def earlier(folder, stage, name, seed=3):
    """A small network of a stage in the authors' file."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(seed)
    network = RieModel(H36M17, (3, 3), 4, 4, stage, 8)
    checkpoints.official(folder / name, model_pos=checkpoints.perturbed(network, seed))
    return {key: value.clone() for key, value in network.state_dict().items()}


def test_stage_1(call, tmp_path, capsys):
    assert call(LINES[1], "--checkpoint-frequency", "1") == 0
    out = capsys.readouterr().out
    assert "h36m, gt 2D, subjects S9,S11" in out and "30.1" in out and "24.1" in out and "WalkDog" in out
    content = checkpoint(tmp_path / "run" / "stage_1_epoch_1.bin")
    assert {"epoch", "lr", "random_state", "optimizer", "model_pos"} <= content.keys() and isinstance(content["random_state"], np.random.RandomState)
    assert not any(key.startswith(("module.", "FuseBlocks")) for key in content["model_pos"])
    defaults = rie.arguments(LINES[1].split())
    assert (defaults.epochs, defaults.batch_size, defaults.learning_rate, defaults.lr_decay, defaults.dropout) == (80, 1024, 1e-3, 0.95, 0.2)
    assert (defaults.architecture, defaults.channels, defaults.latent_features_dim, defaults.width) == ("3,3,3,3,3", 256, 256, 1024)
    assert (defaults.seed, defaults.checkpoint_frequency, defaults.keypoints) == (4321, 10, "gt")


def test_stage_2_keeps_the_encoders_of_stage_1(call, tmp_path):
    first = earlier(tmp_path / "run", 1, "stage_1_epoch_80.bin")
    assert call(LINES[2], "--checkpoint-frequency", "1") == 0
    content = checkpoint(tmp_path / "run" / "stage_2_epoch_1.bin")
    second = content["model_pos"]
    for name in rie.encoders(first):
        moving = name.endswith(("running_mean", "running_var", "num_batches_tracked"))
        assert torch.equal(first[name], second[name]) != moving, name
    network = RieModel(H36M17, (3, 3), 4, 4, 2, 8)
    free = [name for name, _ in network.named_parameters() if not name.startswith(rie.ENCODERS)]
    assert len(content["optimizer"]["param_groups"][0]["params"]) == len(free) == len(content["optimizer"]["state"])


def test_stage_3_begins_where_stage_2_ended_and_trains_everything(call, tmp_path):
    second = earlier(tmp_path / "run", 2, "stage_2_epoch_80.bin")
    assert call(LINES[3], "--checkpoint-frequency", "1", "-lr", "0") == 0
    kept = checkpoint(tmp_path / "run" / "stage_3_epoch_1.bin")["model_pos"]
    weights = [name for name, _ in RieModel(H36M17, (3, 3), 4, 4, 3, 8).named_parameters()]
    assert all(torch.equal(kept[name], second[name]) for name in weights)  # with no rate nothing is learned: it began with all of stage 2
    assert call(LINES[3], "--checkpoint-frequency", "1") == 0
    learned = checkpoint(tmp_path / "run" / "stage_3_epoch_1.bin")["model_pos"]
    assert not any(torch.equal(learned[name], second[name]) for name in weights if name.endswith("weight"))
    assert figures(tmp_path / "run", 3)[0]["lr"] == pytest.approx(0.0005)


@pytest.mark.parametrize(("line", "latent"), [("evaluate gt", 4), ("evaluate cpn", 6)])
def test_the_authors_evaluation_lines_run(call, tmp_path, capsys, line, latent):
    name = LINES[line].split("--evaluate ")[1].split()[0]
    (tmp_path / "run").mkdir()
    checkpoints.rie(tmp_path / "run" / name, (3, 3), 4, latent, 3, 8)
    assert call(LINES[line], "-lfd", str(latent)) == 0
    out = capsys.readouterr().out
    line_of_evaluate = LINES[line].replace(f"--evaluate {name}", "")
    assert call(line_of_evaluate, "-lfd", str(latent), "--checkpoint", str(tmp_path / "run" / name), package="training.evaluation") == 0
    assert capsys.readouterr().out == out and ("30.1" in out) == (line == "evaluate gt") and ("44.3" in out) != (line == "evaluate gt")


def test_the_authors_drawing_line_runs(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    earlier(tmp_path / "run", 3, "gt_pretrained.bin")
    write_clip(tmp_path / "s_11_act_15_subact_02_ca_02.mp4", [np.full((1000, 1000, 3), 90, np.uint8)] * 18, fps=50)
    line = ("-k gt --evaluate gt_pretrained.bin --stage 3 -lfd 256 --render --viz-subject S11 --viz-action WalkDog --viz-camera 1 "
            "--viz-video ./s_11_act_15_subact_02_ca_02.mp4 --viz-output output.gif --viz-size 3 --viz-downsample 2 --viz-limit 300")
    assert call(line, "--viz-limit", "4") == 0
    with PIL.Image.open("output.gif") as picture:
        assert picture.n_frames == 2 and picture.size == (3 * 3 * 80, 3 * 80)


@pytest.mark.parametrize("stage", [1, 2])
def test_a_killed_training_resumes_to_the_same_bits(call, tmp_path, stage):
    line = LINES[stage] + " --checkpoint-frequency 1"
    for name in ("whole", "killed"):
        earlier(tmp_path / name, 1, "stage_1_epoch_80.bin")
        assert call(line, "-e", "3", "-c", str(tmp_path / name)) == 0
    again = line.replace("-p stage_1_epoch_80.bin", "")
    assert call(again, "-e", "3", "-r", f"stage_{stage}_epoch_1.bin", "-c", str(tmp_path / "killed")) == 0
    whole, killed = (checkpoint(tmp_path / name / f"stage_{stage}_last.bin") for name in ("whole", "killed"))
    assert all(torch.equal(value, killed["model_pos"][name]) for name, value in whole["model_pos"].items())
    assert figures(tmp_path / "whole", stage) == figures(tmp_path / "killed", stage) and len(figures(tmp_path / "whole", stage)) == 3


def test_the_loss_falls_in_every_stage(call, tmp_path):
    for stage, more in ((1, ""), (2, "-p stage_1_epoch_4.bin"), (3, "-ft stage_2_epoch_4.bin")):
        assert call(f"-k gt --stage {stage} {more} -lr 0.01 --no-eval", "-e", "4", "--checkpoint-frequency", "4", "-ch", "8", "-lfd", "8") == 0
        losses = [row["3d_train"] for row in figures(tmp_path / "run", stage)]
        assert losses[-1] < 0.97 * losses[0], (stage, losses)


@pytest.mark.parametrize(("line", "count"), [
    ("--stage 1 -lfd 256", 23_385_651), ("--stage 2 -lfd 256", 41_783_091), ("--stage 3 -lfd 512", 52_861_491)])
def test_the_authors_sizes(line, count):
    with torch.device("meta"):
        network = rie.network_of(rie.arguments(line.split()), H36M17)
    assert sum(p.numel() for p in network.parameters()) == count and network.receptive_field == 243


def test_humaneva_is_learned_too(tmp_path, capsys):
    written.write_humaneva(tmp_path, ("gt",), frames=10)
    flags = "-d humaneva15 -k gt -str Train/S1 -ste Validate/S1 -a Walking,Box --by-subject -e 1 -b 64 -arc 3,3 -ch 4 -lfd 4 --width 8 --device cpu"
    rie.main([*flags.split(), "--data", str(tmp_path), "-c", str(tmp_path / "run")])
    out = capsys.readouterr().out
    assert "humaneva15, gt 2D, subjects Validate/S1" in out and "Box" in out and "Jog" not in out and out.splitlines()[-1].split()[-1] == "-"


def test_the_published_checkpoint_goes_on(call, tmp_path):
    """One with the authors' keys alone: network, optimiser, generator."""
    windows = 2 * sum(4 * 18 for take in ("", " 1") for action in ("Walking", "WalkDog"))  # and a last batch of one, which is left out
    assert call(LINES[1], "--checkpoint-frequency", "1", "--no-eval", "-b", str(windows - 1)) == 0
    content = checkpoint(tmp_path / "run" / "stage_1_epoch_1.bin")
    torch.save({key: content[key] for key in ("epoch", "lr", "random_state", "optimizer", "model_pos")}, tmp_path / "run" / "theirs.bin")
    assert call(LINES[1], "-e", "2", "-r", "theirs.bin", "--no-eval") == 0
    assert figures(tmp_path / "run")[-1]["epoch"] == 2


def test_evaluation_is_that_of_the_application_and_of_windows(data, tmp_path):
    file = checkpoints.rie(tmp_path / "a.bin", (3, 3), 4, 4, 3, 8)
    whole = lifting_flags.opened(rie.arguments(["--data", str(data), "-k", "gt"]))
    clip = whole.clips(["S9"])[0]
    lifter = lifters.rie.build(str(file), device="cpu")
    windows = Windows([clip], 7, pad=4, shuffle=False)
    with torch.inference_mode():
        plain = torch.cat([lifter.network(batch.points) for batch in windows])
        other = torch.cat([mirrored(lifter.network(mirrored(batch.points, H36M17)), H36M17) for batch in windows])
    np.testing.assert_allclose(lifter.lift(clip.points), (plain + other) / 2, atol=1e-5)
    watched = rie.error(lifter.network, Windows([clip], 7, pad=4, shuffle=False))
    truth = rooted(torch.from_numpy(clip.joints))
    assert watched == pytest.approx(float((plain - truth).norm(dim=-1).mean()), rel=1e-5)


@pytest.mark.parametrize(("flags", "words"), [
    ("--causal", "no causal"), ("--dense", "dense"), ("-s 2", "stride of 1"), ("--stage 4", "expected 1, 2 or 3"), ("--stage 2", "give -p"),
    ("--stage 3 -p a.bin", "-p gives stage 2"), ("--stage 3 -ft none.bin", "no checkpoint none.bin"),
    ("--evaluate none.bin", "no checkpoint none.bin"), ("-r wrong.bin", "wrong.bin"), ("--evaluate eva.bin", "is of humaneva15"),
    ("--export-training-curves --no-eval", "exclude"),
    ("--subset 2", "--subset 2.0"), ("-b 0", "--batch-size 0")])
def test_faults_are_one_line(call, tmp_path, capsys, flags, words):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "wrong.bin").write_bytes(b"nothing")
    checkpoints.rie(tmp_path / "run" / "eva.bin", (3, 3), 4, 4, 1, 8, HUMANEVA15)
    assert call("-k gt", *flags.split()) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1
