"""Draws one evaluated recording as VideoPose3D's authors do, three panels beside each other: the input with its 2D, the reconstruction, the truth.

The world's z is up; each panel follows the root in a cube of 1.7 metres. Right joints are red. Videos by ffmpeg, GIFs by Pillow.
"""

import itertools
import pathlib

import av
import imageio_ffmpeg
import matplotlib
import numpy as np
import torch
from matplotlib.animation import FFMpegWriter, PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from core.errors import InputError
from core.files import whole
from training.datasets.rigs import pixels, rig, to_world, turned

CUBE = 1.7  # metres
ELEVATION = 15  # degrees
DPI = 80
RIGHT, OTHER = "tab:red", "black"
WRITERS = {".mp4": FFMpegWriter, ".gif": PillowWriter}


def add_flags(flag):
    """The authors' flags."""
    flag("--viz-subject", default="", help="subject to draw")
    flag("--viz-action", default="", help="its action")
    flag("--viz-camera", type=int, default=0, help="and camera")
    flag("--viz-video", default="", help="video behind the 2D")
    flag("--viz-skip", type=int, default=0, help="first frames to leave out, of video and poses")
    flag("--viz-output", default="", help="file to draw into, .mp4 or .gif")
    flag("--viz-export", default="", help=".npy of the joints (T, J, 3) m in camera axes")
    flag("--viz-bitrate", type=int, default=3000, help="of an .mp4, kbit/s")
    flag("--viz-no-ground-truth", action="store_true", help="without the third panel")
    flag("--viz-limit", type=int, default=-1, help="only so many frames")
    flag("--viz-downsample", type=int, default=1, help="one picture for every n frames")
    flag("--viz-size", type=int, default=5, help="inches of a panel")


def check(options):
    """Raise InputError for flags that draw nothing, before anything is computed."""
    if not options.viz_subject or not options.viz_action:
        raise InputError("--render needs --viz-subject and --viz-action")
    if not options.viz_output and not options.viz_export:
        raise InputError("--render needs --viz-output FILE.mp4 or .gif, or --viz-export FILE.npy")
    if options.viz_output and pathlib.Path(options.viz_output).suffix not in WRITERS:
        raise InputError(f"--viz-output {options.viz_output}: expected a name that ends in .mp4 or .gif")
    if options.viz_video and not pathlib.Path(options.viz_video).is_file():
        raise InputError(f"--viz-video: no file {options.viz_video}")
    for name in ("viz_downsample", "viz_size"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} {getattr(options, name)}: expected 1 or more")


def render(reader, data, options):
    """Lift the recording that the flags name, and export and draw it; a reader may have the root's `path`. Raises InputError where there is none."""
    clip = chosen(data, options)
    joints = reader.lift(clip.points)
    if clip.joints is None and hasattr(reader, "path") and (path := reader.path(clip.points)) is not None:
        joints = joints + path
    if options.viz_export:
        save_array(options.viz_export, joints)
    if options.viz_output:
        poses = {"Reconstruction": in_world(joints, clip)}
        if clip.joints is not None and not options.viz_no_ground_truth:
            poses["Ground truth"] = in_world(clip.joints, clip)
        points = np.concatenate([pixels(clip.points[..., :2], clip.camera), clip.points[..., 2:]], -1)
        draw(points, poses, clip, data, options)


def chosen(data, options):
    """The one Clip that the flags name: this very action, not all that begin with its name."""
    found = data.clips([options.viz_subject], [options.viz_action])
    found = [clip for clip in found if clip.action == options.viz_action]
    if not found or not 0 <= options.viz_camera < len(found):
        known = ", ".join(data.points[options.viz_subject])
        raise InputError(f"no camera {options.viz_camera} of {options.viz_subject} {options.viz_action}; its actions are {known}")
    return found[options.viz_camera]


def save_array(path, joints):
    with whole(pathlib.Path(path).with_suffix(".npy")) as partial:
        np.save(partial, joints.astype(np.float32))


def in_world(joints, clip):
    """Joints (T, J, 3) m of camera axes in the world's: at their true places where those are known, else with the lowest point on the floor."""
    if clip.joints is None:
        turn = rig("h36m")["S1"][0].turn if clip.camera.turn is None else clip.camera.turn
        world = turned(torch.from_numpy(turn), torch.from_numpy(joints)).numpy()
        return world - [0, 0, world[..., 2].min()]
    placed = joints.copy()
    placed[:, 0] = clip.joints[:, 0] if joints is clip.joints else joints[:, 0] + clip.joints[:, 0]
    placed[:, 1:] += clip.joints[:, :1]
    return to_world(placed, clip.camera)


# ---- drawing


