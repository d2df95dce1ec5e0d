"""What each kind of part promises. A part is any object with these members, returned by its module's `build(**options)`."""

from typing import NamedTuple, Protocol

import numpy as np

from core.records import Camera, Detections, Poses, Tracks
from core.skeletons import Skeleton


class Detector(Protocol):
    """A detector that knows frames by number instead of by picture offers `at(indices) -> list[Detections]`, which is then used."""

    def __call__(self, images: list[np.ndarray]) -> list[Detections]:
        """The people of each RGB picture; one forward for each picture size in the batch."""


class Tracker(Protocol):
    """One per video. A module's `build` returns it fresh; it holds all the state there is.

    Two members are optional: `lowest`, the least score of a box that it can use (the detector's threshold, unless that is asked for), and
    `embedder`, the name of the network (trackers/_appearance.py) that is to fill `Detections.features`.
    """

    def update(self, time: float, detections: Detections | None, image: np.ndarray | None) -> Tracks:
        """The people of the frame at `time` seconds. None = nobody looked: predict, age nobody; zero rows = nobody is there."""


class Embedder(Protocol):
    def __call__(self, images: list[np.ndarray], boxes: list[np.ndarray]) -> list[np.ndarray]:
        """Unit features (N, D) of the boxes (N, 4) of each RGB picture; all boxes of all pictures share batches. NaN where nothing is to be seen."""


class PoseEstimator(Protocol):
    """`nobody` is optional: the mean score of the best third of the joints below which a track is nobody, of one whose scores are probabilities."""

    skeleton: Skeleton

    def __call__(self, images: list[np.ndarray], boxes: list[np.ndarray], cameras: list[Camera]) -> list[Poses]:
        """The poses in boxes (N, 4) of each picture, rows aligned with the boxes; all people of all pictures share batches."""


class Lifted(NamedTuple):
    """joints (B, J, 3) m root-relative in camera axes; sigma (B, J) m, the expected error of each joint, or None; root (B, 3) m in camera axes
    where the lifter knows it, or None."""

    joints: np.ndarray
    sigma: np.ndarray | None = None
    root: np.ndarray | None = None


class Lifter(Protocol):
    """One whose `whole_track` is true reads something of the whole track in `sequence` (bone lengths), of the window alone when called."""

    skeleton_in: Skeleton
    skeleton_out: Skeleton
    receptive_field: int
    causal: bool

    def __call__(self, windows: np.ndarray, cameras: list[Camera]) -> Lifted:
        """3D of windows (B, R, J, 3) of x px, y px, score: the middle frame, or the last when causal."""

    def sequence(self, points: np.ndarray, scores: np.ndarray, camera: Camera) -> Lifted:
        """3D of every frame of a track: points (T, J, 2) px, scores (T, J). The ends repeat the end pose."""
