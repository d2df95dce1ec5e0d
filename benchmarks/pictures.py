"""Our detector and pose network beside small public ones run by OpenVINO, on the CPU.

    python -m benchmarks.pictures --public FOLDER [--threads 2] [--rounds 20] [--people 8]

FOLDER holds yolox_nano_416.onnx and tinypose_256_192_fp16.xml. ms for a noise frame of 1920x1080, and for a person in it: the median of rounds that
take turns. From the picture to boxes and joints, one look at each person; of YOLOX-nano resizing and the network alone, which flatters it. Needs
openvino.
"""

import argparse
import pathlib
import time

import numpy as np
import torch

from core.geometry import letterbox_matrix, warp
from detectors import centernet
from poses import body21
from training import graphs, pose_teachers
from training.box_teachers import BORDER, TEACHERS, YoloxNano


def contests(image, boxes, folder):
    """{name: (what to time, for how many people or 1)}."""
    detector, pose = centernet.build(device="cpu"), body21.build(widen=False, batch=len(boxes), device="cpu")
    yolox, tinypose = graphs.by_openvino(folder / TEACHERS["yolox-nano"][0]), pose_teachers.build("pp-tinypose", folder)
    size = (YoloxNano.size, YoloxNano.size)
    matrix = letterbox_matrix(image.shape[1], image.shape[0], size)

    def boxed():
        yolox(torch.from_numpy(warp(image, matrix, size, border=BORDER)).permute(2, 0, 1)[None].float())

    return {"detector-centernet": (lambda: detector([image]), 1), "YOLOX-nano": (boxed, 1),
            "pose-body21, one person": (lambda: pose([image], [boxes[:1]]), 1),
            f"pose-body21, {len(boxes)} people": (lambda: pose([image], [boxes]), len(boxes)),
            "PP-TinyPose": (lambda: tinypose([image], [boxes]), len(boxes))}


def main(argv=None):
    parser = argparse.ArgumentParser("python -m benchmarks.pictures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--public", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--people", type=int, default=8)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    corners = rng.uniform((0, 0), (1600, 500), (options.people, 2))
    boxes = np.concatenate([corners, corners + (180, 480)], 1).astype(np.float32)
    runs = contests(image, boxes, options.public)
    taken = {name: [] for name in runs}
    for _ in range(options.rounds + 2):
        for name, (run, count) in runs.items():
            begun = time.perf_counter()
            run()
            taken[name].append(1000 * (time.perf_counter() - begun) / count)
    for name, times in taken.items():
        print(f"{name:26} {np.median(times[2:]):7.1f} ms")


if __name__ == "__main__":
    main()
