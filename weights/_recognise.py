"""Which of the known systems a checkpoint belongs to, by the names and shapes of its tensors alone, and how to run it."""

import math
from typing import NamedTuple

from core.errors import InputError
from core.skeletons import SKELETONS

BLIND = "whether it was trained causal or centred no file tells: centred unless causal=true is given"
ALONE = " --lifter none"


class Found(NamedTuple):
    """`system`, `facts` (lines of text), and `run`, the options for viz.py; "" where no part here runs it. FILE in it stands for the file."""

    system: str
    facts: tuple
    run: str = ""


def recognise(state, header=None):
    """The Found of tensors by name (or their shapes), None for a network that is not known."""
    shapes, header = {key: tuple(getattr(value, "shape", value)) for key, value in state.items()}, header or {}
    if header.get("network") == "EmbedNet":
        return Found("ours: appearance network", (), "--tracker deepsort:embedder=FILE")
    for marks, describe in SYSTEMS:
        if all(mark in shapes for mark in marks):
            return describe(shapes, header)
    return None


def _blocks(shapes, prefix, suffix):
    """How many numbered blocks there are: prefix.0.suffix, prefix.1.suffix, ..."""
    count = 0
    while f"{prefix}.{count}{suffix}" in shapes:
        count += 1
    return count


def _kernels(shapes, prefix=""):
    """The widths of the convolutions over time of a temporal network."""
    deeper = _blocks(shapes, f"{prefix}layers_conv", ".weight") // 2
    return [shapes[f"{prefix}expand_conv.weight"][2]] + [shapes[f"{prefix}layers_conv.{2 * i}.weight"][2] for i in range(deeper)]


def _dense(kernels):
    """The arc of which these would be the kernels of a dense network, None where there is none."""
    arc = kernels[:1]
    for kernel in kernels[1:]:
        width, rest = divmod(kernel - 1, math.prod(arc))
        if rest or width % 2:
            return None
        arc.append(width + 1)
    return arc if len(arc) > 1 and min(arc) > 1 else None


def _words(arc):
    return ",".join(map(str, arc))


def _temporal(shapes, header):
    kernels, (channels, inputs) = _kernels(shapes), shapes["expand_conv.weight"][:2]
    dense = _dense(kernels)
    arc = dense or kernels
    frames = f"arc {_words(arc)}{', dense' if dense else ''}: {math.prod(arc)} frames; {channels} channels"
    if header.get("input") == "view-ray":
        causal = "causal" if header["causal"] == "True" else "centred"
        return Found("ours: lifter of view rays", (frames, f"body21 in and out, {causal}"), "--lifter tcn:weights=FILE")
    per_joint = 3 if inputs % 3 == 0 and inputs // 3 in (15, 16, 17) else 2
    joints, outputs = inputs // per_joint, shapes["shrink.weight"][0] // 3
    facts = (frames, f"reads {'x, y, score' if per_joint == 3 else 'x, y'} of {joints} joints, gives {outputs}", BLIND)
    if outputs == 1:
        return Found("VideoPose3D: trajectory of the root", (*facts, "runs beside a lifter, from one checkpoint with it (model_pos, model_traj)"))
    if "model_traj" in header.get("parts", "").split(","):
        facts += ("with a second network for the root's trajectory (model_traj)",)
    named = "input=humaneva15" if joints == 15 else "input=coco17"
    if joints == 17:
        facts += ("which 17 joints it reads no file tells: input=coco17, or input=h36m17 for one that learned from CPN or exact 2D",)
    return Found("VideoPose3D: lifter", facts, f"--lifter tcn:weights=FILE,arc={_words(arc)},{named}")


def _anatomy(shapes, header):
    arc, (channels, inputs) = _kernels(shapes), shapes["expand_conv.weight"][:2]
    facts = (f"arc {_words(arc)}: {math.prod(arc)} frames; {channels} channels", f"reads x, y, score of {inputs // 2} joints, gives as many", BLIND)
    return Found("Anatomy3D: lifter", facts, f"--lifter anatomy:weights=FILE,arc={_words(arc)}")


