"""Linear-prediction residual and the polarity of a recording.

The residual is what a frame's linear predictor cannot foresee: the excitation of the vocal tract, with a sharp peak at
each closure of the glottis. SRH pitch tracking uses order 12, glottal closure detection order 18. Polarity is decided
by T. Drugman, "Residual excitation skewness for automatic speech polarity detection", IEEE Signal Processing Letters
20(4), 2013: the residual of speech recorded the right way round is skewed to one side, and the skew is stronger where
the predictor has seen no low frequencies.

All parameters are for 16 kHz.
"""

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft
from scipy.signal import ellip

from modashift.extract.covarep.lpc import levinson
from modashift.extract.covarep.signals import zero_phase
from modashift.extract.covarep.windows import Window, hanning

__all__ = ["FRAME", "HOP", "polarity", "residual"]

FRAME = 401  # 25 ms and one sample
HOP = 80  # 5 ms
FFT_SIZE = 432  # holds a frame convolved with a predictor of order up to 31 without wrapping
OVERLAP = FRAME // HOP  # a frame covers five hops and one sample
BATCH = 128  # frames at a time, so that they stay in the processor's cache


def residual(
    signal: Float[np.ndarray, " n"],
    *orders: int,
    window: Window = "matlab",
    block: int = 1 << 19,
) -> list[Float[np.ndarray, " n"]]:
    """Linear-prediction residuals of one or more orders.

    Frames of 401 samples every 80, windowed, predicted and inverse filtered by their own predictor from a zero state,
    brought back to the frame's energy, and added up. Not normalised: divide by the largest modulus where it matters.

    Args:
        signal: samples at 16 kHz.
        orders: orders of the predictors, at most 31.
        window: whose ``hanning``.
        block: samples worked on at a time; changes nothing but memory.

    Returns:
        One residual for each order. NaN where a frame holds nothing but zeros; zero where no frame reaches.
    """
    out = [np.zeros(len(signal)) for _ in orders]
    for start in range(0, len(signal), block):
        part = slice(start, min(start + block, len(signal)))
        for whole, piece in zip(out, _part(signal, part.start, part.stop, orders, window)):
            whole[part] = piece
    return out


def polarity(
    signal: Float[np.ndarray, " n"],
    order_18: Float[np.ndarray, " n"],
    *,
    window: Window = "matlab",
    block: int = 1 << 19,
) -> int:
    """Decide whether a recording is the right way round (RESKEW).

    Args:
        signal: samples at 16 kHz.
        order_18: the signal's residual of order 18.
        window: whose ``hanning``.
        block: samples worked on at a time.

    Returns:
        1, or −1 where the signal should be multiplied by −1. Silence and recordings shorter than a frame count as 1.
    """
    if len(signal) <= FRAME:
        return 1
    numerator, denominator = ellip(9, 3, 60, 480 / 8000, btype="highpass")
    high = zero_phase(numerator, denominator, signal, block=block)
    skew_high = _Skewness()
    for start in range(0, len(signal), block):
        stop = min(start + block, len(signal))
        skew_high.add(_part(signal, start, stop, (18,), window, predict_from=high)[0])
    skew_full = _Skewness()
    for start in range(0, len(signal), block):
        skew_full.add(order_18[start : start + block])
    return -1 if skew_full.value() < skew_high.value() else 1


def _frame_count(length: int) -> int:
    """Frames whose last sample comes before the last but one of the signal (the original's loop condition)."""
    return (length - FRAME - 1) // HOP + 1 if length > FRAME else 0


def _part(
    signal: Float[np.ndarray, " n"],
    start: int,
    stop: int,
    orders: tuple[int, ...],
    window: Window,
    predict_from: Float[np.ndarray, " n"] | None = None,
) -> list[Float[np.ndarray, " m"]]:
    """Samples `start` … `stop` − 1 of the residuals; the predictors may come from another signal than the filtered."""
    first = max(-((FRAME - 1 - start) // HOP), 0)  # the first frame that reaches `start`
    last = min((stop - 1) // HOP + 1, _frame_count(len(signal)))
    if last <= first:
        return [np.zeros(stop - start) for _ in orders]
    sums = [np.zeros((last - first + OVERLAP, HOP)) for _ in orders]  # rows are hops
    shape = hanning(FRAME, window)
    frames = sliding_window_view(signal, FRAME)[::HOP]
    sources = frames if predict_from is None else sliding_window_view(predict_from, FRAME)[::HOP]
    for begin in range(first, last, BATCH):
        end = min(begin + BATCH, last)
        windowed = frames[begin:end] * shape  # (frames, 401)
        spectrum = fft.rfft(windowed, FFT_SIZE)
        known = spectrum if predict_from is None else fft.rfft(sources[begin:end] * shape, FFT_SIZE)
        lags = fft.irfft(known.real**2 + known.imag**2, FFT_SIZE)[:, : max(orders) + 1]
        energy = np.einsum("fn,fn->f", windowed, windowed)
        for total, predictor in zip(sums, levinson(lags, *orders)):
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # silent frames become NaN
                error = fft.irfft(fft.rfft(predictor, FFT_SIZE) * spectrum, FFT_SIZE)[:, :FRAME]
                gain = np.sqrt(energy / np.einsum("fn,fn->f", error, error))
                error *= np.where(np.isfinite(gain), gain, np.nan)[:, None]
            row, rows = begin - first, end - begin
            for i in range(OVERLAP):
                total[row + i : row + i + rows] += error[:, i * HOP : (i + 1) * HOP]
            total[row + OVERLAP : row + OVERLAP + rows, 0] += error[:, -1]
    return [_cut(total.ravel(), first * HOP, start, stop) for total in sums]


def _cut(sums: Float[np.ndarray, " m"], origin: int, start: int, stop: int) -> Float[np.ndarray, " k"]:
    """Samples `start` … `stop` − 1 of a signal known from `origin` on and zero beyond both ends."""
    out = np.zeros(stop - start)
    begin, end = max(start, origin), min(stop, origin + len(sums))
    if end > begin:
        out[begin - start : end - start] = sums[begin - origin : end - origin]
    return out


class _Skewness:
    """Third standardised moment of samples that come in parts; NaN counts as zero."""

    def __init__(self) -> None:
        self.sums = np.zeros(3)
        self.count = 0

    def add(self, samples: Float[np.ndarray, " n"]) -> None:
        samples = np.nan_to_num(samples)
        squares = samples**2
        self.sums += samples.sum(), squares.sum(), (squares * samples).sum()
        self.count += len(samples)

    def value(self) -> float:
        """Skewness, 0 for a constant."""
        mean, second, third = self.sums / max(self.count, 1)
        variance = second - mean**2
        return float((third - 3 * mean * second + 2 * mean**3) / variance**1.5) if variance > 0 else 0.0
