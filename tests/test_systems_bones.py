"""The experiments with Anatomy3D and Pose3D-RIE on written data: they run, and their tables have what the documentation shows."""

import re

import pytest

from benchmarks.systems import anatomy3d, rie
from tests import bones_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return bones_data.write(tmp_path_factory.mktemp("written"))


def rows(text):
    """{what: (mean, least, most)} of the tables."""
    found = re.findall(r"^\| (.+) \| ([\d.e+-]+) \| ([\d.e+-]+) to ([\d.e+-]+) \|$", text, re.M)
    return {what: tuple(map(float, values)) for what, *values in found}


def test_stages(data, tmp_path, capsys):
    rie.main(["--data", str(data), "--output", str(tmp_path), "--seeds", "0,1", "--flags", "-str S1 -ch 4 -lfd 4 --width 8 -b 64 -e 6"])
    found = rows(capsys.readouterr().out)
    assert {f"stage {stage}, {name}" for stage in (1, 2, 3) for name in ("MPJPE", "PA-MPJPE", "first epoch", "last epoch")} < found.keys()
    assert found["mean pose, MPJPE"][1] == found["mean pose, MPJPE"][2] > found["mean pose, PA-MPJPE"][0] > 0
    for mean, least, most in found.values():
        assert least <= mean * 1.001 and mean <= most * 1.001
    assert found["stage 1, MPJPE"][1] < found["stage 1, MPJPE"][2]  # other seeds, other networks


def test_terms(data, tmp_path, capsys):
    anatomy3d.main(["--data", str(data), "--output", str(tmp_path), "--seeds", "0", "--flags", "-str S1 -ch 4 --randnum 3 -b 64 -e 2"])
    found = rows(capsys.readouterr().out)
    assert {"MPJPE", "PA-MPJPE", "N-MPJPE", "MPJVE"} < found.keys()
    assert all(found[f"{name}, last epoch"][0] > 0 for name in anatomy3d.TERMS)
