"""Batches for temporal networks from clips: shuffled windows for training, whole padded clips for evaluation.

All clips lie in one table of frames; a batch is one gather by an index table, whatever its windows, so that a GPU never waits for Python.
"""

from typing import NamedTuple

import numpy as np
import torch

from training.datasets.rigs import MIRRORED_LENS


class Batch(NamedTuple):
    """points (B, W, J, 2 or 3), joints (B, S, K, 3) m or None, lens (B, 9) or None, rows (B, 4): clip, first and end frame, mirrored."""

    points: torch.Tensor
    joints: torch.Tensor | None
    lens: torch.Tensor | None
    rows: torch.Tensor


class Mirrors(NamedTuple):
    """The partner of each joint on the other side: of the 2D keypoints, and of the 3D skeleton."""

    points: tuple
    joints: tuple


def mirrored(x, partner):
    """Joints (..., J, D) seen in a mirror: x negated, sides swapped."""
    return torch.cat([-x[..., partner, :1], x[..., partner, 1:]], -1)


def mirrored_lens(lens):
    """Lenses (..., 9) of the mirrored picture."""
    other = lens.clone()
    other[..., list(MIRRORED_LENS)] *= -1
    return other


class Windows:
    """Training batches, an epoch at a time: every chunk of `stride` frames of every clip once, and mirrored once more with `mirrors`.

    The points of a chunk reach `pad` frames further on both sides, the ends of a clip repeated; `shift` (pad for a causal network, else 0) moves
    them back in time. `batch` counts chunks; the last batch of an epoch is what is left. `endless` never ends an epoch, only reshuffles.
    The order is that of numpy's RandomState(seed), as in the published generator. `share` = (i, n) gives every n-th chunk of each batch, whose last
    one is left out where it has fewer than `least` chunks for each of the n.
    Iteration begins a new epoch; `state()` and `restore()` carry the order over a restart.
    """

    def __init__(self, clips, batch, stride=1, pad=0, shift=0, shuffle=True, mirrors=None, seed=1234, endless=False, device="cpu", share=(0, 1),
                 least=1):
        self.batch, self.stride, self.pad, self.shift = batch, stride, pad, shift
        self.shuffle, self.endless, self.device, self.share, self.least = shuffle, endless, torch.device(device), share, least
        self.random, self.order, self.at = np.random.RandomState(seed), None, 0  # noqa: NPY002 - the published order is this generator's
        self.mirrors = mirrors and Mirrors(*(torch.tensor(side, device=self.device) for side in mirrors))
        lengths = [len(clip) for clip in clips]
        self.lengths, self.starts = self._tensor(lengths), self._tensor(np.cumsum([0] + lengths[:-1]))
        self.points, self._both_points = self._doubled([clip.points for clip in clips], self.mirrors and self.mirrors.points)
        self.joints, self._both_joints = self._doubled([clip.joints for clip in clips], self.mirrors and self.mirrors.joints)
        lenses = [clip.camera.lens for clip in clips]
        self.lenses = None if any(lens is None for lens in lenses) else self._flat([lens[None] for lens in lenses])
        self.rows = self._tensor(chunk_rows(lengths, stride, mirrors is not None))

    def _tensor(self, array):
        return torch.as_tensor(np.asarray(array), dtype=torch.long, device=self.device)

    def _flat(self, arrays):
        if any(array is None for array in arrays):
            return None
        return torch.from_numpy(np.concatenate(arrays).astype(np.float32)).to(self.device)

    def _doubled(self, arrays, partner):
        """All frames as one table, and that table followed by its mirror image: mirrored chunks are a matter of the index then."""
        table = self._flat(arrays)
        if table is None or partner is None:
            return table, table
        both = torch.cat([table, mirrored(table, partner)])
        return both[: len(table)], both

    def __len__(self):
        """Batches of an epoch."""
        return -(-len(self.rows) // self.batch)

    def __iter__(self):
        while True:
            if self.order is None:
                self.order, self.at = self._permuted(), 0
            while self.at < len(self):
                rows = self.order[self.at * self.batch: (self.at + 1) * self.batch]
                self.at += 1
                if len(rows) >= self.least * self.share[1]:
                    yield self.cut(self.rows[rows[self.share[0]:: self.share[1]]])
            self.order = None
            if not self.endless:
                return

    def _permuted(self):
        order = self.random.permutation(len(self.rows)) if self.shuffle else np.arange(len(self.rows))
        return self._tensor(order)

    def cut(self, rows):
        """The Batch of chunks (B, 4)."""
        first = rows[:, 1, None]
        around = first + torch.arange(-self.pad - self.shift, self.stride + self.pad - self.shift, device=self.device)
        points, joints, lens = self.frames(self._both_points, rows, around, True), None, None
        if self.joints is not None:
            joints = self.frames(self._both_joints, rows, first + torch.arange(self.stride, device=self.device), True)
        if self.lenses is not None:
            lens = self.lenses[rows[:, 0]]
            lens = torch.where(rows[:, 3:] > 0, mirrored_lens(lens), lens)
        return Batch(points, joints, lens, rows)

    def frames(self, table, rows, times, both=False):
        """Frames of `points` or `joints` (B, W, J, D) at times (B, W) of the clips of chunks (B, 4); times outside a clip are its ends.

        `both`: the table holds its mirror image in its second half, which mirrored chunks are taken from.
        """
        clip = rows[:, 0]
        last = self.lengths[clip, None] - 1
        index = times.clamp(min=0).minimum(last) + self.starts[clip, None]
        if both:
            index = index + rows[:, 3, None] * (len(table) // 2)
        return table.flatten(1).index_select(0, index.flatten()).view(*index.shape, *table.shape[1:])

    def state(self):
        """What decides all further batches: the generator, and the place in an epoch that is not over."""
        return {"random": self.random, "order": None if self.order is None else self.order.cpu(), "at": self.at}

    def restore(self, state):
        """Go on from `state()`, or from a bare generator, at the start of an epoch."""
        if isinstance(state, np.random.RandomState):  # noqa: NPY002 - so the published checkpoints have it
            state = {"random": state, "order": None, "at": 0}
        self.random.set_state(state["random"].get_state())
        self.order, self.at = None if state["order"] is None else state["order"].to(self.device), state["at"]


def chunk_rows(lengths, stride, mirror):
    """Chunks (N, 4) of clips: clip, first frame, end frame, mirrored. The chunks of a clip stand in its middle and may reach over its ends."""
    parts = []
    for clip, length in enumerate(lengths):
        count = -(-length // stride)
        first = np.arange(count) * stride - (count * stride - length) // 2
        plain = np.stack([np.full(count, clip), first, first + stride, np.zeros(count, int)], 1)
        parts += [plain, plain + (0, 0, 0, 1)] if mirror else [plain]
    return np.concatenate(parts) if parts else np.zeros((0, 4), int)


def padded(points, pad, shift=0):
    """A clip's points (T, J, D) as a batch of one (1, T + 2 pad, J, D) for a network that sees `pad` frames on both sides: the ends are repeated."""
    return torch.from_numpy(np.pad(points, ((pad + shift, pad - shift), (0, 0), (0, 0)), "edge"))[None]


def whole(clip, pad, shift=0, mirrors=None):
    """(points (1 or 2, T + 2 pad, J, D), joints (1, T, K, 3) or None) of a clip, padded; with `mirrors` a second row is the mirror image."""
    points = padded(clip.points, pad, shift)
    joints = None if clip.joints is None else torch.from_numpy(clip.joints)[None]
    if mirrors:
        points = torch.cat([points, mirrored(points, list(mirrors.points))])
    return points, joints


def rooted(joints):
    """Joints (..., K, 3) with joint 0 at zero instead of at its place in the camera's axes."""
    return torch.cat([torch.zeros_like(joints[..., :1, :]), joints[..., 1:, :]], -2)
