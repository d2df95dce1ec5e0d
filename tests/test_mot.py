"""MOTChallenge files, their scores on cases worked by hand, and the trackers' command."""

import importlib.util
import pathlib

import numpy as np
import pytest

from core import mot
from core.errors import InputError
from trackers.__main__ import main as track
from training.evaluation.mot import evaluate, main, measure, summary

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"


def rows(*people):
    """Rows of {frame: x} for each (id, {frame: x}): boxes 10 wide and 20 high at (x, 0)."""
    return np.array([[frame, number, x, 0, x + 10, 20, 1] for number, places in people for frame, x in places.items()], float).reshape(-1, 7)


def still(frames, x=0.0):
    return dict.fromkeys(frames, x)


def figures(truth, tracks):
    return summary(measure(truth, tracks))


def test_perfect_tracks():
    truth = rows((1, still(range(1, 6))), (2, still(range(1, 6), 50)))
    found = figures(truth, truth)
    assert [found[name] for name in ("HOTA", "DetA", "AssA", "MOTA", "MOTP", "IDF1")] == pytest.approx([100] * 6)
    assert [found[name] for name in ("IDs", "FP", "FN", "Frag", "people")] == [0, 0, 0, 0, 10]


def test_an_identity_that_changes_in_the_middle():
    found = figures(rows((1, still(range(1, 5)))), rows((7, still((1, 2))), (8, still((3, 4)))))
    assert found["IDs"] == 1 and found["FP"] == found["FN"] == found["Frag"] == 0
    assert found["MOTA"] == pytest.approx(75)  # 1 - 1 / 4
    assert found["IDF1"] == pytest.approx(50)  # 2 * 2 / (4 + 4)
    assert found["AssA"] == pytest.approx(50) and found["DetA"] == pytest.approx(100)  # each match: 2 / (2 + 2)
    assert found["HOTA"] == pytest.approx(100 * np.sqrt(0.5))


def test_a_gap_is_a_miss_and_a_fragmentation_but_no_change():
    found = figures(rows((1, still(range(1, 6))), (2, still(range(1, 6), 50))), rows((1, still((1, 2, 4, 5))), (2, still(range(1, 6), 50))))
    assert (found["FN"], found["Frag"], found["IDs"]) == (1, 1, 0)
    assert found["MOTA"] == pytest.approx(90)
    assert found["IDF1"] == pytest.approx(100 * 18 / 19)


def test_overlap_decides_what_is_found():
    found = figures(rows((1, still((1, 2)))), rows((1, {1: 2.0, 2: 6.0})))  # IoU 8/12 and 4/16
    assert (found["FP"], found["FN"]) == (1, 1)
    assert found["MOTP"] == pytest.approx(100 * 8 / 12) and found["MOTA"] == pytest.approx(0)


def test_two_who_swap():
    truth = rows((1, still(range(1, 5))), (2, still(range(1, 5), 50)))
    swapped = rows((1, {1: 0, 2: 0, 3: 50, 4: 50}), (2, {1: 50, 2: 50, 3: 0, 4: 0}))
    found = figures(truth, swapped)
    assert found["IDs"] == 2 and found["IDF1"] == pytest.approx(50)


def test_nobody_tracked_and_nobody_there():
    nobody = rows()
    found = figures(rows((1, still((1, 2)))), nobody)
    assert (found["MOTA"], found["IDF1"], found["HOTA"], found["FN"]) == (0, 0, 0, 2) and np.isnan(found["MOTP"])
    assert figures(nobody, rows((1, still((1, 2)))))["FP"] == 2


@pytest.mark.shared
@pytest.mark.parametrize("name", ["TUD-Stadtmitte", "KITTI-17"])
def test_the_same_figures_as_another_program(name):
    tool, tracks = SHARED / "tools" / "score_mot.py", SHARED / "fixtures" / "sort" / "tracks" / f"{name}.txt"
    if not tool.is_file() or not tracks.is_file():
        pytest.skip("needs the scorer and the official SORT output in ../shared")
    spec = importlib.util.spec_from_file_location("score_mot", tool)
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    truth = SHARED / "data" / "mot15" / name / "gt" / "gt.txt"
    expected = other.summary(other.measure(other.read(truth, True), other.read(tracks, False)))
    found = evaluate(truth, tracks)["all"]
    for key in ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDs", "FP", "FN", "Frag"):
        assert found[key] == pytest.approx(expected[key], abs=1e-6), key


