"""The ``face`` features of a stream of pictures."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from modashift.errors import DataError
from modashift.extract.face.columns import FACE
from modashift.extract.face.landmarker import Face, Landmarker
from modashift.extract.face.measures import face_box, measures
from modashift.extract.face.tracking import FaceTrack
from modashift.extract.recording import Frames

__all__ = ["face_frames"]

DECIMALS = 4  # of blendshapes, whose noise is about 0.01; those that the model never moves become a constant 0


def face_frames(
    pictures: Iterable[tuple[float, NDArray[np.uint8]]],
    *,
    landmarker: Landmarker | None = None,
    gap: int | float = 1.0,
) -> Frames:
    """Blendshapes, head pose, gaze and openings of one face, picture by picture.

    The pictures are taken one after the other, so that an hour needs no more memory than its features do: 14 MB at 15
    pictures a second. Where several faces are seen, `FaceTrack` says which is followed.

    Args:
        pictures: time in seconds and (height, width, 3) RGB in bytes, in order of time; see `Landmarker.faces`.
        landmarker: to use again what is loaded already; one of its own otherwise, closed at the end.
        gap: seconds after which a face that is gone is given up for another.

    Returns:
        One row for each picture, at its time. Rows without the face are False in the mask, with NaN for values.

    Raises:
        DataError: a picture is no such array, or the times are not finite or do not rise.
        ModashiftError: mediapipe is not installed or failed, or its model cannot be had.
    """
    track = FaceTrack(gap)
    times: list[float] = []
    rows: list[NDArray[np.float32]] = []
    own = Landmarker() if landmarker is None else None
    used = landmarker or own
    assert used is not None
    missing = np.full(len(FACE.columns), np.nan, dtype=np.float32)
    try:
        for time, picture in pictures:
            if not np.isfinite(time) or (times and time < times[-1]):
                before = f" after {times[-1]:g} s" if times else ""
                raise DataError(f"picture {len(times) + 1} stands at {time:g} s{before}; times must rise and be finite")
            faces = used.faces(picture)
            chosen = track.pick(float(time), np.array([face_box(face.landmarks) for face in faces]).reshape(-1, 4))
            times.append(float(time))
            rows.append(missing if chosen is None else _row(faces[chosen], picture))
    finally:
        if own is not None:
            own.close()
    values = np.array(rows, dtype=np.float32).reshape(len(rows), len(FACE.columns))
    return Frames(FACE.name, FACE.names, values, np.array(times, dtype=np.float64), ~np.isnan(values[:, 0]))


def _row(face: Face, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    height, width = picture.shape[:2]
    shapes = np.round(face.blendshapes.astype(np.float64), DECIMALS)
    return np.concatenate([shapes, measures(face.landmarks, face.pose, width, height)]).astype(np.float32)
