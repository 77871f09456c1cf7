"""The face in a picture, cut out as encoders are shown it."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from modashift.extract.face.measures import face_box

__all__ = ["SIDE", "FaceFinder", "crop_face", "largest_box", "square"]

SIDE = 256  # pixels of a crop, before the encoder's own preprocessing


class Landmarks(Protocol):
    """What of a face is needed; see `modashift.extract.face.Face`."""

    @property
    def landmarks(self) -> Float[np.ndarray, "478 3"]:
        """Shares of width and height."""


class FaceFinder(Protocol):
    """Finds the faces of a picture; see `modashift.extract.face.Landmarker`."""

    def faces(self, picture: NDArray[np.uint8]) -> Sequence[Landmarks]:
        """All faces of a picture."""


def largest_box(faces: Sequence[Landmarks], width: int, height: int) -> NDArray[np.float64] | None:
    """Left, top, right and bottom in pixels of the face with the largest box around its landmarks; None without any."""
    boxes = [np.asarray(face_box(face.landmarks), dtype=np.float64) * (width, height, width, height) for face in faces]
    return max(boxes, key=lambda box: float((box[2] - box[0]) * (box[3] - box[1])), default=None)


def square(box: NDArray[np.float64], margin: float = 0.0) -> tuple[int, int, int]:
    """Left, top and side of the square about the middle of a box, as wide as its longer side and the margin.

    Args:
        box: left, top, right, bottom.
        margin: on each side, as a share of the longer side.
    """
    left, top, right, bottom = box.tolist()
    side = max(1, round(max(right - left, bottom - top) * (1 + 2 * margin)))
    return round((left + right - side) / 2), round((top + bottom - side) / 2), side


def crop_face(rgb: NDArray[np.uint8], finder: FaceFinder, margin: float = 0.0) -> NDArray[np.uint8] | None:
    """The largest face of a picture, (256, 256, 3); None where there is none.

    What lies beyond the picture's edge repeats its outermost pixels.

    Args:
        rgb: (height, width, 3).
        finder: of faces.
        margin: around the box of the face's landmarks, see `square`.
    """
    from PIL import Image

    height, width = rgb.shape[:2]
    box = largest_box(finder.faces(rgb), width, height)
    if box is None:
        return None
    left, top, side = square(box, margin)
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    cut = rgb[rows[:, None], columns]
    scaled = Image.fromarray(cut).resize((SIDE, SIDE), Image.Resampling.BILINEAR)  # smooths where it makes smaller
    return np.asarray(scaled)
