"""Train Anatomy3D (Chen et al., 2020) as its authors do: `python -m training anatomy3d -e 60 -k cpn_ft_h36m_dbb -arc 3,3,3,3,3 --randnum 50`.

Bone lengths are learned from random frames and from bodies re-made with other bones, directions from windows, with all of the authors' losses. The 2D
needs visibility scores, by default those of DATA/score.pkl. Two slips of the published program are repeated only where they are asked for: the rough
poses of the frames compared with those of other bodies (--official-aliasing), and a causal network that is asked for the middle of its window
(--official-causal).
"""

import argparse
import copy
import pathlib

import torch

from core.errors import InputError
from core.networks import pick_device
from lifters._anatomy import AnatomyModel, from_state
from lifters._bones import bones
from lifters._tcn import widths
from lifters.anatomy import Anatomy
from training import anatomy_losses, lifting_flags, seeds
from training.course import Course
from training.datasets import random_frames, visibility
from training.datasets.windows import Windows
from training.evaluation import _lifted as lifted
from training.evaluation import panels
from training.journal import draw_curves
from weights import load, load_strict

# MPJPE in mm on Human3.6M, S9 and S11, CPN 2D, 243 frames, as other papers quote it
PUBLISHED = {"cpn_ft_h36m_dbb": {"MPJPE": 44.1}}


def arguments(argv, program="training anatomy3d"):
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lifting_flags.add(parser, seed=1234)
    flag = parser.add_argument
    flag("--eva-frequency", type=int, default=5, help="evaluate every n-th epoch")
    flag("-bi", "--boneindex", help="pairs of joints in the order in which the network counts bones")
    flag("-l", "--randnum", type=int, default=50, help="random frames that bone lengths are learned from")
    flag("-de", "--augdegree", type=float, default=0.6, help="how far bones of re-made bodies differ, as a share of the mean length")
    flag("-tem", "--temperature", type=float, default=10.0, help="of the attention to frames")
    flag("-lt", "--randnumtest", type=int, default=50, help="frames that bone lengths are read from by a causal network")
    flag("-jsw", "--wjs", type=float, default=2.0, help="weight of the joint shifts")
    flag("-dw", "--wd", type=float, default=0.3, help="weight of the bone directions")
    flag("-lw", "--wl", type=float, default=100.0, help="weight of the bone lengths")
    flag("-snd", "--snd", type=float, default=0.5, help="of the first direction network beside the second")
    flag("--scores", help="file of the visibility scores (score.pkl in the data folder)")
    flag("--official-aliasing", action="store_true", help="compare the rough poses with those of other bodies, as the authors' program does")
    flag("--official-causal", action="store_true", help="with --causal: ask for the middle of the window, half a window late, as theirs does")
    options = lifting_flags.parsed(parser, argv)
    if set(widths(options.architecture)) != {3}:
        raise InputError(f"-arc {options.architecture}: Anatomy3D's filter widths are all 3")
    if options.dataset != "h36m":
        raise InputError(f"-d {options.dataset}: Anatomy3D is trained on h36m, whose lenses are known and which has visibility scores")
    if options.stride != 1 or options.dense:
        raise InputError("Anatomy3D is trained with -s 1 and without --dense")
    for name in ("eva_frequency", "randnum", "randnumtest"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} {getattr(options, name)}: expected 1 or more")
    return options


def opened(options, names):
    """The LiftingSet of the flags, with the visibility scores of these subjects."""
    data = lifting_flags.opened(options, same_joints=True)
    return visibility.seen(data, visibility.read(options.scores or pathlib.Path(options.data) / "score.pkl"), names)


def pairs(options, skeleton):
    return random_frames.bone_pairs(options.boneindex, skeleton) if options.boneindex else bones(skeleton)


def target(options, field):
    """The frame of a window of `field` frames whose pose is asked: the middle one, of a causal network the last."""
    return field - 1 if options.causal and not options.official_causal else field // 2


