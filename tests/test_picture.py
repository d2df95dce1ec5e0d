from dataclasses import replace

import numpy as np
import pytest

from app.export import load, save
from app.people import people_at
from app.picture import Renderer
from app.show import busiest_frame, show_motion
from app.view3d import frame_motion
from core.errors import InputError
from core.records import Motion
from core.skeletons import BODY21, COCO17, H36M17, Skeleton, convert
from tests.motions import walking

GREY = np.full((480, 640, 3), 90, np.uint8)


def changed(track, **fields):
    return replace(track, **{name: np.array(value) for name, value in fields.items()})


def one(**fields):
    """A motion of one walker with some of its track's fields changed."""
    motion = walking(1, 5)
    return replace(motion, tracks={1: changed(motion.tracks[1], **fields)})


@pytest.mark.parametrize(("layout", "width", "height", "size", "expected"), [
    ("side", 640, 480, None, (1280, 480)), ("side", 1280, 720, None, (1280, 1238)), ("side", 540, 960, None, (1260, 960)),
    ("side", 640, 480, 240, (640, 240)), ("side", 1280, 720, 480, (496, 480)), ("overlay", 641, 479, None, (641, 479)),
    ("overlay", 640, 480, 960, (1280, 960)), ("3d", 640, 480, None, (640, 480)), ("3d", 640, 480, 100, (133, 100))])
def test_size_is_the_picture_s(layout, width, height, size, expected):
    renderer = Renderer(walking(2, 3, width, height), layout=layout, size=size)
    picture = renderer.draw(np.zeros((height, width, 3), np.uint8), 1)
    assert renderer.size == expected and picture.shape == (expected[1], expected[0], 3) and picture.dtype == np.uint8


def test_input_is_left_alone_and_pictures_repeat():
    renderer, image = Renderer(walking(2, 10), turn=20), GREY.copy()
    first = renderer.draw(image, 3)
    renderer.draw(image, 7)
    assert np.array_equal(first, renderer.draw(image, 3)) and np.array_equal(image, GREY)


@pytest.mark.parametrize("renderer", ["opencv", "matplotlib"])
@pytest.mark.parametrize("layout", ["side", "overlay", "3d"])
def test_nobody_still_gives_a_picture(layout, renderer):
    picture = Renderer(walking(0, 5), layout=layout, size=240, renderer=renderer).draw(None, 0)
    assert picture.shape[0] == 240 and (layout == "overlay" or picture.std() > 1)


def test_left_is_light_and_right_is_deep_on_the_bone():
    motion = walking(1, 5)
    picture = Renderer(motion, layout="overlay").draw(GREY, 2).astype(int)
    points = motion.tracks[1].points[2]

    def middle(a, b):
        x, y = points[BODY21.indices(a, b)].mean(0).astype(int)
        return picture[y, x]

    left, right = middle("left_knee", "left_ankle"), middle("right_knee", "right_ankle")
    assert left.sum() > right.sum() + 100 and right[0] > right[1] + 60 and right[0] > right[2] + 60


def test_bones_are_where_the_points_are():
    motion = walking(1, 5)
    picture = Renderer(motion, layout="overlay").draw(GREY, 2)
    mark = (picture != GREY).any(-1)
    for a, b in BODY21.bones:
        if BODY21.joints[b] != "head_top":
            x, y = motion.tracks[1].points[2, [a, b]].mean(0).astype(int)
            assert mark[y, x]
    low, high = motion.tracks[1].boxes[2].reshape(2, 2)
    mark[int(low[1]) - 40 : int(high[1]) + 5, int(low[0]) - 10 : int(high[0]) + 10] = False
    assert not mark.any()


def test_points_follow_the_size():
    motion = walking(1, 5)
    large = Renderer(motion, layout="overlay", size=960).draw(np.zeros((480, 640, 3), np.uint8), 2)
    x, y = (motion.tracks[1].points[2, BODY21.index("thorax")] * 2).astype(int)
    assert large[y, x].max() > 100


