"""Smoothing of angles along the frames of a recording.

G. Degottex and D. Erro, "A measure of phase randomness for the harmonic model in speech synthesis", Interspeech 2014.
An angle is smoothed by smoothing its cosine and its sine, (2, frames, bins) here. Whatever is added up is added up in
the same order wherever the frames begin, so that a recording smoothed in overlapping blocks gives the same numbers.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.signal import filtfilt

__all__ = ["REACH", "deviation_from_trend", "mean_direction"]

MEAN_WIDTH = 25  # frames of the moving average of the mean
DEVIATION_WIDTH = 9  # frames of the median and the moving averages of the deviation
REACH = MEAN_WIDTH - 1  # frames on either side that a result depends on
STEADY = 1e-12  # what is this near to 0 is 0, and to 1 is 1: the rest is rounding

Bins = Float[np.ndarray, "2 frames bins"]


def mean_direction(rows: Bins, compat: bool) -> Bins:
    """Cosine and sine of the mean angle, about half a second wide."""
    return _unit(_there_and_back(rows, np.ones(MEAN_WIDTH), compat), np.zeros(rows.shape[2]))


def deviation_from_trend(
    rows: Bins, open_: Float[np.ndarray, " bins"], compat: bool
) -> Float[np.ndarray, "frames bins"]:
    """Circular standard deviation from a smooth trend, √(−2 ln z) with z the mean resultant length.

    Args:
        rows: cosines and sines.
        open_: angles of the trend where it has none. In the first and last frame of a recording the median of five
            values and four zeros is often zero, and what the original finds there is the angle of a rounding error.
        compat: as the original does it.
    """
    trend = _unit(_there_and_back(_median(rows, compat), np.hanning(DEVIATION_WIDTH), compat), open_)
    apart = rows * trend[0]
    apart[0] += rows[1] * trend[1]
    apart[1] -= rows[0] * trend[1]
    mean = _there_and_back(apart, np.ones(DEVIATION_WIDTH), compat)
    np.square(mean, out=mean)
    squared = mean[0] + mean[1]
    squared[squared > 1 - STEADY] = 1.0
    np.maximum(squared, np.finfo(np.float64).tiny, out=squared)
    deviation: Float[np.ndarray, "frames bins"] = np.sqrt(-np.log(squared))
    if compat and len(deviation) >= DEVIATION_WIDTH:
        for at, rows_there in ((0, _continued(apart)), (-1, _continued(apart[:, ::-1])[:, ::-1])):
            deviation[at] = _deviation_at_end(rows_there)
    return deviation


def _continued(rows: Bins) -> Bins:
    """The first nine rows after their continuation by reflection in the first of them."""
    angle = np.arctan2(rows[1, :DEVIATION_WIDTH], rows[0, :DEVIATION_WIDTH])
    rows = np.stack([np.cos(angle), np.sin(angle)])  # of length 1 to the last digit
    return np.concatenate([2 * rows[:, :1] - rows[:, :0:-1], rows], 1)


def _deviation_at_end(rows: Bins) -> Float[np.ndarray, " bins"]:
    """Deviation of the middle one of 17 rows, where it would be zero but for rounding.

    Rows continued by reflection have a mean resultant length of 1 there. The original computes 1 or, for about every
    second bin, one rounding step less; that is a deviation of 1.5e-8, whose logarithm weighs so heavily that it shows
    even in means over a recording. So here, and only here, terms are added as its filter adds them: oldest first.
    """
    share = 1 / DEVIATION_WIDTH
    ahead = share * rows[:, :DEVIATION_WIDTH]
    for lag in range(1, DEVIATION_WIDTH):
        ahead = ahead + share * rows[:, lag : lag + DEVIATION_WIDTH]
    mean = share * ahead[:, -1]
    for row in range(DEVIATION_WIDTH - 2, -1, -1):
        mean = mean + share * ahead[:, row]
    deviation: Float[np.ndarray, " bins"] = np.sqrt(-2 * np.log(np.minimum(np.hypot(mean[0], mean[1]), 1.0)))
    return deviation


def _unit(rows: Bins, open_: Float[np.ndarray, " bins"]) -> Bins:
    """Make vectors of length 1, in place; `open_` holds the angles that stand for that of the zero vector."""
    length = rows[0] * rows[0]
    length += rows[1] * rows[1]
    np.sqrt(length, out=length)
    zero = length < STEADY
    if zero.any():
        row, column = np.nonzero(zero)
        length[row, column] = 1.0
        rows[:, row, column] = np.cos(open_[column]), np.sin(open_[column])
    rows /= length
    return rows


def _there_and_back(rows: Bins, window: Float[np.ndarray, " taps"], compat: bool) -> Bins:
    """Filter along the frames with a window of sum 1, forward and then backward.

    A window of n taps reaches n − 1 frames to each side. The original continues the rows for three times as long, which
    makes no difference; a recording shorter than n is continued by what there is, for which `filtfilt` is asked.
    """
    taps, frames = len(window), rows.shape[1]
    if compat and frames < taps:
        filtered: Bins = filtfilt(window / window.sum(), [1.0], rows, axis=1, padlen=frames - 1)
        return filtered
    longer = rows[:, _mirrored(frames, taps - 1, repeat_ends=not compat)]
    if compat:
        for ends, last in ((longer[:, : taps - 1], rows[:, :1]), (longer[:, 1 - taps :], rows[:, -1:])):
            np.subtract(2 * last, ends, out=ends)
    average = _moving_sum if np.all(window == window[0]) else _weighted_sum
    result = average(average(longer, window), window)
    result *= 1 / window.sum() ** 2
    return result


def _mirrored(frames: int, side: int, *, repeat_ends: bool) -> Int[np.ndarray, " longer"]:
    """Indices of rows continued by their mirror image, `side` rows at each end, with the end row once or twice."""
    twice = int(repeat_ends)
    period = max(2 * frames - 2 + 2 * twice, 1)
    index = np.arange(-side, frames + side) % period
    return np.where(index < frames, index, period - index - twice)


def _moving_sum(rows: Bins, window: Float[np.ndarray, " taps"]) -> Bins:
    """Sums of as many successive rows as the window is long, from sums of 2, 4, 8, … rows.

    Unlike a running sum, this adds the same numbers in the same order wherever a block begins.
    """
    width = len(window)
    frames = rows.shape[1] - width + 1
    total: Bins | None = None
    taken, length = 0, 1
    while True:
        if width & length:
            part = rows[:, taken : taken + frames]
            total = part.copy() if total is None else np.add(total, part, out=total)
            taken += length
            if taken == width:
                return total
        rows = rows[:, :-length] + rows[:, length:]
        length *= 2


def _weighted_sum(rows: Bins, window: Float[np.ndarray, " taps"]) -> Bins:
    """Weighted sums of successive rows, for a symmetric window of odd length whose end taps are zero."""
    width = len(window)
    frames = rows.shape[1] - width + 1
    middle = width // 2
    total: Bins = rows[:, middle : middle + frames] * window[middle]
    for tap in range(1, middle):
        mirror = width - 1 - tap
        pair = rows[:, tap : tap + frames] + rows[:, mirror : mirror + frames]
        pair *= window[tap]
        total += pair
    return total


def _median(rows: Bins, compat: bool) -> Bins:
    """Median of nine successive rows, about the middle one; beyond the ends there are zeros, or the mirror image.

    Each three rows are sorted, once for the three medians they take part in; the median of nine is the median of the
    largest of the three smallest, the median of the middle ones and the smallest of the three largest.
    """
    side = DEVIATION_WIDTH // 2
    longer = rows[:, _mirrored(rows.shape[1], side, repeat_ends=True)]
    if compat:
        longer[:, :side] = longer[:, -side:] = 0.0
    first, second, third = longer[:, :-2], longer[:, 1:-1], longer[:, 2:]
    small, large = np.minimum(first, second), np.maximum(first, second)
    low, high = np.minimum(small, third), np.maximum(large, third)
    middle = np.maximum(small, np.minimum(large, third))
    frames = rows.shape[1]
    lows, middles, highs = ([part[:, at : at + frames] for at in (0, 3, 6)] for part in (low, middle, high))
    return _median3(
        np.maximum(np.maximum(lows[0], lows[1]), lows[2]),
        _median3(*middles),
        np.minimum(np.minimum(highs[0], highs[1]), highs[2]),
    )


def _median3(a: Bins, b: Bins, c: Bins) -> Bins:
    median: Bins = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    return median
