"""The pictures of a live run: the skeletons over the frame, and, where it is asked for, the 3D view beside it, which widens as people move."""

from collections import deque
from dataclasses import replace

import numpy as np

from app.people import people_at, to_world
from app.picture import Renderer
from core.records import Motion, Track

TRAIL = 2.0  # s of a person's way on the floor
NOTE_EVERY, NOTES = 0.5, 40  # s between two notes of where people are, and how many are held in view
ROOM = 0.2  # m that somebody may leave what is in view before the view is framed anew
REFRAME = 1.0  # s from one framing to the next
LIMIT = 1080  # px of the frame beside a 3D view


class LivePicture:
    """Draws the one-frame Motions of a live run. `settings` say the layout of `whole` and whom to show; `overlay` is the frame alone."""

    def __init__(self, settings):
        self.settings, self.ways, self.notes = settings, {}, deque(maxlen=NOTES)
        self.flat = self.full = self.reach = None
        self.noted = self.framed = -np.inf

    def people(self, motion, time):
        """The Persons of a Motion of one frame, with the way that each came lately."""
        chosen, world = self.settings.select, motion.world_from_camera
        for number, track in motion.tracks.items():
            self.ways.setdefault(number, deque()).append((time, track.root[0].astype(np.float64)))
        self.ways = {number: _since(way, time - TRAIL) for number, way in self.ways.items() if way[-1][0] >= time - TRAIL}
        if time - self.noted >= NOTE_EVERY and motion.tracks:
            self.notes.append(motion)
            self.noted = time
        frame = next((int(track.frames[0]) for track in motion.tracks.values()), 0)
        return [person._replace(trail=to_world(np.array([place for _, place in self.ways[person.id]]), world))
                for person in people_at(motion, frame, chosen)]

    def overlay(self, image, motion, people):
        """The skeletons over the picture (H, W, 3)."""
        alone = self.settings.layout == "overlay"
        self.flat = self.flat or Renderer(motion, layout="overlay", size=self.settings.size if alone else None, limit=None if alone else LIMIT)
        return self.flat.compose(image, people)

    def whole(self, image, motion, people, time):
        """The picture in the layout that was asked for."""
        if self.settings.layout == "overlay":
            return self.overlay(image, motion, people)
        if self.full is None or ((self.reach is None or time - self.framed >= REFRAME) and self._outside(people)):
            self._frame(motion, time)
        return self.full.compose(image, people, time)

    def _outside(self, people):
        places = np.array([person.joints for person in people if np.isfinite(person.joints).all()]).reshape(-1, 3)
        if not len(places):
            return False
        return self.reach is None or bool((places < self.reach[0] - ROOM).any() or (places > self.reach[1] + ROOM).any())

    def _frame(self, motion, time):
        """A view that holds everybody of the notes and of now."""
        rows = {}
        for note in [*self.notes, motion]:
            for number, track in note.tracks.items():
                if not rows.get(number) or rows[number][-1].frames[0] < track.frames[0]:
                    rows.setdefault(number, []).append(track)
        seen = replace(motion, tracks={number: _joined(tracks) for number, tracks in rows.items()})
        look = {name: getattr(self.settings, name) for name in ("layout", "size", "azimuth", "elevation", "turn", "renderer", "select")}
        self.full = Renderer(seen, limit=LIMIT if self.settings.layout == "side" else None, **look)
        self.framed, self.reach = time, _box(seen)


def _since(way, time):
    while way[0][0] < time:
        way.popleft()
    return way


def _joined(tracks):
    columns = ("frames", "times", "boxes", "points", "scores", "joints3d", "root", "observed")
    return Track(tracks[0].id, **{name: np.concatenate([getattr(track, name) for track in tracks]) for name in columns})


def _box(motion: Motion):
    """The lowest and highest corner (2, 3) of where the people of a motion were, in the world; None without 3D."""
    places = [to_world(track.joints3d + track.root[:, None], motion.world_from_camera).reshape(-1, 3) for track in motion.tracks.values()]
    places = np.concatenate([np.zeros((0, 3)), *places])
    places = places[np.isfinite(places).all(1)]
    return np.stack([places.min(0), places.max(0)]) if len(places) else None
