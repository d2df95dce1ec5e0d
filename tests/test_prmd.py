"""UI-PRMD's markers become joints of people."""

import gzip

import numpy as np
import pytest

from core.errors import InputError
from core.skeletons import H36M17
from training.datasets import mocap
from training.prepare import prmd

# where the markers of somebody who stands are, m: ahead x, left y, up z; the left side's, the right is its mirror image
PLACES = {"FHD": (0.1, 0.06, 1.65), "BHD": (-0.1, 0.06, 1.65), "SHO": (0, 0.18, 1.46), "UPA": (0, 0.22, 1.3), "ELB": (-0.02, 0.24, 1.15),
          "FRM": (0, 0.25, 1.05), "WRA": (0.06, 0.25, 0.92), "WRB": (0, 0.25, 0.92), "FIN": (0.03, 0.25, 0.85), "ASI": (0.1, 0.13, 1.0),
          "PSI": (-0.08, 0.05, 1.0), "THI": (0, 0.15, 0.7), "KNE": (0, 0.14, 0.5), "TIB": (0, 0.13, 0.3), "ANK": (0, 0.12, 0.08),
          "HEE": (-0.07, 0.09, 0.05), "TOE": (0.15, 0.1, 0.04)}
MIDDLE = {"C7": (-0.08, 0, 1.5), "T10": (-0.1, 0, 1.25), "CLAV": (0.06, 0, 1.42), "STRN": (0.09, 0, 1.25), "RBAK": (-0.1, -0.08, 1.3)}


def standing(frames=160):
    """Markers (T, 39, 3) m of somebody who moves ahead at 1 m/s."""
    places = [MIDDLE[name] if name in MIDDLE else np.array(PLACES[name[1:]]) * (1, 1 if name[0] == "L" else -1, 1) for name in prmd.MARKERS]
    path = np.zeros((frames, 1, 3))
    path[:, 0, 0] = np.arange(frames) / prmd.RATE
    return np.array(places) + path


def written(folder, table, name="m01_s01_e01_positions.txt"):
    np.savetxt(folder / name, (table * 1000).reshape(len(table), -1), delimiter=",", fmt="%.3f")
    return folder / name


def test_joints_lie_inside_the_markers(tmp_path):
    joints, forward = prmd.human(prmd.read(written(tmp_path, standing())))
    first = dict(zip(H36M17.joints, joints[0], strict=True))
    assert np.allclose(forward, (1, 0, 0), atol=1e-4)
    for side, sign in (("left", 1), ("right", -1)):
        assert np.allclose(first[f"{side}_hip"], (0.1 - 0.19 * 0.26, sign * 0.36 * 0.26, 1 - 0.3 * 0.26), atol=1e-3)
        assert np.allclose(first[f"{side}_knee"], (0, sign * 0.09, 0.5), atol=0.01)
        assert np.allclose(first[f"{side}_foot"], (0, sign * 0.085, 0.08), atol=0.01)
        assert np.allclose(first[f"{side}_wrist"], (0.03, sign * 0.25, 0.92), atol=1e-3)
    assert first["hip"][2] < first["spine"][2] < first["thorax"][2] < first["neck_nose"][2] < first["head"][2]
    assert first["neck_nose"][0] > first["head"][0]


def test_files_become_clips_gzipped_or_not_right_exercises_or_wrong(tmp_path):
    path = written(tmp_path, standing())
    (tmp_path / "m01_s01_e02_positions_inc.txt.gz").write_bytes(gzip.compress(path.read_bytes()))
    prmd.main([str(tmp_path), "-o", str(tmp_path / "prmd.npz")])
    found = mocap.load(tmp_path, ["prmd"])
    assert found.start.tolist() == [0, 80, 160] and (found.fps == 50).all()
    assert np.allclose(found.root[79] - found.root[0], (1.58 * 1.74 / found.stature[0], 0, 0), atol=0.01)


def test_short_gaps_are_filled_and_long_ones_cut(tmp_path):
    table = standing(400)
    table[20:30, prmd.MARKERS.index("LKNE")] = 0
    whole = prmd.human(prmd.read(written(tmp_path, table)))[0]
    assert np.allclose(whole, prmd.human(prmd.read(written(tmp_path, standing(400), "b_positions.txt")))[0], atol=2e-3)
    table[150:170, prmd.MARKERS.index("RANK")] = 0
    assert [len(joints) for _, joints, *_ in prmd.clips(written(tmp_path, table))] == [75, 115]
    table[:, prmd.MARKERS.index("C7")] = 0
    assert not list(prmd.clips(written(tmp_path, table)))


def test_what_is_none_of_its_files_is_told(tmp_path, capsys):
    written(tmp_path, standing())
    (tmp_path / "bad_positions.txt").write_text("1,2,3\n")
    prmd.main([str(tmp_path), "-o", str(tmp_path / "prmd.npz")])
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and "bad_positions.txt: expected lines of 117 numbers" in told[0]
    with pytest.raises(InputError, match="no .*positions.txt"):
        prmd.main([str(tmp_path / "nowhere"), "-o", str(tmp_path / "prmd.npz")])
