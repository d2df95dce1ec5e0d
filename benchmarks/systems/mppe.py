"""RootNet and PoseNet on drawn people with three seeds: `python -m benchmarks.systems mppe`.

Small networks (ResNet-14 an eighth as wide, crops of 64 px) learn from drawn MuCo (RootNet with drawn MPII beside it) and are scored on drawn MuPoTS,
whose people, clothes and cameras are others. What a root has to beat stands beside: RootNet's k alone, with the true place in the picture.
"""

import json
import pathlib

import numpy as np
from scipy.io import loadmat

from benchmarks.systems import _runs
from training import posenet, rootnet
from training.datasets import mppe_mupots
from training.evaluation import _people, mupots3d
from training.evaluation import posenet as posenet_test
from training.evaluation import rootnet as rootnet_test
from training.evaluation.roots import ap_root, median_share
from training.prepare import drawn

SMALL = "--trainset_3d MuCo --width 8 --resnet_type 14 --input_size 64 --batch_size 8"
ROOT = "--end_epoch 12 --lr_dec_epoch 9,11"
POSE = "--trainset_2d= --end_epoch 3 --lr_dec_epoch 2"
TEST = "--testset MuPoTS --input_size 64"


def main(argv=None):
    options = _runs.arguments(argv, "mppe", __doc__)
    data = pathlib.Path(options.data) / "pictures"
    if not (data / "MuPoTS").is_dir():
        drawn.main(["--output", str(data), "--sets", "MuCo,MPII,MuPoTS", "--pictures", "300"])
    losses, roots, joints = {}, {}, {}
    for seed in options.seeds.split(","):
        for name, trainer, flags in (("rootnet", rootnet, ROOT), ("posenet", posenet, POSE)):
            place = pathlib.Path(options.output) / f"{name}{seed}"
            where = ["--data", str(data), "--output", str(place)]
            trainer.main([*where, *SMALL.split(), *flags.split(), "--seed", seed, *options.flags.split()])
            for when, value in zip(("first", "last"), _runs.curve(place / "log" / "log.csv", ["loss"])["loss"], strict=True):
                losses.setdefault(f"{name}, {when} epoch", []).append(value)
            score = _roots if name == "rootnet" else _joints
            for what, value in score(where, data, place).items():
                (roots if name == "rootnet" else joints).setdefault(what, []).append(value)
    _runs.tell("loss", losses)
    _runs.tell("roots of unseen people, true boxes", roots)
    _runs.tell("joints of unseen people, true roots", joints)


def _roots(where, data, place):
    """{what: figure} of a RootNet on MuPoTS, and of gamma = 1."""
    rootnet_test.main([*where, *TEST.split()])
    persons, (_, annotations) = mppe_mupots.load(data), mppe_mupots.annotations(data)
    rows = json.loads((place / "result" / "bbox_root_mupots_output.json").read_text())
    found = np.array([row["root_cam"] for row in rows]) / 1000
    corner = persons.squares[:, :2] - persons.squares[:, 2:] / 2
    cells = (persons.points[:, persons.skeleton.root, :2] - corner) / persons.squares[:, 2:] * 16
    plain = _people.roots(np.column_stack([cells, np.ones(len(rows))]), persons, 64)
    return {"k alone, median error, % of the distance": 100 * median_share(plain, persons.roots),
            "RootNet, median error, % of the distance": 100 * median_share(found, persons.roots), "AP of the root, %": ap_root(rows, annotations)}


def _joints(where, data, place):
    """{what: figure} of a PoseNet on MuPoTS."""
    posenet_test.main([*where, *TEST.split(), "--flip_test", "false", "--vis", "1"])
    flat, space = ({key: value for key, value in loadmat(place / "result" / f"preds_{kind}_kpt_mupots.mat").items() if key.startswith("TS")}
                   for kind in ("2d", "3d"))
    table = mupots3d.score(*mppe_mupots.annotations(data), flat, space)[True, False]["all"]
    return {"3D-PCK, all people, %": table["PCK"], "AUC, all people, %": table["AUC"]}
