"""Skeletons over the picture: tapered bones with a dark rim, left light and right deep, faint where unsure, a number for each person."""

import cv2
import numpy as np

from app.shapes import INK, capsules, fill, identity_colour, mix, rgb, shades, tag

UNSEEN, UNSURE = 0.05, 0.3  # joint scores: below the first nothing is drawn, below the second faintly
_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_top", "head")


class Overlay:
    """Draws people of one 2D skeleton. `scale` = output pixels per pixel of the coordinates."""

    def __init__(self, skeleton, scale=1.0):
        self.scale = scale
        pairs = [(a, b) for a, b in skeleton.bones if skeleton.joints[b] != "head_top"]
        if "thorax" not in skeleton.joints and {"left_hip", "left_shoulder"} <= set(skeleton.joints):
            neck = [(skeleton.index("nose"), skeleton.index(f"{side}_shoulder")) for side in ("left", "right")]
            pairs = [pair for pair in pairs if pair not in neck]
            pairs += [tuple(skeleton.indices("left_shoulder", "right_shoulder")), tuple(skeleton.indices("left_hip", "right_hip"))]
        self.start, self.end = np.array(pairs, int).reshape(-1, 2).T
        names = [skeleton.joints[b] for b in self.end]
        self.sides = tuple("" if {_side(skeleton.joints[a]), _side(name)} == {"left", "right"} else _side(name)
                           for a, name in zip(self.start, names, strict=True))
        self.thin = np.array([0.45 if name in _FACE and name != "nose" else 1.0 for name in names])
        self.dots = [i for i, name in enumerate(skeleton.joints) if name != "head_top"]
        self.dot_sides = tuple(_side(skeleton.joints[i]) for i in self.dots)
        self.dot_size = np.array([0.5 if skeleton.joints[i] in _FACE else 1.0 for i in self.dots])

    def draw(self, image, people):
        """Draw the people over the picture (H, W, 3) uint8, in place, the farthest first."""
        for person in sorted(people, key=lambda person: -person.depth if np.isfinite(person.depth) else 0.0):
            self._person(image, person)
        for person in people:
            self._tag(image, person)

    def _person(self, image, person):
        points = person.points.astype(np.float64) * self.scale
        seen = np.isfinite(points).all(-1) & (person.scores > UNSEEN)
        if not seen.any():
            return
        sure = seen & (person.scores > UNSURE) & person.observed
        width = _line_width(points[seen], image.shape[0])
        strokes = self._strokes(points, width, person.id)
        bones = np.concatenate([seen[self.start] & seen[self.end], seen[self.dots]])
        solid = np.concatenate([sure[self.start] & sure[self.end], sure[self.dots]])
        if (bones & ~solid).any():
            _faintly(image, points[seen], width, lambda part: _paint(part, strokes, bones & ~solid))
        _paint(image, strokes, solid)

    def _strokes(self, points, width, number):
        """(rims, fills, colours) of all bones and then all joints."""
        place = np.nan_to_num(points, nan=-1e4, posinf=-1e4, neginf=-1e4)
        start = np.concatenate([place[self.start], place[self.dots]])
        end = np.concatenate([place[self.end], place[self.dots] + (0.01, 0)])
        radius = np.concatenate([width * self.thin * 0.5, width * self.dot_size * 0.78])
        rim = max(1.0, width * 0.16)
        colours = rgb(np.concatenate([shades(number, self.sides), mix(shades(number, self.dot_sides), (255, 255, 255), 0.3)]))
        return capsules(start, end, radius + rim, radius + rim), capsules(start, end, radius, radius), colours

    def _tag(self, image, person):
        points = person.points.astype(np.float64) * self.scale
        seen = np.isfinite(points).all(-1) & (person.scores > UNSEEN)
        if seen.any():
            low, high = points[seen].min(0), points[seen].max(0)
            size = np.clip((high - low).max() * 0.055, max(image.shape[0] / 42, 12), max(image.shape[0] / 26, 14))
            top = points[seen][points[seen][:, 1].argmin(), 0]
            tag(image, person.id, (top, low[1] - size * 0.6 - (high - low).max() * 0.015), size, identity_colour(person.id))


def _side(name):
    return name.split("_")[0] if name.startswith(("left_", "right_")) else ""


def _line_width(points, height):
    """Bone width in px for a person of this extent in a picture of this height."""
    return float(np.clip(np.ptp(points, 0).max() * 0.019, height / 360, height / 75))


def _paint(image, strokes, chosen):
    rims, fills, colours = strokes
    for i in np.flatnonzero(chosen):
        fill(image, rims[i], INK)
    for i in np.flatnonzero(chosen):
        fill(image, fills[i], colours[i])


def _faintly(image, points, margin, paint, opacity=0.42):
    """Paint with an opacity, touching only the part of the picture around the points."""
    low = np.clip(points.min(0) - 2 * margin, 0, image.shape[1::-1]).astype(int)
    high = np.clip(points.max(0) + 2 * margin + 1, 0, image.shape[1::-1]).astype(int)
    rows, columns = slice(low[1], high[1]), slice(low[0], high[0])
    before = image[rows, columns].copy()
    paint(image)
    if before.size:
        image[rows, columns] = cv2.addWeighted(image[rows, columns], opacity, before, 1 - opacity, 0)
