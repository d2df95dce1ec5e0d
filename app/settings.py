"""What a run was asked to do: every option with its default, in one frozen record. The command line and the library both make one of these."""

from dataclasses import dataclass, replace
from fractions import Fraction

from core import parts
from core.errors import InputError

PRESETS = {
    "bundled": {"detector": "centernet", "tracker": "steady:even=0.5,embedder=appearance-embednet", "pose": "body21", "lifter": "tcn"},
    "accurate": {"detector": "torchvision:model=fasterrcnn_resnet50_fpn_v2", "tracker": "steady", "pose": "keypointrcnn",
                 "lifter": "tcn:weights=videopose3d-detectron-coco,arc=3,3,3,3,3"},
    "rtm": {"detector": "onnx:file=rtmdet-m,decoder=rtmdet", "tracker": "steady:even=0.5", "pose": "onnx:file=rtmpose-m", "lifter": "tcn"},
    "mppe": {"detector": "centernet", "tracker": "steady:even=0.5", "pose": "posenet:weights=posenet-muco,root=rootnet-muco",
             "lifter": "none"},
}
PORT = 8080  # of a live run's page
LAYOUTS = ("side", "overlay", "3d")
LOOKS_PER_SECOND = 20  # denser looking costs time, and the tracker predicts well over a twentieth of a second


@dataclass(frozen=True)
class Settings:
    """All options of a file run. `None` means "decided from the source" or "not asked for"; units are in the comments."""

    # where from, and which frames
    fps: Fraction | None = None  # of image folders (25 when not given)
    start: float | None = None  # s
    end: float | None = None  # s
    skip: int = 0  # frames
    limit: int | None = None  # frames
    stride: int = 1  # every n-th frame is processed
    downsample: int = 1  # n frames are averaged into one of the output
    # parts
    preset: str = "bundled"
    detector: str | None = None
    tracker: str | None = None
    pose: str | None = None
    lifter: str | None = None
    weights_dir: str | None = None
    # how
    device: str = "auto"
    batch: int | None = None  # frames; 4 on a CPU, 32 on a GPU
    half: bool = False
    causal: bool = False
    detect_every: int | None = None  # frames; about 20 looks a second when not given
    # whom
    max_people: int | None = None
    select: tuple[int, ...] | None = None
    min_track: float = 0.3  # s
    # the camera and the body
    focal: float | None = None  # px
    fov: float | None = None  # degrees of the longer side
    camera: str | None = None  # calibration file
    height: float | None = None  # m, of the people
    # motion
    smooth: bool = True
    join: bool = True
    fill: bool = True
    # picture
    layout: str = "side"
    size: int | None = None  # px, height of the picture
    azimuth: float = 30.0  # degrees
    elevation: float = 15.0  # degrees
    turn: float = 0.0  # degrees a second
    renderer: str = "opencv"
    bitrate: int | None = None  # kbit/s
    # what is said
    resume: bool = False
    stats: bool = False
    quiet: bool = False

    def __post_init__(self):
        _one_of("preset", self.preset, PRESETS)
        _one_of("layout", self.layout, LAYOUTS)
        _one_of("renderer", self.renderer, ("opencv", "matplotlib"))
        for name in ("stride", "downsample", "batch", "detect_every", "max_people", "limit", "size", "bitrate", "focal", "fov", "height", "fps"):
            if (value := getattr(self, name)) is not None and value <= 0:
                raise InputError(f"--{name.replace('_', '-')}: expected a number above 0, got {value}")
        if self.skip < 0 or (self.start or 0) < 0 or self.min_track < 0:
            raise InputError("--skip, --start and --min-track cannot be negative")
        if self.end is not None and self.end <= (self.start or 0):
            raise InputError(f"--end {self.end} is not after --start {self.start or 0}")
        if self.fov is not None and self.fov >= 180:
            raise InputError(f"--fov: expected degrees below 180, got {self.fov}")
        if sum(value is not None for value in (self.focal, self.fov, self.camera)) > 1:
            raise InputError("--focal, --fov and --camera exclude each other")

    def spec(self, kind):
        """The spec of a part ("detector", "tracker", "pose", "lifter"): the one given, else the preset's; the causal twin for a causal run."""
        given = getattr(self, kind)
        if given is None and kind == "lifter" and self.causal and PRESETS[self.preset]["lifter"] == "tcn":
            return "tcn:weights=lifter-tcn27-causal"
        return given or PRESETS[self.preset][kind]

    def check_parts(self):
        """Raises InputError for a part or an option of it that does not exist; loads no weights."""
        for kind in parts.KINDS:
            parts.check(kind, self.spec(kind))

    def looking_every(self, fps):
        """The number of frames from one look of the detector to the next, at `fps` processed frames a second."""
        return self.detect_every or max(1, int(fps / LOOKS_PER_SECOND))

    def range(self):
        """The options of `video.frames`."""
        return {"fps": self.fps, "start": self.start, "end": self.end, "skip": self.skip, "limit": self.limit, "stride": self.stride}

    def observing(self):
        """What decides the observations of pass 1: an interrupted run is only continued by one that would see the same."""
        names = ["fps", "start", "end", "skip", "stride", "half", "detect_every", "focal", "fov", "camera"]
        if parts.takes("pose", self.spec("pose"), "height"):  # else it counts after pass 1 alone
            names.append("height")
        return {name: str(getattr(self, name)) for name in names} | {kind: self.spec(kind) for kind in ("detector", "tracker", "pose")}

    def changed(self, **options):
        """A copy with some options changed; InputError for an option that does not exist."""
        try:
            return replace(self, **options)
        except TypeError as error:
            raise InputError(str(error).replace("Settings.__init__() got an unexpected keyword argument", "no option")) from error


@dataclass(frozen=True)
class LiveSettings:
    """What only a live run has: how the source is played, where it is shown, what is recorded."""

    realtime: bool = False  # play a file as if it were a camera
    serve: int | None = None  # port of the page; None = a window where there is a display, else the page at the usual port
    host: str = "127.0.0.1"
    token: str | None = None
    record: str | None = None  # the drawn video
    record_dir: str = "recordings"  # where recordings go that a viewer starts
    reconnect: float = 30.0  # s for which a lost source is waited for

    def __post_init__(self):
        if self.reconnect < 0:
            raise InputError(f"--reconnect: expected seconds from 0, got {self.reconnect:g}")
        if self.serve is not None and not 0 <= self.serve < 65536:
            raise InputError(f"--serve: expected a port from 0 to 65535, got {self.serve}")


def _one_of(name, value, allowed):
    if value not in allowed:
        raise InputError(f"--{name} '{value}' does not exist; there are: {', '.join(allowed)}")
