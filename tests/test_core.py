"""Records refuse what does not fit; geometry undoes what it does; parts are found by name."""

import numpy as np
import pytest

from core import geometry, parts
from core.errors import InputError
from core.records import Camera, Detections, Poses, Tracks
from core.skeletons import BODY21, COCO17, H36M17, SKELETONS, conversion, convert

RNG = np.random.default_rng(0)


def test_records_say_what_is_wrong():
    with pytest.raises(ValueError, match=r"Detections.scores: expected shape \(2,\), got \(3,\)"):
        Detections(np.zeros((2, 4)), np.zeros(3))
    with pytest.raises(ValueError, match="unique"):
        Tracks([1, 1], np.zeros((2, 4)), np.zeros(2))
    assert len(Detections.empty()) == len(Tracks.empty()) == len(Poses.empty(BODY21)) == 0


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda s: s.name)
def test_mirror_is_its_own_inverse_and_the_tree_has_one_root(skeleton):
    mirror = np.array(skeleton.mirror)
    assert (mirror[mirror] == np.arange(len(skeleton))).all()
    assert skeleton.parents.count(-1) == 1 and len(skeleton.bones) == len(skeleton) - 1
    assert sorted(skeleton.order) == list(range(len(skeleton)))


@pytest.mark.parametrize(("source", "target"), [(BODY21, H36M17), (COCO17, H36M17), (COCO17, BODY21), (BODY21, COCO17)])
def test_conversion_moves_with_the_body_and_keeps_sides(source, target):
    points, scores = RNG.normal(size=(4, len(source), 2)), RNG.uniform(size=(4, len(source)))
    moved, weakest = convert(points, scores, source, target)
    shifted, _ = convert(points + 7, scores, source, target)
    np.testing.assert_allclose(shifted, moved + 7, atol=1e-5)
    assert moved.shape == (4, len(target), 2) and (weakest <= 1).all()
    left = target.index("left_knee")
    np.testing.assert_allclose(moved[:, left], points[:, source.index("left_knee")], atol=1e-6)


def test_a_missing_joint_stays_missing_and_spares_the_others():
    points = RNG.normal(size=(21, 2))
    points[BODY21.index("left_ankle")] = np.nan
    moved, _ = convert(points, np.ones(21), BODY21, H36M17)
    assert np.isnan(moved[H36M17.index("left_foot")]).all() and np.isfinite(moved).all(1).sum() == 16


def test_unknown_conversion_names_the_known_ones():
    with pytest.raises(ValueError, match="body21 to h36m17"):
        conversion(H36M17, COCO17)


@pytest.mark.parametrize("turn", [0, 0.7, np.pi])
def test_crop_and_undo_is_the_identity(turn):
    matrix = geometry.crop_matrix([100, 50, 180, 300], (192, 256), rotation=turn)
    points = RNG.uniform(0, 400, (20, 2))
    np.testing.assert_allclose(geometry.apply_affine(geometry.invert_affine(matrix), geometry.apply_affine(matrix, points)), points, atol=1e-9)


def test_a_crop_holds_its_box_and_keeps_the_aspect():
    matrix = geometry.crop_matrix([100, 50, 180, 300], (192, 256), scale=1.25)
    corners = geometry.apply_affine(matrix, np.array([[100, 50], [180, 300]], float))
    assert np.allclose(corners[1, 1] - corners[0, 1], 256 / 1.25) and (corners > 0).all()
    assert np.allclose(matrix[0, 0], matrix[1, 1])


@pytest.mark.parametrize("zoom", [0.2, 0.6, 1.0, 3.0])
def test_warp_puts_pixels_where_the_matrix_says(zoom):
    image = np.zeros((200, 300, 3), np.uint8)
    image[80:120, 140:180] = 255  # centre (160, 100)
    matrix = np.array([[zoom, 0, 5], [0, zoom, 9.0]])
    out = geometry.warp(image, matrix, (int(300 * zoom) + 10, int(200 * zoom) + 10)).astype(float)[..., 0]
    ys, xs = np.mgrid[: out.shape[0], : out.shape[1]] + 0.5
    centre = np.array([(xs * out).sum(), (ys * out).sum()]) / out.sum()
    np.testing.assert_allclose(centre, geometry.apply_affine(matrix, np.array([160.0, 100.0])), atol=0.15)


def test_iou_by_hand():
    np.testing.assert_allclose(geometry.iou([[0, 0, 10, 10]], [[5, 0, 15, 10], [20, 20, 30, 30], [0, 0, 10, 10]]), [[1 / 3, 0, 1]])
    assert geometry.iou(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)


@pytest.mark.parametrize("distortion", [None, (-0.1, 0.02, 0.001, -0.002, 0.0)])
def test_back_projection_undoes_projection(distortion):
    camera = Camera(1920, 1080, 1500, 1480, 950, 545, distortion)
    points = RNG.uniform([-1, -1, 3], [1, 1, 8], (50, 3))
    pixels = geometry.project(points, camera)
    np.testing.assert_allclose(geometry.back_project(pixels, points[:, 2], camera), points, atol=1e-5)
    assert np.isnan(geometry.project(np.array([[0, 0, -1.0]]), camera)).all()


def test_procrustes_removes_a_similarity_but_no_reflection():
    pose = RNG.normal(size=(5, 17, 3))
    turn = geometry.rotation_between(np.array([0, 0, 1.0]), np.array([0.6, 0, 0.8]))
    assert geometry.pa_mpjpe(2.5 * pose @ turn.T + 3, pose) < 1e-9
    assert geometry.pa_mpjpe(pose * (-1, 1, 1), pose) > 0.1


def test_parts_are_listed_and_their_options_checked():
    assert "sort" in parts.names("tracker")
    assert parts.parse("tcn:arc=3,3,3,weights=a/b.bin,flip=true") == ("tcn", {"arc": (3, 3, 3), "weights": "a/b.bin", "flip": True})
    with pytest.raises(InputError, match="no tracker 'nobody'; there are: .*sort"):
        parts.check("tracker", "nobody")
    with pytest.raises(InputError, match="no option 'colour'; it has: max_age"):
        parts.check("tracker", "sort:colour=3")
    with pytest.raises(InputError, match="is not name=value"):
        parts.parse("sort:30")


def test_warp_reads_no_more_than_it_shows_and_survives_an_empty_view():
    image = np.zeros((400, 600, 3), np.uint8)
    image[200:240, 300:360] = 255
    whole = geometry.warp(image, np.array([[0.25, 0, 0], [0, 0.25, 0.0]]), (150, 100))
    part = geometry.warp(image, np.array([[0.25, 0, -60], [0, 0.25, -40.0]]), (50, 40))
    np.testing.assert_allclose(part.astype(int), whole[40:80, 60:110].astype(int), atol=1)
    assert geometry.warp(image, np.array([[0.25, 0, 900], [0, 0.25, 0.0]]), (50, 40)).max() == 0