def _rie(shapes, header):
    arc, channels = _kernels(shapes, "LocalLayer_Torso."), shapes["LocalLayer_Torso.expand_conv.weight"][0]
    fused, latent = "FuseBlocks.0.fc_1.weight" in shapes, shapes["GlobalInfo.fc_2.weight"][0]
    facts = (f"arc {_words(arc)}: {math.prod(arc)} frames; {channels} channels; latent_features_dim {latent}",
             "stage 2 or 3 (one network, the file does not tell which)" if fused else "stage 1",
             f"reads x, y of {shapes['GlobalInfo.fc_1.weight'][1] // 2} joints, gives as many", "centred: it has no causal form")
    return Found("Pose3D-RIE: lifter", facts, f"--lifter rie:weights=FILE,stage={3 if fused else 1},latent_features_dim={latent}")


def _semgcn(shapes, header):
    edges, (_, inputs, hidden) = shapes["gconv_input.0.gconv.e"][1], shapes["gconv_input.0.gconv.W"]
    joints, blocks = 17 if edges == 47 else (edges + 2) // 3, sum(key.endswith(".gconv1.gconv.W") for key in shapes)
    local = any(".non_local." in key or ".nonlocal." in key for key in shapes)
    facts = (f"{joints} joints, {inputs} numbers each, {hidden} hidden, {blocks} residual blocks, {'with' if local else 'without'} non-local blocks",)
    if inputs == 3:
        return Found("the fifth system's refiner: upper branch", facts, "--pose senet:weights=SENET,refine=FILE,LOWER" + ALONE)
    return Found("SemGCN: lifter of single frames", facts, "--lifter semgcn:weights=FILE" if joints == 16 else "")


def _linear(shapes, header):
    hidden, inputs = shapes["w1.weight"]
    stages = _blocks(shapes, "linear_stages", ".w1.weight")
    facts = (f"{inputs} numbers in, {shapes['w2.weight'][0]} out, {hidden} hidden, {stages} residual stages",)
    if inputs == 48:
        return Found("the fifth system's refiner: lower branch", facts, "--pose senet:weights=SENET,refine=UPPER,FILE" + ALONE)
    run = "--lifter linear:weights=FILE" if (inputs, shapes["w2.weight"][0]) == (32, 48) else ""
    return Found("Martinez et al.: linear lifter of single frames", facts, run)


def _refinenet(shapes, header):
    size, numbers = shapes["dense1.weight"]
    return Found("the fifth system's refiner: lower branch in two steps", (f"{numbers} numbers in and out, {size} hidden",),
                 "--pose senet:weights=SENET,refine=UPPER,FILE" + ALONE)


def _depth(shapes, prefix):
    """ResNet's number of layers, from its third stage."""
    return {6: 50, 23: 101, 36: 152}.get(_blocks(shapes, f"{prefix}layer3", ".conv3.weight"), "?")


def _posenet(shapes, header):
    joints = shapes["head.final_layer.weight"][0] // 64
    return Found("3DMPPE: PoseNet", (f"ResNet-{_depth(shapes, 'backbone.')}, {joints} joints, crops of 256x256",),
                 "--pose posenet:weights=FILE,root=ROOTNET" + ALONE)


def _rootnet(shapes, header):
    return Found("3DMPPE: RootNet", (f"ResNet-{_depth(shapes, 'backbone.')}, crops of 256x256; depth of the root beside any pose network",),
                 "--pose rootnet:weights=FILE,of=body21")


def _senet(shapes, header):
    width, group = shapes["layer1.0.conv2.weight"][:2]
    trunk = f"SE-{'ResNeXt' if width // group > 1 else 'ResNet'}-{_depth(shapes, '')}"
    return Found("the fifth system's pose network (SENet)", (f"{trunk}, {shapes['final_layer.weight'][0] // 64} joints, crops of 256x256",),
                 "--pose senet:weights=FILE" + ALONE)


def _dla(shapes, header):
    facts = (f"{shapes['hm.2.weight'][0]} classes",)
    return Found("CenterNet: DLA-34 with deformable convolutions", facts, "--detector centernet:arch=dla34,weights=FILE")


