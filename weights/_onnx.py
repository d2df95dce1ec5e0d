"""ONNX networks through onnxruntime, an optional package: opened by file or name, described by their shapes, run in batches."""

import sys

import numpy as np
import torch

from core.errors import InputError
from weights import resolve

INSTALL = "python -m pip install onnxruntime  (onnxruntime-gpu for NVIDIA)"
STRIDES = (8, 16, 32)  # of the detectors' maps
NUMBERS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


class Network:
    """An open ONNX file that takes one batch of pictures. `size` (width, height) px and `batch` are None where the file leaves them free.

    Pictures are floats (B, 3, H, W), or where `raw` is allowed and the file has it so, bytes (B, H, W, 3): `raw` says then that it has.
    `outputs` are (name, shape) pairs; a side that is free is None in the shape.
    """

    def __init__(self, session, name, limit=32, raw=False):
        self.session, self.name = session, name
        entry = self._entry(session.get_inputs(), raw)
        self.input, self.kind = entry.name, NUMBERS[entry.type]
        self.raw = self.kind == np.uint8
        self.batch, *sides = _sides(entry.shape)
        height, width = sides[:2] if self.raw else sides[1:]
        self.size = (width, height) if width and height else None
        self.limit = self.batch or limit
        self.outputs = [(output.name, _sides(output.shape)) for output in session.get_outputs()]

    def _entry(self, inputs, raw):
        kind = NUMBERS.get(inputs[0].type) if len(inputs) == 1 and len(inputs[0].shape) == 4 else None
        if kind is None or (kind == np.uint8 and not raw) or inputs[0].shape[3 if kind == np.uint8 else 1] != 3:
            found, other = ", ".join(f"{i.name} {i.shape} {i.type}" for i in inputs), " or (batch, height, width, 3) of bytes" if raw else ""
            raise InputError(f"'{self.name}' does not take pictures (batch, 3, height, width) of floats{other}; its inputs are {found}")
        return inputs[0]

    def __call__(self, pictures):
        """The outputs for pictures (B, ...): for each picture a list of arrays without the batch's axis.

        A network of a fixed batch is run as often as it takes, what is missing to its batch filled up and dropped again.
        """
        answers = []
        for start in range(0, len(pictures), self.limit):
            some = pictures[start : start + self.limit]
            whole = np.concatenate([some, np.repeat(some[-1:], self.limit - len(some), 0)]) if self.batch else some
            outputs = self.session.run(None, {self.input: np.ascontiguousarray(whole, self.kind)})
            answers += [[np.asarray(output[i], np.float32) for output in outputs] for i in range(len(some))]
        return answers

    def described(self):
        """The outputs as text for messages."""
        return ", ".join(f"{name} {tuple('?' if side is None else side for side in shape)}" for name, shape in self.outputs)


def family(network, size=None):
    """What kind of network it is, by the shapes of its outputs: yolox, rtmdet, suppressed (boxes and classes after suppression), heatmaps, simcc,
    vectors (one a picture), or None. `size` (width, height) px is that of its input where the file leaves it free.
    """
    shapes, size = [shape for _, shape in network.outputs], network.size or size
    ranks = [len(shape) for shape in shapes]
    grids = [tuple(size and side // stride for side in (size or (0, 0))[::-1]) for stride in STRIDES]
    if ranks == [3, 2] and shapes[0][2] == 5:
        return "suppressed"
    if ranks == [3] and (shapes[0][2] or 0) > 5 and (not size or shapes[0][1] in (None, sum(height * width for height, width in grids))):
        return "yolox"
    if ranks == [4] * 6 and all(shape[1] == 4 for shape in shapes[3:]) and all(
            not size or shape[2:] in (grid, (None, None)) for shape, grid in zip(shapes, grids * 2, strict=True)):
        return "rtmdet"
    if ranks == [3, 3] and shapes[0][1] == shapes[1][1] and size and _simcc(network, size):
        return "simcc"
    return {(4,): "heatmaps", (2,): "vectors"}.get(tuple(ranks))


def y_first(network):
    """Whether the names of two outputs say that the first is over the height."""
    return "y" in network.outputs[0][0].lower() and "x" in network.outputs[1][0].lower()


def _simcc(network, size):
    lengths = [shape[2] for _, shape in network.outputs]
    across, down = lengths[::-1] if y_first(network) else lengths
    return across and down and across * size[1] == down * size[0] and across % size[0] == 0


def _sides(shape):
    return tuple(side if isinstance(side, int) and side > 0 else None for side in shape)


def open_network(file, device="auto", what="network", limit=32, raw=False):
    """The Network of a file or a name of the manifest; `limit` pictures at a time where the file leaves the batch free; `raw` allows bytes.

    A GPU is used where onnxruntime offers one. Raises InputError where onnxruntime is missing, and for a file that cannot be had or read.
    """
    if file is None:
        raise InputError(f"onnx: which {what}? give its file, onnx:file=NAME.onnx")
    runtime = _runtime()
    path = resolve(file)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # its warnings are about the inside of graphs
    try:
        session = runtime.InferenceSession(str(path), options, providers=_providers(runtime, str(device)))
    except Exception as error:  # its exceptions have no common ancestor but this
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        raise InputError(f"{path} cannot be read as an ONNX network: {str(error).splitlines()[0]}") from error
    return Network(session, path.name, limit, raw)


def _runtime():
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f"ONNX networks need the package onnxruntime, which is not installed: {INSTALL}") from error
    return onnxruntime


def _providers(runtime, device):
    """What the network runs on, best first: CUDA where it is offered and not declined, always the CPU."""
    cpu = ["CPUExecutionProvider"]
    if device.startswith("cuda") or device == "auto":
        if "CUDAExecutionProvider" in runtime.get_available_providers():
            if hasattr(runtime, "preload_dlls"):
                runtime.preload_dlls()  # finds the CUDA libraries that PyTorch brought
            return [("CUDAExecutionProvider", {"device_id": int(device.partition(":")[2] or 0)}), *cpu]
        if device != "auto":
            print("onnx: this onnxruntime has no GPU support (onnxruntime-gpu has): the network runs on the CPU", file=sys.stderr)
    return cpu


def input_size(network, size):
    """The (width, height) px of a network's input: the file's own, or where it leaves that free the given `size` (a number or two).

    Raises InputError where neither says it, or they differ.
    """
    given = None if size is None else (size, size) if isinstance(size, int) else tuple(size)
    if network.size and given not in (None, network.size):
        raise InputError(f"size={size}: '{network.name}' takes {network.size[0]}x{network.size[1]} only")
    chosen = network.size or given
    if chosen is None or len(chosen) != 2 or not all(isinstance(side, int) and 32 <= side <= 4096 for side in chosen):
        raise InputError(f"'{network.name}' leaves its input size free: give size=WIDTH,HEIGHT in pixels, 32 to 4096")
    return chosen
