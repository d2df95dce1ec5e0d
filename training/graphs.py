"""Public networks as torch: the few operations of small ONNX and OpenVINO graphs, so that teachers run in batches and on a graphics card.

A graph that was written for one picture serves batches: the leading 1 of a fixed shape becomes the batch, and resizing keeps its factor.
"""

import importlib.util
import pathlib
import xml.etree.ElementTree as ET
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from core.errors import InputError
from core.runtime import compile_model

ELEMENTS = {"f16": np.float16, "f32": np.float32, "i64": np.int64, "i32": np.int32, "u64": np.uint64, "u8": np.uint8}


class Node(NamedTuple):
    """One operation: names of the tensors that go in and come out, its attributes, and the shape of its first output where it is written down."""

    kind: str
    inputs: tuple
    outputs: tuple
    attributes: dict
    shape: tuple


class Graph(torch.nn.Module):
    """Pictures (B, 3, H, W) -> the named outputs, a tuple. `constants` {name: tensor} are buffers; nothing is trained."""

    def __init__(self, entry, nodes, constants, outputs):
        super().__init__()
        self.entry, self.outputs = entry, tuple(outputs)
        maker = {name: node for node in nodes for name in node.outputs}
        wanted, stack = set(), list(outputs)
        while stack:
            node = maker.get(stack.pop())
            if node is not None and id(node) not in wanted:
                wanted.add(id(node))
                stack += node.inputs[:1] if node.kind in ("Interpolate", "Resize", "Reshape") else node.inputs
        self.nodes = [node for node in nodes if id(node) in wanted]
        last = {name: i for i, node in enumerate(self.nodes) for name in node.inputs}
        self.spent = [[name for name, when in last.items() if when == i and name not in outputs] for i in range(len(self.nodes))]
        self.names = {name: f"constant{i}" for i, name in enumerate(constants)}
        for name, value in constants.items():
            self.register_buffer(self.names[name], value)

    @torch.inference_mode()
    def forward(self, x):
        known = {name: getattr(self, place) for name, place in self.names.items()} | {self.entry: x}
        for node, spent in zip(self.nodes, self.spent, strict=True):
            made = OPERATIONS[node.kind](node, *(known.get(name) for name in node.inputs))
            known.update(zip(node.outputs, made if isinstance(made, tuple | list) else (made,), strict=False))
            for name in spent:  # every tensor of a deep network at once would fill the memory
                known.pop(name, None)
        return tuple(known[name] for name in self.outputs)


def _pads(x, before, after, value=0.0):
    """x padded by (top, left), (bottom, right), unless both are equal: then the amount for the operation itself."""
    if tuple(before) == tuple(after):
        return x, tuple(before)
    return F.pad(x, (before[1], after[1], before[0], after[0]), value=value), (0, 0)


def _convolution(node, x, weight, bias=None):
    a = node.attributes
    groups = a.get("group", 1)
    if node.kind == "GroupConvolution":
        groups, weight = weight.shape[0], weight.flatten(0, 1)
    x, pad = _pads(x, a["pads"][:2], a["pads"][2:])
    return F.conv2d(x, weight, bias, a["strides"], pad, a.get("dilations", (1, 1)), groups)


def _pool(node, x):
    a = node.attributes
    x, pad = _pads(x, a["pads"][:2], a["pads"][2:], -torch.inf)
    return F.max_pool2d(x, a["kernel_shape"], a["strides"], pad, ceil_mode=bool(a.get("ceil", 0)))


def _mean_pool(node, x):
    return F.avg_pool2d(x, node.attributes["kernel_shape"], node.attributes["strides"], node.attributes["pads"][:2])


def _reshape(node, x, shape=None):
    if not node.shape and shape is None:  # its shape is worked out from the picture's: all but the batch in one
        return x.flatten(1)
    shape = node.shape if node.shape else tuple(int(n) for n in shape)
    return x.reshape(len(x), *shape[1:])


