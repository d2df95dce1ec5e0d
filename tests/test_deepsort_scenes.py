"""DeepSORT on hand-made crossings, gaps and looks."""

import numpy as np
import pytest

from core.parts import make
from core.records import Detections
from trackers._gallery import Gallery

RED, BLUE, GREEN = np.eye(8, dtype=np.float32)[:3]


def box(x, y=100, width=40, height=100):
    return (x, y, x + width, y + height)


def people(*rows):
    """Detections of (box, look) pairs, without looks where the first has None."""
    boxes, looks = [row[0] for row in rows], [row[1] for row in rows]
    known = len(looks) and looks[0] is not None
    return Detections(np.array(boxes, float).reshape(-1, 4), np.full(len(rows), 0.9), np.array(looks) if known else None)


def follow(tracker, frames, seen):
    """{id: x} of each frame of seen(frame) -> Detections."""
    shown = [tracker.update(i / 30, seen(i)) for i in frames]
    return [dict(zip(tracks.ids.tolist(), tracks.boxes[:, 0].tolist(), strict=True)) for tracks in shown]


def from_left(shown):
    """The numbers of {id: x} from left to right."""
    return sorted(shown, key=shown.get)


@pytest.mark.parametrize("looks", [(RED, BLUE), (None, None)])
def test_two_people_crossing_keep_their_numbers(looks):
    shown = follow(make("tracker", "deepsort"), range(60), lambda i: people((box(100 + 5 * i), looks[0]), (box(400 - 5 * i, 130, 44, 110), looks[1])))
    assert from_left(shown[10]) == from_left(shown[-1])[::-1]
    assert sorted(shown[-1].values()) == pytest.approx([105, 395], abs=6)


def test_looks_decide_where_two_come_out_of_one_place():
    def seen(i):
        if i < 20:
            return people((box(100 + 5 * i), RED), (box(300 - 5 * i), BLUE))
        return people() if i < 26 else people((box(200 + 4 * (i - 26)), BLUE), (box(190 - 4 * (i - 26)), RED))

    shown = follow(make("tracker", "deepsort"), range(40), seen)
    assert from_left(shown[15]) == from_left(shown[-1])  # by motion alone they would have passed each other


@pytest.mark.parametrize("look", [RED, None])
def test_a_second_of_occlusion_is_bridged_and_shows_nobody_meanwhile(look):
    shown = follow(make("tracker", "deepsort"), range(70), lambda i: people() if 20 <= i < 49 else people((box(100 + i), look)))
    assert list(shown[19]) == list(shown[-1]) == [1]
    assert not any(shown[21:49])


def test_who_comes_back_too_late_is_somebody_new():
    shown = follow(make("tracker", "deepsort"), range(90), lambda i: people() if 20 <= i < 55 else people((box(100), RED)))
    assert list(shown[19]) == [1] and list(shown[-1]) == [2]
    longer = follow(make("tracker", "deepsort:max_age=60"), range(90), lambda i: people() if 20 <= i < 55 else people((box(100), RED)))
    assert list(longer[-1]) == [1]


def test_somebody_else_who_comes_to_the_place_is_not_taken_for_the_one_who_left():
    shown = follow(make("tracker", "deepsort"), range(60), lambda i: people() if 20 <= i < 40 else people((box(100), RED if i < 20 else BLUE)))
    assert list(shown[19]) == [1] and list(shown[-1]) == [2]


def test_unknown_looks_are_like_nobody_and_overlap_still_pairs():
    unknown = np.full(8, np.nan, np.float32)
    shown = follow(make("tracker", "deepsort"), range(20), lambda i: people((box(100), RED), (box(300), unknown if i > 5 else BLUE)))
    assert list(shown[-1]) == [1, 2]


def test_the_gallery_keeps_the_last_looks_within_its_budget():
    few, all_ = Gallery(2), Gallery(None)
    for look in [RED, BLUE, GREEN] + [GREEN] * 30:
        few.add(look)
        all_.add(look)
    assert few.distance(np.array([RED, GREEN])).tolist() == [1, 0] and few.latest is GREEN
    assert all_.distance(np.array([RED, BLUE, (RED + BLUE) / 2])).tolist() == [0, 0, 0.5]
    assert len(few.room) == 2 and all_.count == 33
