"""How a decoded picture is shown: turned, mirrored, with square pixels."""

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["UPRIGHT", "Orientation", "displayed_size", "orientation"]

WIDEST = 4  # ratio of a pixel's sides beyond which the header is not believed


class Orientation(NamedTuple):
    """What to do with the rows and columns of a stored picture, in this order.

    Attributes:
        transposed: rows become columns.
        left_right: mirrored.
        upside_down: top row last.
    """

    transposed: bool
    left_right: bool
    upside_down: bool

    @property
    def degrees(self) -> int:
        """Clockwise turn, 0, 90, 180 or 270; a mirrored picture is mirrored (left to right) after it."""
        if self.transposed:
            return 270 if self.upside_down else 90
        return 180 if self.upside_down else 0

    @property
    def mirrored(self) -> bool:
        """Whether the picture is mirrored besides being turned."""
        return self.transposed ^ self.left_right ^ self.upside_down

    def apply(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) as stored -> as shown."""
        if self.transposed:
            rgb = rgb.transpose(1, 0, 2)
        if self.left_right:
            rgb = rgb[:, ::-1]
        if self.upside_down:
            rgb = rgb[::-1]
        return np.ascontiguousarray(rgb)


UPRIGHT = Orientation(False, False, False)
QUARTERS = {0: UPRIGHT, 1: Orientation(True, False, True), 2: Orientation(False, True, True), 3: (True, True, False)}


def orientation(frame: Any) -> Orientation:
    """From the display matrix of a decoded frame, to the nearest quarter turn.

    The matrix (a b u; c d v; x y w) sends the point (x, y) of the stored picture, y downwards, to
    (a x + c y, b x + d y).
    """
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # a kind of side data beside it that PyAV does not know; the angle is still there
        quarter = round(frame.rotation / 90) % 4 if abs(frame.rotation) <= 180 else 0
        return Orientation(*QUARTERS[quarter])
    if data is None:
        return UPRIGHT
    a, b, _, c, d, *_ = np.frombuffer(bytes(data), np.int32).astype(np.float64)[:9]
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, bool(c < 0), bool(b < 0))
    return Orientation(False, bool(a < 0), bool(d < 0))


def displayed_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Size with square pixels, before turning: the height is kept.

    Args:
        width: stored columns.
        height: stored rows.
        aspect: width of a pixel divided by its height, or None.
    """
    if not aspect or not Fraction(1, WIDEST) <= aspect <= WIDEST:
        return width, height
    return max(round(width * aspect), 1), height
