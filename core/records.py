"""The types that pass between the parts: frozen records of numpy arrays with aligned rows.

Pixel coordinates are those of the original image with pixel centres at integer + 0.5, boxes are xyxy, 3D is in metres in camera axes
(x right, y down, z forward), times are seconds. Zero rows are legal everywhere; a missing value is NaN with score 0.
"""

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from core.skeletons import Skeleton


def _array(record, name, shape, dtype=np.float32):
    """Store field `name` as an array of `dtype`, checked against `shape` (None = any length)."""
    value = np.asarray(getattr(record, name), dtype)
    if value.ndim != len(shape) or any(want is not None and want != got for want, got in zip(shape, value.shape, strict=False)):
        expected = tuple("*" if n is None else n for n in shape)
        raise ValueError(f"{type(record).__name__}.{name}: expected shape {expected}, got {value.shape}")
    object.__setattr__(record, name, value)


def _optional(record, name, shape):
    if getattr(record, name) is not None:
        _array(record, name, shape)


@dataclass(frozen=True)
class Frame:
    """One picture: index of the source from 0, time in seconds, image (H, W, 3) uint8 RGB."""

    index: int
    time: float
    image: np.ndarray

    def __post_init__(self):
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(f"Frame.image: expected (H, W, 3) uint8, got {self.image.shape} {self.image.dtype}")


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a source. Width and height are those after rotation; `frames` is None when the container does not say."""

    width: int
    height: int
    fps: Fraction
    frames: int | None = None
    rotation: int = 0
    has_audio: bool = False

    @property
    def duration(self):
        """Length in seconds, None when the number of frames is unknown."""
        return None if self.frames is None else float(self.frames / self.fps)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in pixels. `distortion` is (k1, k2, p1, p2, k3) in OpenCV's sense, or None."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: np.ndarray | None = None
    guessed: bool = False

    def __post_init__(self):
        _optional(self, "distortion", (5,))

    @classmethod
    def from_fov(cls, width, height, fov=55.0, guessed=True):
        """A camera whose longer side spans `fov` degrees, centred."""
        focal = max(width, height) / 2 / np.tan(np.radians(fov) / 2)
        return cls(width, height, focal, focal, width / 2, height / 2, None, guessed)


@dataclass(frozen=True)
class Detections:
    """Boxes (N, 4) xyxy px, scores (N,), features (N, D) or None when no embedder was asked."""

    boxes: np.ndarray
    scores: np.ndarray
    features: np.ndarray | None = None

    def __post_init__(self):
        _array(self, "boxes", (None, 4))
        _array(self, "scores", (len(self.boxes),))
        _optional(self, "features", (len(self.boxes), None))

    def __len__(self):
        return len(self.boxes)

    def __getitem__(self, rows):
        return Detections(self.boxes[rows], self.scores[rows], None if self.features is None else self.features[rows])

    @classmethod
    def empty(cls):
        return cls(np.zeros((0, 4)), np.zeros(0))


@dataclass(frozen=True)
class Tracks:
    """People with identities: ids (N,) int from 1, unique; boxes (N, 4) px; scores (N,); features (N, D) or None.

    Features are how each looks in this frame, NaN for who is covered.
    """

    ids: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    features: np.ndarray | None = None

    def __post_init__(self):
        _array(self, "ids", (None,), np.int64)
        _array(self, "boxes", (len(self.ids), 4))
        _array(self, "scores", (len(self.ids),))
        _optional(self, "features", (len(self.ids), None))
        if len(np.unique(self.ids)) < len(self.ids) or (len(self.ids) and self.ids.min() < 1):
            raise ValueError(f"Tracks.ids: expected unique numbers from 1, got {self.ids.tolist()}")

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, rows):
        return Tracks(self.ids[rows], self.boxes[rows], self.scores[rows], None if self.features is None else self.features[rows])

    @classmethod
    def empty(cls):
        return cls(np.zeros(0), np.zeros((0, 4)), np.zeros(0))


@dataclass(frozen=True)
class Poses:
    """Rows = people: points (N, J, 2) px, scores (N, J), relative (N, J, 3) m root-relative or None, root_depth (N,) m or None.

    rivals (N, J, 3) or None: where else each joint may be, x, y px, and the share of that place in the chance of both; NaN where nowhere else.
    """

    skeleton: Skeleton
    points: np.ndarray
    scores: np.ndarray
    relative: np.ndarray | None = None
    root_depth: np.ndarray | None = None
    rivals: np.ndarray | None = None

    def __post_init__(self):
        joints = len(self.skeleton)
        _array(self, "points", (None, joints, 2))
        _array(self, "scores", (len(self.points), joints))
        _optional(self, "relative", (len(self.points), joints, 3))
        _optional(self, "root_depth", (len(self.points),))
        _optional(self, "rivals", (len(self.points), joints, 3))

    def __len__(self):
        return len(self.points)

    @classmethod
    def empty(cls, skeleton):
        return cls(skeleton, np.zeros((0, len(skeleton), 2)), np.zeros((0, len(skeleton))))


@dataclass(frozen=True)
class Observation:
    """What the networks saw in one frame; the rows of `poses` are those of `tracks`. `features` (N, D) are the people's appearance, or None."""

    frame: int
    time: float
    tracks: Tracks
    poses: Poses
    features: np.ndarray | None = None

    def __post_init__(self):
        if len(self.tracks) != len(self.poses):
            raise ValueError(f"Observation: {len(self.tracks)} tracks but {len(self.poses)} poses")
        _optional(self, "features", (len(self.tracks), None))


