"""Frames to words: statistics of the frames that fall within each word, on true times."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike, NDArray

from modashift.errors import DataError

__all__ = ["Aligned", "Statistic", "align_to_words"]

Statistic = Literal["mean", "last", "max", "sd"]


class Aligned(NamedTuple):
    """Features of words.

    Attributes:
        values: (W, D × statistics), the statistics one after the other; zero where `mask` is False.
        mask: (W,) True at words with at least one valid frame.
    """

    values: Float[np.ndarray, "W columns"]
    mask: Bool[np.ndarray, " W"]


def align_to_words(
    values: ArrayLike,
    times: ArrayLike,
    spans: ArrayLike,
    *,
    how: Statistic | Sequence[Statistic] = "mean",
    mask: ArrayLike | None = None,
    reach: int | float = 0.0,
) -> Aligned:
    """Summarise the frames of each word.

    A frame belongs to a word if start ≤ time < end. The cost is linear in frames and words: means and deviations are
    differences of prefix sums, not sums over each word's frames anew.

    Args:
        values: (T, D) features of the frames. Entries that are not finite (COVAREP has −inf beside digital silence)
            are left out of the statistics of their column.
        times: (T,) seconds, rising; the middle of each frame.
        spans: (W, 2) start and end of each word in seconds; words may overlap and need no order.
        how: mean, last (the last valid frame), max, sd (population standard deviation), or several of them.
        mask: (T,) True at valid frames; a frame without a face, say, is not one. All where not given.
        reach: a word without a frame of its own takes the nearest valid frame, if it is at most this many seconds from
            the word: for words shorter than the time between frames.

    Raises:
        DataError: shapes do not fit, times do not rise, a word ends before it starts, or a statistic is unknown.
    """
    frames = np.asarray(values, dtype=np.float64)
    at = np.asarray(times, dtype=np.float64)
    words = np.asarray(spans, dtype=np.float64).reshape(-1, 2)
    wanted = [how] if isinstance(how, str) else list(how)
    valid = _checked(frames, at, words, wanted, mask)
    frames, at = frames[valid], at[valid]
    first, stop = np.searchsorted(at, words[:, 0]), np.searchsorted(at, words[:, 1])
    if reach > 0 and len(at):
        first, stop = _reached(at, words, first, stop, float(reach))
    present = stop > first
    finite = np.isfinite(frames)
    parts = [_STATISTICS[name](frames, finite, first, np.maximum(stop, first)) for name in wanted]
    joined = np.concatenate(parts, axis=1) if parts else np.zeros((len(words), 0))
    return Aligned(np.where(present[:, None], joined, 0.0), present)


def _checked(
    frames: NDArray[np.float64],
    at: NDArray[np.float64],
    words: NDArray[np.float64],
    wanted: Sequence[str],
    mask: ArrayLike | None,
) -> NDArray[np.bool_]:
    unknown = [name for name in wanted if name not in get_args(Statistic)]
    if unknown:
        raise DataError(f"no statistic {', '.join(unknown)}; there are {', '.join(get_args(Statistic))}")
    if frames.ndim != 2 or at.shape != frames.shape[:1]:
        raise DataError(f"features of shape {frames.shape} need one time a row, got times of shape {at.shape}")
    if not np.isfinite(at).all() or (np.diff(at) < 0).any():
        raise DataError("times of frames must rise and be finite")
    backwards = np.flatnonzero(~(words[:, 1] >= words[:, 0]))
    if len(backwards):
        start, end = words[backwards[0]]
        raise DataError(f"word {backwards[0] + 1} ends ({end:g} s) before it starts ({start:g} s)")
    valid = np.ones(len(at), dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    if valid.shape != at.shape:
        raise DataError(f"{len(at)} frames need a mask of as many entries, got shape {valid.shape}")
    return valid


def _reached(
    at: NDArray[np.float64], words: NDArray[np.float64], first: NDArray[np.intp], stop: NDArray[np.intp], reach: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Ranges in which words without a frame have the nearest one, where that is near enough."""
    # No frame lies within an empty word, so the nearest is the one before its start or the one from its end on.
    before, after = np.maximum(first - 1, 0), np.minimum(first, len(at) - 1)
    left, right = np.abs(words[:, 0] - at[before]), np.abs(at[after] - words[:, 1])
    nearest, distance = np.where(left <= right, before, after), np.minimum(left, right)
    taken = (stop <= first) & (distance <= reach)
    return np.where(taken, nearest, first), np.where(taken, nearest + 1, stop)


def _sums(entries: NDArray[np.float64], first: NDArray[np.intp], stop: NDArray[np.intp]) -> NDArray[np.float64]:
    prefix = np.zeros((len(entries) + 1, entries.shape[1]))
    np.cumsum(entries, axis=0, out=prefix[1:])
    return np.asarray(prefix[stop] - prefix[first])


def _centred(frames: NDArray[np.float64], finite: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns about their means, zero where not finite, and the means: large offsets then cost no precision."""
    filled = np.where(finite, frames, 0.0)
    centre = filled.sum(0) / np.maximum(finite.sum(0), 1)
    return np.where(finite, frames, centre) - centre, centre


def _moments(
    frames: NDArray[np.float64], finite: NDArray[np.bool_], first: NDArray[np.intp], stop: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Means about the columns' centres, mean squares about them, and the number of finite entries."""
    offsets, _ = _centred(frames, finite)
    count = _sums(finite.astype(np.float64), first, stop)
    least = np.maximum(count, 1)
    return _sums(offsets, first, stop) / least, _sums(offsets**2, first, stop) / least, count


def _mean(
    frames: NDArray[np.float64], finite: NDArray[np.bool_], first: NDArray[np.intp], stop: NDArray[np.intp]
) -> NDArray[np.float64]:
    mean, _, count = _moments(frames, finite, first, stop)
    return np.where(count > 0, mean + _centred(frames, finite)[1], 0.0)


def _sd(
    frames: NDArray[np.float64], finite: NDArray[np.bool_], first: NDArray[np.intp], stop: NDArray[np.intp]
) -> NDArray[np.float64]:
    mean, square, _ = _moments(frames, finite, first, stop)
    return np.asarray(np.sqrt(np.maximum(square - mean**2, 0.0)))


def _last(
    frames: NDArray[np.float64], finite: NDArray[np.bool_], first: NDArray[np.intp], stop: NDArray[np.intp]
) -> NDArray[np.float64]:
    if not len(frames):
        return np.zeros((len(first), frames.shape[1]))
    # By column, the number of the last finite entry so far; −1 before the first.
    number = np.where(finite, np.arange(len(frames))[:, None], -1)
    latest = np.maximum.accumulate(number, axis=0)[np.maximum(stop - 1, 0)]  # (W, D)
    found = np.take_along_axis(frames, np.maximum(latest, 0), axis=0)
    return np.where(latest >= first[:, None], found, 0.0)


def _max(
    frames: NDArray[np.float64], finite: NDArray[np.bool_], first: NDArray[np.intp], stop: NDArray[np.intp]
) -> NDArray[np.float64]:
    lowest = np.where(finite, frames, -np.inf)
    padded = np.concatenate([lowest, np.full((1, frames.shape[1]), -np.inf)])  # so that stop may be the length
    greatest = (
        np.maximum.reduceat(padded, np.stack([first, stop], 1).ravel(), axis=0)[::2] if len(first) else padded[:0]
    )
    return np.where(np.isfinite(greatest), greatest, 0.0)


_STATISTICS = {"mean": _mean, "last": _last, "max": _max, "sd": _sd}