def draw(points, poses, clip, data, options):
    """Write the animation of 2D points (T, J, 2 or 3) px and {title: (T, J, 3) m}."""
    points, poses, images = cut(points, poses, clip.camera, options)
    figure, picture, bodies = laid_out(poses, clip.camera, data, options.viz_size)
    path = pathlib.Path(options.viz_output)
    rate = (data.fps or rate_of(options.viz_video)) / options.viz_downsample
    writer = WRITERS[path.suffix](rate, **({"bitrate": options.viz_bitrate} if path.suffix == ".mp4" else {}))
    program = matplotlib.rc_context({"animation.ffmpeg_path": imageio_ffmpeg.get_ffmpeg_exe()})
    with whole(path) as partial, program, writer.saving(figure, str(partial), DPI):
        for frame, image in enumerate(images):
            picture.show(image, points[frame])
            for body, joints in zip(bodies, poses.values(), strict=True):
                body.show(joints[frame])
            writer.grab_frame()


def cut(points, poses, camera, options):
    """(points, poses, pictures) of the frames that the flags leave, means over --viz-downsample of them."""
    first, step = options.viz_skip, options.viz_downsample
    count = len(points) - first if options.viz_limit < 0 else min(len(points) - first, options.viz_limit)
    if count < step:
        raise InputError(f"--viz-skip {first}, --viz-downsample {step}: nothing is left of the {len(points)} frames of the recording")
    shown = range(first, first + count // step * step)
    points, poses = means(points[shown], step), {title: means(joints[shown], step) for title, joints in poses.items()}
    return points, poses, means_of(pictures(options.viz_video, shown, camera), step) if options.viz_video else blank(points, camera)


def laid_out(poses, camera, data, size):
    """(figure, Picture, a Body for each pose) beside each other, `size` inches each."""
    figure = Figure(((1 + len(poses)) * size, size), layout="constrained")
    FigureCanvasAgg(figure)
    picture = Picture(figure.add_subplot(1, 1 + len(poses), 1), camera, data)
    return figure, picture, [Body(figure.add_subplot(1, 1 + len(poses), 2 + i, projection="3d"), title, data.skeleton, camera)
                             for i, title in enumerate(poses)]


class Picture:
    """The input: a picture with its 2D joints, and bones where they are those of the skeleton."""

    def __init__(self, axes, camera, data):
        self.axes, self.image, self.marks = axes, None, []
        self.bones = data.skeleton.bones if data.layout.joints == len(data.skeleton) and data.layout.name != "coco" else ()
        self.colours = [RIGHT if i in data.layout.right else OTHER for i in range(data.layout.joints)]
        axes.set(title="Input", xlim=(0, camera.width), ylim=(camera.height, 0))
        axes.set_axis_off()

    def show(self, image, points):
        if self.image is None:
            self.image = self.axes.imshow(image, aspect="equal", extent=(0, image.shape[1], image.shape[0], 0))
        self.image.set_data(image)
        for mark in self.marks:
            mark.remove()
        self.marks = [self.axes.plot(*points[[a, b], :2].T, color="tab:pink")[0] for a, b in self.bones]
        self.marks.append(self.axes.scatter(*points[:, :2].T, 10, self.colours, edgecolors="white", linewidths=0.5, zorder=10))


class Body:
    """A 3D skeleton in a cube that follows its root."""

    def __init__(self, axes, title, skeleton, camera):
        self.axes, self.skeleton = axes, skeleton
        axes.view_init(elev=ELEVATION, azim=camera.azimuth)
        axes.set(title=title, zlim=(0, CUBE), xticklabels=(), yticklabels=(), zticklabels=())
        axes.set_box_aspect((1, 1, 1))
        self.lines = [axes.plot([0], [0], [0], color=RIGHT if b in skeleton.right else OTHER)[0] for _, b in skeleton.bones]

    def show(self, joints):
        x, y = joints[self.skeleton.root, :2]
        self.axes.set(xlim=(x - CUBE / 2, x + CUBE / 2), ylim=(y - CUBE / 2, y + CUBE / 2))
        for line, bone in zip(self.lines, self.skeleton.bones, strict=True):
            line.set_data_3d(*joints[list(bone)].T)


def means(frames, step):
    """The mean of every `step` frames (T, ...)."""
    return frames.reshape(-1, step, *frames.shape[1:]).mean(1)


def means_of(images, step):
    """The same of pictures that come one at a time."""
    while block := list(itertools.islice(images, step)):
        yield np.mean(block, axis=0).astype(np.uint8) if step > 1 else block[0]


def blank(frames, camera):
    """A black picture for each frame, where there is no video."""
    return (np.zeros((camera.height, camera.width, 3), np.uint8) for _ in frames)


def pictures(path, shown, camera):
    """The wanted frames (H, W, 3) uint8 RGB of a video, one at a time; ends with it. Raises InputError where it is of another size."""
    try:
        with av.open(str(path)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if (frame.width, frame.height) != (camera.width, camera.height):
                    raise InputError(f"{path} is {frame.width} x {frame.height}, its keypoints are of {camera.width} x {camera.height}")
                if number in shown:
                    yield frame.to_ndarray(format="rgb24")
                if number >= shown[-1]:
                    return
    except av.FFmpegError as error:
        raise InputError(f"{path} cannot be read as a video: {error}") from error


def rate_of(path):
    """Frames a second of a video, 25 without one."""
    if not path:
        return 25.0
    with av.open(str(path)) as container:
        return float(container.streams.video[0].average_rate or 25)
