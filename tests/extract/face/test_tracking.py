"""Which face is followed, on boxes alone."""

import numpy as np
import pytest

from modashift.extract.face.tracking import FaceTrack, overlap


def box(x: float, y: float, side: float) -> np.ndarray:
    return np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2])


def test_overlap_of_boxes() -> None:
    assert overlap(box(0, 0, 2), box(0, 0, 2)) == pytest.approx(1.0)
    assert overlap(box(0, 0, 2), box(1, 0, 2)) == pytest.approx(2 / 6)
    assert overlap(box(0, 0, 2), box(0, 0, 1)) == pytest.approx(1 / 4)
    assert overlap(box(0, 0, 2), box(2, 0, 2)) == 0.0
    assert overlap(box(0, 0, 2), box(5, 5, 2)) == 0.0


def test_the_largest_is_taken_first() -> None:
    boxes = np.stack([box(0.2, 0.5, 0.1), box(0.7, 0.5, 0.3), box(0.5, 0.2, 0.2)])
    assert FaceTrack().pick(0.0, boxes) == 1


def test_the_first_face_may_come_late() -> None:
    track = FaceTrack()
    assert [track.pick(t, np.zeros((0, 4))) for t in (0.0, 5.0)] == [None, None]
    assert track.pick(9.0, box(0.5, 0.5, 0.2)[None]) == 0
    assert track.restarts == 0


def test_it_stays_with_its_face_when_another_becomes_larger() -> None:
    track = FaceTrack()
    for step, share in enumerate(np.linspace(0, 1, 30)):
        own, other = box(0.25, 0.5, 0.4 - 0.2 * share), box(0.75, 0.5, 0.2 + 0.2 * share)
        order = step % 2  # the landmarker gives faces in no particular order
        boxes = np.stack([other, own] if order else [own, other])
        assert track.pick(step / 15, boxes) == order
    assert track.restarts == 0


def test_it_follows_a_face_across_the_other() -> None:
    """Two faces of different size swap places, passing one above the other."""
    track = FaceTrack()
    for step, share in enumerate(np.linspace(0, 1, 40)):
        own, other = box(0.2 + 0.6 * share, 0.35, 0.3), box(0.8 - 0.6 * share, 0.65, 0.25)
        assert track.pick(step / 15, np.stack([other, own])) == 1


def test_another_face_is_not_taken_for_a_missing_one_until_the_gap_is_over() -> None:
    track = FaceTrack(gap=1.0)
    own, other = box(0.25, 0.5, 0.3), box(0.75, 0.5, 0.4)
    assert track.pick(0.0, own[None]) == 0
    assert [track.pick(t, other[None]) for t in (0.1, 0.5, 1.0)] == [None, None, None]
    assert track.pick(1.01, other[None]) == 0
    assert track.restarts == 1
    assert track.pick(1.1, np.stack([own, other])) == 1


def test_a_face_that_comes_back_in_time_is_kept() -> None:
    track = FaceTrack(gap=1.0)
    own, other = box(0.25, 0.5, 0.3), box(0.75, 0.5, 0.4)
    track.pick(0.0, own[None])
    assert track.pick(0.5, other[None]) is None
    assert track.pick(0.9, np.stack([other, own])) == 1
    assert track.pick(1.8, np.stack([other, own])) == 1  # the gap counts from when it was last seen
    assert track.restarts == 0


def test_after_a_gap_it_still_prefers_its_own_place() -> None:
    track = FaceTrack(gap=1.0)
    own, other = box(0.25, 0.5, 0.3), box(0.75, 0.5, 0.4)
    track.pick(0.0, own[None])
    assert track.pick(60.0, np.stack([other, own])) == 1
    assert track.restarts == 0


def test_after_a_gap_the_largest_is_taken() -> None:
    track = FaceTrack(gap=0.0)
    track.pick(0.0, box(0.1, 0.1, 0.1)[None])
    assert track.pick(0.1, np.stack([box(0.5, 0.5, 0.1), box(0.7, 0.7, 0.2), box(0.3, 0.7, 0.15)])) == 1


@pytest.mark.parametrize("wrong", [{"gap": -1.0}, {"gap": float("nan")}, {"least_overlap": 1.0}])
def test_settings_without_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="gap must be"):
        FaceTrack(**wrong)
