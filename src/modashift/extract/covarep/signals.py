"""Filtering of long signals in blocks, and rows of different lengths in one array.

Nothing here belongs to one feature. The block-wise filters give what the whole signal at once would give, because each
block carries the state of the last one (recursive filters) or enough of its neighbours (finite responses).
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import fft
from scipy.signal import lfilter, lfilter_zi

__all__ = ["Kernels", "batches", "convolve_part", "gather", "zero_phase"]


def zero_phase(
    numerator: Float[np.ndarray, " order"],
    denominator: Float[np.ndarray, " order"],
    signal: Float[np.ndarray, " n"],
    *,
    block: int = 1 << 20,
    out: Float[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, " n"]:
    """Filter forwards and backwards (Matlab's and Octave's ``filtfilt``) with the memory of one copy of the signal.

    The ends are continued by an odd reflection of 3 · order samples (SciPy's ``filtfilt`` takes 3 · (order + 1) by
    default), and each pass starts from the state of a filter that has seen its first input for ever.

    Args:
        numerator: b, order + 1 coefficients.
        denominator: a, order + 1 coefficients.
        signal: samples; where there are fewer than the reflection needs, the reflection is shortened.
        block: samples filtered at a time.
        out: where to write; may be the signal itself.
    """
    pad = min(3 * (len(denominator) - 1), len(signal) - 1)
    state = lfilter_zi(numerator, denominator)
    before = 2 * signal[0] - signal[pad:0:-1]
    after = 2 * signal[-1] - signal[-2 : -pad - 2 : -1]
    if out is None:
        out = np.empty(len(signal))
    _, zi = lfilter(numerator, denominator, before, zi=state * (before[0] if pad else signal[0]))
    for start in range(0, len(signal), block):
        part = slice(start, start + block)
        out[part], zi = lfilter(numerator, denominator, signal[part], zi=zi)
    after, _ = lfilter(numerator, denominator, after, zi=zi)
    _, zi = lfilter(numerator, denominator, after[::-1], zi=state * (after[-1] if pad else out[-1]))
    for stop in range(len(signal), 0, -block):
        part = slice(max(stop - block, 0), stop)
        backwards, zi = lfilter(numerator, denominator, out[part][::-1], zi=zi)
        out[part] = backwards[::-1]
    return out


class Kernels:
    """Impulse responses of an odd number of taps, one a row, with their spectra of the size last asked for.

    Attributes:
        taps: (kernels, taps).
    """

    def __init__(self, taps: Float[np.ndarray, "kernels taps"]) -> None:
        self.taps = taps
        self._spectra: tuple[int, np.ndarray] | None = None

    def spectra(self, size: int) -> np.ndarray:
        """Half spectra of `size` points."""
        if self._spectra is None or self._spectra[0] != size:
            self._spectra = size, fft.rfft(self.taps, size)
        return self._spectra[1]


def convolve_part(
    signal: Float[np.ndarray, " n"], kernels: Kernels, start: int, stop: int, room: int = 0
) -> Float[np.ndarray, "kernels m"]:
    """Samples `start` … `stop` − 1 of the centred ("same") convolution with each kernel.

    The signal counts as zero outside its ends. Computed by FFT: the error is about 1e-16 of the largest value within
    the part, so that results beside digital silence are not exactly zero.

    Args:
        signal: samples.
        kernels: impulse responses.
        start: first sample wanted.
        stop: one past the last.
        room: samples that the transform has room for, if more: parts of different length share the kernels' spectra.
    """
    half = kernels.taps.shape[1] // 2
    inside = signal[max(start - half, 0) : min(stop + half, len(signal))]
    offset = max(half - start, 0)  # zeros before the signal's first sample
    # circular overlap stays within the discarded ends
    size = fft.next_fast_len(max(stop - start, room) + 2 * half, real=True)
    padded = np.zeros(size)
    padded[offset : offset + len(inside)] = inside
    product = kernels.spectra(size) * fft.rfft(padded)
    part: Float[np.ndarray, "kernels m"] = fft.irfft(product, size)[:, 2 * half : 2 * half + stop - start]
    return part


def batches(lengths: Int[np.ndarray, " rows"], cells: int = 1 << 15) -> Iterator[Int[np.ndarray, " some"]]:
    """Group rows of similar length so that each group, padded to its longest row, has at most `cells` entries.

    A row longer than that comes alone. Every row comes once.
    """
    order = np.argsort(lengths, kind="stable")
    end = len(order)
    while end:
        widest = max(int(lengths[order[end - 1]]), 1)
        begin = max(end - max(cells // widest, 1), 0)
        yield order[begin:end]
        end = begin


def gather(
    signal: Float[np.ndarray, " n"],
    starts: Int[np.ndarray, " rows"],
    lengths: Int[np.ndarray, " rows"],
    columns: range,
) -> tuple[Float[np.ndarray, "rows columns"], Bool[np.ndarray, "rows columns"]]:
    """Pieces of a signal as rows, and where the rows hold samples; the rest is zero.

    Args:
        signal: samples.
        starts: first sample of each piece.
        lengths: number of samples of each piece, which must lie within the signal.
        columns: which samples of the pieces, counted from their starts; may reach beyond both ends.
    """
    position = np.arange(columns.start, columns.stop)
    inside = (position >= 0) & (position < lengths[:, None])
    index = np.clip(starts[:, None] + position, 0, len(signal) - 1)
    return np.where(inside, signal[index], 0.0), inside
