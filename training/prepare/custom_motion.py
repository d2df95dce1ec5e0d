"""VideoPose3D's results to the application: `python -m training.prepare custom_motion -k myvideos --video NAME --joints joints.npy -o motion.npz`.

Takes the 2D of data_2d_custom_myvideos.npz and the joints (T, 17, 3) m that `--render --viz-export joints.npy` wrote, and saves motion that
`viz.py --video FILE --poses motion.npz` draws again.
"""

import argparse
import pathlib
from fractions import Fraction

import numpy as np

from app.export import check_export, save
from core.errors import InputError
from core.records import Camera, Motion, Track, VideoInfo
from core.skeletons import COCO17, H36M17
from training.datasets.custom import ACTION
from training.datasets.published import open_set

WORLD = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], float)  # an upright camera: its y down is the world's z up


def motion(points, joints, size, fps):
    """The Motion of one person: points (T, 17, 2) px of COCO, joints (T, 17, 3) m of Human3.6M in camera axes; the floor is under the feet."""
    width, height = size
    info = VideoInfo(width, height, fps, len(points))
    root, world = joints[:, H36M17.root], WORLD.copy()
    world[2, 3] = joints[..., 1].max()
    boxes = np.concatenate([points.min(1), points.max(1)], 1)
    frames = np.arange(len(points))
    track = Track(1, frames, frames / float(fps), boxes, points, np.ones(points.shape[:2], np.float32), joints - root[:, None], root,
                  np.ones(len(points), bool))
    return Motion(info, Camera.from_fov(width, height), world, COCO17, H36M17, {1: track})


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m training.prepare custom_motion", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", "--keypoints", required=True, help="name of the set")
    parser.add_argument("--video", required=True, help="which of its videos")
    parser.add_argument("--joints", required=True, help=".npy of the joints")
    parser.add_argument("--fps", default="25", help="frames a second of the video, for example 25 or 30000/1001")
    parser.add_argument("-o", "--output", required=True, help=".npz of the motion")
    parser.add_argument("--data", default="data", help="folder of the set (data)")
    options = parser.parse_args(argv)
    check_export(options.output)
    clip = open_set("custom", options.keypoints, options.data)
    if options.video not in clip.points:
        raise InputError(f"--video {options.video}: the set has {', '.join(clip.points)}")
    points, camera = clip.points[options.video][ACTION][0][..., :2], clip.cameras[options.video][0]
    try:
        joints, fps = np.load(options.joints, allow_pickle=False), Fraction(options.fps)
    except (OSError, ValueError, ZeroDivisionError) as error:
        raise InputError(f"--joints {options.joints}, --fps {options.fps}: {error}") from error
    if joints.shape != (len(points), len(H36M17), 3):
        raise InputError(f"{options.joints}: joints of shape {joints.shape}, expected {(len(points), len(H36M17), 3)}")
    save(motion(points, joints.astype(np.float32), (camera.width, camera.height), fps), pathlib.Path(options.output))