def network_of(options, skeleton):
    layers = len(widths(options.architecture))
    return AnatomyModel(pairs(options, skeleton), len(skeleton), layers, options.channels, options.causal, options.temperature, options.dropout)


def lessons(options, data, network, device, share):
    """The Lessons of the training subjects; a last batch of a single window, from which batch normalisation learns nothing, is left out."""
    clips = lifting_flags.labelled_clips(data, options)
    pad = network.receptive_field // 2
    mirrors = lifting_flags.mirrors(data) if options.data_augmentation else None
    windows = Windows(clips, options.batch_size, 1, pad, pad if options.causal else 0, mirrors=mirrors, device=device, share=share, least=2)
    return random_frames.Lessons(windows, data.skeleton, options.randnum, options.augdegree, network.pairs, options.official_aliasing,
                                 options.linear_projection)


def train(options):
    """Train to the last epoch; the network and the data."""
    device, share = seeds.begin(options.seed, options.device, options.threads)
    tested = lifting_flags.subjects(options.subjects_test)
    data = opened(options, lifting_flags.subjects(options.subjects_train) + tested)
    network = network_of(options, data.skeleton).to(device)
    optimizer = torch.optim.Adam(network.parameters(), options.learning_rate, amsgrad=True)
    taught = lessons(options, data, network, device, share)
    course = Course(options.checkpoint, {"model_pos": network}, optimizer, options.epochs, {"random_state": taught.windows},
                    lifting_flags.schedule(optimizer, network, options), options.clip, options.half, options.checkpoint_frequency,
                    "epochfinal_{}.bin", options.tensorboard, prefix="module.")
    if options.resume:
        course.resume(lifting_flags.file(options, options.resume))
    weights, frame = anatomy_losses.Weights(options.wd, options.wjs, options.wl, options.snd), target(options, network.receptive_field)
    held = [] if options.no_eval else lifting_flags.tested_clips(data, options)

    def loss(lesson):
        terms = anatomy_losses.losses(network, lesson, frame, weights)
        return {"loss": sum(terms.values())} | terms

    while not course.done:
        figures = course.train(taught, loss)
        if held and (course.epoch + 1) % options.eva_frequency == 0:
            table = lifted.errors(lifter_of(network, data.skeleton, options, flip=False), held, late(options), names=("MPJPE",))
            figures["3d_valid"] = table.means()["MPJPE"] / 1000
        course.finish(figures)
        if options.export_training_curves and not share[0]:
            draw_curves(course.history, course.folder / "loss_3d.png", ["pose", "3d_valid"], "MPJPE (m)", skip=min(3, options.epochs - 1))
    return network, data


def lifter_of(network, skeleton, options, flip):
    """The network as the application uses it; what training goes on with is not touched."""
    return Anatomy(copy.deepcopy(network), skeleton, options.causal, options.randnumtest, flip, next(network.parameters()).device, False)


def late(options):
    """How many frames the answers of the authors' causal network are late."""
    return 3 ** len(widths(options.architecture)) // 2 if options.causal and options.official_causal else 0


def evaluate(options):
    """Print the errors of a checkpoint on the test subjects, or draw one recording; {subjects: Table}. Its sizes are read from the file."""
    path = lifting_flags.evaluated_file(options)
    data, state = opened(options, lifting_flags.subjects(options.subjects_test)), load(path)[0]
    network = from_state(state, lambda _: pairs(options, data.skeleton), widths(options.architecture), options.causal)
    network.temperature = options.temperature
    return show(load_strict(network, state, path).to(pick_device(options.device)), data, options)


def show(network, data, options):
    lifter = lifter_of(network, data.skeleton, options, options.test_time_augmentation)
    if options.render:
        return panels.render(lifter, data, options)
    return lifted.show(lifter, data, options, PUBLISHED, late(options))


def main(argv=None):
    options = arguments(argv)
    if options.evaluate or options.render:
        return evaluate(options)
    return show(*train(options), options)
