"""Our detector and pose network beside small public ones run by OpenVINO, on the CPU.

    python -m benchmarks.pictures --public FOLDER [--threads 2] [--rounds 20] [--people 8]

FOLDER holds yolox_nano_416.onnx and tinypose_256_192_fp16.xml. ms for a noise frame of 1920x1080, and for a person in it: the median of rounds that
take turns. Ours from the picture to boxes and joints; of the others resizing or cropping and the network alone, which flatters them. Needs openvino.
"""

import argparse
import pathlib
import time

import cv2
import numpy as np
import torch

from core.errors import InputError
from core.geometry import crop_matrix, warp
from detectors import centernet
from poses import body21

YOLOX, TINYPOSE = "yolox_nano_416.onnx", "tinypose_256_192_fp16.xml"
SIZE = (192, 256)


def compiled(path, threads):
    """A network as a function of one array. Raises InputError where the package or the file is missing."""
    try:
        import openvino
    except ImportError as error:
        raise InputError("the package openvino is needed") from error
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    model = openvino.compile_model(str(path), "CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"})
    return lambda array: model(array)


def contests(image, boxes, folder, threads):
    """{name: (what to time, for how many people or 1)}."""
    detector, pose = centernet.build(device="cpu"), body21.build(device="cpu", batch=len(boxes))
    yolox, tinypose = compiled(folder / YOLOX, threads), compiled(folder / TINYPOSE, threads)

    def boxed():
        small = cv2.resize(image, (416, 234)).astype(np.float32)
        yolox(np.pad(small, ((0, 182), (0, 0), (0, 0)), constant_values=114).transpose(2, 0, 1)[None])

    def posed():
        for box in boxes:
            crop = warp(image, crop_matrix(box, SIZE, 1.25, 0.0), SIZE).astype(np.float32)
            tinypose(((crop - 127.5) / 58.0).transpose(2, 0, 1)[None])

    return {"detector-centernet": (lambda: detector([image]), 1), "YOLOX-nano": (boxed, 1),
            "pose-body21, one person": (lambda: pose([image], [boxes[:1]]), 1),
            f"pose-body21, {len(boxes)} people": (lambda: pose([image], [boxes]), len(boxes)), "PP-TinyPose": (posed, len(boxes))}


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
    runs = contests(image, boxes, options.public, options.threads)
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
