"""mediapipe's landmarker as it is wrapped: real faces where the research data are, blank pictures anywhere."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from modashift.data import fetch as fetch_module
from modashift.errors import DataError, ModashiftError
from modashift.extract.face import Landmarker
from modashift.extract.face import landmarker as module

FACE = "clips/single_face.mp4"
Clip = Callable[[str, int], list[np.ndarray]]

# Looks at a picture in this process, in a forked child that inherits the loaded model, and in a spawned one.
WORKERS = """
import multiprocessing, os, sys
import numpy as np
from modashift.extract.face import Landmarker

def count(landmarker, picture):
    return len(landmarker.faces(picture))

if __name__ == "__main__":
    picture = np.load(sys.argv[1])
    landmarker = Landmarker()
    counts = [count(landmarker, picture)]
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            counts += pool.starmap(count, [(landmarker, picture), (landmarker, picture)])
    counts.append(count(landmarker, picture))
    print(counts, flush=True)
    if os.fork() == 0:  # ends as a program does, with its parent's landmarker still open
        sys.exit(0)
    os.wait()
"""


def test_a_blank_picture_has_no_face(landmarker: Landmarker) -> None:
    for level in (0, 128, 255):
        assert landmarker.faces(np.full((120, 160, 3), level, dtype=np.uint8)) == []


def test_noise_has_no_face(landmarker: Landmarker) -> None:
    assert landmarker.faces(np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)) == []


@pytest.mark.parametrize("shape", [(0, 0), (0, 9), (1, 1), (1, 4000), (3, 2000), (16, 16)])
def test_tiny_and_thin_pictures_have_no_face(landmarker: Landmarker, shape: tuple[int, int]) -> None:
    assert landmarker.faces(np.zeros((*shape, 3), dtype=np.uint8)) == []
    assert landmarker.faces(np.zeros((*shape[::-1], 3), dtype=np.uint8)) == []


@pytest.mark.parametrize(
    ("picture", "found"),
    [
        (np.zeros((40, 40), np.uint8), r"uint8 of shape \(40, 40\)"),
        (np.zeros((40, 40, 4), np.uint8), r"shape \(40, 40, 4\)"),
        (np.zeros((3, 40, 40), np.uint8), r"shape \(3, 40, 40\)"),
        (np.zeros((40, 40, 3), np.float32), "float32"),
    ],
)
def test_other_arrays_are_refused(picture: np.ndarray, found: str) -> None:
    with pytest.raises(DataError, match=found):
        Landmarker().faces(picture)


def test_a_real_face(landmarker: Landmarker, clip: Clip) -> None:
    (face,) = landmarker.faces(clip(FACE, 1)[0])
    assert face.landmarks.shape == (478, 3)
    assert face.blendshapes.shape == (52,)
    assert face.pose.shape == (4, 4)
    assert (face.landmarks[:, :2] > 0).all()
    assert (face.landmarks[:, :2] < 1).all()
    assert (face.blendshapes >= 0).all()
    assert (face.blendshapes <= 1).all()
    assert np.linalg.det(face.pose[:3, :3]) == pytest.approx(1, abs=1e-3)


def test_a_view_of_a_wider_array_is_the_same_picture(landmarker: Landmarker, clip: Clip) -> None:
    """mediapipe itself would read the bytes between the rows as pixels, and find nothing."""
    picture = clip("grid/bbaf2n.mpg", 1)[0]
    wide = np.zeros((picture.shape[0], picture.shape[1] + 8, 3), dtype=np.uint8)
    wide[:, : picture.shape[1]] = picture
    view = wide[:, : picture.shape[1]]
    assert not view.flags.c_contiguous
    (seen,), (expected,) = landmarker.faces(view), landmarker.faces(np.ascontiguousarray(picture))
    assert np.array_equal(seen.landmarks, expected.landmarks)


def test_a_picture_gives_the_same_whatever_came_before(landmarker: Landmarker, clip: Clip) -> None:
    first, *_, last = clip(FACE, 20)
    (alone,) = landmarker.faces(last)
    landmarker.faces(first)
    (after,) = landmarker.faces(last)
    assert np.array_equal(alone.blendshapes, after.blendshapes)
    assert np.array_equal(alone.pose, after.pose)


def test_another_model_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "face_landmarker.task"
    wrong.write_bytes(b"another")
    with pytest.raises(DataError, match="SHA-256"):
        Landmarker(wrong).faces(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(DataError, match="modashift data fetch landmarker"):
        Landmarker(tmp_path / "nowhere.task").faces(np.zeros((64, 64, 3), np.uint8))


def test_a_damaged_cache_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODASHIFT_CACHE", str(tmp_path))
    folder = tmp_path / f"landmarker-{fetch_module.LANDMARKER_MODEL[:8]}"
    folder.mkdir()
    (folder / "face_landmarker.task").write_bytes(b"half a mod")
    with pytest.raises(DataError, match="SHA-256"):
        Landmarker().faces(np.zeros((64, 64, 3), np.uint8))


def test_without_mediapipe_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe.tasks.python", None)
    with pytest.raises(ModashiftError, match=r'pip install "modashift\[extract\]"'):
        Landmarker().faces(np.zeros((64, 64, 3), np.uint8))


def test_after_a_failure_the_next_picture_gets_a_new_graph(clip: Clip) -> None:
    """A graph that failed once answers every later picture with an error."""
    picture = clip(FACE, 1)[0]

    class Liar(np.ndarray):
        """Hides that it is empty, which mediapipe cannot take."""

        size = 1

    with Landmarker() as own:
        assert len(own.faces(picture)) == 1
        with pytest.raises(ModashiftError, match=r"mediapipe failed on a picture of shape \(0, 0, 3\)"):
            own.faces(np.zeros((0, 0, 3), np.uint8).view(Liar))
        assert len(own.faces(picture)) == 1


def test_other_blendshapes_than_the_columns_are_refused() -> None:
    class Score:
        category_name, score = "eyeBlinkMiddle", 0.5

    class Result:
        face_landmarks, face_blendshapes, facial_transformation_matrixes = [[]], [[Score()]], [np.eye(4)]

    with pytest.raises(ModashiftError, match="eyeBlinkMiddle"):
        module._faces(Result())


@pytest.mark.parametrize("wrong", [{"most_faces": 0}, {"confidence": 1.5}, {"confidence": float("nan")}])
def test_settings_without_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="most_faces must be"):
        Landmarker(**wrong)


@pytest.mark.slow
def test_workers_find_faces_and_nothing_is_written_to_standard_error(tmp_path: Path, clip: Clip) -> None:
    np.save(tmp_path / "picture.npy", clip(FACE, 1)[0])
    script = tmp_path / "workers.py"
    script.write_text(WORKERS, encoding="utf-8")
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(script), str(tmp_path / "picture.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.strip() == str([1] * 6), done.stderr
    assert done.stderr == ""