def test_missing_is_not_drawn_and_unsure_is_faint():
    track = walking(1, 5).tracks[1]
    clear = Renderer(walking(1, 5), layout="overlay").draw(GREY, 2).astype(int)
    nothing = Renderer(one(points=np.full_like(track.points, np.nan), scores=track.scores * 0), layout="overlay").draw(GREY, 2)
    assert np.array_equal(nothing, GREY)
    assert np.array_equal(Renderer(one(scores=track.scores * 0), layout="overlay").draw(GREY, 2), GREY)
    x, y = track.points[2, BODY21.indices("left_knee", "left_ankle")].mean(0).astype(int)
    for fields in ({"scores": track.scores * 0.2}, {"observed": ~track.observed}):
        faint = Renderer(one(**fields), layout="overlay").draw(GREY, 2).astype(int)
        assert 20 < np.abs(faint[y, x] - 90).max() < np.abs(clear[y, x] - 90).max() * 0.6


def test_partly_missing_and_far_outside_do_no_harm():
    points = walking(1, 5).tracks[1].points.copy()
    points[:, 5:9] = np.nan
    points[:, 10] = (1e9, -1e9)
    points[:, 12] = (-700, 3000)
    picture = Renderer(one(points=points), layout="overlay").draw(GREY, 2)
    assert (picture != GREY).any()


def test_only_the_selected_are_drawn():
    motion = walking(3, 5)
    assert [p.id for p in Renderer(motion, select=[2]).people(3)] == [2]
    assert [p.id for p in Renderer(motion).people(99)] == []


def test_lost_3d_leaves_the_overlay():
    track = walking(1, 5).tracks[1]
    for fields in ({"root": np.full_like(track.root, np.nan)}, {"joints3d": np.full_like(track.joints3d, np.nan)}):
        picture = Renderer(one(**fields)).draw(GREY, 2)
        assert (picture[:, :640] != GREY).any()
        assert np.array_equal(picture[:, 640:], Renderer(one(**fields)).draw(GREY, 99)[:, 640:])


@pytest.mark.parametrize("turn", [0.0, 45.0])
@pytest.mark.parametrize("shape", [(640, 480), (200, 900), (1600, 300)])
def test_everybody_is_in_view_all_the_time(shape, turn):
    motion = walking(3, 60)
    view = frame_motion(motion, *shape, turn=turn)
    for frame in range(0, 60, 7):
        for person in people_at(motion, frame):
            place, depth = view.project(person.joints, frame / 5)
            assert (depth > 0.5).all() and (place > 0).all() and (place < shape).all()


def test_view_from_the_camera_is_as_filmed_and_upright():
    motion = walking(3, 20)
    view = frame_motion(motion, 640, 480, azimuth=0, elevation=8)
    people = people_at(motion, 6)
    joints = np.stack([person.joints for person in people])
    place, depth = view.project(joints, 0)
    filmed = np.stack([person.points for person in people])
    assert np.array_equal(place[..., 0].mean(1).argsort(), filmed[..., 0].mean(1).argsort())
    assert np.array_equal(depth.mean(1).argsort(), np.argsort([person.depth for person in people]))
    assert (place[:, BODY21.index("head_top"), 1] < place[:, BODY21.index("left_ankle"), 1]).all()
    left, right = BODY21.indices("left_shoulder", "right_shoulder")
    assert np.array_equal(place[:, left, 0] > place[:, right, 0], filmed[:, left, 0] > filmed[:, right, 0])


def test_positive_azimuth_shows_more_from_the_right():
    """From the right of the camera, what is nearer moves to the left of what is farther."""
    motion = walking(2, 5)
    near, far = np.array([0, 4.0, 1]), np.array([0, 6.0, 1])
    place, _ = frame_motion(motion, 640, 480, azimuth=30).project(np.stack([near, far]), 0)
    assert place[0, 0] < place[1, 0]


