"""The fifth system's settings: an experiment's YAML file over its author's defaults, checked key by key."""

import copy
import pathlib

from core.errors import InputError

DEFAULTS = {
    "GPUS": "0", "WORKERS": 0, "PRINT_FREQ": 100, "EXP_NAME": "training", "OUTPUT_DIR": "output", "LOG_DIR": "log", "DATA_DIR": "",
    "CUDNN": {"BENCHMARK": True, "DETERMINISTIC": False, "ENABLED": True, "FASTEST": True},
    "DATASET": {"DATASET": "h36m", "ROOT": "data/h36m/", "TRAIN_SET": "train_5hz", "TEST_SET": "valid_5hz", "FLIP": False, "MPII_ORDER": False,
                "OCCLUSION": False, "BG_AUG": False, "NUM_CAMS": 4, "VOC": "", "Z_WEIGHT": 1.0},
    "MODEL": {"NAME": "poseSEnet", "PRETRAINED": "", "RESUME": "", "RESUME_GCN": "", "RESUME_REF": "", "NUM_JOINTS": 17, "VOLUME": True,
              "IMAGE_SIZE": [256, 256],
              "EXTRA": {"FINAL_CONV_KERNEL": 1, "DECONV_WITH_BIAS": False, "NUM_DECONV_LAYERS": 3, "NUM_DECONV_FILTERS": [256, 256, 256],
                        "NUM_DECONV_KERNELS": [4, 4, 4], "NET_TYPE": "ResNeXt50", "WIDTH": 64}},
    "LOSS": {"FN": "L1JointLocationLoss", "NORM": False},
    "TRAIN": {"BATCH_SIZE": 32, "SHUFFLE": True, "BEGIN_EPOCH": 0, "END_EPOCH": 120, "RESUME": False, "OPTIMIZER": "adam", "LR": 1e-3,
              "LR_FACTOR": 0.1, "LR_STEP": [20, 90], "WD": 0.0001, "GAMMA1": 0.99, "GAMMA2": 0.0, "MOMENTUM": 0.9, "NESTEROV": False},
    "TEST": {"BATCH_SIZE": 32, "FLIP_TEST": False, "MODEL_FILE": ""}}

# What this program cannot do otherwise than its author, and says so instead of passing it over.
FIXED = {("DATASET", "DATASET"): "h36m", ("DATASET", "FLIP"): False, ("DATASET", "MPII_ORDER"): False, ("DATASET", "BG_AUG"): False,
         ("MODEL", "NAME"): "poseSEnet", ("MODEL", "NUM_JOINTS"): 17, ("MODEL", "VOLUME"): True, ("TRAIN", "OPTIMIZER"): "adam",
         ("LOSS", "NORM"): False}
NETS = {"ResNet50": ((3, 4, 6, 3), 1), "ResNet101": ((3, 4, 23, 3), 1), "ResNeXt50": ((3, 4, 6, 3), 32), "ResNeXt101": ((3, 4, 23, 3), 32),
        "ResNet14": ((1, 1, 1, 1), 1), "ResNeXt14": ((1, 1, 1, 1), 32)}


def read(path):
    """The settings of a YAML file, as nested dicts. Raises InputError for a file that is missing, no YAML, or has keys nobody knows."""
    try:
        import yaml
    except ImportError as error:
        raise InputError("--cfg needs PyYAML: pip install pyyaml (the training extra)") from error
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"--cfg {path}: no such file")
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise InputError(f"--cfg {path}: not a YAML file: {str(error).splitlines()[0]}") from error
    settings = copy.deepcopy(DEFAULTS)
    _merge(settings, given, path, "")
    for (group, key), value in FIXED.items():
        if settings[group][key] != value:
            raise InputError(f"--cfg {path}: {group}.{key}: {settings[group][key]}: only {value} is known here")
    if settings["MODEL"]["EXTRA"]["NET_TYPE"] not in NETS:
        raise InputError(f"--cfg {path}: MODEL.EXTRA.NET_TYPE: there are {', '.join(NETS)}")
    return settings


def _merge(settings, given, path, above):
    if not isinstance(given, dict):
        raise InputError(f"--cfg {path}: {above or 'the file'}: expected names and values")
    for key, value in given.items():
        if key not in settings:
            raise InputError(f"--cfg {path}: no setting {above}{key}; there are {', '.join(settings)}")
        if isinstance(settings[key], dict):
            _merge(settings[key], value, path, f"{above}{key}.")
        else:
            settings[key] = value


def network_sizes(settings):
    """The sizes of the SENet of the settings, as its class takes them. EXTRA.WIDTH (64) is that of the first layers."""
    extra = settings["MODEL"]["EXTRA"]
    blocks, groups = NETS[extra["NET_TYPE"]]
    planes = tuple(extra["WIDTH"] * n for n in (1, 2, 4, 8))
    if groups == 1:
        widths, groups = planes, 1
    else:  # 32 groups, 4 wide in the first layer at the published width
        groups = max(1, min(groups, extra["WIDTH"] // 2))
        widths = tuple(2 * plane for plane in planes)
    return {"blocks": blocks, "planes": planes, "widths": widths, "groups": groups, "reduction": min(16, planes[0]), "stem": extra["WIDTH"],
            "channels": extra["NUM_DECONV_FILTERS"][0]}


def run_folder(settings):
    """Where a run keeps its checkpoints: output/h36m/poseSEnet_ResNeXt50/training."""
    name = f"{settings['MODEL']['NAME']}_{settings['MODEL']['EXTRA']['NET_TYPE']}"
    return pathlib.Path(settings["OUTPUT_DIR"]) / settings["DATASET"]["DATASET"] / name / settings["EXP_NAME"]
