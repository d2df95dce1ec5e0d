"""A window with the live picture, where this machine has a display and OpenCV can open windows."""

import os
import sys

import cv2

TITLE = "skeletons"
QUIT = {ord("q"), ord("Q"), 27}


def available():
    """Whether a window can be opened: the build of OpenCV decides, and on Linux the display."""
    toolkit = [line for line in cv2.getBuildInformation().splitlines() if line.strip().startswith("GUI:")]
    display = not sys.platform.startswith("linux") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(display) and bool(toolkit) and "NONE" not in toolkit[0]


class Window:
    """The window; q, Esc or closing it ends the run."""

    def __init__(self):
        self.shown = False

    def show(self, image):
        """Show a picture (H, W, 3) RGB, or None for the one that is there; returns whether to go on."""
        if image is not None:
            cv2.imshow(TITLE, image[..., ::-1])
            self.shown = True
        key = cv2.waitKey(1) & 0xFF
        return key not in QUIT and not (self.shown and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1)

    def close(self):
        cv2.destroyAllWindows()
