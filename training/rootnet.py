"""Train 3DMPPE's RootNet as its authors do: `python -m training rootnet --gpu 0-1`, and `--continue` to go on.

It learns where the root of a person is in the crop and by what factor it is farther off than a body of 2 m x 2 m that fills the box. People of MuCo
nearer than 1.5 m or beyond 7.5 m are left out. Snapshots are the authors' form. Moon et al., ICCV 2019, sections 4 and 5.
"""

from poses._posenet import RootNet
from training import mppe, mppe_run
from training.crops import RootSamples
from training.pose_losses import root_loss

REACH = (1.5, 7.5)  # m


def loss(network, batch):
    """The mean loss of a batch of RootSamples: cells, and millimetres for the depth."""
    crops, k, roots, visible, has_depth = batch
    return root_loss(network(mppe.normalised(crops), k).float(), roots, visible, has_depth).mean()


def reachable(persons):
    """The Persons whose roots are at a distance that is trained."""
    if persons.name != "MuCo":
        return persons
    depth = persons.space[:, persons.skeleton.root, 2]
    return persons[(depth >= REACH[0]) & (depth <= REACH[1])]


def main(argv=None):
    parser = mppe.parser("python -m training rootnet", __doc__, 20, "17")
    options = parser.parse_args(argv)
    spatial, flat = mppe.training_sets(options)
    spatial = [reachable(persons) for persons in spatial]
    sizes = mppe.trunk(options)
    samples = [RootSamples(persons, options.input_size) for persons in spatial + flat]
    counts = tuple(sum(len(each) for each in group) for group in (spatial, flat))
    return mppe_run.train(lambda: mppe.start(RootNet(**sizes), options), samples, counts, loss, options)
