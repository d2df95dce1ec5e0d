"""Time per person of each pose network: crops, network and the way back to the picture, on random weights (ours on its own).

    python -m benchmarks.poses [--device cuda] [--half] [--batches 1 8 64] [--rounds 3] [--only posenet senet] [--cpu-time]

Prints ms per crop for each number of people in a batch, the best of the rounds; people stand in one 1280x720 picture, whose features Keypoint
R-CNN computes once.
"""

import argparse
import time

import numpy as np
import torch
from torchvision.models import get_model

from core.graph_networks import LinearModel, SemGCN
from core.networks import pick_device
from core.records import Camera, Poses
from core.skeletons import BODY21
from poses import body21
from poses._posenet import PoseNet, RootNet
from poses._refine import GROUPS, LEAK, PARENTS, Refiner
from poses._senet import SENet
from poses.keypointrcnn import KeypointRCNN
from poses.posenet import PoseNetEstimator
from poses.rootnet import RootedEstimator
from poses.senet import SENetEstimator

CAMERA = Camera.from_fov(1280, 720)


def ready(network, device):
    return network.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)


def nobody(images, boxes, cameras):
    """A pose network that takes no time: what is left is RootNet."""
    return [Poses(BODY21, np.zeros((len(each), 21, 2)), np.zeros((len(each), 21))) for each in boxes]


nobody.skeleton = BODY21


def rooted():
    """A RootNet whose everybody is in front of the camera."""
    network = RootNet()
    network.root.depth_layer.bias.data.fill_(1.0)
    return network


def estimators(device, half):
    """{name: a function of the batch that makes an estimator}."""

    def refiner():
        return ready(Refiner(SemGCN(PARENTS, 3, 3, groups=GROUPS), LinearModel(48, 48, slope=LEAK)), device)

    def posenet(root):
        return lambda batch: PoseNetEstimator(ready(PoseNet(21), device), ready(rooted(), device) if root else None, False, batch, device, half)

    def senet(**options):
        return lambda batch: SENetEstimator(
            ready(SENet(**options), device), None if options else refiner(), None, 1.15, batch, device, half)

    return {
        "body21": lambda batch: body21.build(widen=False, batch=batch, device=str(device), half=half),
        "posenet": posenet(False), "posenet with rootnet": posenet(True),
        "rootnet": lambda batch: RootedEstimator(nobody, ready(rooted(), device), False, batch, device, half),
        "senet (ResNeXt-50) with refiner": senet(), "senet (ResNet-50)": senet(groups=1, widths=(64, 128, 256, 512)),
        "keypointrcnn": lambda batch: KeypointRCNN(get_model("keypointrcnn_resnet50_fpn", weights=None, weights_backbone=None).eval(), device),
    }


def people(count):
    """Boxes (N, 4) px of people side by side."""
    left = np.linspace(20, 1100, count)
    return np.stack([left, np.full(count, 100.0), left + 120, np.full(count, 450.0)], 1).astype(np.float32)


def milliseconds(estimator, image, count, device, rounds, clock):
    """The best time per person by a clock in seconds, after one call to warm up."""
    best = np.inf
    for i in range(rounds + 1):
        start = clock()
        estimator([image], [people(count)], [CAMERA])
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, clock() - start) if i else best
    return 1e3 * best / count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[""], help="networks whose name begins so")
    parser.add_argument("--cpu-time", action="store_true", help="count this program's own time on the CPU (all threads): for a machine that is busy")
    options = parser.parse_args()
    clock = time.process_time if options.cpu_time else time.perf_counter
    device, image = pick_device(options.device), np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    notes = [f"{torch.get_num_threads()} threads", *["CPU time"] * options.cpu_time, *["half precision"] * options.half]
    print(f"ms per crop, {device}, {', '.join(notes)}")
    print(f"{'batch':34s}" + "".join(f"{count:9d}" for count in options.batches))
    for name, make in estimators(device, options.half).items():
        if name.startswith(tuple(options.only)):
            times = [milliseconds(make(count), image, count, device, options.rounds, clock) for count in options.batches]
            print(f"{name:34s}" + "".join(f"{ms:9.1f}" for ms in times), flush=True)


if __name__ == "__main__":
    main()