def _slice(node, x, starts, ends, axes, steps):
    index = [slice(None)] * x.ndim
    for start, end, axis, step in zip(*(v.tolist() for v in (starts, ends, axes, steps)), strict=True):
        index[axis] = slice(start, end, step)
    return x[tuple(index)]


def _resize(node, x, *_):
    """Nearest neighbours, or linear with the corners' centres kept: the two kinds that these graphs hold."""
    if node.attributes.get("mode") == "linear_onnx":
        return F.interpolate(x, scale_factor=node.attributes["factor"], mode="bilinear", align_corners=True)
    return F.interpolate(x, scale_factor=node.attributes["factor"], mode="nearest")


def _prelu(node, x, slope):
    return torch.where(x > 0, x, x * slope)


def _normalised(node, x, *_):
    """Zero mean and unit variance of each picture and channel (OpenVINO's MVN)."""
    epsilon = float(node.attributes["eps"])
    variance, mean = torch.var_mean(x, tuple(range(2, x.ndim)), correction=0, keepdim=True)
    return (x - mean) / (variance + epsilon).sqrt()


OPERATIONS = {
    "Conv": _convolution, "Convolution": _convolution, "GroupConvolution": _convolution, "MaxPool": _pool, "Reshape": _reshape, "Slice": _slice,
    "Resize": _resize, "Interpolate": _resize, "PReLU": _prelu, "MVN": _normalised,
    "Add": lambda _, a, b: a + b, "Mul": lambda _, a, b: a * b, "Multiply": lambda _, a, b: a * b, "Subtract": lambda _, a, b: a - b,
    "Sigmoid": lambda _, x: x.sigmoid(), "HardSigmoid": lambda n, x: (x * n.attributes["alpha"] + n.attributes.get("beta", 0.5)).clamp(0, 1),
    "ReLU": lambda _, x: x.relu(), "Relu": lambda _, x: x.relu(), "Gemm": lambda _, x, weight, bias: F.linear(x, weight, bias),
    "BatchNormalization": lambda n, x, gain, shift, mean, variance: F.batch_norm(x, mean, variance, gain, shift, eps=n.attributes["epsilon"]),
    "Convert": lambda _, x: x, "Gather": lambda _, x, index, axis: x.index_select(int(axis), index),
    "Concat": lambda n, *parts: torch.cat(parts, n.attributes["axis"]),
    "Split": lambda n, x, axis: x.chunk(n.attributes["num_splits"], int(axis)), "Transpose": lambda n, x, *order: x.permute(_order(n, order)),
    "GlobalAveragePool": lambda _, x: x.mean((2, 3), keepdim=True), "ReduceMean": lambda n, x, axes: x.mean(tuple(axes.tolist()), keepdim=True),
    "AvgPool": _mean_pool, "AveragePool": _mean_pool,
    "MatMul": lambda n, a, b: a @ (b.T if n.attributes.get("transpose_b") else b),
}


def _order(node, order):
    return node.attributes["perm"] if "perm" in node.attributes else order[0].tolist()


def load(path, outputs=None):
    """The network of an .onnx file (needs the package onnx) or an OpenVINO .xml file with its .bin. Raises InputError where one is missing."""
    path = _there(path)
    return (_openvino if path.suffix == ".xml" else _onnx)(path, outputs)


def _there(path):
    """The path of a network all of whose files are there. Raises InputError."""
    path = pathlib.Path(path)
    for each in [path] + [path.with_suffix(".bin")] * (path.suffix == ".xml"):
        if not each.is_file():
            raise InputError(f"{each}: no such network")
    return path


def fastest(path, outputs=None, device="cpu"):
    """As `load`, on a device; on a CPU by OpenVINO where that is installed, three to five times as fast, but for pictures of the graph's own size
    alone."""
    if torch.device(device).type == "cpu" and importlib.util.find_spec("openvino"):
        return by_openvino(path, outputs)
    return load(path, outputs).to(device)


