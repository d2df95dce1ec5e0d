"""Motion for data sets that stand in for licensed ones: people of our own making who walk, crouch, jump and so on, or recorded motion capture.

World axes in metres, z up, floor at 0, joints of body21, everything near the origin. Same arguments, same motion.
"""

import numpy as np

from core.normal import STATURE
from core.skeletons import BODY21, MPII16, conversion
from synthetic.kinematics import Step, perform
from synthetic.motions import random_style
from synthetic.shapes import random_shape
from training.datasets import mocap

# What a body does in the actions of Human3.6M and of HumanEva-I.
ACTIONS = {"Directions": ("reach", "stand"), "Discussion": ("wave", "stand"), "Eating": ("sit", "reach"), "Greeting": ("wave", "reach"),
           "Phoning": ("stand", "reach"), "Photo": ("reach", "crouch"), "Posing": ("lunge", "jump"), "Purchases": ("bend", "reach"),
           "Sitting": ("sit", "sit"), "SittingDown": ("crouch", "sit"), "Smoking": ("stand", "sit"), "Waiting": ("stand", "kick"),
           "WalkDog": ("walk", "bend"), "Walking": ("walk", "walk"), "WalkTogether": ("walk", "run")}
EVA_ACTIONS = {"Walking": ("walk", "walk"), "Jog": ("run", "run"), "ThrowCatch": ("reach", "kick"), "Gestures": ("wave", "stand"),
               "Box": ("lunge", "reach")}
REACH = 2.6  # metres that a root may move in x and y: everybody stays before all cameras
ADULT = 1.5  # metres that everybody is taller than, as in the data sets


def takes(actions, subjects, numbers, frames, rate, folder=None, seed=0):
    """{subject: {action + number: (T, 21, 3) m}} of every action of ACTIONS or EVA_ACTIONS, subject and number of the take ("", " 1", ...).

    Procedural, every subject a person; or pieces of the motion capture in `folder`. Raises InputError where that is not there.
    """
    names = [(subject, action, number) for subject in subjects for action in actions for number in numbers]
    if folder:
        motion = recorded(folder, len(names), frames, rate, seed)
    else:
        motion = (procedural((seed, list(subjects).index(subject)), (list(actions).index(action), numbers.index(number)), actions[action], frames,
                             rate) for subject, action, number in names)
    found = {subject: {} for subject in subjects}
    for (subject, action, number), points in zip(names, motion, strict=True):
        found[subject][action + number] = points
    return found


def procedural(person, take, steps, frames, rate):
    """Motion (T, 21, 3) of a person (a tuple of numbers) who does the steps, in a way that `take` (another) decides."""
    rng = np.random.default_rng((7, *person))
    shape = next(shape for shape in iter(lambda: random_shape(rng), None) if shape.stature > ADULT)
    style = random_style(rng)
    rng = np.random.default_rng((8, *person, *take))
    share = frames / rate / len(steps)
    plan = [Step(name, share, rng.normal(0, 40) + (45 * share if name in ("walk", "run") else 0)) for name in steps]
    points = perform(shape, plan, rate, style)[:frames, : len(BODY21)]
    return centred(turned(points, rng.uniform(0, 2 * np.pi)))


def recorded(folder, count, frames, rate, seed=0):
    """`count` pieces (T, 21, 3) of motion capture, at `rate` frames a second, whose root stays within REACH."""
    data, rng = mocap.load(folder), np.random.default_rng((9, seed))
    found, order = [], rng.permutation(len(data.fps))
    while len(found) < count:
        for clip in order[: count - len(found)]:
            piece = _piece(data, clip, frames, rate, rng)
            if piece is not None:
                found.append(centred(turned(piece, rng.uniform(0, 2 * np.pi))))
        order = np.roll(order, -count)
    return found


def _piece(data, clip, frames, rate, rng):
    """Frames (T, 21, 3) from a random place of a clip, None where it is too short or leaves the room."""
    start, stop = data.start[clip : clip + 2]
    step = data.fps[clip] / rate
    length = int(np.ceil(frames * step)) + 1
    if stop - start < length:
        return None
    rows = slice(at := rng.integers(start, stop - length + 1), at + length)
    world = (data.joints[rows].astype(np.float64) + data.root[rows, None]) * (data.stature[clip] / STATURE)
    time = np.arange(frames) * step
    low = time.astype(int)
    world = world[low] + (world[low + 1] - world[low]) * (time - low)[:, None, None]
    return world if np.ptp(world[:, BODY21.root, :2], axis=0).max() < REACH else None


def turned(points, angle):
    """Points (..., 3) turned about the vertical."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return points @ np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])


def centred(points):
    """Motion (T, J, 3) with the middle of its root's path over the origin, the path made smaller where it is wider than REACH."""
    root = points[:, BODY21.root, :2]
    path = root - (root.min(0) + root.max(0)) / 2
    moved = path * min(1, REACH / max(np.ptp(root, axis=0).max(), 1e-9)) - root
    return points + np.pad(moved, ((0, 0), (0, 1)))[:, None]


def joints_of(points, skeleton):
    """Joints (T, K, D) of another skeleton from body21's."""
    if skeleton != MPII16:
        return conversion(BODY21, skeleton) @ points
    named = {"head": ("head_top",), "neck": ("thorax", "left_ear", "right_ear")}
    return np.stack([points[:, BODY21.indices(*named.get(name, (name,)))].mean(1) for name in skeleton.joints], 1)
