"""mediapipe's face landmarker as this package uses it: pictures in, faces out, one picture at a time.

Every picture is looked at on its own (mediapipe's image mode). Its video mode costs the same and, when looking for more
than one face, gives the same numbers; when looking for one it smooths over time, but then the speaker cannot be told
from others, and what a picture gives depends on the ones before it: on the rate, and on where a recording was cut.
"""

import os
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from modashift.cache import check_sha256
from modashift.errors import DataError, ModashiftError
from modashift.extract.face.columns import BLENDSHAPES
from modashift.extract.face.quiet import quiet_start

__all__ = ["Face", "Landmarker"]

WARM_UP = 128  # pixels


class Face(NamedTuple):
    """A face in a picture.

    Attributes:
        landmarks: (478, 3), x as a share of the picture's width, y of its height (downwards), z of its width (away).
        blendshapes: (52,) in the order of `BLENDSHAPES`.
        pose: (4, 4) from the canonical face to the camera: centimetres, x to the right of the picture, y up, z towards
            the viewer, the camera at 0 with a vertical field of view of 63°.
    """

    landmarks: Float[np.ndarray, "478 3"]
    blendshapes: Float[np.ndarray, "52"]
    pose: Float[np.ndarray, "4 4"]


class Landmarker:
    """Faces with landmarks, blendshapes and pose, on the CPU.

    The model is loaded at the first picture, in the process that shows it: a landmarker may be handed to worker
    processes, forked or spawned. It must not be used by several threads at once.

    Args:
        model: the file ``face_landmarker.task``; fetched and cached where not given. Its hash is checked in any case.
        most_faces: how many faces of a picture are looked at.
        confidence: least probability, in [0, 1], that something is a face.

    Raises:
        ValueError: a setting out of its range.
    """

    def __init__(self, model: Path | None = None, *, most_faces: int = 4, confidence: int | float = 0.5) -> None:
        if most_faces < 1 or not 0 <= confidence <= 1:
            raise ValueError(f"most_faces must be ≥ 1 and confidence in [0, 1], got {most_faces} and {confidence}")
        self.model, self.most_faces, self.confidence = model, most_faces, float(confidence)
        self._task: Any = None
        self._owner = os.getpid()
        self._closing: Any = None

    def faces(self, picture: NDArray[np.uint8]) -> list[Face]:
        """All faces of a picture, in no particular order.

        Args:
            picture: (height, width, 3) RGB, top row first. Faces are found from about a tenth of the longer side on,
                however many pixels that is: the detector sees every picture shrunk to a square of 128 pixels.

        Raises:
            DataError: it is no such array, or the model cannot be fetched or is another one.
            ModashiftError: mediapipe is not installed or failed.
        """
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise DataError(
                f"a picture must be (height, width, 3) RGB in bytes, got {picture.dtype} of shape {picture.shape}"
            )
        if not picture.size:
            return []
        task = self._loaded()
        try:
            result = _detect(task, picture)
        except RuntimeError as error:
            _abandon(task)  # the graph is unusable after an error; the next picture gets a new one
            self.close()
            raise ModashiftError(f"mediapipe failed on a picture of shape {picture.shape}: {error}") from error
        return _faces(result)

    def close(self) -> None:
        """Free the model; the next picture loads it again."""
        if self._task is not None:
            self._task = None
            self._closing()

    def __enter__(self) -> "Landmarker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_task": None, "_closing": None}

    def _loaded(self) -> Any:
        if self._task is not None and self._owner != os.getpid():
            self.close()
        if self._task is None:
            self._owner = os.getpid()
            self._task = self._load()
            # Also at the end of the program: mediapipe's own finaliser comes after its modules and complains.
            self._closing = weakref.finalize(self, _close, self._task, self._owner)
        return self._task

    def _load(self) -> Any:
        content = _read_model(self.model)
        with quiet_start():
            vision, base_options = _import_mediapipe()
            try:
                task = vision.FaceLandmarker.create_from_options(
                    vision.FaceLandmarkerOptions(
                        base_options=base_options(model_asset_buffer=content),
                        running_mode=vision.RunningMode.IMAGE,
                        num_faces=self.most_faces,
                        min_face_detection_confidence=self.confidence,
                        min_face_presence_confidence=self.confidence,
                        output_face_blendshapes=True,
                        output_facial_transformation_matrixes=True,
                    )
                )
                # Parts of the graph start, and talk, only when the first picture runs through it.
                _detect(task, np.zeros((WARM_UP, WARM_UP, 3), dtype=np.uint8))
            except (RuntimeError, OSError) as error:
                raise ModashiftError(f"mediapipe cannot start its face landmarker: {error}") from error
        return task


def _read_model(path: Path | None) -> bytes:
    from modashift.data.fetch import LANDMARKER_MODEL, LANDMARKER_NAME, fetch_landmarker

    file = fetch_landmarker() / LANDMARKER_NAME if path is None else Path(path)
    if not file.is_file():
        raise DataError(f"there is no file {file}; `modashift data fetch landmarker` gets the face landmarker's model")
    check_sha256(file, LANDMARKER_MODEL)
    return file.read_bytes()


def _import_mediapipe() -> tuple[Any, Any]:
    try:
        from mediapipe.tasks.python import BaseOptions, vision
    except ImportError as error:
        raise ModashiftError(f'faces need mediapipe: pip install "modashift[extract]" ({error})') from error
    return vision, BaseOptions


def _close(task: Any, owner: int) -> None:
    if os.getpid() == owner:
        with suppress(RuntimeError):  # mediapipe's thread is gone already where the program ends
            task.close()
    _abandon(task)


def _abandon(task: Any) -> None:
    """Leave a task alone that cannot be closed: its graph has failed, or its threads live in a parent process.

    Its own finaliser would fail or wait for ever; without a handle there is nothing for it to close.
    """
    task._handle = None


def _detect(task: Any, picture: NDArray[np.uint8]) -> Any:
    from mediapipe import Image, ImageFormat

    # mediapipe reads the memory as if it had no gaps: a view of a wider array would be a torn picture to it.
    return task.detect(Image(image_format=ImageFormat.SRGB, data=np.ascontiguousarray(picture)))


def _faces(result: Any) -> list[Face]:
    faces = []
    for points, scores, pose in zip(
        result.face_landmarks, result.face_blendshapes, result.facial_transformation_matrixes, strict=True
    ):
        names = tuple(score.category_name for score in scores)
        if names != BLENDSHAPES:
            raise ModashiftError(
                "this mediapipe names its blendshapes otherwise than the columns of the face set: "
                f"{', '.join(names)}; install another release of mediapipe"
            )
        faces.append(
            Face(
                np.array([(point.x, point.y, point.z) for point in points], dtype=np.float32),
                np.array([score.score for score in scores], dtype=np.float32),
                np.asarray(pose, dtype=np.float64),
            )
        )
    return faces
