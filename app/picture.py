"""The picture: skeletons over the frame, beside it (below wide video) everybody in one 3D scene."""

import cv2
import numpy as np

from app.overlay import Overlay
from app.people import people_at
from app.scene3d import Scene
from app.view3d import frame_motion
from core.errors import InputError

LAYOUTS = ("side", "overlay", "3d")
RENDERERS = ("opencv", "matplotlib")
_BLANK = (17, 19, 25)


class Renderer:
    """Draws the frames of a motion; everything that does not change from frame to frame is made here, once.

    motion: core.records.Motion. layout: "side" (frame and 3D view), "overlay" (frame alone) or "3d" (view alone). size: height of the whole
    picture in px; None = what the video's own height gives, its frame at most `limit` px high. azimuth: degrees from the filming camera's
    direction, elevation: degrees above the floor, turn: degrees a second. renderer: "opencv", or "matplotlib" (white, as in papers;
    slower). select: ids, None = everybody.
    Raises InputError for an unknown layout or renderer.
    """

    def __init__(self, motion, *, layout="side", size=None, limit=None, azimuth=30.0, elevation=15.0, turn=0.0, renderer="opencv", select=None):
        if layout not in LAYOUTS or renderer not in RENDERERS:
            raise InputError(f"no layout '{layout}' with renderer '{renderer}'; layouts: {', '.join(LAYOUTS)}; renderers: {', '.join(RENDERERS)}")
        self.motion, self.select = motion, None if select is None else frozenset(select)
        self._picture, self._panel, self._below = _arrange(motion.info.width, motion.info.height, layout, size, limit)
        if self._picture:
            self._overlay = Overlay(motion.skeleton2d, self._picture[1] / motion.info.height)
        if self._panel:
            view = frame_motion(motion, *self._panel, azimuth, elevation, turn, self.select)
            self._scene = _scene_class(renderer)(view, motion.skeleton3d)

    @property
    def size(self):
        """(width, height) of the pictures that `draw` gives."""
        parts = [part for part in (self._picture, self._panel) if part]
        widths, heights = zip(*parts, strict=True)
        return (max(widths), sum(heights)) if self._below else (sum(widths), max(heights))

    def people(self, frame_index):
        """The people of a source frame as `app.people.Person`s."""
        return people_at(self.motion, frame_index, self.select)

    def draw(self, image, frame_index, time=None):
        """The picture (H, W, 3) uint8 RGB of a source frame; image None gives an empty one. `time` in seconds turns the view."""
        seconds = float(frame_index / self.motion.info.fps) if time is None else time
        return self.compose(image, self.people(frame_index), seconds)

    def compose(self, image, people, time=0.0):
        """The picture of any people, for example of a live camera that has no motion yet."""
        width, height = self.size
        canvas = np.empty((height, width, 3), np.uint8)
        if self._picture:
            picture = canvas[: self._picture[1], : self._picture[0]]
            _fit(image, picture)
            self._overlay.draw(picture, people)
        if self._panel:
            self._scene.draw(canvas[height - self._panel[1] :, width - self._panel[0] :], people, time)
        return canvas


def _arrange(width, height, layout, size, limit):
    """(picture size or None, panel size or None, whether the panel is below)."""
    below = layout == "side" and width / height > 1.6
    panel_ratio = 0.72 if below else max(width / height, 0.75)
    total = size or round(min(height, limit or height) * (1 + panel_ratio if below else 1))
    if layout != "side":
        only = (max(round(width * total / height), 1), total)
        return (only, None, False) if layout == "overlay" else (None, only, False)
    top = round(total / (1 + panel_ratio)) if below else total
    across = max(round(width * top / height), 1)
    return (across, top), ((across, total - top) if below else (round(top * panel_ratio), top)), below


def _scene_class(renderer):
    if renderer == "matplotlib":
        from app.plot import Plot  # only here: importing matplotlib takes half a second

        return Plot
    return Scene


def _fit(image, canvas):
    """Fill the canvas (H, W, 3) with the picture, resized where it must be; dark when there is none."""
    if image is None:
        canvas[:] = _BLANK
    elif image.shape == canvas.shape:
        np.copyto(canvas, image)
    else:
        method = cv2.INTER_AREA if 2 * canvas.shape[0] < image.shape[0] else cv2.INTER_LINEAR  # area averaging is slow, and needed from half size on
        np.copyto(canvas, cv2.resize(image, canvas.shape[1::-1], interpolation=method))
