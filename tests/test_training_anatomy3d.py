"""`python -m training anatomy3d`: the authors' command lines on written data, resuming, checkpoints, evaluation, the two official slips."""

import csv
import random

import numpy as np
import pytest
import torch

from core.skeletons import H36M17
from lifters import anatomy
from lifters._anatomy import AnatomyModel
from lifters._bones import bones
from tests import bones_data, checkpoints
from training import anatomy3d, seeds
from training.datasets import random_frames
from training.datasets.windows import Windows, mirrored, rooted
from training.dispatch import run
from training.evaluation import _lifted
from weights import checkpoint

LINES = {  # the authors', with numbers for their "xxx"
    "any": "-e 2 -k cpn_ft_h36m_dbb -arc 3,3,3 --randnum 16",
    "standard": "-e 60 -k cpn_ft_h36m_dbb -arc 3,3,3,3,3 --randnum 50",
    "causal": "-e 60 -k cpn_ft_h36m_dbb -arc 3,3,3,3,3 --randnum 50 --causal",
    "evaluate": "-k cpn_ft_h36m_dbb -arc 3,3,3,3,3 --evaluate pretrained_model.bin"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return bones_data.write(tmp_path_factory.mktemp("written"))


@pytest.fixture
def call(data, tmp_path):
    """call(line, *more) -> (exit code) of the trainer on the written data, in a folder of the test's own, with a small network."""
    def called(line, *more, program="training", small=bones_data.FLAGS, frames="12"):
        words = [*line.split(), *small, "--data", str(data), "--randnum", frames, *([] if "-c" in more or "--checkpoint" in more else
                 ["-c", str(tmp_path / "run")]), *more]
        return run({"training.evaluate": "training.evaluation"}.get(program, program), program, ["anatomy3d", *words], skip=("evaluate",))

    return called


def figures(folder):
    with (folder / "log.csv").open() as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


@pytest.mark.parametrize("line", ["any", "standard", "causal"])
def test_the_authors_training_lines_run(call, tmp_path, capsys, line):
    small = [word for word in bones_data.FLAGS if word not in ("-arc", "3,3")] if line == "any" else bones_data.FLAGS
    more = ["--half", "--clip", "1"] if line == "causal" else []
    assert call(LINES[line], "--checkpoint-frequency", "1", *more, small=small) == 0
    out = capsys.readouterr().out
    assert "subjects S9,S11" in out and "cpn_ft_h36m_dbb" in out and "PA-MPJPE" in out and "44.1" in out and "WalkDog" in out
    state = checkpoint(tmp_path / "run" / "epochfinal_1.bin")["model_pos"]
    assert all(key.startswith("module.") for key in state)  # as the authors' program wants them
    defaults = anatomy3d.arguments(LINES[line].split())
    assert (defaults.channels, defaults.batch_size, defaults.learning_rate, defaults.lr_decay, defaults.dropout) == (1024, 1024, 1e-3, 0.95, 0.25)
    assert (defaults.randnumtest, defaults.augdegree, defaults.temperature, defaults.eva_frequency) == (50, 0.6, 10, 5)
    assert (defaults.subjects_train, defaults.subjects_test, defaults.seed) == ("S1,S5,S6,S7,S8", "S9,S11", 1234)


def test_the_authors_evaluation_line_runs(call, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    checkpoints.anatomy(tmp_path / "run" / "pretrained_model.bin", layers=5, channels=4)
    wide = [word for word in bones_data.FLAGS if word not in ("-arc", "3,3")]
    assert call(LINES["evaluate"], small=wide) == 0
    first = capsys.readouterr().out
    line = "-k cpn_ft_h36m_dbb -arc 3,3,3,3,3"
    assert call(line, "--checkpoint", str(tmp_path / "run" / "pretrained_model.bin"), program="training.evaluate", small=wide) == 0
    assert capsys.readouterr().out == first and first.splitlines()[-1].split()[-4:] == ["44.1", "-", "-", "-"]
    assert call(LINES["evaluate"], "--by-subject", "-no-tta", small=wide) == 0
    apart = capsys.readouterr().out
    assert "subjects S9:" in apart and "subjects S11:" in apart and "without the mean" in apart


def test_a_killed_training_resumes_to_the_same_bits(call, tmp_path):
    """With dropout, random frames and re-made bodies: the curve and the weights of a training that was never stopped."""
    line = "-k cpn_ft_h36m_dbb --eva-frequency 2 --no-eval"
    assert call(line, "-e", "3", "-c", str(tmp_path / "whole")) == 0
    assert call(line, "-e", "3", "--checkpoint-frequency", "1", "-c", str(tmp_path / "killed")) == 0
    assert call(line, "-e", "3", "-r", "epochfinal_1.bin", "-c", str(tmp_path / "killed")) == 0  # as if killed in the second epoch
    whole, killed = (checkpoint(tmp_path / name / "last.bin") for name in ("whole", "killed"))
    assert all(torch.equal(value, killed["model_pos"][name]) for name, value in whole["model_pos"].items())
    curves = [[{k: v for k, v in row.items() if k != "seconds"} for row in figures(tmp_path / name)] for name in ("whole", "killed")]
    assert curves[0] == curves[1] and len(curves[0]) == 3


def test_every_loss_falls(call, tmp_path):
    assert call("-k cpn_ft_h36m_dbb -e 4 -lr 0.01 -drop 0 --eva-frequency 2", "-e", "4", "--export-training-curves") == 0
    rows = figures(tmp_path / "run")
    for name in ("loss", "pose", "frames", "new_frames", "lengths", "new_lengths", "directions", "shifts"):
        assert rows[-1][name] < rows[0][name], name
    assert [row["epoch"] for row in rows if "3d_valid" in row] == [2, 4] and rows[3]["3d_valid"] > 0
    assert (tmp_path / "run" / "loss_3d.png").read_bytes()[:4] == b"\x89PNG"
    assert [row["lr"] for row in rows] == pytest.approx([0.01 * 0.95**epoch for epoch in range(4)])


@pytest.mark.parametrize(("arc", "count"), [("3,3,3,3,3", 59_177_580), ("3,3,3,3", 45_531_756)])
def test_the_authors_sizes(arc, count):
    with torch.device("meta"):
        network = anatomy3d.network_of(anatomy3d.arguments(["-arc", arc]), H36M17)
    assert sum(p.numel() for p in network.parameters()) == count and network.receptive_field == 3 ** len(arc.split(","))


def lessons(data, **options):
    seeds.begin(5, "cpu")
    parsed = anatomy3d.arguments([*bones_data.FLAGS, "--data", str(data), "--randnum", "6"])
    whole = anatomy3d.opened(parsed, ["S1"])
    windows = Windows(whole.clips(["S1"]), 40, pad=4, mirrors=(H36M17.mirror, H36M17.mirror), shuffle=False)
    return random_frames.Lessons(windows, H36M17, 6, frames=random.Random(1), bodies=np.random.RandomState(1), **options)  # noqa: NPY002


def test_lessons_belong_together(data):
    """A mirrored chunk's window, random frames and re-made bodies are those of a mirrored person, and 2D is the projection of 3D."""
    made = lessons(data)
    lesson, windows = next(iter(made)), made.windows
    rows = windows.rows[:40]
    plain, other = (rows[:, 3] == 0).nonzero()[0, 0], (rows[:, 3] == 1).nonzero()[0, 0]
    assert rows[plain, 1] == rows[other, 1] and rows[plain, 0] == rows[other, 0]
    torch.testing.assert_close(lesson.poses[other], mirrored(lesson.poses[plain], list(H36M17.mirror)))
    torch.testing.assert_close(lesson.points[other], mirrored(lesson.points[plain], list(H36M17.mirror)))
    torch.testing.assert_close(lesson.poses[plain, 4], rooted(windows.cut(rows[plain][None]).joints)[0, 0])
    for frame in range(6):  # every random frame is one of the person's, 2D and 3D of the same
        sides = torch.cat([windows.points[..., :2], mirrored(windows.points[..., :2], list(H36M17.mirror))])
        match = (sides - lesson.frames[other, frame]).abs().flatten(1).max(1)[0].argmin()
        both = torch.cat([rooted(windows.joints), mirrored(rooted(windows.joints), list(H36M17.mirror))])
        assert match >= len(windows.points)
        torch.testing.assert_close(both[match], lesson.frame_poses[other, frame])
    assert (lesson.new_poses - lesson.frame_poses).abs().max() > 0.01 and lesson.new_frames.abs().max() < 3


def test_the_official_aliasing_is_had_only_where_it_is_asked_for(data):
    honest, aliased = next(iter(lessons(data))), next(iter(lessons(data, aliased=True)))
    assert torch.equal(aliased.frame_poses, aliased.new_poses) and not torch.equal(honest.frame_poses, honest.new_poses)
    for name in ("points", "poses", "frames", "new_frames", "new_poses", "new_lengths", "compared"):
        assert np.array_equal(getattr(honest, name), getattr(aliased, name)), name


@pytest.mark.parametrize(("flags", "frame"), [("", 4), ("--causal", 8), ("--causal --official-causal", 4)])
def test_which_frame_of_the_window_is_asked(flags, frame):
    assert anatomy3d.target(anatomy3d.arguments([*flags.split(), "-arc", "3,3"]), 9) == frame


def test_official_causal_answers_are_compared_half_a_window_late(data):
    parsed = anatomy3d.arguments([*bones_data.FLAGS, "--data", str(data), "--causal", "--official-causal"])
    clips = anatomy3d.opened(parsed, ["S9"]).clips(["S9"])

    class Late:
        def lift(self, points):
            clip = next(clip for clip in clips if clip.points is points)
            return rooted(torch.from_numpy(clip.joints)).numpy()[np.maximum(np.arange(len(clip)) - 4, 0)]

    late, now = (_lifted.errors(Late(), clips, frames).means()["MPJPE"] for frames in (anatomy3d.late(parsed), 0))
    assert late == 0 and now > 1


def test_the_evaluation_is_the_application(data, tmp_path):
    """The lifter that the application builds from the checkpoint gives what is evaluated."""
    file = checkpoints.anatomy(tmp_path / "a.bin", layers=2, channels=4)
    parsed = anatomy3d.arguments([*bones_data.FLAGS, "--data", str(data)])
    whole = anatomy3d.opened(parsed, ["S9"])
    clip = whole.clips(["S9"])[0]
    pixels = whole.points["S9"][clip.action][0]
    network = AnatomyModel(bones(H36M17), 17, 2, 4)
    network.load_state_dict({key.removeprefix("module."): value for key, value in checkpoint(file)["model_pos"].items()})
    mine = anatomy3d.lifter_of(network.eval(), H36M17, parsed, True).lift(clip.points)
    app = anatomy.build(str(file), device="cpu").sequence(pixels[..., :2], pixels[..., 2], clip.camera).joints
    np.testing.assert_allclose(mine - mine[:, :1], app, atol=1e-5)


@pytest.mark.parametrize(("flags", "words"), [
    ("--randnum 99", "99 random frames are asked of a sequence of 18"), ("-arc 3,5", "widths are all 3"), ("-s 2", "-s 1"),
    ("-bi 1,2", "--boneindex"), ("-r x.bin --evaluate y.bin", "exclude"), ("--scores none.pkl", "no visibility scores none.pkl"),
    ("--evaluate none.bin", "no checkpoint none.bin"), ("-str S2", "no subject S2"), ("-k sh_ft_h36m", "no 2D keypoints"),
    ("-d humaneva15", "trained on h36m"), ("--eva-frequency 0", "--eva-frequency 0: expected 1"), ("-a Flying", "begins with Flying")])
def test_faults_are_one_line(call, capsys, flags, words):
    assert call("", *flags.split()) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1
