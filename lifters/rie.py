"""Pose3D-RIE: relative positions, limb by limb, over time; weights=FILE. Its windows are exactly its receptive field, so tracks go window by window.

Reads x, y of 17 joints of Human3.6M, or of HumanEva's 15 (a network of one's own training: the authors published none), gives the same in metres.
It has no causal form: the authors' fails by a shape error.
"""

from core.errors import InputError
from core.networks import pick_device
from lifters._published import Published, of_joints
from lifters._rie import from_state
from lifters._tcn import widths
from weights import load, load_strict, resolve


class Rie(Published):
    def __init__(self, network, skeleton, flip, device, half):
        super().__init__(network, (skeleton, skeleton), 2, flip, device, half)
        self.receptive_field = network.receptive_field

    def _windows(self, x):
        return self.network(x)


def build(weights="rie-h36m-cpn", arc=None, stage=None, latent_features_dim=None, flip=True, device="auto", half=False):
    """A lifter from a checkpoint.

    arc, stage (1, or 2 and 3, which are the same network) and latent_features_dim (256 of the published file for exact 2D, 512 of that for CPN's) are
    read from its shapes, and checked when given.
    """
    state, _ = load(resolve(weights))
    network = load_strict(from_state(state, lambda joints: of_joints(joints, weights), widths(arc)), state, weights)
    latent = network.GlobalInfo.fc_2.out_features
    if latent_features_dim not in (None, latent):
        raise InputError(f"latent_features_dim={latent_features_dim} does not fit '{weights}', whose is {latent}")
    if stage not in (None, 1, 2, 3) or (stage is not None and (stage == 1) != (network.stage == 1)):
        raise InputError(f"stage={stage} does not fit '{weights}', which is of stage {'1' if network.stage == 1 else '2 or 3'}")
    return Rie(network, of_joints(network.joints, weights), flip, pick_device(device), half)

