"""Analysis windows and rounding as Matlab and Octave define them.

Both programs call a function ``hanning``, and they disagree: Matlab's leaves out the two zeros at the ends, Octave's
keeps them. The published CMU features come from Matlab; a reference computed with Octave needs the other one. All
other windows here are the same in both.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int

__all__ = ["WINDOWS", "Window", "blackman", "hamming_rows", "hanning", "hanning_rows", "round_away"]

Window = Literal["matlab", "octave"]
"""Whose ``hanning``: ``matlab`` for the published CMU data, ``octave`` for features computed with Octave 7."""

WINDOWS: tuple[Window, ...] = ("matlab", "octave")


def hanning(length: int, window: Window = "matlab") -> Float[np.ndarray, " n"]:
    """Hann window of `length` samples.

    Matlab: 0.5 − 0.5 cos(2πk/(n+1)), k = 1…n. Octave: 0.5 − 0.5 cos(2πk/(n−1)), k = 0…n−1.
    """
    shape: Float[np.ndarray, " n"] = hanning_rows(np.array([length]), range(length), window)[0]
    return shape


def hanning_rows(
    lengths: Int[np.ndarray, " rows"], columns: range, window: Window = "matlab"
) -> Float[np.ndarray, "rows columns"]:
    """Hann windows of different lengths, one a row, zero outside each.

    Args:
        lengths: length of each row's window in samples.
        columns: which samples; may reach beyond both ends of a window.
        window: whose definition, see `hanning`.
    """
    before, less = (1, -1) if window == "matlab" else (0, 1)
    return _cosine_rows(lengths, columns, 0.5, before, less)


def hamming_rows(lengths: Int[np.ndarray, " rows"], columns: range) -> Float[np.ndarray, "rows columns"]:
    """Hamming windows, 0.54 − 0.46 cos(2πk/(n−1)), of different lengths, one a row, zero outside each."""
    return _cosine_rows(lengths, columns, 0.54, 0, 1)


def _cosine_rows(
    lengths: Int[np.ndarray, " rows"], columns: range, mean: float, before: int, less: int
) -> Float[np.ndarray, "rows columns"]:
    """Rows of m − (1−m) cos(2π (k + before) / (n − less)); each different length is computed once."""
    position = np.arange(columns.start, columns.stop)
    unique, rows = np.unique(lengths, return_inverse=True)
    n = unique[:, None]
    phase = np.where(n > less, (position + before) / np.maximum(n - less, 1), 0.5)  # a window of one sample is 1
    inside = (position >= 0) & (position < n)
    return np.where(inside, mean - (1 - mean) * np.cos(2 * np.pi * phase), 0.0)[rows]


def blackman(length: int) -> Float[np.ndarray, " n"]:
    """Symmetric Blackman window (0.42, 0.5, 0.08) of `length` samples."""
    phase = 2 * np.pi * np.arange(length) / (length - 1)
    shape: Float[np.ndarray, " n"] = 0.42 - 0.5 * np.cos(phase) + 0.08 * np.cos(2 * phase)
    return shape


def round_away(value: npt.ArrayLike | float) -> Int[np.ndarray, "*shape"]:
    """Round to the nearest integer, halves away from zero (Matlab's ``round``; NumPy's rounds halves to even)."""
    value = np.asarray(value, dtype=np.float64)
    rounded: Int[np.ndarray, "*shape"] = np.asarray(np.sign(value) * np.floor(np.abs(value) + 0.5), dtype=np.int64)
    return rounded
