"""Train Pose3D-RIE (Shan et al., ACM MM 2021) stage by stage as its authors do:

    python -m training rie -k gt --stage 1 -lfd 256
    python -m training rie -k gt --stage 2 -lfd 256 -p stage_1_epoch_80.bin
    python -m training rie -k gt --stage 3 -lfd 256 -ft stage_2_epoch_80.bin -lr 0.0005 -e 20

Stage 1 teaches the encoders and a decoder without fusion, stage 2 the fusion and a new decoder while the encoders are frozen, stage 3 everything.
Each has its own log (stage_1_log.csv), curves and last checkpoint (stage_1_last.bin) in the folder.
"""

import argparse

import torch

import lifters.rie
from core.errors import InputError
from core.networks import pick_device
from lifters._rie import RieModel
from lifters._tcn import widths
from training import lifting_flags, seeds
from training.course import Course
from training.datasets.windows import Windows, rooted
from training.evaluation import _lifted as lifted
from training.evaluation import panels
from training.evaluation.errors import distance
from training.journal import draw_curves
from weights import load, load_strict

ENCODERS = ("LocalLayer_", "GlobalInfo.")  # the names of what stage 1 teaches and stage 2 keeps
# mm on Human3.6M, S9 and S11, 243 frames; PA-MPJPE from exact 2D as the authors state it in their repository's discussions
PUBLISHED = {"cpn_ft_h36m_dbb": {"MPJPE": 44.3}, "gt": {"MPJPE": 30.1, "PA-MPJPE": 24.1}}


def arguments(argv, program="training rie"):
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lifting_flags.add(parser, dropout=0.2, architecture="3,3,3,3,3", channels=256)
    flag = parser.add_argument
    flag("--stage", type=int, default=1, help="1, 2 or 3")
    flag("-lfd", "--latent-features-dim", type=int, default=256, help="numbers of local, fused and global features: 256 for exact 2D, 512 for CPN's")
    flag("-p", "--pretrain", default="", help="checkpoint of stage 1 that stage 2 takes the encoders from")
    flag("-ft", "--finetune", default="", help="checkpoint to begin with, of the same network")
    flag("--warmup", type=int, default=1, help="taken for the authors' command lines")
    flag("--width", type=int, default=1024, help="of the fully connected blocks; that of the authors is 1024")
    options = lifting_flags.parsed(parser, argv)
    return checked(options)


def checked(options):
    """The options. Raises InputError for what this network cannot be, and for stages that begin with nothing."""
    if options.stage not in (1, 2, 3):
        raise InputError(f"--stage {options.stage}: expected 1, 2 or 3")
    if options.causal or options.dense or options.stride != 1:
        raise InputError("Pose3D-RIE has no causal or dense form, and a stride of 1: the authors' program ends there in an error")
    if options.pretrain and options.stage != 2:
        raise InputError("-p gives stage 2 its encoders; stage 3 begins with -ft, a stopped training goes on with -r")
    return options


def encoders(names):
    """Those of parameter names that belong to the encoders."""
    return [name for name in names if name.startswith(ENCODERS)]


def take_encoders(network, file):
    """Fill the encoders of a network of stage 2 from a checkpoint of stage 1. Raises InputError where they do not fit."""
    state, own = load(file)[0], network.state_dict()
    kept = {name: own[name] for name in set(own) - set(encoders(own))}
    load_strict(network, kept | {name: state[name] for name in encoders(state)}, file)


def freeze_encoders(network):
    """Keep their weights. As in the authors' program they stay in training mode, with dropout and moving statistics."""
    for name, parameter in network.named_parameters():
        if name.startswith(ENCODERS):
            parameter.requires_grad_(False)


def network_of(options, skeleton):
    arc = widths(options.architecture)
    return RieModel(skeleton, arc, options.channels, options.latent_features_dim, options.stage, options.width, options.dropout)


