"""Train 3DMPPE's PoseNet as its authors do: `python -m training posenet --gpu 0-1`, and `--continue` to go on.

A set with depth and one without are mixed half and half; the joints are those of the first set with depth. After every epoch a snapshot in the
authors' form is written, which `viz.py --pose posenet:weights=...` and their program read. Moon et al., ICCV 2019.
"""

from poses._posenet import PoseNet
from training import mppe, mppe_run
from training.crops import PoseSamples
from training.pose_losses import pose_loss


def loss(network, batch):
    """The mean loss of a batch of PoseSamples."""
    crops, joints, visible, has_depth = batch
    return pose_loss(network(mppe.normalised(crops)).float(), joints, visible, has_depth).mean()


def main(argv=None):
    parser = mppe.parser("python -m training posenet", __doc__, 25, "17,21")
    options = parser.parse_args(argv)
    spatial, flat = mppe.training_sets(options)
    skeleton = spatial[0].skeleton
    sizes = mppe.trunk(options)
    samples = [PoseSamples(persons, skeleton, options.input_size) for persons in spatial + flat]
    counts = tuple(sum(len(each) for each in group) for group in (spatial, flat))
    return mppe_run.train(lambda: mppe.start(PoseNet(len(skeleton), **sizes), options), samples, counts, loss, options)
