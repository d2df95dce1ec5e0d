"""The fifth system on drawn people with three seeds: `python -m benchmarks.systems senet`.

A small pose network (ResNeXt-14 an eighth as wide, crops of 64 px, synthetic occlusion) learns from five drawn subjects and is scored on the two
others. The refiner learns from true poses with a known error model (depth shrunk and leaning, noise of every joint) of five subjects and is scored on
the two others against its input.
"""

import pathlib

import yaml

from benchmarks.systems import _runs
from training import refiner, senet
from training.evaluation import refiner as refiner_test
from training.prepare import drawn

REFINER = "--hidden 24 --linear_size 256 --batch_size 128 --num_epochs 40 --lr 0.02 --lr_decay 100 --lr_gamma 1"


def settings(data, output):
    """The experiment's YAML, as nested dicts."""
    return {"OUTPUT_DIR": str(output), "DATASET": {"ROOT": str(data / "h36m"), "OCCLUSION": True, "VOC": str(data / "VOC2012")},
            "MODEL": {"IMAGE_SIZE": [64, 64], "EXTRA": {"NET_TYPE": "ResNeXt14", "WIDTH": 8, "NUM_DECONV_FILTERS": [32, 32, 32]}},
            "TRAIN": {"BATCH_SIZE": 8, "END_EPOCH": 10, "LR_STEP": [8]}}


def main(argv=None):
    options = _runs.arguments(argv, "senet", __doc__)
    data, guesses = pathlib.Path(options.data) / "studio" / "data", pathlib.Path(options.data) / "studio" / "refiner" / "data"
    if not (data / "h36m").is_dir():
        drawn.main(["--output", str(data), "--sets", "Human36M,h36m,VOC2012", "--actions", "2", "--frames", "3"])
        drawn.main(["--output", str(data), "--sets", "refiner", "--actions", "5"])
    losses, errors, refined = {}, {}, {}
    for seed in options.seeds.split(","):
        place = pathlib.Path(options.output) / seed
        place.mkdir(parents=True, exist_ok=True)
        (place / "train.yaml").write_text(yaml.safe_dump(settings(data, place)))
        senet.main(["--cfg", str(place / "train.yaml"), "--seed", seed])
        refiner.main([*REFINER.split(), "--data", str(guesses), "--output", str(place / "refiner"), "--seed", seed, *options.flags.split()])
        logs = {"senet": next(place.rglob("training/log.csv"))} | {name: place / "refiner" / name / "log.csv" for name in ("gcn", "linear")}
        for name, log in logs.items():
            figures = _runs.curve(log, ["loss", "MPJPE"])
            for k, when in enumerate(("first", "last")):
                losses.setdefault(f"{name}, {when} epoch", []).append(figures["loss"][k])
                if name == "senet":
                    errors.setdefault(f"MPJPE, {when} epoch", []).append(figures["MPJPE"][k])
        for name, row in refiner_test.main(["--data", str(guesses), "--output", str(place / "refiner")]).items():
            for what in ("MPJPE", "PA-MPJPE"):
                refined.setdefault(f"{name}, {what}", []).append(row[what])
    _runs.tell("loss", losses)
    _runs.tell("pose network, unseen subjects", errors, " mm")
    _runs.tell("refiner, unseen subjects", refined, " mm")
