"""Train Pose3D-RIE (Shan et al., ACM MM 2021)."""

from weights import load, load_strict, resolve

ENCODERS = ("LocalLayer_", "GlobalInfo.")  # the names of what stage 1 teaches and stage 2 keeps


def encoders(names):
    """Those of parameter names that belong to the encoders."""
    return [name for name in names if name.startswith(ENCODERS)]


def take_encoders(network, file):
    """Fill the encoders of a network of stage 2 from a checkpoint of stage 1 and freeze them. Raises InputError where they do not fit.

    Frozen are their weights alone: as in the authors' program they stay in training mode, with dropout and moving statistics.
    """
    state, _ = load(resolve(file))
    own = network.state_dict()
    kept = {name: own[name] for name in set(own) - set(encoders(own))}
    load_strict(network, kept | {name: state[name] for name in encoders(state)}, file)
    freeze_encoders(network)


def freeze_encoders(network):
    for name, parameter in network.named_parameters():
        if name.startswith(ENCODERS):
            parameter.requires_grad_(False)
