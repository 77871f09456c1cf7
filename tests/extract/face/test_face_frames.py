"""Rows of features from pictures: times, masks, mirrored pictures, two faces."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from modashift.errors import DataError
from modashift.extract.align import align_to_words
from modashift.extract.face import Face, Landmarker, face_frames
from modashift.extract.face.columns import BLENDSHAPES, FACE
from modashift.extract.recording import Frames

Clip = Callable[[str, int], list[np.ndarray]]
BLANK = np.zeros((120, 160, 3), dtype=np.uint8)


class Made:
    """Stands in for a landmarker: a picture's first pixel says how many faces it shows, at fixed places."""

    def __init__(self, *places: float) -> None:
        self.places = places

    def faces(self, picture: np.ndarray) -> list[Face]:
        return [made_face(x, 0.5) for x in self.places[: picture[0, 0, 0]]]


def made_face(x: float, shape: float) -> Face:
    rng = np.random.default_rng(3)
    landmarks = (rng.uniform(-0.1, 0.1, (478, 3)) * (0.5 + x) + (x, 0.5, 0.0)).astype(np.float32)
    pose = np.eye(4)
    pose[:3, 3] = x * 100, 0, -50
    return Face(landmarks, np.full(52, shape, dtype=np.float32), pose)


def showing(*counts: int) -> list[tuple[float, np.ndarray]]:
    return [(k / 10, np.full((20, 20, 3), count, dtype=np.uint8)) for k, count in enumerate(counts)]


def run(pictures: list[tuple[float, np.ndarray]], *places: float, **options: float) -> Frames:
    return face_frames(pictures, landmarker=Made(*places), **options)  # type: ignore[arg-type]


def column(frames: Frames, name: str) -> np.ndarray:
    return frames.values[:, frames.columns.index(name)]


def test_times_are_kept_and_missing_faces_are_masked() -> None:
    frames = run(showing(1, 0, 1, 1), 0.3)
    assert frames.set_name == "face"
    assert frames.columns == FACE.names
    assert frames.values.dtype == np.float32
    assert frames.times.tolist() == [0.0, 0.1, 0.2, 0.3]
    assert frames.mask.tolist() == [True, False, True, True]
    assert np.isnan(frames.values[1]).all()
    assert np.isfinite(frames.values[frames.mask]).all()


def test_missing_faces_do_not_count_in_words() -> None:
    frames = run(showing(1, 0, 1, 0, 0), 0.3)
    words = align_to_words(frames.values, frames.times, [(0.0, 0.25), (0.25, 0.5)], mask=frames.mask)
    assert words.mask.tolist() == [True, False]
    assert words.values[0] == pytest.approx(frames.values[0], rel=1e-5)


def test_no_pictures() -> None:
    frames = run([], 0.3)
    assert frames.values.shape == (0, len(FACE.names))
    assert len(frames.times) == len(frames.mask) == 0


def test_pictures_are_taken_one_at_a_time() -> None:
    alive = 0

    def stream() -> Iterator[tuple[float, np.ndarray]]:
        nonlocal alive
        for k in range(5):
            alive += 1
            yield float(k), np.full((20, 20, 3), 1, dtype=np.uint8)

    class Counting(Made):
        def faces(self, picture: np.ndarray) -> list[Face]:
            seen.append(alive)
            return super().faces(picture)

    seen: list[int] = []
    face_frames(stream(), landmarker=Counting(0.5))  # type: ignore[arg-type]
    assert seen == [1, 2, 3, 4, 5]


def test_irregular_times_are_kept() -> None:
    times = [0.0, 0.04, 0.3, 0.3, 7.25]
    frames = run([(t, np.full((20, 20, 3), 1, dtype=np.uint8)) for t in times], 0.5)
    assert frames.times.tolist() == times


