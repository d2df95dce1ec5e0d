"""Small public person detectors to learn from and to compare with, run by torch; the files are the user's."""

import torch
from torchvision.ops import box_iou, nms

from core.geometry import clip_boxes, letterbox_matrix, warp
from core.records import Detections
from detectors.centernet import cells
from training import graphs

STRIDES = (32, 16, 8)  # coarse to fine, as in CentreNet
BORDER = 114
ALIKE, APART = 0.6, 0.5  # IoU from which boxes of several looks are one person's, and at most between two people


class _Network:
    """A fully convolutional detector; its `dense` gives score and box of every cell of pictures whose sides are multiples of 32, or, if it is made to
    be quick, the network's own size."""

    def __init__(self, path, device="cpu", quick=False):
        self.network, self.device = graphs.fastest(path, device=device) if quick else graphs.load(path).to(device), device

    def __call__(self, images):
        """The people of each RGB picture at the network's own size, scores from 0.001."""
        return [self._people(image) for image in images]

    def _people(self, image):
        height, width = image.shape[:2]
        matrix = letterbox_matrix(width, height, (self.size, self.size))
        x = torch.from_numpy(warp(image, matrix, (self.size, self.size), border=BORDER)).to(self.device)
        found = self.dense(x.permute(2, 0, 1)[None].float())[0]
        found = found[found[:, 0] > 0.001]
        found = found[nms(found[:, 1:], found[:, 0], 0.5)].cpu().numpy()
        return Detections(clip_boxes(found[:, 1:] / matrix[0, 0], width, height), found[:, 0])


class YoloxNano(_Network):
    """YOLOX-nano (Ge et al. 2021), 80 classes, 416 x 416."""

    size = 416

    def dense(self, x):
        """Score and box xyxy px (B, N, 5) of the cells of RGB pictures (B, 3, h, w) from 0 to 255, strides 32, 16, 8 in turn."""
        found, levels = self.network(x.flip(1))[0], []
        for stride in STRIDES[::-1]:  # its own order is fine to coarse
            points = cells(x.shape[2] // stride, x.shape[3] // stride, stride, x.device) - stride / 2
            part, found = found[:, : len(points)], found[:, len(points):]
            centre, half = part[..., :2] * stride + points, part[..., 2:4].exp() * stride / 2
            levels.append(torch.cat([part[..., 4:5] * part[..., 5:6], centre - half, centre + half], -1))
        return torch.cat(levels[::-1], 1)


class RtmdetNano(_Network):
    """RTMDet-nano (Lyu et al. 2022) of MMPose, persons only, 640 x 640."""

    size = 640

    def dense(self, x):
        """Score and box xyxy px (B, N, 5) of the cells of RGB pictures (B, 3, h, w) from 0 to 255, strides 32, 16, 8 in turn."""
        mean, std = (torch.tensor(v, device=x.device).view(1, 3, 1, 1) for v in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)))
        outputs = self.network(((x - mean) / std).flip(1))
        levels = zip(STRIDES, outputs[2::-1], outputs[:2:-1], strict=True)
        return torch.cat([self._level(stride, logits, sides) for stride, logits, sides in levels], 1)

    @staticmethod
    def _level(stride, logits, sides):
        points = cells(*logits.shape[2:], stride, logits.device) - stride / 2
        sides = sides.flatten(2).transpose(1, 2)
        return torch.cat([logits.flatten(2).transpose(1, 2).sigmoid(), points - sides[..., :2], points + sides[..., 2:]], -1)


TEACHERS = {"rtmdet-nano": ("rtmdet_nano_person.onnx", RtmdetNano), "yolox-nano": ("yolox_nano_416.onnx", YoloxNano)}


class Council:
    """Several networks at several sizes, plain and mirrored, that look at the same pictures: better boxes than any one of them."""

    def __init__(self, looks, least=0.05, flip=True):
        self.looks, self.least, self.flip = looks, least, flip

    @torch.inference_mode()
    def __call__(self, gallery, rows):
        """[(boxes (N, 4) px, scores (N,))] of the pictures `rows` of a Gallery, best first; a score is the mean of what each look says of it."""
        rows, found = torch.as_tensor(rows, device=gallery.device), []
        for network, size in self.looks:
            zoom = size / gallery.sizes[rows].amax(1)
            matrices = torch.zeros(len(rows), 2, 3, device=gallery.device)
            matrices[:, 0, 0] = matrices[:, 1, 1] = zoom
            x = gallery.crops(rows, matrices, (size, size))
            looks = [network.dense(x)]
            if self.flip:
                seen = network.dense(x.flip(3))
                looks.append(torch.cat([seen[..., :1], size - seen[..., 3:4], seen[..., 2:3], size - seen[..., 1:2], seen[..., 4:]], -1))
            found += [torch.cat([look[..., :1], look[..., 1:] / zoom[:, None, None]], -1) for look in looks]
        return [self._merged([look[i] for look in found]) for i in range(len(rows))]

    def _merged(self, looks):
        looks = [look[look[:, 0] > self.least] for look in looks]
        everything = torch.cat(looks)
        boxes, scores = everything[:, 1:], everything[:, 0]
        kept = nms(boxes, scores, ALIKE)
        near = (box_iou(boxes[kept], boxes) > ALIKE) * scores
        best = torch.stack([part.amax(1) if part.shape[1] else near.new_zeros(len(kept)) for part in near.split([len(look) for look in looks], 1)], 1)
        weight = near.square()
        boxes = weight @ boxes / weight.sum(1, keepdim=True).clamp(min=1e-9)
        kept = nms(boxes, best.mean(1), APART)  # means of boxes that were apart may be alike
        return boxes[kept], best.mean(1)[kept]


def council(folder, device="cpu", quick=False):
    """The public detectors of the folder of public weights as a Council; `quick`: one look of the better one, a thirtieth of the time."""
    if quick:
        return Council([(RtmdetNano(f"{folder}/{TEACHERS['rtmdet-nano'][0]}", device, quick=True), RtmdetNano.size)], flip=False)
    rtmdet, yolox = (kind(f"{folder}/{file}", device) for file, kind in TEACHERS.values())
    return Council([(rtmdet, 640), (rtmdet, 896), (yolox, 416), (yolox, 640)])
