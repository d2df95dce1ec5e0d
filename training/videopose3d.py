"""Train VideoPose3D (Pavllo et al., CVPR 2019) as its authors do: `python -m training videopose3d -e 80 -k cpn_ft_h36m_dbb -arc 3,3,3,3,3`.

The authors' flags and defaults; their files are read from --data. With --subjects-unlabeled it learns from 2D alone, too. --evaluate FILE scores a
checkpoint, theirs or ours, action by action; with --render one recording is drawn: the 2D, the reconstruction, the truth. Checkpoints can be
read by the authors' program, and theirs here.
"""

import argparse
import math

import torch

from core.errors import InputError
from core.networks import pick_device
from lifters._tcn import TemporalModel, from_state, widths
from training import lifting_flags, seeds
from training.course import Course
from training.datasets.windows import Windows
from training.evaluation import _lifted as lifted
from training.evaluation import panels
from training.evaluation._reader import Reader, measured
from training.journal import draw_curves
from training.semisupervised import SemiSupervised, supervised
from weights import load, load_strict, parts

# MPJPE and PA-MPJPE in mm of the authors' networks for S9 and S11, 243 frames
PUBLISHED = {"cpn_ft_h36m_dbb": {"MPJPE": 46.8, "PA-MPJPE": 36.5}, "detectron_ft_h36m": {"MPJPE": 51.6, "PA-MPJPE": 40.3},
             "gt": {"MPJPE": 37.2, "PA-MPJPE": 27.2}, "detectron_pt_coco": {}}
MOMENTUM = (0.1, 0.001)  # of batch normalisation, at the start and at the end
CURVES = {"loss_3d": (("3d_train", "3d_train_eval", "3d_valid"), "MPJPE (m)"), "loss_traj": (("traj_train", "traj_valid"), "weighted distance"),
          "loss_2d": (("2d_unlabelled", "2d_valid"), "reprojection (screen units)")}


def arguments(argv, program="training videopose3d"):
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lifting_flags.add(parser, epochs=60, seed=1234)
    flag = parser.add_argument
    flag("-sun", "--subjects-unlabeled", default="", help="subjects whose 2D alone is learned from")
    flag("--warmup", type=int, default=1, help="first epochs without the unlabelled subjects")
    return lifting_flags.parsed(parser, argv)


# ---- training


def strided(options):
    """Whether one frame a window is learned, by the strided twin of the network."""
    return options.stride == 1 and not options.dense and not options.disable_optimizations


