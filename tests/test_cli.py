"""The command line: names of VideoPose3D, defaults in one place, and one clear line with exit code 2 for every fault of the user."""

import subprocess
import sys

import pytest

from app.cli import dashed, main, parse
from app.settings import Settings
from core.errors import InputError


def refused(capsys, *argv):
    """The one line that a faulty call prints; checks the exit code."""
    assert main([str(word) for word in argv]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_underscores_are_dashes_but_values_are_left_alone():
    assert dashed(["--viz_video", "my_clip.mp4", "--viz_output=a_b.gif"]) == ["--viz-video", "my_clip.mp4", "--viz-output=a_b.gif"]


def test_names_of_videopose3d():
    words = "--viz_video in.mp4 --viz_output o/out.gif --viz_export j.npy --viz_skip 3 --viz_limit 60"
    settings, asked = parse((words + " --viz_downsample 2 --viz_size 3 --viz_bitrate 4000").split())
    assert asked["video"] == "in.mp4" and asked["output"] == "o/out.gif" and asked["export"] == ["j.npy"]
    assert (settings.skip, settings.limit, settings.downsample, settings.size, settings.bitrate) == (3, 60, 2, 240, 4000)


def test_limit_minus_one_is_everything():
    assert parse(["--viz-limit", "-1"])[0].limit is None


def test_what_is_not_given_is_the_default_of_settings():
    assert parse(["--video", "in.mp4"])[0] == Settings()


def test_a_part_option_may_hold_commas():
    assert parse(["--lifter", "tcn:weights=F,arc=3,3,3"])[0].spec("lifter") == "tcn:weights=F,arc=3,3,3"


def test_causal_takes_the_causal_lifter_unless_one_is_named():
    assert "causal" in Settings(causal=True).spec("lifter")
    assert Settings(causal=True, lifter="none").spec("lifter") == "none"


@pytest.mark.parametrize(("options", "message"), [
    ({"preset": "best"}, "there are: bundled, accurate"), ({"stride": 0}, "--stride: expected a number above 0"),
    ({"start": 3, "end": 2}, "is not after"), ({"fov": 60, "focal": 900}, "exclude each other"), ({"fov": 200}, "below 180"),
    ({"layout": "cube"}, "side, overlay, 3d")])
def test_settings_refuse(options, message):
    with pytest.raises(InputError, match=message):
        Settings(**options)


def test_an_unknown_option_of_the_library_is_named():
    with pytest.raises(InputError, match="colour"):
        Settings().changed(colour="red")


def test_faults_are_one_line(capsys, tmp_path):
    out = tmp_path / "out.gif"
    assert "nothing to look at" in refused(capsys, "--output", out)
    assert "nothing to make" in refused(capsys, "--video", "in.mp4")
    assert "unrecognized arguments: --colour" in refused(capsys, "--colour", "red")
    assert "missing.mp4" in refused(capsys, "--video", tmp_path / "missing.mp4", "--output", out)
    assert "avi" in refused(capsys, "--video", "in.mp4", "--output", tmp_path / "out.avi")
    assert "xlsx" in refused(capsys, "--video", "in.mp4", "--export", tmp_path / "out.xlsx")
    assert "has no pictures to draw on" in refused(capsys, "--poses", "x.npz", "--output", out)
    assert not out.exists()


def test_a_wrong_part_is_told_before_the_weights_are_loaded(capsys, tmp_path, walkers):
    line = refused(capsys, "--video", walkers, "--output", tmp_path / "out.gif", "--tracker", "nobody")
    assert "no tracker 'nobody'; there are:" in line and "sort" in line
    assert "has no option 'ages'" in refused(capsys, "--video", walkers, "--output", tmp_path / "out.gif", "--tracker", "sort:ages=3")


@pytest.mark.parametrize(("name", "content"), [("empty.mp4", b""), ("text.mp4", b"not a video at all, only words" * 99), ("words.txt", b"hello")])
def test_not_a_video(capsys, tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert name in refused(capsys, "--video", path, "--output", tmp_path / "out.gif")


def test_a_fault_is_told_without_importing_torch():
    code = "import sys; from app.cli import main; c = main(['--colour']); print(c, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]
