"""torchvision's detection models (Faster R-CNN, RetinaNet, FCOS, SSD, ...) with their official COCO weights, people only.

The weights are downloaded on first use (13 to 226 MB); BSD-3-Clause, trained on COCO 2017.
"""

import torch

from core.networks import pick_device
from core.records import Detections
from weights._torchvision import categories, official


def build(model="fasterrcnn_mobilenet_v3_large_320_fpn", threshold=0.5, size=None, weights=None, device="auto", half=False):
    """A detector. `model` is torchvision's name; boxes scored below `threshold` are dropped; `size` px is the shorter side of what the network sees
    (the model's own when not given; the SSD models cannot change it). `half` computes the features in half precision.

    Raises InputError for an unknown model or size, and for weights that cannot be had.
    """
    network = official(model, weights, size, half)
    return TorchvisionDetector(network, categories(model).index("person"), threshold, pick_device(device))


class TorchvisionDetector:
    """`network` gives boxes in the picture's own pixels; `label` is the number of its class "person"."""

    def __init__(self, network, label, threshold, device):
        self.network = network.to(device)
        self.label, self.threshold, self.device = label, threshold, device

    def __call__(self, images):
        """The people of each RGB picture, best first: boxes in its pixels, scores 0..1."""
        found = [None] * len(images)
        for rows in by_size(images):
            for i, result in zip(rows, self._forward([images[i] for i in rows]), strict=True):
                found[i] = self._people(result)
        return found

    @torch.inference_mode()
    def _forward(self, images):
        tensors = [torch.from_numpy(image).to(self.device).permute(2, 0, 1).float() / 255 for image in images]
        return self.network(tensors)

    def _people(self, result):
        keep = (result["labels"] == self.label) & (result["scores"] >= self.threshold)
        return Detections(result["boxes"][keep].float().cpu().numpy(), result["scores"][keep].float().cpu().numpy())


def by_size(images):
    """Lists of the positions of pictures that have one size: padding a picture to another's size would change its answer."""
    groups = {}
    for i, image in enumerate(images):
        groups.setdefault(image.shape, []).append(i)
    return list(groups.values())