def train(options):
    """Train to the last epoch; the Reader of what was learned, and the data."""
    device, share = seeds.begin(options.seed, options.device, options.threads)
    data, tested = lifting_flags.opened(options), lifting_flags.subjects(options.subjects_test)
    clips = lifting_flags.labelled_clips(data, options)
    held = [] if options.no_eval else data.clips(tested, lifting_flags.actions(options), downsample=options.downsample)
    unlabelled = unlabelled_clips(data, options)
    networks = networks_of(options, data, clips[0].points.shape[-1], device, bool(unlabelled))
    optimizer = torch.optim.Adam([p for network in networks for p in network.parameters()], options.learning_rate, amsgrad=True)
    streams = streams_of(options, data, clips, unlabelled, networks[0].receptive_field // 2, device, share)
    course = Course(options.checkpoint, dict(zip(("model_pos", "model_traj"), [*networks, None], strict=False)), optimizer, options.epochs, streams,
                    schedule(optimizer, networks, options), options.clip, options.half, options.checkpoint_frequency, tensorboard=options.tensorboard)
    if options.resume:
        course.resume(lifting_flags.file(options, options.resume))
    reader = Reader(networks, lifting_flags.mirrors(data), options.test_time_augmentation)
    batches, loss = lessons(options, data, networks, streams, course)
    while not course.done:
        figures = course.train(batches, loss)
        if not options.no_eval:
            figures |= measured(reader, clips, held, bool(unlabelled), options.linear_projection)
        course.finish(figures)
        if options.export_training_curves and not share[0]:
            curves(course)
    return reader, data


def curves(course):
    """The authors' three pictures; the first epochs are left out, as theirs are."""
    for name, (names, label) in CURVES.items():
        draw_curves(course.history, course.folder / f"{name}.png", names, label, skip=min(3, course.epochs - 2))


def unlabelled_clips(data, options):
    """The Clips that are learned from by their 2D alone, none without --subjects-unlabeled. Raises InputError where the lens is not known."""
    names = lifting_flags.subjects(options.subjects_unlabeled)
    clips = data.clips(names, lifting_flags.actions(options), downsample=options.downsample, truth=False) if names else []
    if any(clip.camera.lens is None for clip in clips):
        raise InputError(f"--subjects-unlabeled needs the cameras' lenses, and those of {data.name} are not known")
    return clips


def networks_of(options, data, features, device, trajectory):
    """The pose network, and that of the root's path for training with unlabelled subjects."""
    return [TemporalModel(widths(options.architecture), options.channels, data.layout.joints, features, joints, 3, options.causal, options.dense,
                          options.dropout).to(device) for joints in [len(data.skeleton)] + [1] * trajectory]


def streams_of(options, data, clips, unlabelled, pad, device, share):
    """{key in the checkpoint: Windows}: the labelled ones, and unlabelled ones without end. Batch normalisation cannot learn from a single window."""
    mirrors = lifting_flags.mirrors(data) if options.data_augmentation else None
    common = {"batch": max(1, options.batch_size // options.stride), "stride": options.stride, "pad": pad, "shift": pad if options.causal else 0,
              "mirrors": mirrors, "device": device, "share": share}
    streams = {"random_state": Windows(clips, **common, least=2)}
    if unlabelled:
        streams["random_state_semi"] = Windows(unlabelled, **common, seed=4321, endless=True)
    return streams


def schedule(optimizer, networks, options):
    """after(epoch): learning rate and momentum of the batch normalisation as published."""
    first, last = MOMENTUM

    def after(epoch):
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * options.lr_decay**epoch
        for network in networks:
            network.set_momentum(first * math.exp(-epoch / options.epochs * math.log(first / last)))

    return after


def lessons(options, data, networks, streams, course):
    """(batches, loss(batch)) of an epoch: labelled ones, or pairs with unlabelled ones."""
    labelled, other = streams["random_state"], streams.get("random_state_semi")
    if other is None:
        return labelled, lambda batch: supervised(networks[0], strided(options), batch)
    semi = SemiSupervised(networks, data.skeleton, strided(options), labelled.pad, labelled.shift, not options.no_proj, options.linear_projection,
                          options.bone_length_term)
    return Pairs(labelled, other), lambda pair: semi(pair, alone=course.epoch < options.warmup)


class Pairs:
    """(labelled, unlabelled) Batches, as many as there are labelled ones."""

    def __init__(self, labelled, other):
        self.labelled, self.other = labelled, other

    def __iter__(self):
        return zip(self.labelled, self.other, strict=False)


# ---- evaluation


def opened(options, path):
    """(Reader, data) of a checkpoint; sizes are read from the file, the arc from the flags where the file is of a dense network."""
    data, device = lifting_flags.opened(options), pick_device(options.device)
    arc = widths(options.architecture) if options.dense else None
    networks = []
    for part in ("model_pos", "model_traj")[: 1 + ("model_traj" in parts(path))]:
        state, _ = load(path, part if parts(path) else None)
        network = from_state(state, arc, options.causal, data.layout.joints)
        networks.append(load_strict(network, state, path).to(device))
    if networks[0].joints_out != len(data.skeleton):
        raise InputError(f"{path} gives {networks[0].joints_out} joints, {data.name} has {len(data.skeleton)}")
    return Reader(networks, lifting_flags.mirrors(data), options.test_time_augmentation), data


def show(reader, data, options):
    """Draw one recording, or print the errors action by action; {subjects: Table}."""
    if options.render:
        return panels.render(reader, data, options)
    return lifted.show(reader, data, options, PUBLISHED)


def main(argv=None):
    options = arguments(argv)
    if options.evaluate or options.render:
        return show(*opened(options, lifting_flags.evaluated_file(options)), options)
    reader, data = train(options)
    return None if options.no_eval else show(reader, data, options)
