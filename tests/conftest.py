"""Clips that the tests look at, made once a session by our own code or from a public-domain photograph."""

import pathlib
import signal
from fractions import Fraction
from itertools import chain

import numpy as np
import pytest

from core.records import VideoInfo

SHARED = pathlib.Path(__file__).resolve().parent.parent.parent / "shared"


def hear_ctrl_c():
    """For `preexec_fn`: the child takes Ctrl-C even where the tests run in the background, whose children would ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def write_clip(path, images, fps=25, times=None):
    """A video of pictures (H, W, 3) uint8, at a rate or at given times in seconds."""
    from app.writer import open_writer

    images = iter(images)
    first = next(images)
    with open_writer(path, VideoInfo(first.shape[1], first.shape[0], Fraction(fps))) as writer:
        for i, image in enumerate(chain([first], images)):
            writer.write(image, times[i] if times is not None else float(i / Fraction(fps)))
    return path


def person(width=640, height=480, size=320):
    """A function (x, y) -> picture with a real person (NASA's astronaut photograph, public domain) at that place before a grey wall."""
    from skimage import data, transform

    photo = data.astronaut()[:, 40:420]
    scale = size / photo.shape[0]
    photo = (transform.resize(photo, (size, round(photo.shape[1] * scale)), anti_aliasing=True) * 255).astype(np.uint8)
    wall = np.full((height, width, 3), 150, np.uint8)
    wall[:, ::40] = 140

    def at(x, y=0):
        image, x, y = wall.copy(), int(x), int(y)
        left, right = max(x, 0), min(x + photo.shape[1], width)
        if right > left:
            image[height - size + y : height + y, left:right] = photo[: size - max(y, 0), left - x : right - x]
        return image

    return at


@pytest.fixture(scope="session")
def walkers(tmp_path_factory):
    """Two seconds of the demo scene: people of our own making who walk."""
    from app.sample import write_sample

    path = tmp_path_factory.mktemp("clips") / "walkers.mp4"
    write_sample(path, seconds=2)
    return path


@pytest.fixture(scope="session")
def passer_by(tmp_path_factory):
    """A real person who enters on the left, passes, leaves on the right, and the empty room: 50 frames."""
    at = person()
    images = [at(x) for x in np.linspace(-250, 660, 40)] + [at(2000)] * 10
    return write_clip(tmp_path_factory.mktemp("clips") / "passer_by.mp4", images)


@pytest.fixture(scope="session")
def empty_room(tmp_path_factory):
    at = person()
    return write_clip(tmp_path_factory.mktemp("clips") / "empty.mp4", [at(2000)] * 12)


@pytest.fixture(scope="session")
def picture_sets(tmp_path_factory):
    """The folder `data` with drawn people in the files of Human3.6M, MPII, MSCOCO, MuCo, MuPoTS and VOC 2012."""
    from tests import pictures

    return pictures.write(tmp_path_factory.mktemp("sets"))
