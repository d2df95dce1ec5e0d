"""torchvision's Keypoint R-CNN run on the given boxes: 17 COCO joints, official weights (226 MB, BSD-3-Clause, trained on COCO 2017).

Its own detector (region proposals) is left out: features of the picture, pooled over the boxes, give the joint heat maps (He et al. 2017).
"""

import numpy as np
import torch
from torchvision.models.detection.roi_heads import keypointrcnn_inference

from core.geometry import clip_boxes
from core.networks import pick_device
from core.records import Poses
from core.skeletons import COCO17
from weights._torchvision import official

SEEN = 2.0  # heat of a joint that Detectron's own drawing takes as visible: it gets the score 0.5


def build(size=None, weights=None, device="auto", half=False):
    """A pose estimator for boxes. `size` px is the shorter side of what the network sees (800 when not given); `weights` is a file or a manifest name
    in place of the official ones; `half` computes the features in half precision.

    Raises InputError for weights that cannot be had or do not fit.
    """
    return KeypointRCNN(official("keypointrcnn_resnet50_fpn", weights, size, half), pick_device(device))


class KeypointRCNN:
    """Points in the picture's pixels; a score is the logistic of the joint's heat (a logit) minus SEEN."""

    skeleton = COCO17

    def __init__(self, network, device):
        self.network, self.device = network.to(device), device

    def __call__(self, images, boxes, cameras):
        """Poses in boxes (N, 4) of each RGB picture, rows as the boxes; cameras are not used. Pictures of one size share a batch."""
        found = [Poses.empty(COCO17) for _ in images]
        groups = {}
        for i, image in enumerate(images):
            if len(boxes[i]):
                groups.setdefault(image.shape, []).append(i)
        for rows in groups.values():
            for i, pose in zip(rows, self._forward([images[i] for i in rows], [boxes[i] for i in rows]), strict=True):
                found[i] = pose
        return found

    @torch.inference_mode()
    def _forward(self, images, boxes):
        heads, (height, width) = self.network.roi_heads, images[0].shape[:2]
        batch, _ = self.network.transform([torch.from_numpy(image).to(self.device).permute(2, 0, 1).float() / 255 for image in images])
        scale = np.array(batch.image_sizes[0][::-1], np.float32) / (width, height)
        regions = [torch.from_numpy(_regions(box, width, height) * np.tile(scale, 2)).float().to(self.device) for box in boxes]
        pooled = heads.keypoint_roi_pool(self.network.backbone(batch.tensors), regions, batch.image_sizes)
        heat = heads.keypoint_predictor(heads.keypoint_head(pooled))
        points, heats = keypointrcnn_inference(heat, regions)
        return [Poses(COCO17, p[..., :2].cpu().numpy() / scale, torch.sigmoid(h - SEEN).cpu().numpy()) for p, h in zip(points, heats, strict=True)]


def _regions(boxes, width, height):
    """Boxes cut to the picture and at least a pixel wide and high, as the network's own proposals are."""
    clipped = clip_boxes(np.asarray(boxes, np.float32), width, height)
    clipped[:, 2:] = np.maximum(clipped[:, 2:], clipped[:, :2] + 1)
    return clipped