@pytest.mark.parametrize(
    ("times", "message"),
    [([0.0, 0.2, 0.1], r"picture 3 stands at 0\.1 s after 0\.2 s"), ([0.0, float("nan")], r"picture 2 stands at nan")],
)
def test_times_that_do_not_rise_are_refused(times: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        run([(t, BLANK) for t in times])


def test_the_followed_face_gives_the_row_and_another_only_after_the_gap() -> None:
    pictures = showing(1, 2, 2, *[0] * 12, 2)
    assert column(run(pictures, 0.2, 0.8), "head_x")[[0, 1, 2, -1]].tolist() == [20, 20, 20, 20]

    class Leaving(Made):
        def faces(self, picture: np.ndarray) -> list[Face]:
            found = super().faces(picture)
            return found[1:] if len(found) == 3 else found[:2]

    frames = face_frames(showing(1, *[3] * 14), landmarker=Leaving(0.2, 0.8, 0.5), gap=0.5)  # type: ignore[arg-type]
    assert frames.mask.tolist() == [True] + [False] * 5 + [True] * 9
    assert set(column(frames, "head_x")[6:].tolist()) == {80.0}


def test_what_the_model_never_moves_is_a_constant_zero() -> None:
    class Faint(Made):
        def faces(self, picture: np.ndarray) -> list[Face]:
            return [made_face(0.5, shape=3e-6)]

    frames = face_frames(showing(1, 1), landmarker=Faint())  # type: ignore[arg-type]
    assert (frames.values[:, : len(BLENDSHAPES)] == 0).all()


def test_blank_pictures_have_no_face(landmarker: Landmarker) -> None:
    frames = face_frames([(0.0, BLANK), (0.1, BLANK)], landmarker=landmarker)
    assert frames.mask.tolist() == [False, False]
    assert np.isnan(frames.values).all()


def test_bad_pictures_are_refused(landmarker: Landmarker) -> None:
    with pytest.raises(DataError, match="height, width, 3"):
        face_frames([(0.0, BLANK[..., 0])], landmarker=landmarker)


def test_a_mirrored_picture_mirrors_the_features(landmarker: Landmarker, clip: Clip) -> None:
    pictures = clip("mosi/Oz06ZWiO20M_6.mp4", 200)[::10]
    there = face_frames(list(enumerate(map(np.ascontiguousarray, pictures))), landmarker=landmarker)
    back = face_frames([(k, np.ascontiguousarray(p[:, ::-1])) for k, p in enumerate(pictures)], landmarker=landmarker)
    assert there.mask.all()
    assert back.mask.all()
    for name, tolerance in (("head_yaw", 6.0), ("head_roll", 4.0), ("head_x", 0.5)):
        assert column(back, name) == pytest.approx(-column(there, name), abs=tolerance), name
    for name, tolerance in (("head_pitch", 6.0), ("head_y", 0.5), ("head_z", 1.5), ("face_size", 0.03)):
        assert column(back, name) == pytest.approx(column(there, name), abs=tolerance), name
    assert np.abs(column(there, "head_yaw")).max() > 12
    assert np.abs(column(there, "head_roll")).max() > 8
    for name in ("head_yaw", "head_roll", "gaze_horizontal"):
        assert np.corrcoef(column(there, name), column(back, name))[0, 1] < -0.75, name
    left = [i for i, name in enumerate(BLENDSHAPES) if name.endswith("Left")]
    right = [BLENDSHAPES.index(BLENDSHAPES[i].replace("Left", "Right")) for i in left]
    uneven = [frames.values[:, left] - frames.values[:, right] for frames in (there, back)]
    assert np.corrcoef(uneven[0].ravel(), uneven[1].ravel())[0, 1] < -0.3  # the model itself is only roughly symmetric
    assert np.abs(uneven[0]).max() > 0.2


def test_left_is_the_persons_own_left(landmarker: Landmarker, clip: Clip) -> None:
    """The eye at the right of the picture, painted over with skin, is the left one and counts as closed."""
    picture = clip("clips/single_face.mp4", 1)[0].copy()
    (face,) = landmarker.faces(picture)
    size = (picture.shape[1], picture.shape[0])
    lids = face.landmarks[[263, 362, 386, 374], :2] * size
    (left, top), (right, bottom) = (lids.min(0) - 3).astype(int), (lids.max(0) + 4).astype(int)
    assert left > face.landmarks[1, 0] * size[0]  # beyond the tip of the nose
    picture[top:bottom, left:right] = picture[bottom + 6, (left + right) // 2]
    frames = face_frames([(0.0, picture)], landmarker=landmarker)
    assert column(frames, "eye_opening_left")[0] < 0.8 * column(frames, "eye_opening_right")[0]
    assert column(frames, "eyeBlinkLeft")[0] > column(frames, "eyeBlinkRight")[0]


def beside(one: np.ndarray, other: np.ndarray, ratio: float) -> np.ndarray:
    """Two faces in one picture, the second at the right and `ratio` times as large."""
    import cv2

    canvas = np.full((400, 600, 3), 90, dtype=np.uint8)
    for picture, scale, middle in ((one, min(1.0, 1 / ratio), 150), (other, min(1.0, ratio), 450)):
        shrunk = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        height, width = shrunk.shape[:2]
        canvas[200 - height // 2 :, middle - width // 2 :][:height, :width] = shrunk
    return canvas


def test_two_faces_of_which_the_larger_changes(landmarker: Landmarker, clip: Clip) -> None:
    one = clip("grid/bbaf2n.mpg", 1)[0][:, :300]
    other = clip("clips/single_face.mp4", 1)[0][:, 150:450]  # its face is about as large
    ratios = [0.65, 0.75, 0.85, 1.0, 1.2, 1.35, 1.5]
    pictures = [beside(one, other, ratio) for ratio in ratios]
    assert [len(landmarker.faces(picture)) for picture in pictures] == [2] * len(ratios)
    forwards = face_frames([(k / 5, p) for k, p in enumerate(pictures)], landmarker=landmarker)
    backwards = face_frames([(k / 5, p) for k, p in enumerate(reversed(pictures))], landmarker=landmarker)
    assert forwards.mask.all()
    assert backwards.mask.all()
    assert (column(forwards, "head_x") < 0).all()  # the larger one at first was the left one
    assert (column(backwards, "head_x") > 0).all()
    alone = [(k / 5, p) for k, p in enumerate([pictures[0], *[beside(np.full_like(one, 90), other, 0.75)] * 9])]
    leaving = face_frames(alone, landmarker=landmarker, gap=1.0)
    assert leaving.mask.tolist() == [True] + [False] * 5 + [True] * 4
    assert column(leaving, "head_x")[0] < 0
    assert (column(leaving, "head_x")[6:] > 0).all()
