"""SemGCN: semantic graph convolutions over the joints of one frame; weights=FILE, with or without non-local blocks.

Reads x, y of 16 joints of Human3.6M (without neck_nose), gives the same in metres.
"""

from core.errors import InputError
from core.graph_networks import semgcn_from_state, semgcn_state
from core.networks import pick_device
from core.skeletons import H36M16
from lifters._single import SingleFrame
from weights import load, load_strict, resolve

PAIRS = ("right_knee right_foot", "left_knee left_foot", "right_hip left_hip", "hip spine", "thorax head", "right_elbow right_wrist",
         "left_elbow left_wrist", "left_shoulder right_shoulder")  # joints that the non-local blocks pool


class SemGcn(SingleFrame):
    def _frames(self, x):
        return self.network(x)


def build(weights="semgcn-h36m", fit=True, flip=True, device="auto", half=False):
    """A lifter from a checkpoint.

    `fit` turns the view to the person and brings them to the size of the training; `flip` averages with the mirrored input.
    """
    state = semgcn_state(load(resolve(weights))[0])
    network = load_strict(semgcn_from_state(state, H36M16.parents, [H36M16.indices(*pair.split()) for pair in PAIRS]), state, weights)
    inputs, outputs = network.gconv_input[0].gconv.W.shape[1], network.gconv_output.W.shape[2]
    if (inputs, outputs) != (2, 3):
        raise InputError(f"'{weights}' goes from {inputs} to {outputs} numbers a joint, expected a lifter from 2 to 3")
    return SemGcn(network, H36M16, fit, flip, pick_device(device), half)