def test_files_and_folders(tmp_path, capsys):
    lines = "".join(mot.line(frame, 1, (0, 0, 10, 20)) for frame in (1, 2))
    for path in ("gt/a/gt/gt.txt", "gt/b/gt/gt.txt", "tracks/a.txt", "tracks/b.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(lines)
    (tmp_path / "gt/b/gt/gt.txt").write_text(lines + "1,2,90,0,10,20,0\n")  # confidence 0: not counted
    main(["--gt", str(tmp_path / "gt"), "--tracks", str(tmp_path / "tracks"), "--json", str(tmp_path / "out.json")])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["a", "b", "all"]
    assert evaluate(tmp_path / "gt/a/gt/gt.txt", tmp_path / "tracks/a.txt")["all"]["MOTA"] == 100
    assert (tmp_path / "out.json").is_file()
    (tmp_path / "tracks/b.txt").unlink()
    with pytest.raises(InputError, match="no tracks of b"):
        evaluate(tmp_path / "gt", tmp_path / "tracks")
    with pytest.raises(InputError, match="no truth"):
        evaluate(tmp_path / "tracks" / "none", tmp_path / "tracks")
    (tmp_path / "tracks/b.txt").write_text(lines + lines)
    with pytest.raises(InputError, match="b: frame 1 of the tracks has an id twice"):
        evaluate(tmp_path / "gt", tmp_path / "tracks")


@pytest.mark.parametrize("spec", ["sort", "deepsort", "steady"])
def test_tracks_of_a_file(tmp_path, spec, capsys):
    det = tmp_path / "det.txt"
    good = "".join(f"{i},-1,{100 + 2 * i},50,40,100,0.95\n{i},-1,300,50,40,100,0.97\n" for i in range(1, 31))
    det.write_text(good + "5,-1,10,10,0,5,0.9\n6,-1,nan,1,2,3,1\n")
    assert track(["--det", str(det), "--tracker", spec, "--out", str(tmp_path / "new" / "tracks.txt")]) == 0
    found = mot.read(tmp_path / "new" / "tracks.txt")
    assert set(found[:, 1]) == {1, 2} and found[-1, 0] == 30
    assert "2 boxes without a size were dropped" in capsys.readouterr().err
    again = (tmp_path / "new" / "tracks.txt").read_text()
    track(["--det", str(det), "--tracker", spec, "--out", str(tmp_path / "tracks.txt")])
    assert (tmp_path / "tracks.txt").read_text() == again


def test_faults_are_one_line(tmp_path, capsys):
    det, out = tmp_path / "det.txt", str(tmp_path / "out.txt")
    assert track(["--det", str(det), "--out", out]) == 2
    det.write_text("1,-1,1,2,3,4,0.9\nhello\n")
    assert track(["--det", str(det), "--out", out]) == 2
    det.write_text("1,-1,1,2,3,4,0.9\n")
    assert track(["--det", str(det), "--out", out, "--tracker", "nobody"]) == 2
    assert track(["--det", str(det), "--out", out, "--fps", "-3"]) == 2
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nname=x\n")
    assert track(["--det", str(det), "--out", out]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5 and "line 2" in lines[1] and all(line.startswith("python -m trackers: ") for line in lines)
    assert not pathlib.Path(out).exists()
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nframeRate=30\nseqLength=4\n")
    assert track(["--det", str(det), "--out", out]) == 0  # nobody is sure enough after one weak look
    assert "python" not in capsys.readouterr().out


def test_low_scores_alone_say_why_nobody_is_tracked(tmp_path, capsys):
    det = tmp_path / "det.txt"
    det.write_text("".join(f"{i},-1,100,50,40,100,0.2\n" for i in range(1, 9)))
    assert track(["--det", str(det), "--out", str(tmp_path / "out.txt")]) == 0
    assert "best score" in capsys.readouterr().err
