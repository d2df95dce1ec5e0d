"""Small ONNX networks of our own with the inputs and outputs of known families; they find what is bright. Needs the packages onnx and onnxruntime."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
FLOAT, INT64, UINT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.UINT8
STRIDES = (8, 16, 32)


class Graph:
    """Nodes added one by one: `graph("Add", a, b)` gives the name of the result; arrays become constants."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def __call__(self, kind, *inputs, **attributes):
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.named(value) for value in inputs], [output], **attributes))
        return output

    def named(self, value):
        if isinstance(value, str):
            return value
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def save(self, path, size, outputs, batch, source="input", raw=False):
        """Write it with the input (batch, 3, height, width), or bytes (batch, height, width, 3); `outputs` are (name, value, kind, shape)."""
        self.nodes += [helper.make_node("Identity", [value], [name]) for name, value, _, _ in outputs]
        infos = [helper.make_tensor_value_info(name, kind, shape) for name, _, kind, shape in outputs]
        kind, shape = (UINT8, [batch, size[1], size[0], 3]) if raw else (FLOAT, [batch, 3, size[1], size[0]])
        entry = helper.make_tensor_value_info(source, kind, shape)
        model = helper.make_model(helper.make_graph(self.nodes, "test", [entry], infos, self.constants),
                                  opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, path)
        return path


def _brightness(graph, stride):
    """Mean of the channels of each cell (B, 1, h, w)."""
    pooled = graph("AveragePool", "input", kernel_shape=[stride] * 2, strides=[stride] * 2)
    return graph("ReduceMean", pooled, axes=[1], keepdims=1)


def yolox(path, size=(64, 64), batch=1):
    """A cell is as sure as it is bright (of 255); every box is two cells wide and three high, in the middle of its cell."""
    graph = Graph()
    cells = [graph("Reshape", _brightness(graph, s), np.array([0, -1, 1], np.int64)) for s in STRIDES]
    sure = graph("Concat", *cells, axis=1)
    row = np.float32([0.5, 0.5, np.log(2), np.log(3), 0, 1, 0])
    rows = graph("Add", graph("Mul", sure, np.float32([0, 0, 0, 0, 1 / 255, 0, 0])), row)
    return graph.save(path, size, [("output", rows, FLOAT, [batch, sum(size[0] * size[1] // s**2 for s in STRIDES), 7])], batch)


def rtmdet(path, size=(64, 64), batch=1):
    """The logit of a cell is the mean of its normalised channels; sides are 8, 4, 16, 12 px away."""
    graph, outputs = Graph(), []
    bright = [_brightness(graph, s) for s in STRIDES]
    sides = [graph("Add", graph("Mul", b, np.zeros((1, 4, 1, 1), np.float32)), np.float32([8, 4, 16, 12]).reshape(1, 4, 1, 1)) for b in bright]
    for name, maps, channels in (("score", bright, 1), ("side", sides, 4)):
        outputs += [(f"{name}{s}", m, FLOAT, [batch, channels, size[1] // s, size[0] // s]) for m, s in zip(maps, STRIDES, strict=True)]
    return graph.save(path, size, outputs, batch)


def suppressed(path, size=(64, 64), batch=1):
    """Three fixed boxes, the second of class 2, with scores that grow with the mean of the input."""
    graph = Graph()
    mean = graph("ReduceMean", "input", axes=[2, 3], keepdims=0)
    mean = graph("Unsqueeze", graph("ReduceMean", mean, axes=[1], keepdims=1), np.array([1], np.int64))
    rows = np.float32([[8, 8, 24, 40, 0.5], [4, 4, 30, 30, 0.5], [40, 10, 60, 50, 0.4]])
    dets = graph("Add", graph("Mul", mean, np.float32([0, 0, 0, 0, 1e-3])), rows)
    zero = graph("Cast", graph("Mul", graph("Squeeze", mean, np.array([2], np.int64)), np.float32([0])), to=INT64)
    labels = graph("Add", zero, np.array([0, 2, 0], np.int64))
    return graph.save(path, size, [("dets", dets, FLOAT, [batch, "n", 5]), ("labels", labels, INT64, [batch, "n"])], batch)


def heatmaps(path, size=(48, 64), joints=17, batch=1, stride=4):
    """The maps of all joints are the brightness of the cells, scaled so that normalised white is about 1."""
    graph = Graph()
    maps = graph("Mul", _brightness(graph, stride), np.full((joints, 1, 1), 0.4, np.float32))
    return graph.save(path, size, [("maps", maps, FLOAT, [batch, joints, size[1] // stride, size[0] // stride])], batch)


def simcc(path, size=(48, 64), joints=17, batch="batch", names=("simcc_x", "simcc_y")):
    """Brightness summed over the columns and rows, position 2 i being pixel i, what lies between the mean of its neighbours."""
    graph, outputs = Graph(), {}
    grey = graph("ReduceMean", "input", axes=[1], keepdims=0)
    for name, axis, side in (("simcc_x", 1, size[0]), ("simcc_y", 2, size[1])):
        double = np.kron(np.eye(side), [1, 0.5]) + np.kron(np.eye(side, k=-1), [0, 0.5])
        profile = graph("ReduceMax", grey, axes=[axis], keepdims=0)
        row = graph("Unsqueeze", graph("MatMul", profile, double.astype(np.float32)), np.array([1], np.int64))
        outputs[name] = (name, graph("Mul", row, np.full((joints, 1), 0.3, np.float32)), FLOAT, [batch, joints, 2 * side])
    return graph.save(path, size, [outputs[name] for name in names], batch)


def vectors(path, size=(16, 32), batch="batch", raw=False):
    """The mean colour of a picture, as it comes in."""
    graph = Graph()
    pixels = graph("Cast", "input", to=FLOAT)
    mean = graph("ReduceMean", pixels, axes=[1, 2] if raw else [2, 3], keepdims=0)
    return graph.save(path, size, [("features", mean, FLOAT, [batch, 3])], batch, raw=raw)