def test_one_wild_frame_does_not_shrink_the_scene():
    motion = walking(2, 60)
    root = motion.tracks[1].root.copy()
    root[30] = (500, 20, 900)
    wild = replace(motion, tracks={1: replace(motion.tracks[1], root=root), 2: motion.tracks[2]})
    assert frame_motion(wild, 640, 480).radius < 1.5 * frame_motion(motion, 640, 480).radius
    Renderer(wild).draw(GREY, 30)


def test_turning_view_moves_and_still_view_does_not():
    motion = walking(0, 5)
    still, turning = Renderer(motion, layout="3d"), Renderer(motion, layout="3d", turn=30)
    assert np.array_equal(still.draw(None, 0, 0.0), still.draw(None, 0, 1.0))
    assert not np.array_equal(turning.draw(None, 0, 0.0), turning.draw(None, 0, 1.0))


@pytest.mark.parametrize("skeleton", [H36M17, COCO17, Skeleton("stick", ("low", "middle", "high"), (-1, 0, 1))], ids=lambda s: s.name)
@pytest.mark.parametrize("renderer", ["opencv", "matplotlib"])
def test_other_skeletons(skeleton, renderer):
    motion = walking(2, 5)
    tracks = {}
    for number, track in motion.tracks.items():
        if skeleton.name == "stick":
            joints, points, scores = track.joints3d[:, :3], track.points[:, :3], track.scores[:, :3]
        else:
            joints = convert(track.joints3d, track.scores, BODY21, skeleton)[0]
            points, scores = convert(track.points, track.scores, BODY21, skeleton)
        tracks[number] = replace(track, points=points, scores=scores, joints3d=joints)
    other = Motion(motion.info, motion.camera, motion.world_from_camera, skeleton, skeleton, tracks)
    painter = Renderer(other, renderer=renderer)
    there, gone = painter.draw(GREY, 2), painter.draw(GREY, 99)
    assert (there[:, :640] != gone[:, :640]).any() and (there[:, 640:] != gone[:, 640:]).any()


@pytest.mark.parametrize("renderer", ["opencv", "matplotlib"])
def test_saved_motion_gives_the_same_pictures(tmp_path, renderer):
    motion = walking(2, 20)
    save(motion, tmp_path / "m.npz")
    again = load(tmp_path / "m.npz")
    first, second = (Renderer(made, renderer=renderer, turn=9) for made in (motion, again))
    for frame in (0, 13):
        assert np.array_equal(first.draw(GREY, frame), second.draw(GREY, frame))


def test_matplotlib_is_white_and_draws_colour():
    picture = Renderer(walking(2, 5), layout="3d", renderer="matplotlib").draw(None, 2).astype(int)
    assert (picture[0, 0] == 255).all() and (np.ptp(picture, -1) > 60).sum() > 200


@pytest.mark.parametrize("size", [16, 57, 115, 229])
@pytest.mark.parametrize("renderer", ["opencv", "matplotlib"])
def test_any_size(size, renderer):
    painter = Renderer(walking(1, 3), size=size, renderer=renderer)
    assert painter.draw(GREY, 1).shape[0] == size


def test_wrong_names():
    with pytest.raises(InputError, match="layout"):
        Renderer(walking(0, 1), layout="top")
    with pytest.raises(InputError, match="matplotlib"):
        Renderer(walking(0, 1), renderer="blender")


def test_window_needs_a_display(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(InputError, match="display"):
        show_motion(walking(1, 3))


def test_window_shows_the_busiest_frame(monkeypatch):
    import matplotlib.pyplot as plt

    motion = walking(2, 9)
    second = motion.tracks[2]
    late = replace(second, **{name: getattr(second, name)[4:] for name in
                              ("frames", "times", "boxes", "points", "scores", "joints3d", "root", "observed")})
    motion = replace(motion, tracks={1: motion.tracks[1], 2: late})
    assert busiest_frame(motion) == 6 and busiest_frame(walking(0, 3)) == 0
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(plt, "get_backend", lambda: "TkAgg")
    monkeypatch.setattr(plt, "show", lambda: None)
    plt.switch_backend("agg")
    show_motion(motion)
    assert len(plt.gcf().axes[0].collections) == 4
    plt.close("all")
