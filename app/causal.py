"""The live rules, frame by frame: every frame is reconstructed from itself and the frames before it, in memory that does not grow.

The same rules for the whole tracks of a file, `--causal`, are in past.py.
"""

from collections import deque
from dataclasses import replace

import numpy as np

from app.body import UNSURE, bone_lengths, fit_root, lateral, stature, with_bones
from app.sides import PAUSE, Sides, chosen, columns, places_of
from app.smooth import OneEuro, interpolate
from app.world import WINDOW, evidence, world_matrix
from core.errors import InputError
from core.geometry import rays
from core.records import Motion, Track
from core.skeletons import conversion, convert
from lifters.none import NoLifter

RECENT = 30  # steps of a person whose median is the rate of the frames
REMEMBERED = 400  # windows of half a second of one person that decide on the world
SETTLED = 300  # frames after which a body's size is an average over the last so many
JOINTS = {"cutoff": 1.7, "beta": 4.5}  # One-Euro: Hz, and Hz for each m/s
LATERAL = {"cutoff": 2.0, "beta": 4.0}
DEPTH = {"cutoff": 0.4, "beta": 0.8}  # on the logarithm of the depth


class CausalReconstructor:
    """The people of one video as they become known, frame by frame. `world` is the world_from_camera of the latest frame."""

    def __init__(self, info, camera, lifter, skeleton2d, *, smooth=True, height=None):
        self.info, self.camera, self.lifter, self.skeleton2d = info, camera, lifter, skeleton2d
        self.smooth, self.height = smooth, height
        self.people, self.windows, self.centre, self.limbs = {}, deque(maxlen=REMEMBERED), None, columns(skeleton2d)
        self.skeleton3d, self.world = skeleton_of(lifter, skeleton2d), world_matrix([], np.zeros(3))

    def step(self, observation):
        """The Motion of one frame: a Track of one row for each person of the Observation, in the world as it is known now."""
        time, poses, ids = observation.time, observation.poses, observation.tracks.ids.tolist()
        self.people = {number: person for number, person in self.people.items() if time - person.seen < PAUSE}
        for number in ids:
            self.people.setdefault(number, _Person(self)).seen = time
        if ids and poses.rivals is not None and self.limbs is not None:
            poses = replace(poses, points=[self._settled(n, i, observation) for i, n in enumerate(ids)])
            observation = replace(observation, poses=poses)
        places = self._place(ids, time, *self._lift(ids, time, poses), poses.root_depth) if ids else []
        self._look_around(time, ids, places, poses)
        tracks = {n: _row(n, observation, i, *place) for i, (n, place) in enumerate(zip(ids, places, strict=True))}
        return Motion(self.info, self.camera, self.world, self.skeleton2d, self.skeleton3d, dict(sorted(tracks.items())))

    def _settled(self, number, i, observation):
        """The points (J, 2) of a person, row i of the Observation: arms and legs on the sides on which they go on smoothly."""
        points = observation.poses.points[i]
        places = places_of(points, observation.poses.rivals[i], self.limbs)
        return chosen(points, self.limbs, places, self.people[number].sides.update(observation.time, observation.tracks.boxes[i], *places))

    def _lift(self, ids, time, poses):
        """Joints (N, J, 3) of the people, their weights (N, J), and where they are seen on the unit plane (N, J, 2)."""
        if isinstance(self.lifter, NoLifter):
            known = np.full((*poses.scores.shape, 3), np.nan) if poses.relative is None else poses.relative
            joints, sigma = known - known[:, [self.skeleton2d.root]], None
        else:
            points, scores = convert(poses.points, poses.scores, self.skeleton2d, self.lifter.skeleton_in)
            windows = np.stack([self.people[n].window(time, p, s) for n, p, s in zip(ids, points, scores, strict=True)])
            joints, sigma, _ = self.lifter(windows, [self.camera] * len(ids))
        points, scores = convert(poses.points, poses.scores, self.skeleton2d, self.skeleton3d)
        weights = np.nan_to_num(scores) ** 2 / (1 + (0 if sigma is None else sigma / UNSURE) ** 2)
        return joints.astype(np.float64), weights, rays(points, self.camera)

    def _place(self, ids, time, joints, weights, plane, given):
        """For each person joints (J, 3) root-relative with the body's bones, and the root (3,), filtered; NaN where unknown.

        `given` (N,) m is the root's depth by the pose network, or None; where it is not known the fit of the joints to the picture says it.
        """
        people = [self.people[number] for number in ids]
        joints = np.stack([person.body(time, pose) for person, pose in zip(people, joints, strict=True)])
        root, known = fit_root(joints, plane, weights)
        seen = np.where(known > 0, root[:, 2], np.nan)
        seen = seen if given is None else np.where(given > 0, given, seen)
        depth = np.array([person.depth(time, z) for person, z in zip(people, seen, strict=True)])
        root = lateral(joints, plane, weights, depth)
        return [(pose, person.lateral(time, place)) for person, pose, place in zip(people, joints, root, strict=True)]

    def _look_around(self, time, ids, places, poses):
        """Bring the world up to date whenever somebody's window of evidence closes."""
        closed, (_, trust) = [], convert(poses.points, poses.scores, self.skeleton2d, self.skeleton3d)
        for number, (joints, root), scores in sorted(zip(ids, places, trust, strict=True), key=lambda person: person[0]):
            closed += self.people[number].evidence(time, joints, root, scores)
        roots = np.array([root for _, root in places if np.isfinite(root).all()])
        if self.centre is None and len(roots):
            self.centre = roots.mean(0)
        if closed:
            self.windows.extend(closed)
            self.world = world_matrix(list(self.windows), self.centre)


