"""How trained networks run: by torch on a graphics card, by OpenVINO on a processor, where torch takes up to twice as long."""

import functools
import importlib.util
import sys
import threading
import warnings

import numpy as np
import torch

from core.networks import MEAN, STD, to_tensor

sys.modules.setdefault("openvino_telemetry", None)  # the module by which OpenVINO reports its use when it is imported: without it, it does not


def runnable(network, device, half=False, mean=MEAN, std=STD):
    """What to call in place of a trained `network` on a torch device: RGB uint8 pictures (B, H, W, 3), B > 0 -> its answer, a tensor or a tuple of
    them, to pictures / 255 less `mean`, divided by `std`.

    On a CPU OpenVINO does it (where it is installed), for batches and pictures of any size; numbers differ in the seventh digit. `half` computes with
    16 bits: float16 on a graphics card, on a CPU bfloat16 if it has that.
    """
    if device.type == "cpu" and importlib.util.find_spec("openvino"):
        return OnProcessor(network.float().eval(), half, mean, std)
    return OnDevice(network, device, half and device.type != "cpu", mean, std)


class OnDevice:
    """A network run by torch. The answers of `runnable`."""

    def __init__(self, network, device, half, mean, std):
        self.network, self.device, self.half = network.to(device, torch.float16 if half else torch.float32), device, half
        self.mean, self.std = mean, std

    @torch.inference_mode()
    def __call__(self, pictures):
        return self.network(to_tensor(np.ascontiguousarray(pictures), self.device, self.half, self.mean, self.std))


class OnProcessor:
    """A network compiled for this processor, on as many threads as torch has; several threads may ask it. The answers of `runnable`."""

    def __init__(self, network, half, mean, std):
        model = _prepared(_converted(network, torch.zeros(2, 3, 64, 64)), mean, std)
        self.request, self.lock = compile_model(model, half).create_infer_request(), threading.Lock()
        self.single = len(model.outputs) == 1

    def __call__(self, pictures):
        """Code is made anew for every number of pictures, which takes longer than they do: so batches are cut into powers of two."""
        parts = []
        while len(pictures):
            count = 1 << len(pictures).bit_length() - 1
            parts.append(self._infer(np.ascontiguousarray(pictures[:count])))
            pictures = pictures[count:]
        answers = tuple(torch.cat(pieces) for pieces in zip(*parts, strict=True))
        return answers[0] if self.single else answers

    def _infer(self, pictures):
        with self.lock:
            self.request.infer([pictures], share_inputs=True)
            return [torch.from_numpy(tensor.data.copy()) for tensor in self.request.output_tensors]


def compile_model(model, half=False):
    """An OpenVINO model, or the path of one as text, for this processor."""
    core = _core()
    precision = "bf16" if half and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": precision}
    return core.compile_model(model, "CPU", options)


@functools.cache
def _core():
    """OpenVINO's one Core: with the last of several its library would be unloaded under its threads."""
    from openvino import Core

    return Core()


@torch.inference_mode()
def _converted(network, example):
    """The OpenVINO model of a network of one input."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would rather have another of its formats, which OpenVINO reads ten times as slowly
        traced = torch.jit.trace(lambda x: network(x), example, check_trace=False)  # of a function: modules would be made anew, one by one
        # its own copy of the weights: it would let go of torch's in threads that do not hold Python's lock; in a variable, to outlive the conversion
        decoder = TorchScriptPythonDecoder(traced, example_input=(example,), shared_memory=False)
        frontend = FrontEndManager().load_by_framework("pytorch")
        return frontend.convert(frontend.load(decoder))


def _prepared(model, mean, std):
    """The model with uint8 pictures (B, H, W, 3) of any size as its input."""
    from openvino import Layout, Type
    from openvino.preprocess import PrePostProcessor

    model.reshape([-1, 3, -1, -1])
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    steps.input().model().set_layout(Layout("NCHW"))
    steps.input().preprocess().convert_element_type(Type.f32).mean([255 * v for v in mean]).scale([255 * v for v in std])
    return steps.build()
