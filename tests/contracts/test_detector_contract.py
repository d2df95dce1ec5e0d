"""What every detector promises."""

import numpy as np
import pytest

from core import parts
from core.records import Detections


@pytest.fixture(params=parts.names("detector"))
def detector(request, built):
    return built("detector", request.param)


@pytest.fixture
def seeing(detector):
    """A detector that looks at pictures; one that knows frames by number only has a contract of its own."""
    if hasattr(detector, "at"):
        pytest.skip("this detector knows frames by number")
    return detector


def same(a, b):
    assert len(a) == len(b)
    np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-2)
    np.testing.assert_allclose(a.scores, b.scores, atol=1e-4)


def test_boxes_lie_in_their_own_picture(seeing, pictures):
    before = [image.copy() for image in pictures]
    found = seeing(pictures)
    assert len(found) == len(pictures) and all(isinstance(people, Detections) for people in found)
    for image, people in zip(pictures, found, strict=True):
        height, width = image.shape[:2]
        assert np.isfinite(people.boxes).all() and ((people.scores >= 0) & (people.scores <= 1)).all()
        assert (people.boxes[:, 2:] >= people.boxes[:, :2]).all()
        assert (people.boxes >= -1).all() and (people.boxes <= np.array([width, height, width, height]) + 1).all()
    assert all((a == b).all() for a, b in zip(before, pictures, strict=True)), "a detector changed its input"


def test_answers_do_not_depend_on_the_batch(seeing, pictures):
    for together, image in zip(seeing(pictures), pictures, strict=True):
        same(together, seeing([image])[0])


def test_it_keeps_no_memory_of_earlier_pictures(seeing, pictures):
    first = seeing(pictures[:1])[0]
    seeing(pictures[1:3])
    same(first, seeing(pictures[:1])[0])


def test_no_pictures(seeing):
    assert seeing([]) == []


def test_a_detector_by_number_answers_any_frame_in_any_order(detector):
    if not hasattr(detector, "at"):
        pytest.skip("this detector looks at pictures")
    found = detector.at([2, 0, 1, 0, 999_999])
    assert len(found) == 5 and all(isinstance(people, Detections) for people in found)
    same(found[1], found[3])
    assert detector.at([]) == []
