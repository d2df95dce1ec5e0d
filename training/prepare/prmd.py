"""UI-PRMD for the lifters: `python -m training.prepare prmd FOLDER --output motion/prmd.npz`: ten people at ten exercises of physical therapy.

Vakanski et al., "A Data Set of Human Body Movements for Physical Rehabilitation Exercises", Data 3 (2018): the positions of 39 markers by Vicon,
`m01_s01_e01_positions.txt` and the like, gzipped or not, in the folder and below. Licence: Open Data Commons PDDL 1.0.
"""

import argparse
import pathlib
import sys

import numpy as np

from app.smooth import interpolate, neighbours
from core.errors import InputError
from training.datasets.bvh import FOREHEAD, NOSE, body
from training.prepare.motion import pieces, write

MARKERS = ("LFHD", "RFHD", "LBHD", "RBHD", "C7", "T10", "CLAV", "STRN", "RBAK", "LSHO", "LUPA", "LELB", "LFRM", "LWRA", "LWRB", "LFIN", "RSHO",
           "RUPA", "RELB", "RFRM", "RWRA", "RWRB", "RFIN", "LASI", "RASI", "LPSI", "RPSI", "LTHI", "LKNE", "LTIB", "LANK", "LHEE", "LTOE", "RTHI",
           "RKNE", "RTIB", "RANK", "RHEE", "RTOE")
RATE, EVERY = 100, 2  # frames a second of the recordings; every which is kept
GAP = 10  # frames over which a lost marker is filled in
KNEE, ANKLE, SHOULDER = 0.05, 0.035, 0.04  # m from the markers inwards, inwards and down to the joints
HIP = (0.36, 0.19, 0.30)  # aside, behind and below the front of the pelvis over its width (Bell, Pedersen, Brand 1990)


def read(path):
    """Markers {name: (T, 3) m, z up, NaN while lost} of a file. Raises InputError."""
    try:
        table = np.loadtxt(path, delimiter=",", ndmin=2).reshape(-1, len(MARKERS), 3) / 1000
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected lines of {3 * len(MARKERS)} numbers ({error})") from error
    table[(table == 0).all(-1)] = np.nan
    return dict(zip(MARKERS, np.moveaxis(_filled(table), 1, 0), strict=True))


def _filled(table):
    """Markers (T, M, 3) with gaps of up to GAP frames filled in evenly."""
    times = np.arange(len(table))
    for marker in np.moveaxis(table, 1, 0):
        known = np.isfinite(marker[:, 0])
        if known.any():
            before, after = neighbours(known)
            short = ~known & (before >= 0) & (after >= 0) & (after - before <= GAP + 1)
            marker[short] = interpolate(times[short], times[known], marker[known])
    return table


def human(markers):
    """Human3.6M's joints (T, 17, 3) m, z up, and the unit vector out of the face (T, 3); NaN while markers that they need are lost."""
    m, found = markers, {}
    front, back = (m["LASI"] + m["RASI"]) / 2, (m["LPSI"] + m["RPSI"]) / 2
    left = _unit(m["LASI"] - m["RASI"])
    ahead = _unit(_across(front - back, left))
    above = np.cross(ahead, left)
    width = np.linalg.norm(m["LASI"] - m["RASI"], axis=1, keepdims=True)
    found["thorax"] = (m["C7"] + m["CLAV"]) / 2
    down = _unit(front - found["thorax"])
    for side, sign in (("left", 1), ("right", -1)):
        own = {name[1:]: place for name, place in m.items() if name[0] == side[0].upper()}
        found[f"{side}_hip"] = front + width * (sign * HIP[0] * left - HIP[1] * ahead - HIP[2] * above)
        aside = sign * _unit(_across(left, _unit(own["KNE"] - found[f"{side}_hip"])))
        found[f"{side}_knee"], found[f"{side}_foot"] = own["KNE"] - KNEE * aside, own["ANK"] - ANKLE * aside
        found[f"{side}_shoulder"], found[f"{side}_elbow"] = own["SHO"] + SHOULDER * down, own["ELB"]
        found[f"{side}_wrist"] = (own["WRA"] + own["WRB"]) / 2
    forward = _unit(m["LFHD"] + m["RFHD"] - m["LBHD"] - m["RBHD"])
    up = _unit(np.cross(forward, m["LFHD"] - m["RFHD"] + m["LBHD"] - m["RBHD"]))
    found["head"] = (m["LFHD"] + m["RFHD"] + m["LBHD"] + m["RBHD"]) / 4
    found["neck_nose"] = found["head"] + (NOSE[0] - FOREHEAD[0]) * forward + (NOSE[1] - FOREHEAD[1]) * up
    return body(found), forward


def _unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _across(vectors, way):
    """Vectors (T, 3) without their part along unit vectors (T, 3)."""
    return vectors - (vectors * way).sum(1, keepdims=True) * way


def clips(path):
    """(name, joints, out of the face, frames a second) of the stretches in which all joints are known."""
    joints, forward = (values[::EVERY] for values in human(read(path)))
    known = np.isfinite(joints).all((1, 2)) & np.isfinite(forward).all(1)
    cuts = np.flatnonzero(np.diff(np.r_[False, known, False].astype(int))).reshape(-1, 2)
    for first, end in cuts:
        for low, high in pieces(joints[first:end], RATE / EVERY):
            yield f"{path.name.split('.')[0]}#{first + low}", joints[first + low : first + high], forward[first + low : first + high], RATE / EVERY


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.prepare prmd", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="with the files of positions")
    parser.add_argument("-o", "--output", required=True, help=".npz of the clips")
    options = parser.parse_args(argv)
    found = []
    for path in sorted(pathlib.Path(options.folder).rglob("*_positions*.txt*")):
        try:
            found += clips(path)
        except InputError as error:
            print(error, file=sys.stderr)
    if not found:
        raise InputError(f"{options.folder}: no *_positions.txt of UI-PRMD with a second or more of motion there")
    write(options.output, found)