def begun(options, network):
    """The network as its stage begins. Raises InputError where a stage lacks what it stands on."""
    if options.finetune:
        load_strict(network, load(lifting_flags.file(options, options.finetune))[0], options.finetune)
    if options.stage == 2:
        if options.pretrain:
            take_encoders(network, lifting_flags.file(options, options.pretrain))
        elif not options.finetune and not options.resume:
            raise InputError("stage 2 keeps the encoders of stage 1: give -p stage_1_epoch_80.bin")
        freeze_encoders(network)
    return network


def train(options):
    """Train a stage to its last epoch; the network and the data."""
    device, share = seeds.begin(options.seed, options.device, options.threads)
    data = lifting_flags.opened(options, same_joints=True)
    network = begun(options, network_of(options, data.skeleton)).to(device)
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], options.learning_rate, amsgrad=True)
    clips = lifting_flags.labelled_clips(data, options)
    windows = windows_of(options, data, network, clips, device, True, share)
    watched = {} if options.no_eval else {name: windows_of(options, data, network, part, device, False, share) for name, part in
                                          (("3d_eval", clips), ("3d_valid", lifting_flags.tested_clips(data, options)))}
    stem = f"stage_{options.stage}_"
    course = Course(options.checkpoint, {"model_pos": network}, optimizer, options.epochs, {"random_state": windows},
                    lifting_flags.schedule(optimizer, network, options), options.clip, options.half, options.checkpoint_frequency,
                    stem + "epoch_{}.bin", options.tensorboard, stem=stem)
    if options.resume:
        course.resume(lifting_flags.file(options, options.resume))
    while not course.done:
        figures = {"3d_train": course.train(windows, lambda batch: {"loss": loss(network, batch)})["loss"]}
        figures |= {name: error(network, part) for name, part in watched.items()}
        course.finish(figures)
        if options.export_training_curves and not share[0]:
            draw_curves(course.history, course.folder / f"{stem}loss_3d.png", list(figures), "MPJPE (m)", skip=min(3, options.epochs - 1))
    return network, data


def windows_of(options, data, network, clips, device, shuffle, share):
    """The windows of clips, and of their mirror images where these are wanted; evaluation is not shared among processes.

    Batch normalisation learns nothing from a single window: such a last batch is left out.
    """
    mirrored = options.data_augmentation if shuffle else options.test_time_augmentation
    return Windows(clips, options.batch_size, 1, network.receptive_field // 2, 0, shuffle, lifting_flags.mirrors(data) if mirrored else None,
                   device=device, share=share if shuffle else (0, 1), least=2 if shuffle else 1)


def loss(network, batch):
    """The MPJPE in metres of a Batch of windows."""
    return distance(network(batch.points), rooted(batch.joints[:, 0]))


@torch.inference_mode()
def error(network, windows):
    """The MPJPE in metres over all windows, the mirrored ones counted like the others, as the authors watch their training."""
    network.eval()
    found = [(loss(network, batch).double() * len(batch.points), len(batch.points)) for batch in windows]
    return float(sum(value for value, _ in found)) / sum(count for _, count in found)


def evaluate(options):
    """Print the errors of a checkpoint on the test subjects, or draw one recording; {subjects: Table}. Its sizes are read from the file."""
    path, flip = lifting_flags.evaluated_file(options), options.test_time_augmentation
    lifter = lifters.rie.build(str(path), widths(options.architecture), options.stage, options.latent_features_dim, flip, options.device)
    data = lifting_flags.opened(options, same_joints=True)
    if lifter.skeleton_in != data.skeleton:
        raise InputError(f"{path} is of {lifter.skeleton_in.name}, the data of {data.skeleton.name}")
    return panels.render(lifter, data, options) if options.render else lifted.show(lifter, data, options, PUBLISHED)


def main(argv=None):
    options = arguments(argv)
    if options.evaluate or options.render:
        return evaluate(options)
    network, data = train(options)
    lifter = lifters.rie.Rie(network, data.skeleton, options.test_time_augmentation, pick_device(options.device), False)
    return lifted.show(lifter, data, options, PUBLISHED)
