"""Glottal flow and its derivative: iterative adaptive inverse filtering (IAIF).

P. Alku, "Glottal wave analysis with pitch synchronous iterative adaptive inverse filtering", Speech Communication 11,
1992. Around each glottal closure the vocal tract is estimated twice: first after a rough removal of the glottis by
a predictor of order 1, then after a better one by order 8 on the first estimate of the flow; the speech filtered by
the inverse of the second tract estimate is the derivative of the flow.

Frames are two periods long, so their lengths differ; they are worked on as the rows of one array, grouped by length.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float, Int
from scipy import fft
from scipy.signal import firls, lfilter

from modashift.extract.covarep.lpc import levinson
from modashift.extract.covarep.signals import batches, gather
from modashift.extract.covarep.windows import Window, hanning_rows

__all__ = ["glottal_flow"]

TRACT_ORDER = 20
GLOTTIS_ORDER = 8
LEAK = 0.99  # of the integrator that undoes the radiation at the lips
RAMP = TRACT_ORDER + 1  # samples put before a frame, so that the filters do not start with a step
PART = 1 << 16  # columns worked on at a time: the original's frame across a pause can last minutes


def glottal_flow(
    signal: Float[np.ndarray, " n"],
    closures: Int[np.ndarray, " closures"],
    periods: Int[np.ndarray, " closures"],
    *,
    window: Window = "matlab",
    centre: int = -1,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Estimate the glottal flow and its derivative around each closure, and add the overlapping frames up.

    Args:
        signal: speech of positive polarity at 16 kHz.
        closures: samples of the glottal closures.
        periods: samples from the closure before; a frame reaches this far to both sides of its centre.
        window: whose ``hanning``.
        centre: where a frame is centred, counted from its closure; the original is one sample early (−1).

    Returns:
        Flow and flow derivative, in no absolute unit; zero where no frame reaches.
    """
    flow, derivative = np.zeros(len(signal)), np.zeros(len(signal))
    starts = np.maximum(closures + centre - periods, 0)
    lengths = np.minimum(closures + centre + periods, len(signal) - 1) - starts + 1
    usable = np.flatnonzero(lengths > TRACT_ORDER)
    for group in batches(lengths[usable]):
        rows = usable[group]
        for first, pulse, rate in _inverse_filter(_Frames(signal, starts[rows], lengths[rows], window)):
            for i, row in enumerate(rows):
                end = min(first + rate.shape[1], int(lengths[row]))
                if end > first and np.isfinite(rate[i, 0]):  # a frame of zeros has no predictor
                    part = slice(int(starts[row]) + first, int(starts[row]) + end)
                    flow[part] += pulse[i, : end - first]
                    derivative[part] += rate[i, : end - first]
    return flow, derivative


@lru_cache
def _high_pass() -> Float[np.ndarray, " taps"]:
    """Linear-phase high-pass of 301 taps by least squares: stop to 40 Hz, pass from 70 Hz."""
    kernel: Float[np.ndarray, " taps"] = firls(301, [0, 40, 70, 8000], [0, 0, 1, 1], fs=16_000)
    return kernel