def by_openvino(path, outputs=None):
    """The network of a file, pictures one by one on the CPU in torch's number of threads. The package openvino is needed.

    Raises InputError where a file is missing.
    """
    network = compile_model(str(_there(path)))

    def forward(x):
        rows = [network(one[None].numpy()) for one in x]
        return tuple(torch.from_numpy(np.concatenate([row[name] for row in rows])) for name in outputs or range(len(network.outputs)))
    return forward


def _onnx(path, outputs):
    import onnx
    from onnx import helper, numpy_helper

    graph = onnx.load(str(path)).graph
    constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    nodes = []
    for node in graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(attributes["value"])
            continue
        attributes.setdefault("pads", (0, 0, 0, 0))
        if node.op_type == "Resize":
            attributes["factor"] = float(constants[node.input[2]][-1])
        nodes.append(Node(node.op_type, tuple(node.input), tuple(node.output), attributes, ()))
    return Graph(graph.input[0].name, nodes, {k: _tensor(v) for k, v in constants.items()}, outputs or [o.name for o in graph.output])


def _openvino(path, outputs):
    root, blob = ET.parse(path).getroot(), path.with_suffix(".bin").read_bytes()
    source = {(e.get("to-layer"), e.get("to-port")): f"{e.get('from-layer')}:{e.get('from-port')}" for e in root.find("edges")}
    nodes, constants, entry, found, named = [], {}, None, [], {}
    for layer in root.find("layers"):
        kind, number, data = layer.get("type"), layer.get("id"), layer.find("data")
        ports = layer.findall("output/port")
        names = tuple(f"{number}:{port.get('id')}" for port in ports)
        named |= {alias: name for port, name in zip(ports, names, strict=True) for alias in (port.get("names") or "").split(",")}
        inputs = tuple(source[number, port.get("id")] for port in layer.findall("input/port"))
        shapes = [tuple(int(d.text) for d in port.findall("dim")) for port in layer.findall("input/port") + ports]
        if kind == "Parameter":
            entry = names[0]
        elif kind == "Const":
            constants[names[0]] = _constant(data, blob)
        elif kind == "Convert" and inputs[0] in constants:
            constants[names[0]] = constants[inputs[0]].astype(np.float32)
        elif kind == "Result":
            found.append(inputs[0])
        else:
            nodes.append(Node(kind, inputs, names, _attributes(data, shapes), shapes[len(inputs)]))
    used = {name for node in nodes for name in node.inputs}
    constants = {k: _tensor(v) for k, v in constants.items() if k in used}
    return Graph(entry, nodes, constants, [named[name] for name in outputs] if outputs else found)


def _constant(data, blob):
    shape = [int(n) for n in (data.get("shape") or "").replace(" ", "").split(",") if n]
    start, size = int(data.get("offset")), int(data.get("size"))
    return np.frombuffer(blob[start:start + size], ELEMENTS[data.get("element_type")]).reshape(shape)


def _attributes(data, shapes):
    """OpenVINO's texts under ONNX's names."""
    raw = {} if data is None else dict(data.attrib)
    numbers = {name: tuple(int(n) for n in raw[name].split(",")) for name in ("strides", "dilations", "kernel", "pads_begin", "pads_end")
               if raw.get(name) and name in raw}
    found = {name: value for name, value in numbers.items() if name in ("strides", "dilations")}
    found["pads"] = numbers.get("pads_begin", (0, 0)) + numbers.get("pads_end", (0, 0))
    found["kernel_shape"], found["ceil"] = numbers.get("kernel"), raw.get("rounding_type") == "ceil"
    found |= {name: int(raw[name]) for name in ("axis", "num_splits") if name in raw}
    found |= {"eps": raw.get("eps"), "transpose_b": raw.get("transpose_b") == "true", "mode": raw.get("mode")}
    if len(shapes) > 1 and len(shapes[0]) == 4 and len(shapes[-1]) == 4 and shapes[0][-1]:
        found["factor"] = shapes[-1][-1] / shapes[0][-1]
    return found


def _tensor(value):
    return torch.from_numpy(np.array(value, np.float32 if value.dtype.kind == "f" else np.int64))
