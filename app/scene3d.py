"""The 3D view drawn with OpenCV: a floor with a metre grid, soft shadows, people as shaded limbs sorted by depth."""

import cv2
import numpy as np

from app.mannequin import body_size, mannequin
from app.shapes import INK, SHIFT, capsules, fill, fixed, identity_colour, mix, rgb, shades, tag

_SKY, _HORIZON, _FLOOR, _LINE = np.array([(17, 19, 25), (24, 27, 35), (47, 52, 64), (92, 101, 120)], np.float64)
_LIGHT = np.array([-0.45, -0.75])  # towards the light, on the screen
_SOFT_ROWS = 240  # about the height in px at which what is soft anyway, shadows and the floor's light, is made


class Scene:
    """Draws people of one 3D skeleton under a fixed `View`."""

    def __init__(self, view, skeleton):
        self.view, self.skeleton = view, skeleton
        self.coarse = _coarse(view)
        self.body = mannequin(skeleton)
        self.paths, self.fades = _grid(view)
        self.backdrop = _backdrop(view)
        if not view.turn:
            self._grid_lines(self.backdrop, 0.0)

    def draw(self, image, people, time=0.0):
        """Fill the picture (H, W, 3) uint8 RGB, of the view's size, with the scene at `time` seconds."""
        np.copyto(image, self.backdrop)
        if self.view.turn:
            self._grid_lines(image, time)
        bodies = [body for person in people if (body := self._body(person)) is not None]
        if bodies:
            self._shadows(image, bodies, time)
            for person in people:
                self._trail(image, person, time)
            self._limbs(image, bodies, time)
            self._tags(image, bodies, time)

    def _body(self, person):
        """(id, drawn joints (K, 3) m in the world, radii (B, 2) m, colours (B, 3)), None where the person has no 3D."""
        if not np.isfinite(person.joints).all():
            return None
        joints = self.body.matrix @ person.joints
        colours = shades(person.id, self.body.sides)
        if not person.observed:
            colours = mix(colours, _FLOOR, 0.6)
        return person.id, joints, self.body.radii * body_size(person.joints, self.skeleton), colours

    def _limbs(self, image, bodies, time):
        joints = np.stack([body[1] for body in bodies])
        place, depth = self.view.project(joints, time)
        start, end = (place[:, self.body.bones[:, k]].reshape(-1, 2) for k in (0, 1))
        depths = depth[:, self.body.bones].reshape(-1, 2)
        radii = np.maximum(np.concatenate([body[2] for body in bodies]) * self.view.focal / depths, image.shape[0] / 600)
        colours = np.concatenate([body[3] for body in bodies])
        order = np.argsort(-depths.mean(1))
        order = order[np.isfinite(depths[order]).all(1)]
        far = np.clip((depths.mean(1, keepdims=True) - self.view.distance) / (3 * self.view.radius), 0, 0.35)
        _shade(image, start[order], end[order], radii[order], mix(colours, _SKY, far)[order])

    def _shadows(self, image, bodies, time):
        """Darken the floor below every limb, the more the nearer the limb is to it."""
        joints = np.stack([body[1] for body in bodies])
        ground, depth = self.view.project(joints * (1, 1, 0), time)
        bones = self.body.bones
        start, end = (ground[:, bones[:, k]].reshape(-1, 2) / self.coarse for k in (0, 1))
        zoom = self.view.focal / depth[:, bones].reshape(-1, 2) / self.coarse
        radii = np.concatenate([body[2] for body in bodies]) * zoom * 1.15
        height = joints[:, bones, 2].mean(2).reshape(-1)
        dark = 62 + 150 * np.exp(-np.clip(height, 0, None) / 0.3)
        keep = np.flatnonzero(np.isfinite(zoom).all(1))
        mask = np.zeros((-(-image.shape[0] // self.coarse), -(-image.shape[1] // self.coarse)), np.uint8)
        outlines = capsules(start, end, radii[:, 0], radii[:, 1])
        for i in keep[np.argsort(dark[keep])]:
            fill(mask, outlines[i], round(dark[i]))
        _darken(image, mask, self.coarse, 0.07 * float(np.median(zoom[keep])) if len(keep) else 0)

    def _trail(self, image, person, time):
        """The way of the root on the floor, fading into the past."""
        way = person.trail[np.isfinite(person.trail).all(1)]
        if len(way) < 2:
            return
        place, depth = self.view.project(way * (1, 1, 0), time)
        if not np.isfinite(depth).all():
            return
        pieces, weight = fixed(place), max(1, round(image.shape[0] / 420))
        cuts = np.linspace(0, len(way) - 1, 9).astype(int)
        for level, (a, b) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
            colour = rgb([mix(_FLOOR, identity_colour(person.id), 0.08 + 0.075 * level)])[0]
            cv2.polylines(image, [pieces[a : b + 1]], False, colour, weight, cv2.LINE_AA, SHIFT)

    def _tags(self, image, bodies, time):
        size = max(image.shape[0] / 30, 12)
        for number, joints, _, _ in bodies:
            top = joints[joints[:, 2].argmax()]
            place, depth = self.view.project(top + (0, 0, 0.14), time)
            if np.isfinite(depth):
                tag(image, number, place, size, identity_colour(number))

    def _grid_lines(self, image, time):
        weight = max(1, round(image.shape[0] / 1000))
        place, depth = self.view.project(self.paths, time)
        seen = np.isfinite(depth).all(1)
        for level in np.unique(self.fades):
            chosen = seen & (self.fades == level)
            colour = rgb([mix(_FLOOR * 0.6 + _HORIZON * 0.4, _LINE, level / 8)])[0]
            cv2.polylines(image, list(fixed(place[chosen])), False, colour, weight, cv2.LINE_AA, SHIFT)


def _shade(image, start, end, radii, colours):
    """Draw limbs in the order given: a rim, the shadow side, the body and a highlight."""
    lit = _LIGHT * radii.mean(1, keepdims=True)
    rim = max(1.0, image.shape[0] / 700)
    layers = [(radii + rim, 0.0, np.broadcast_to(INK, colours.shape)), (radii, 0.0, mix(colours, (22, 20, 44), 0.46)),
              (radii * 0.80, 0.16, colours), (radii * 0.36, 0.40, mix(colours, (255, 255, 255), 0.34))]
    shapes = [(capsules(start + lit * move, end + lit * move, size[:, 0], size[:, 1]), rgb(colour)) for size, move, colour in layers]
    for i in range(len(start)):
        for outlines, shade in shapes:
            fill(image, outlines[i], shade[i])


def _darken(image, mask, coarse, blur):
    """Multiply the picture by 1 - mask (a picture `coarse` times smaller, 255 = black), blurred; only where there is something."""
    left, top, width, height = cv2.boundingRect(mask)
    if not width or blur <= 0:
        return
    margin = int(3 * blur) + 2
    rows = slice(max(top - margin, 0), min(top + height + margin, mask.shape[0]))
    columns = slice(max(left - margin, 0), min(left + width + margin, mask.shape[1]))
    soft = cv2.GaussianBlur(mask[rows, columns], (0, 0), max(blur, 0.6), borderType=cv2.BORDER_CONSTANT)
    part = image[rows.start * coarse : rows.stop * coarse, columns.start * coarse : columns.stop * coarse]
    large = cv2.resize(soft, (soft.shape[1] * coarse, soft.shape[0] * coarse), interpolation=cv2.INTER_LINEAR)[: part.shape[0], : part.shape[1]]
    part[:] = cv2.multiply(part, cv2.merge([255 - large] * 3), scale=1 / 255)


def _coarse(view):
    return max(2, round(view.height / _SOFT_ROWS))


def _backdrop(view):
    """The empty panel: dark, with a lit floor that fades outwards."""
    away = np.clip(view.floor_distance(_coarse(view)), 0, 50)
    share = cv2.resize(np.exp(-(away**2) * 0.9).astype(np.float32), (view.width, view.height), interpolation=cv2.INTER_LINEAR)[..., None]
    base = mix(_SKY, _HORIZON, np.linspace(0, 1, view.height)[:, None, None]).astype(np.float32)
    return np.rint(base + (_FLOOR.astype(np.float32) - base) * share).astype(np.uint8)


def _grid(view):
    """Short pieces (N, 2, 3) m of the grid's lines and their strengths (N,), 1 to 8: strongest in the middle."""
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50, 100, 1000, 1e9) if view.radius / s <= 9)
    reach = int(np.ceil(1.6 * view.radius / step))
    low = np.rint(view.centre[:2] / step) - reach
    ticks = np.arange(2 * reach + 1)
    a, b = np.meshgrid(ticks, ticks, indexing="ij")
    nodes = np.stack([a, b, np.zeros_like(a)], -1) * step + (*(low * step), 0)
    along = np.stack([nodes[:-1], nodes[1:]], 2).reshape(-1, 2, 3), np.stack([nodes[:, :-1], nodes[:, 1:]], 2).reshape(-1, 2, 3)
    pieces = np.concatenate(along)
    middle = np.linalg.norm(pieces.mean(1)[:, :2] - view.centre[:2], axis=1) / view.radius
    fades = np.rint(8 * np.clip(1.35 - middle, 0, 1)).astype(int)
    return pieces[fades > 0], fades[fades > 0]
