"""Anatomy3D: bone lengths and directions apart; weights=FILE. It reads bone lengths from the whole track, so a window alone gives a little else.

Reads x, y and the score of 17 joints of Human3.6M, or of HumanEva's 15 (a network of one's own training). causal=published is what the authors
call causal: their targets are the middle of the window, so its answers need half a window of the future, like those of a centred network.
causal=true is causal: the answer is for the newest frame, and lengths are read from at most `randnum` frames of the past, at an even stride.
"""

import numpy as np
import torch

from core.errors import InputError
from core.networks import pick_device
from lifters._anatomy import from_state
from lifters._bones import bones
from lifters._published import Published, of_joints
from lifters._tcn import widths
from weights import load, load_strict, resolve

CHUNK = 1024  # frames of a track at once: bounds the memory


def even(count, most):
    """At most `most` of the indices below `count`, the last among them, at an even stride."""
    return np.sort(np.arange(count - 1, -1, -max(1, -(-count // most))))


def chance(count, most):
    """At most `most` of the indices below `count` at random, the same at every call."""
    return np.arange(count) if count <= most else np.sort(np.random.default_rng(count).permutation(count)[:most])


class Anatomy(Published):
    whole_track = True

    def __init__(self, network, skeleton, causal, randnum, flip, device, half):
        super().__init__(network, (skeleton, skeleton), 3, flip, device, half)
        self.receptive_field, self.causal, self.published, self.randnum = network.receptive_field, causal is True, causal == "published", randnum

    def _windows(self, x):
        """The lengths are read from the window's own frames, as many as in training: from all, they would cost several times the rest."""
        frames = even(x.shape[1], self.randnum)
        return self.network.one_frame(x, self.network.lengths(self.network.frame_poses(x[:, frames, :, :2])))

    def _track(self, read):
        before = self.receptive_field - 1 if self.causal else self.receptive_field // 2
        index = np.clip(np.arange(len(read) + self.receptive_field - 1) - before, 0, len(read) - 1)

        def lift(x):
            found = self._lengths(x)
            pieces = [slice(start, start + CHUNK) for start in range(0, x.shape[1], CHUNK)]
            return torch.cat([self.network(x[:, index[piece.start: piece.stop + self.receptive_field - 1]], found[:, piece]) for piece in pieces], 1)

        return self._averaged(lift, self._tensor(read[None]))[0]

    def _lengths(self, x):
        """The bone lengths (B, T, bones) for every frame of tracks (B, T, J, 3): of all frames, or of some of those that count as known by then."""
        measured = [self.network.measured(self.network.frame_poses(x[:, start: start + CHUNK, :, :2])) for start in range(0, x.shape[1], CHUNK)]
        found, worth = (torch.cat(part, 1) for part in zip(*measured, strict=True))
        count = x.shape[1]
        if not self.causal and not self.published:
            return (worth.softmax(1) * found).sum(1, keepdim=True).expand(-1, count, -1)
        ahead = self.receptive_field // 2 if self.published else 0
        choose, known = chance if self.published else even, [min(t + 1 + ahead, count) for t in range(count)]
        looks = [torch.as_tensor(choose(n, self.randnum), device=x.device) for n in known]
        return torch.stack([(worth[:, look].softmax(1) * found[:, look]).sum(1) for look in looks], 1)


def build(weights="anatomy3d-h36m-cpn", arc=None, causal=False, randnum=50, flip=True, device="auto", half=False):
    """A lifter from a checkpoint; `arc` is read from its shapes, and checked when given.

    causal: false, true or published (which one a checkpoint was trained for it does not say); randnum: the most frames that bone lengths are read
    from where the whole track is not: in windows, and by a causal one.
    """
    if causal not in (False, True, "published"):
        raise InputError(f"causal={causal}: expected false, true or published")
    if not isinstance(randnum, int) or randnum < 1:
        raise InputError(f"randnum={randnum}: expected a number of frames from 1")
    state, _ = load(resolve(weights))
    network = load_strict(from_state(state, lambda joints: bones(of_joints(joints, weights)), widths(arc), bool(causal)), state, weights)
    return Anatomy(network, of_joints(network.joints, weights), causal, randnum, flip, pick_device(device), half)
