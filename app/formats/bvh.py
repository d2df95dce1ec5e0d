"""Biovision hierarchy: bones of fixed length that turn, as animation programs read it. One person a file, Y up, centimetres.

At rest the body stands like a T and looks along Z. Every joint lies where the motion has it, as far as bones of one length allow. What joints alone
do not tell is chosen: an upper arm or thigh is turned about itself so that its elbow or knee bends as it does; hands and feet are held straight.
"""

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from app.formats._person import body, timeline

X, Y, Z = np.eye(3)
# joint: parent, where it lies, the bone's direction at rest, metres of a grown-up where nobody was seen
TREE = {"Hips": (None, "hip", None, 0.0),
        "LowerBack": ("Hips", "hip", None, 0.0), "Spine": ("LowerBack", "spine", Y, 0.24),
        "Neck": ("Spine", "thorax", Y, 0.27), "Head": ("Neck", "head", Y, 0.18)}
SIDES = {"UpLeg": ("Hips", "hip", X, 0.10), "Leg": ("UpLeg", "knee", -Y, 0.43), "Foot": ("Leg", "foot", -Y, 0.42),
         "Shoulder": ("Spine", "thorax", Y, 0.27), "Arm": ("Shoulder", "shoulder", X, 0.18), "ForeArm": ("Arm", "elbow", X, 0.29),
         "Hand": ("ForeArm", "wrist", X, 0.25)}
ENDS = {"Head": 0.14 * Y, "Foot": 0.15 * Z - 0.06 * Y, "Hand": 0.10 * X}
for _side, _sign in (("Left", 1), ("Right", -1)):
    for _name, (_parent, _place, _way, _length) in SIDES.items():
        TREE[_side + _name] = (_parent if _parent in TREE else _side + _parent, _place if _place == "thorax" else f"{_side.lower()}_{_place}",
                               _way * (_sign, 1, 1), _length)
STRAIGHT = 0.15  # sine of the bend below which a limb's own plane says little


def write(motion, track, path):
    """Write one Track of a Motion (None: nobody was seen, a body without frames); all files of a motion begin when its first person appears."""
    places = {} if track is None else body(motion, track)
    times = timeline(motion, track) if places else np.zeros(0)
    lengths = {name: float(np.median(np.linalg.norm(places[own] - places[TREE[parent][1]], axis=1))) if places and parent else length
               for name, (parent, own, _, length) in TREE.items()}
    turns = _turns(places) if places else {}
    rows, channels = [], []
    _joint("Hips", lengths, rows, channels, 0)
    table = np.zeros((0, 0))
    if places:
        seen = places["times"]
        at = np.clip(times, seen[0], seen[-1])
        turned = {name: (Slerp(seen, turn)(at) if len(seen) > 1 else Rotation.concatenate([turn] * len(at))) for name, turn in turns.items()}
        root = np.stack([np.interp(at, seen, values) for values in places["hip"].T], 1) * 100
        table = np.concatenate([root] + [_angles(name, turned) for name in channels], 1)
    rate = float(motion.info.fps)
    head = "HIERARCHY\n" + "\n".join(rows) + f"\nMOTION\nFrames: {len(times)}\nFrame Time: {1 / rate:.8f}\n"
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write(head)
        np.savetxt(file, table, fmt="%.4f")


def _joint(name, lengths, rows, channels, depth):
    """Append the lines of a joint and of all below it, and their names in the order of the channels."""
    parent, _, way, _ = TREE[name]
    pad, offset = "\t" * depth, np.zeros(3) if way is None else way * lengths[name] * 100
    rows += [f"{pad}{'JOINT' if parent else 'ROOT'} {name}", f"{pad}{{", f"{pad}\tOFFSET {_numbers(offset)}"]
    rows.append(f"{pad}\tCHANNELS {'3' if parent else '6 Xposition Yposition Zposition'} Zrotation Xrotation Yrotation")
    channels.append(name)
    for child, (above, *_) in TREE.items():
        if above == name:
            _joint(child, lengths, rows, channels, depth + 1)
    end = next((way for part, way in ENDS.items() if name.endswith(part)), None)
    if end is not None:
        end = end * (-1, 1, 1) if name.startswith("Right") else end
        rows += [f"{pad}\tEnd Site", f"{pad}\t{{", f"{pad}\t\tOFFSET {_numbers(end * 100)}", f"{pad}\t}}"]
    rows.append(f"{pad}}}")


