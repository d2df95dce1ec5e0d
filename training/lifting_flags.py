"""The command lines of VideoPose3D and those after it: their authors' names and defaults, and what the flags choose.

`--data`, `--device`, `--seed`, `--threads`, `--half`, `--clip` and `--tensorboard` are ours.
"""

import math
import pathlib

from core.errors import InputError
from core.networks import pick_device
from lifters._tcn import widths
from training.datasets.published import open_set
from training.datasets.windows import Mirrors
from training.evaluation import panels


def add(parser, **defaults):
    """The flags that these programs share; `defaults` by their long names where a system's are others."""
    flag = parser.add_argument
    flag("-d", "--dataset", default="h36m", help="h36m, humaneva15 or custom")
    flag("-k", "--keypoints", default="cpn_ft_h36m_dbb", help="kind of 2D joints")
    flag("-str", "--subjects-train", default="S1,S5,S6,S7,S8")
    flag("-ste", "--subjects-test", default="S9,S11")
    flag("-a", "--actions", default="*", help="beginnings of the actions' names, * for all")
    flag("-c", "--checkpoint", default="checkpoint", help="folder of checkpoints and logs; to evaluate, also the file itself")
    flag("--checkpoint-frequency", type=int, default=10, help="keep every n-th epoch")
    flag("-r", "--resume", default="", help="checkpoint to go on from; last.bin is that of the last epoch")
    flag("--evaluate", default="", help="checkpoint to evaluate")
    flag("--render", action="store_true", help="draw one recording instead")
    flag("--by-subject", action="store_true", help="a table for each subject")
    flag("--export-training-curves", action="store_true", help="loss_3d.png in the folder of the checkpoints")
    flag("-s", "--stride", type=int, default=1, help="frames of a chunk")
    flag("-e", "--epochs", type=int, default=80)
    flag("-b", "--batch-size", type=int, default=1024, help="in frames that are lifted")
    flag("-drop", "--dropout", type=float, default=0.25)
    flag("-lr", "--learning-rate", type=float, default=0.001)
    flag("-lrd", "--lr-decay", type=float, default=0.95, help="of every epoch")
    flag("-no-da", "--no-data-augmentation", dest="data_augmentation", action="store_false", help="train without the mirror image")
    flag("-no-tta", "--no-test-time-augmentation", dest="test_time_augmentation", action="store_false", help="evaluate without it")
    flag("-arc", "--architecture", default="3,3,3", help="filter widths")
    flag("--causal", action="store_true")
    flag("-ch", "--channels", type=int, default=1024)
    flag("--subset", type=float, default=1.0, help="share of each recording to train on")
    flag("--downsample", type=int, default=1, help="every n-th frame")
    flag("--no-eval", action="store_true", help="no evaluation while training")
    flag("--dense", action="store_true", help="VideoPose3D: wide kernels instead of dilated ones")
    flag("--disable-optimizations", action="store_true", help="VideoPose3D: train the dilated network instead of its strided twin")
    flag("--linear-projection", action="store_true", help="project without the lens' distortion")
    flag("--no-proj", action="store_true", help="VideoPose3D: unlabelled poses need not project onto their 2D")
    flag("--no-bone-length", dest="bone_length_term", action="store_false", help="VideoPose3D: their bones may have any length")
    _ours(flag)
    parser.set_defaults(**defaults)


def _ours(flag):
    flag("--data", default="data", help="folder of the data files")
    flag("--device", default="auto")
    flag("--seed", type=int, default=4321)
    flag("--threads", type=int)
    flag("--half", action="store_true", help="compute in bfloat16 where that is safe")
    flag("--clip", type=float, help="largest norm of the gradients")
    flag("--tensorboard", action="store_true", help="event files beside log.csv")


def parsed(parser, argv):
    """The options of a command line with these flags, a system's own, and those of drawing. Raises InputError for those that make no sense."""
    panels.add_flags(parser.add_argument)
    options = parser.parse_args(argv)
    check(options)
    if options.render:
        panels.check(options)
        options.subjects_test = options.viz_subject
    return options


def check(options):
    """Raise InputError for flags that exclude each other or make no sense."""
    if options.resume and options.evaluate:
        raise InputError("--resume and --evaluate exclude each other")
    if options.export_training_curves and options.no_eval:
        raise InputError("--export-training-curves and --no-eval exclude each other")
    if not 0 < options.subset <= 1:
        raise InputError(f"--subset {options.subset}: expected a share from 0 to 1")
    for name in ("epochs", "batch_size", "channels", "stride", "downsample", "checkpoint_frequency"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} {getattr(options, name)}: expected 1 or more")
    widths(options.architecture)
    pick_device(options.device)


def subjects(text):
    return [name for name in text.split(",") if name]


def actions(options):
    """The beginnings of the wanted actions' names, None for all."""
    return None if options.actions == "*" else options.actions.split(",")


def opened(options, same_joints=False):
    """The LiftingSet that the flags name. Raises InputError where its 2D has to be of the `same_joints` as its 3D, and is not."""
    data = open_set(options.dataset, options.keypoints, options.data)
    if same_joints and data.layout.mirror != data.skeleton.mirror:
        raise InputError(f"-k {options.keypoints}: the network reads the {len(data.skeleton)} joints of {data.skeleton.name}, the file has others")
    return data


def labelled_clips(data, options):
    """The Clips to train on. Raises InputError where one has no 3D."""
    clips = data.clips(subjects(options.subjects_train), actions(options), options.subset, options.downsample)
    if bare := [clip.subject for clip in clips if clip.joints is None]:
        raise InputError(f"{data.name} has no 3D of {bare[0]}: --subjects-train needs it")
    return clips


def tested_clips(data, options, names=None):
    """The Clips with 3D of the test subjects, or of `names` among them. Raises InputError where there are none."""
    names = names or subjects(options.subjects_test)
    clips = [clip for clip in data.clips(names, actions(options), downsample=options.downsample) if clip.joints is not None]
    if not clips:
        raise InputError(f"{data.name} has no 3D of {','.join(names)} to compare with")
    return clips


def mirrors(data):
    return Mirrors(data.layout.mirror, data.skeleton.mirror)


def file(options, name):
    """The path of a checkpoint: in the folder of the checkpoints, or as it is given. Raises InputError where it is in neither."""
    for path in (pathlib.Path(options.checkpoint) / name, pathlib.Path(name)):
        if path.is_file():
            return path
    raise InputError(f"no checkpoint {name}, neither in {options.checkpoint} nor here")


def evaluated_file(options):
    """The checkpoint to evaluate: --evaluate NAME, or --checkpoint FILE. Raises InputError where neither is there."""
    if options.evaluate:
        return file(options, options.evaluate)
    if pathlib.Path(options.checkpoint).is_file():
        return pathlib.Path(options.checkpoint)
    raise InputError("what is to be evaluated? give --checkpoint FILE, or --evaluate NAME of a file in the folder of the checkpoints")


def schedule(optimizer, network, options, first=0.1, last=0.001):
    """after(epoch) as published: the learning rate falls by a factor, the momentum of the batch normalisation from `first` to `last`."""
    def after(epoch):
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * options.lr_decay**epoch
        network.set_momentum(first * math.exp(-epoch / options.epochs * math.log(first / last)))

    return after