def _reid(shapes, header):
    return Found("centerNet-deep-sort: appearance network", (f"{shapes['layer4.1.conv2.weight'][0]} numbers a person, learned from "
                                                             f"{shapes['classifier.4.weight'][0]} people",), "--tracker deepsort:embedder=FILE")


def _known(system, run="", *facts):
    return lambda shapes, header: Found(system, facts, run)


def _torchvision(shapes, header):
    if any(key.startswith("roi_heads.keypoint_predictor.") for key in shapes):
        return Found("torchvision: Keypoint R-CNN", (), "--pose keypointrcnn:weights=FILE")
    return Found("torchvision: detector", ("which of its models no file tells",), "--detector torchvision:model=MODEL,weights=FILE")


# What a file has to have, the more telling first.
SYSTEMS = (
    (("LocalLayer_Torso.expand_conv.weight", "GlobalInfo.fc_1.weight"), _rie),
    (("layers_convbone.0.weight", "expand_convscore.weight"), _anatomy),
    (("expand_conv.weight", "shrink.weight"), _temporal),
    (("gconv_input.0.gconv.e",), _semgcn),
    (("gconv_input.0.gconv.M",), _known("Modulated GCN: lifter of single frames")),
    (("batch_norm3.weight", "dense1.weight"), _refinenet),
    (("batch_norm3.weight", "w3.weight"), _known("EpipolarPose: refiner")),
    (("w1.weight", "w2.weight", "linear_stages.0.w1.weight"), _linear),
    (("backbone.conv1.weight", "head.final_layer.weight"), _posenet),
    (("backbone.conv1.weight", "root.depth_layer.weight"), _rootnet),
    (("layer0.conv1.weight", "layer1.0.se_module.fc1.weight", "final_layer.weight"), _senet),
    (("base.base_layer.0.weight", "ida_up.node_1.conv.conv_offset_mask.weight", "hm.2.weight"), _dla),
    (("base.base_layer.0.weight", "hm.2.weight"), _known("CenterNet: DLA-34 without deformable convolutions")),
    (("deconv_layers.0.conv_offset_mask.weight", "hm.2.weight"), _known("CenterNet: ResNet with deformable convolutions")),
    (("layer4.1.conv2.weight", "conv.0.weight", "classifier.4.weight"), _reid),
    (("score.0.1.weight", "sides.0.1.weight"), _known("ours: person detector", "--detector centernet:weights=FILE")),
    (("unet.trunk.0.0.weight", "head.weight"), _known("ours: pose network", "--pose body21:weights=FILE", "body21")),
    (("backbone.body.conv1.weight", "rpn.head.cls_logits.weight"), _torchvision),
)


def recognise_onnx(path):
    """The Found of an ONNX file by its inputs and outputs. Raises InputError without onnxruntime and for a damaged file."""
    from weights._onnx import family, open_network

    try:
        network = open_network(path, "cpu")
    except InputError as error:
        if "does not take pictures" in str(error):
            return None
        raise
    size = f"{network.size[0]}x{network.size[1]}" if network.size else "free"
    facts = (f"input {size} px, batch {network.batch or 'free'}; outputs {network.described()}",)
    said = family(network)
    if said == "suppressed":
        return Found("ONNX: detector with its suppression inside", (*facts, "how it wants the pixels no file tells: decoder=yolox or decoder=rtmdet"),
                     "--detector onnx:file=FILE,decoder=rtmdet")
    if said in ("yolox", "rtmdet"):
        return Found(f"ONNX: {'YOLOX' if said == 'yolox' else 'RTMDet'} detector", facts, "--detector onnx:file=FILE")
    if said in ("heatmaps", "simcc"):
        joints = network.outputs[0][1][1]
        named = "" if joints == 17 else ",skeleton=" + "|".join(name for name, skeleton in SKELETONS.items() if len(skeleton) == joints)
        return Found(f"ONNX: pose network by {'SimCC' if said == 'simcc' else 'heat maps'}, {joints} joints", facts, f"--pose onnx:file=FILE{named}")
    if said == "vectors":
        return Found("ONNX: appearance network", facts, "--tracker deepsort:embedder=FILE")
    return Found("ONNX: a network of an unknown kind", facts)