def _numbers(values):
    return " ".join(f"{value:.4f}" for value in values + 0.0)


def _angles(name, turned):
    """Angles (T, 3) of a joint in its parent, in degrees about Z, X, Y in turn, without jumps of whole turns."""
    parent = TREE[name][0]
    own = turned[parent].inv() * turned[name] if parent else turned[name]
    return np.unwrap(own.as_euler("ZXY", degrees=True), period=360, axis=0)


def _turns(places):
    """{joint: Rotation (T,)} from rest to the motion, in the world."""
    at = places.__getitem__
    across, shoulders = at("left_hip") - at("right_hip"), at("left_shoulder") - at("right_shoulder")
    turns = {"Hips": _frame(across, at("thorax") - at("hip"), X, Y), "LowerBack": _frame(at("spine") - at("hip"), across + shoulders, Y, X),
             "Spine": _frame(at("thorax") - at("spine"), shoulders, Y, X), "Neck": _frame(at("head") - at("thorax"), shoulders, Y, X)}
    turns["Head"] = turns["Neck"]
    if "nose" in places:
        ears = at("left_ear"), at("right_ear")
        turns["Head"] = _frame(ears[0] - ears[1], at("nose") - sum(ears) / 2, X, Z)
    for side, sign in (("Left", 1), ("Right", -1)):
        small = side.lower()
        arm, leg = ([at(f"{small}_{name}") for name in names] for names in (("shoulder", "elbow", "wrist"), ("hip", "knee", "foot")))
        turns[side + "Shoulder"] = _swing(turns["Spine"], sign * X, arm[0] - at("thorax"))
        turns |= zip((side + "Arm", side + "ForeArm"), _limb(turns["Spine"], sign * X, -sign * Y, *arm), strict=True)
        turns |= zip((side + "UpLeg", side + "Leg"), _limb(turns["Hips"], -Y, X, *leg), strict=True)
        turns |= {side + "Hand": turns[side + "ForeArm"], side + "Foot": turns[side + "Leg"]}
    return turns


def _frame(first, second, rest_first, rest_second):
    """The Rotation (T,) that turns two directions at rest into two vectors (T, 3): the first exactly, the second as far as it can."""
    a = _unit(first)
    b = _unit(second - (second * a).sum(-1, keepdims=True) * a)
    rest = np.stack([rest_first, rest_second, np.cross(rest_first, rest_second)], -1)
    return Rotation.from_matrix(np.stack([a, b, np.cross(a, b)], -1) @ rest.T)


def _swing(parent, rest, way):
    """The parent's Rotation (T,), turned on by the least angle that brings the direction `rest` along the vectors (T, 3)."""
    old, new = parent.apply(rest), _unit(way)
    axis, cosine = np.cross(old, new), (old * new).sum(-1, keepdims=True)
    quaternion = np.concatenate([axis, 1 + cosine], 1)
    quaternion[np.linalg.norm(quaternion, axis=1) < 1e-6] = (1, 0, 0, 0)  # right behind: half a turn about any axis
    return Rotation.from_quat(quaternion) * parent


def _limb(parent, rest, hinge, near, middle, far):
    """The Rotations (T,) of both bones of a limb, so that the joint between them bends about `hinge` at rest."""
    upper, lower = _unit(middle - near), _unit(far - middle)
    usual = _swing(parent, rest, upper).apply(hinge)
    bend = np.cross(upper, lower)
    alike = (_unit(bend) * usual).sum(-1, keepdims=True)
    axis = STRAIGHT * usual + (1 + alike) / 2 * bend  # a limb that is straight, or bent where it cannot, is held as the trunk is
    return _frame(upper, axis, rest, hinge), _frame(lower, axis, rest, hinge)


def _unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