class _Frames:
    """Windowed and high-passed frames as rows, each with a ramp up to its first sample before it.

    Columns count from the first sample of a frame, so the ramp has the columns −RAMP … −1. Filters start before the
    ramp from a zero state and run to the end; nothing after the end of a shorter row is ever read.
    """

    def __init__(
        self,
        signal: Float[np.ndarray, " n"],
        starts: Int[np.ndarray, " rows"],
        lengths: Int[np.ndarray, " rows"],
        window: Window,
    ) -> None:
        self.lengths, self.window = lengths, window
        self.width = int(lengths.max())
        self.origin = RAMP + TRACT_ORDER  # a history of zeros, the ramp, the frame
        self.rows = np.zeros((len(starts), self.origin + self.width))
        self._shape: tuple[range, Float[np.ndarray, "rows columns"]] | None = None
        self._spectrum: tuple[range, Complex[np.ndarray, "rows bins"]] | None = None
        kernel = _high_pass()
        half = len(kernel) // 2
        for part in self._parts(0):
            around = range(max(part.start - half, 0), min(part.stop + half, self.width))
            frames = gather(signal, starts, lengths, around)[0] * self._window(around)
            size = fft.next_fast_len(len(around) + 2 * half, real=True)
            passed = fft.irfft(fft.rfft(frames, size) * fft.rfft(kernel, size), size)
            first = part.start - around.start + half
            self._columns(part)[:] = passed[:, first : first + len(part)]
        self._columns(range(-RAMP, 0))[:] = self._columns(range(1)) * np.linspace(-1, 1, RAMP)

    def filtered(
        self, predictor: Float[np.ndarray, "rows taps"]
    ) -> Iterator[tuple[range, Float[np.ndarray, "rows columns"]]]:
        """Ramps and frames through each row's own inverse filter, in parts of columns."""
        for part in self._parts(-RAMP):
            # With enough history the circular convolution is wrong only where nothing is taken from it.
            size = fft.next_fast_len(len(part) + TRACT_ORDER, real=True)
            if self._spectrum is None or self._spectrum[0] != part:
                history = self._columns(range(part.start - TRACT_ORDER, part.stop))
                self._spectrum = part, fft.rfft(history, size)
            passed = fft.irfft(self._spectrum[1] * fft.rfft(predictor, size), size)
            yield part, passed[:, TRACT_ORDER : TRACT_ORDER + len(part)]

    def predict(
        self, order: int, predictor: Float[np.ndarray, "rows taps"] | None = None, *, integrated: bool = False
    ) -> Float[np.ndarray, "rows coefficients"]:
        """Linear prediction from the windowed frames, or from their output of `filtered`, or the integral of that."""
        lags = np.zeros((len(self.rows), order + 1))
        tail = np.zeros((len(self.rows), order))
        state = np.zeros((len(self.rows), 1))
        parts = ((p, self._columns(p)) for p in self._parts(-RAMP)) if predictor is None else self.filtered(predictor)
        for part, passed in parts:
            if integrated:
                passed, state = lfilter([1.0], [1.0, -LEAK], passed, zi=state)  # noqa: PLW2901
            inside = range(max(part.start, 0), part.stop)
            windowed = passed[:, inside.start - part.start :] * self._window(inside)
            samples = np.concatenate([tail, windowed], 1)
            for lag in range(order + 1):
                before = samples[:, order - lag : samples.shape[1] - lag]
                lags[:, lag] += np.einsum("rc,rc->r", windowed, before)
            tail = samples[:, samples.shape[1] - order :]
        return levinson(lags, order)[0]

    def _columns(self, columns: range) -> Float[np.ndarray, "rows columns"]:
        return self.rows[:, self.origin + columns.start : self.origin + columns.stop]

    def _parts(self, first: int) -> Iterator[range]:
        """Columns from `first` to the end of the longest row."""
        for start in range(first, self.width, PART):
            yield range(start, min(start + PART, self.width))

    def _window(self, columns: range) -> Float[np.ndarray, "rows columns"]:
        """Window over the frames; kept, for most frames have one part only."""
        if self._shape is None or self._shape[0] != columns:
            self._shape = columns, hanning_rows(self.lengths, columns, self.window)
        return self._shape[1]


def _inverse_filter(
    frames: _Frames,
) -> Iterator[tuple[int, Float[np.ndarray, "rows columns"], Float[np.ndarray, "rows columns"]]]:
    """Flow and derivative of the rows in parts, each with the column it begins with (the steps of Alku's figure 2)."""
    glottis = frames.predict(1)
    tract = frames.predict(TRACT_ORDER, glottis)
    glottis = frames.predict(GLOTTIS_ORDER, tract, integrated=True)
    tract = frames.predict(TRACT_ORDER, glottis, integrated=True)
    state = np.zeros((len(frames.rows), 1))
    for part, rate in frames.filtered(tract):
        pulse, state = lfilter([1.0], [1.0, -LEAK], rate, zi=state)
        skip = max(-part.start, 0)  # the ramp
        yield part.start + skip, pulse[:, skip:], rate[:, skip:]
