"""Speed and memory of the analysis of a clip, beside a plain onnxruntime chain and beside decoding and encoding alone.

    python -m benchmarks.pipeline clip.mp4 [--chain FOLDER] [--limit N] [viz.py's options]

FOLDER holds yolox_nano_416.onnx and ultralight_simplepose.onnx; the chain runs the first on every frame and the second on every person.
Everything runs in one process, one after the other, so the ratios mean something on a noisy machine; the milliseconds less.
"""

import argparse
import pathlib
import tempfile
import time

import cv2
import numpy as np
import torch

from app import offline, video, writer
from app.cli import parse
from app.passes import draw
from app.perceive import build_parts
from app.prefetch import prefetch
from app.stats import Stages, peak_memory_mb
from core.geometry import apply_affine, crop_matrix, invert_affine, iou, warp

GREY = 114
MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


class Chain:
    """YOLOX-nano on a frame, SimplePose on each person found; onnxruntime on all cores."""

    def __init__(self, folder):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.detector, self.pose = (onnxruntime.InferenceSession(str(pathlib.Path(folder) / name), options, providers=["CPUExecutionProvider"])
                                    for name in ("yolox_nano_416.onnx", "ultralight_simplepose.onnx"))
        grids = [(np.stack(np.meshgrid(np.arange(416 // s), np.arange(416 // s)), -1).reshape(-1, 2), s) for s in (8, 16, 32)]
        self.cells = np.concatenate([grid for grid, _ in grids])
        self.strides = np.concatenate([np.full((len(grid), 1), s) for grid, s in grids])

    def boxes(self, image):
        zoom = min(416 / image.shape[0], 416 / image.shape[1])
        small = cv2.resize(image, (round(image.shape[1] * zoom), round(image.shape[0] * zoom)))
        canvas = np.full((416, 416, 3), GREY, np.uint8)
        canvas[: small.shape[0], : small.shape[1]] = small
        out = self.detector.run(None, {"images": canvas[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)})[0][0]
        score = out[:, 4] * out[:, 5]
        keep = score > 0.3
        centre, size = (out[keep, :2] + self.cells[keep]) * self.strides[keep], np.exp(out[keep, 2:4]) * self.strides[keep]
        return suppress(np.hstack([centre - size / 2, centre + size / 2]) / zoom, score[keep])

    def __call__(self, image):
        boxes = self.boxes(image)
        for box in boxes:
            matrix = crop_matrix(box, (192, 256))
            crop = (warp(image, matrix, (192, 256)).astype(np.float32) / 255 - MEAN) / STD
            maps = self.pose.run(None, {"data": crop.transpose(2, 0, 1)[None]})[0][0]
            peak = maps.reshape(len(maps), -1).argmax(1)
            apply_affine(invert_affine(matrix), np.stack([peak % 48, peak // 48], 1) * 4.0)
        return len(boxes)


def suppress(boxes, scores, threshold=0.5):
    """Greedy non-maximum suppression."""
    kept = []
    for i in np.argsort(-scores):
        if not kept or iou(boxes[i : i + 1], boxes[kept]).max() < threshold:
            kept.append(i)
    return boxes[kept]


def timed(work):
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("clip")
    arguments.add_argument("--chain", metavar="FOLDER")
    arguments.add_argument("--rounds", type=int, default=3)
    options, rest = arguments.parse_known_args()
    settings, _ = parse(["--video", options.clip, "--quiet", *rest])
    info = video.probe(options.clip)
    made = build_parts(settings)
    chain = Chain(options.chain) if options.chain else None
    best, stages = {}, None
    for _ in range(options.rounds):  # alternating, the best of each
        stages = measure(options.clip, settings, info, made, chain, best)
    show(best, stages, info, settings)


def measure(clip, settings, info, made, chain, best):
    """One round of everything: fills `best` {name: (frames, seconds)}; returns the Stages of the analysis."""

    def keep(name, frames, seconds):
        if name not in best or seconds < best[name][1]:
            best[name] = frames, seconds

    keep("decoding alone", *timed(lambda: sum(1 for _ in prefetch(video.frames(clip, **settings.range()), 8))))
    stages = Stages()
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (motion, ending), seconds = timed(lambda: offline._motion(clip, info, settings, made, place / "log", stages))
        keep("analysis", ending.frames, seconds)
        keep("drawing and encoding mp4", ending.frames, timed(lambda: draw(motion, clip, place / "out.mp4", settings, stages))[1])
        keep("encoding alone", *timed(lambda: encode(clip, settings, info, place / "bare.mp4")))
    if chain:
        keep("onnxruntime chain", *timed(lambda: sum(1 for f in prefetch(video.frames(clip, **settings.range()), 8) if chain(f.image) >= 0)))
    return stages


def encode(clip, settings, info, path):
    frames = 0
    with writer.open_writer(path, info) as out:
        for frame in prefetch(video.frames(clip, **settings.range()), 8):
            out.write(frame.image, frame.time)
            frames += 1
    return frames


def show(best, stages, info, settings):
    frames, analysis = best["analysis"]
    print(f"{info.width}x{info.height}, {frames} frames, {torch.get_num_threads()} threads, detector every {settings.looking_every(info.fps)}")
    for name, (count, seconds) in best.items():
        ratio = seconds / count / (analysis / frames)
        print(f"{name:26s} {count / seconds:7.1f} frames/s {1e3 * seconds / count:7.1f} ms/frame   analysis is {ratio:.2f} x as fast")
    print(stages.table(frames))
    print(f"peak memory {peak_memory_mb():.0f} MB")


if __name__ == "__main__":
    main()
