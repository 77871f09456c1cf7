"""Which of the faces in a picture is followed: decided on boxes alone."""

from jaxtyping import Float
from numpy import ndarray

__all__ = ["FaceTrack", "overlap"]

Box = Float[ndarray, "4"]


class FaceTrack:
    """Follow one face from picture to picture.

    The largest face of the first picture is taken. Afterwards it is the face that overlaps most with its last box, even
    where another has become larger. Where none overlaps enough, the face is missing: others are not taken for it. Only
    after `gap` seconds without it is the largest taken anew.

    Args:
        gap: seconds a face may be missing (a hand before it, a turned head, a cut) before another is chosen.
        least_overlap: intersection over union that makes two boxes one face.

    Attributes:
        restarts: how often another face was chosen after a gap.

    Raises:
        ValueError: a setting without sense.
    """

    def __init__(self, gap: int | float = 1.0, least_overlap: int | float = 0.1) -> None:
        if not gap >= 0 or not 0 <= least_overlap < 1:
            raise ValueError(f"gap must be ≥ 0 and least_overlap in [0, 1), got {gap} and {least_overlap}")
        self.gap, self.least_overlap = float(gap), float(least_overlap)
        self.restarts = 0
        self._last: tuple[float, Box] | None = None

    def pick(self, time: float, boxes: Float[ndarray, "faces 4"]) -> int | None:
        """Number of the face that is followed, or None where it is not in this picture.

        Args:
            time: of the picture, seconds; not before the one of the last call.
            boxes: left, top, right and bottom of each face, in any unit.
        """
        if not len(boxes):
            return None
        chosen: int | None
        if self._last is None:
            chosen = _largest(boxes)
        else:
            seen, last = self._last
            overlaps = [overlap(last, box) for box in boxes]
            chosen = max(range(len(boxes)), key=overlaps.__getitem__)
            if overlaps[chosen] <= self.least_overlap:
                if time - seen <= self.gap:
                    return None
                chosen = _largest(boxes)
                self.restarts += 1
        self._last = (time, boxes[chosen])
        return chosen


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes; 0 where they do not meet."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = float(width * height)
    return common / (_area(one) + _area(other) - common)


def _area(box: Box) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _largest(boxes: Float[ndarray, "faces 4"]) -> int:
    return max(range(len(boxes)), key=lambda number: _area(boxes[number]))
