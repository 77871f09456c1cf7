"""Voice quality from a wavelet decomposition: peak slope and maxima dispersion quotient (MDQ).

- J. Kane and C. Gobl, "Identifying regions of non-modal phonation using features of the wavelet transform",
  Interspeech 2011 (peak slope).
- J. Kane and C. Gobl, "Wavelet maxima dispersion for breathy to tense voice discrimination", IEEE Transactions on
  Audio, Speech, and Language Processing 21(6), 2013 (MDQ).

The mother wavelet is a cosine at 8 kHz under a Gaussian of 1/16000 s; dilated by 2^i it looks at an octave around
8000 / 2^i Hz.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from modashift.extract.covarep.signals import Kernels, batches, convolve_part, gather
from modashift.extract.covarep.windows import round_away

__all__ = ["FRAME", "HOP", "maxima_dispersion", "peak_slope", "wavelet"]

SAMPLE_RATE = 16_000
FRAME = 640  # samples
HOP = 160
HALF = 1000  # samples of a wavelet on each side of its centre
SLOPE_SCALES = (6, 5, 4, 3, 2, 1, 0)  # powers of two, from the lowest octave (125 Hz) to the highest (8000 Hz)
DISPERSION_SCALES = (2, 3, 4, 5, 6)
DEVIATIONS = 10  # a Gaussian is 2e-22 of its top there: what the fast convolution leaves away
DOUBTFUL = 1e-8  # of the largest possible output: below, rounding of the fast convolution would show
BLOCK = 8000  # samples: transforms that stay in the processor's cache
SHORT = 256  # samples: search windows of all but pulses after a pause are shorter


@lru_cache
def wavelet(scale: int) -> Float[np.ndarray, " taps"]:
    """Wavelet of the octave around 8000 / 2^`scale` Hz, 2001 samples at 16 kHz, symmetric."""
    t = np.arange(-HALF, HALF + 1) / 2.0**scale  # samples of the mother wavelet
    kernel: Float[np.ndarray, " taps"] = -np.cos(2 * np.pi * 8000 * t / SAMPLE_RATE) * np.exp(-(t**2) / 2)
    return kernel


@lru_cache
def _kernels(scales: tuple[int, ...]) -> Kernels:
    """Wavelets cut to where the widest has practically ended."""
    half = min(DEVIATIONS * 2 ** max(scales), HALF)
    return Kernels(np.stack([wavelet(i)[HALF - half : HALF + half + 1] for i in scales]))


def peak_slope(
    signal: Float[np.ndarray, " n"], *, floor: float = 0.0, block: int = BLOCK
) -> Float[np.ndarray, " frames"]:
    """Slope of the peaks of the octave bands: how much each octave adds to log10 of the largest output.

    Args:
        signal: samples at 16 kHz.
        floor: smallest peak that counts, 1 being full scale; lower ones are raised to it.
        block: samples worked on at a time.

    Returns:
        One slope for each 40 ms frame; frame m covers samples 160 m … 160 m + 639. In digital silence some bands are
        exactly zero: then −inf where only the three upper ones are, and 0 where the slope is not defined.
    """
    frames = max((len(signal) - FRAME) // HOP + 1, 0)
    peaks = np.empty((len(SLOPE_SCALES), frames))
    kernels = _kernels(SLOPE_SCALES)
    step = max(block // HOP, 1)
    for first in range(0, frames, step):
        last = min(first + step, frames)
        start, stop = first * HOP, (last - 1) * HOP + FRAME
        bands = convolve_part(signal, kernels, start, stop, step * HOP + FRAME)
        hops = np.abs(bands).reshape(len(bands), -1, HOP).max(-1)
        some = np.maximum.reduce([hops[:, i : i + last - first] for i in range(FRAME // HOP)])
        if not floor:
            loudest = np.abs(signal[max(start - HALF, 0) : stop + HALF]).max()
            doubtful = some <= DOUBTFUL * loudest * np.abs(kernels.taps).sum(1, keepdims=True)
            for band, frame in np.argwhere(doubtful):
                some[band, frame] = _exact_peak(signal, SLOPE_SCALES[band], (first + int(frame)) * HOP)
        peaks[:, first:last] = some
    abscissa = np.arange(1, len(SLOPE_SCALES) + 1) - (len(SLOPE_SCALES) + 1) / 2
    weights = abscissa / (abscissa**2).sum()  # of the least-squares slope
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (weights[:, None] * np.log10(np.maximum(peaks, floor))).sum(0)
    return np.where(np.isnan(slope), 0.0, slope)


def _exact_peak(signal: Float[np.ndarray, " n"], scale: int, start: int) -> float:
    """Largest modulus in one frame by direct convolution, which keeps exact zeros and the far tails of the wavelet."""
    reach = int(np.flatnonzero(wavelet(scale))[-1]) - HALF
    kernel = wavelet(scale)[HALF - reach : HALF + reach + 1]
    columns = range(-reach, FRAME + reach)
    begin, end = max(start - reach, 0), min(start + FRAME + reach, len(signal))
    around = np.zeros(len(columns))
    around[begin - start + reach : end - start + reach] = signal[begin:end]
    return float(np.abs(np.convolve(around, kernel, mode="valid")).max()) if around.any() else 0.0


def maxima_dispersion(
    residual: Float[np.ndarray, " n"],
    closures: Int[np.ndarray, " pulses"],
    periods: Int[np.ndarray, " pulses"],
    *,
    offset: int = 1,
    block: int = BLOCK,
) -> Float[np.ndarray, " pulses"]:
    """MDQ: mean distance of the maxima of five octave bands from the closure, as a share of the period.

    Args:
        residual: linear-prediction residual of order 18, without NaN, of positive polarity.
        closures: samples of the closures, ascending.
        periods: samples from the closure before.
        offset: added to the place of each maximum before its distance is taken; the original counts it from one (1).
        block: samples worked on at a time.

    Returns:
        One value a closure; NaN where the signal does not reach a period to both sides.
    """
    reach = round_away(0.2 * periods)
    usable = (closures >= periods) & (closures + periods <= len(residual) - 1)
    begin, end = closures - reach, closures + reach + 1
    best = np.full((len(DISPERSION_SCALES), len(closures)), -np.inf)
    place = np.zeros(best.shape, dtype=np.int64)
    long = np.flatnonzero(usable & (reach > SHORT))
    for start in range(0, len(residual), block):
        stop = min(start + block, len(residual))
        nearby = np.arange(*np.searchsorted(closures, [start - SHORT, stop + SHORT]))
        pulses = np.union1d(nearby[usable[nearby]], long)  # windows may span blocks: the best so far is kept
        pulses = pulses[(begin[pulses] < stop) & (end[pulses] > start)]
        if not len(pulses):
            continue
        bands = convolve_part(residual, _kernels(DISPERSION_SCALES), start, stop, block)
        first = np.maximum(begin[pulses] - start, 0)
        lengths = np.minimum(end[pulses] - start, stop - start) - first
        for rows in batches(lengths):
            which, columns = pulses[rows], range(lengths[rows].max())
            for band, found, where in zip(bands, best, place):
                samples, inside = gather(band, first[rows], lengths[rows], columns)
                samples[~inside] = -np.inf
                top = samples.argmax(1)
                value = samples[np.arange(len(rows)), top]
                better = value > found[which]
                found[which[better]] = value[better]
                where[which[better]] = (start + first[rows] + top - begin[which])[better]
    distance = np.abs(reach - (place + offset)).mean(0)
    return np.where(usable, distance / periods, np.nan)