@dataclass(frozen=True)
class Track:
    """One person over time, T frames in order.

    frames (T,) source indices, times (T,) s, boxes (T, 4) px, points (T, J2, 2) px and scores (T, J2) of the 2D skeleton,
    joints3d (T, J3, 3) m root-relative of the 3D skeleton, root (T, 3) m in camera axes, observed (T,) bool (False = filled in).
    `feature` (D,) is the mean appearance of the person, or None.
    """

    id: int
    frames: np.ndarray
    times: np.ndarray
    boxes: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    joints3d: np.ndarray
    root: np.ndarray
    observed: np.ndarray
    feature: np.ndarray | None = None

    def __post_init__(self):
        _array(self, "frames", (None,), np.int64)
        count = len(self.frames)
        if (np.diff(self.frames) <= 0).any():
            raise ValueError("Track.frames: expected strictly increasing indices")
        _array(self, "times", (count,), np.float64)
        _array(self, "boxes", (count, 4))
        _array(self, "points", (count, None, 2))
        _array(self, "scores", (count, self.points.shape[1]))
        _array(self, "joints3d", (count, None, 3))
        _array(self, "root", (count, 3))
        _array(self, "observed", (count,), bool)
        _optional(self, "feature", (None,))

    def __len__(self):
        return len(self.frames)


@dataclass(frozen=True)
class Motion:
    """The result of a video: its info, camera, world_from_camera (4, 4), the 2D and 3D skeletons and {id: Track}.

    `world_from_camera` turns camera axes into the display world: z up, floor at 0, metres. Where the world was found while the video ran
    (causal runs), `worlds` holds the frames (K,) from which on each matrix (K, 4, 4) was the known one; `world_from_camera` is the last.
    """

    info: VideoInfo
    camera: Camera
    world_from_camera: np.ndarray
    skeleton2d: Skeleton
    skeleton3d: Skeleton
    tracks: dict[int, Track] = field(default_factory=dict)
    worlds: tuple[np.ndarray, np.ndarray] | None = None

    def world_at(self, frame):
        """The world_from_camera (4, 4) to draw a frame with: the one that was known then."""
        if self.worlds is None:
            return self.world_from_camera
        frames, matrices = self.worlds
        return matrices[max(0, np.searchsorted(frames, frame, side="right") - 1)]

    def __post_init__(self):
        _array(self, "world_from_camera", (4, 4), np.float64)
        for number, track in self.tracks.items():
            if number != track.id or track.points.shape[1] != len(self.skeleton2d) or track.joints3d.shape[1] != len(self.skeleton3d):
                raise ValueError(f"Motion.tracks[{number}]: id {track.id}, {track.points.shape[1]} and {track.joints3d.shape[1]} joints do not fit")