def skeleton_of(lifter, skeleton2d):
    """The 3D skeleton that a lifter makes of a 2D one. Raises InputError where it cannot read it."""
    if isinstance(lifter, NoLifter):
        return skeleton2d
    try:
        conversion(skeleton2d, lifter.skeleton_in)
        conversion(skeleton2d, lifter.skeleton_out)
    except ValueError as error:
        raise InputError(f"the lifter cannot read these 2D joints: {error}") from error
    return lifter.skeleton_out


class _Person:
    """The past of one person: 2D joints, body size, filters, and the frames of the open window of evidence."""

    def __init__(self, owner):
        self.seen, self.sides = 0.0, Sides()
        self.owner, self.times, self.poses, self.frames, self.lengths, self.size, self.open = owner, deque(), deque(), 0, 0.0, 0.0, None
        self.joints_filter, self.lateral_filter, self.depth_filter = OneEuro(**JOINTS), OneEuro(**LATERAL), OneEuro(**DEPTH)

    def window(self, time, points, scores):
        """What the lifter reads (R, J, 3): the past at even steps up to now, at a rate that the lifter knows; a lifter that also wants the future
        gets the present pose for it."""
        lifter = self.owner.lifter
        known = np.isfinite(points).all(-1) & (scores > 0)
        self.times.append(time)
        self.poses.append(np.concatenate([np.where(known[:, None], points, np.nan), np.where(known, scores, 0)[:, None]], -1))
        rate = 1 / np.median(np.diff(self.times)[-RECENT:]) if len(self.times) > 1 else float(self.owner.info.fps)
        step = 1 / np.clip(rate, *getattr(lifter, "fps_range", (0, np.inf)))
        past = lifter.receptive_field if lifter.causal else lifter.receptive_field // 2 + 1
        while len(self.times) > RECENT + 1 and self.times[1] < time - past * step:
            self.times.popleft()
            self.poses.popleft()
        seen = interpolate(time - step * np.arange(past)[::-1], np.array(self.times), np.stack(self.poses))
        return np.concatenate([seen, np.repeat(seen[-1:], lifter.receptive_field - past, 0)]).astype(np.float32)

    def body(self, time, joints):
        """Joints (J, 3), filtered and with the body's bones; NaN where the lifter gave nothing."""
        if not np.isfinite(joints).all():
            return np.full_like(joints, np.nan)
        return self._sized(self.joints_filter(time, joints) if self.owner.smooth else joints)

    def depth(self, time, depth):
        """The root's depth in metres, filtered; NaN where unknown."""
        return np.exp(self.depth_filter(time, np.log([depth])))[0] if self.owner.smooth else depth

    def lateral(self, time, root):
        """The root (3,) with x and y filtered."""
        return np.append(self.lateral_filter(time, root[:2]), root[2]) if self.owner.smooth else root

    def _sized(self, joints):
        """Joints (J, 3) with the bone lengths of the past on average, scaled to the stature asked for."""
        skeleton = self.owner.skeleton3d
        self.frames = min(self.frames + 1, SETTLED)
        self.lengths = self.lengths + (bone_lengths(joints[None], skeleton) - self.lengths) / self.frames
        joints = with_bones(joints[None], skeleton, self.lengths)
        if self.owner.height is not None:
            self.size += (self.owner.height / stature(joints, skeleton) - self.size) / self.frames
            joints *= self.size
        return joints[0]

    def evidence(self, time, *pose):
        """The window of Evidence that this frame, of joints (J, 3), root (3,) and their trust (J,), closes, if any.

        A person's first frame is a window of its own: the world cannot wait for more.
        """
        if not all(np.isfinite(part).all() for part in pose[:2]):
            return []
        first, self.open = self.open is None, self.open or []
        closing = self.open and int(time / WINDOW) > int(self.open[0][0] / WINDOW)
        closed = [(time, *pose)] if first else self.open if closing else []
        self.open = [(time, *pose)] if closing else [*self.open, (time, *pose)]
        if not closed:
            return []
        times, joints, roots, trust = (np.array(part) for part in zip(*closed, strict=True))
        return evidence(joints, roots, times, trust, self.owner.skeleton3d)


def _row(number, observation, i, joints, root):
    """The Track of one frame: row i of the Observation with its 3D."""
    poses = observation.poses
    return Track(number, [observation.frame], [observation.time], observation.tracks.boxes[[i]], poses.points[[i]], poses.scores[[i]],
                 joints[None], root[None], [True])
