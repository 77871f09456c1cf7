"""Resampling of a stream, block by block, with the very filter that the acoustic features use for whole recordings."""

from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, resample_poly

from modashift.extract.covarep.waveform import CUTOFF, ZERO_CROSSINGS

__all__ = ["HIGHEST_RATE", "LOWEST_RATE", "Resampler"]

LOWEST_RATE = 1_000
HIGHEST_RATE = 768_000
FINEST = 1 << 16  # largest of the two steps of a ratio: all rates to 65536 Hz exactly, by at most 8 million taps


class Resampler:
    """From one sample rate to another without delay: sample n of the result is at n / `to` seconds of the input.

    All blocks together equal `modashift.extract.covarep.waveform.resample` of the whole. Rates above
    65536 Hz without a common divisor are taken in the nearest ratio that needs no longer filter.

    Args:
        rate: of the input, hertz.
        to: of the result, hertz.
    """

    def __init__(self, rate: int, to: int) -> None:
        ratio = Fraction(min(rate, to), max(rate, to)).limit_denominator(FINEST)
        steps = (ratio.numerator, ratio.denominator)
        self.up, self.down = steps if rate >= to else steps[::-1]
        half = ZERO_CROSSINGS * max(self.up, self.down)
        self.margin = -(-(half // self.up + 1) // self.down)  # in units of `down` samples that make `up` of the result
        self.step = max(rate // (2 * self.down), 1)  # units of half a second
        self.before = 0  # units at the start of the buffer that were put out already
        self.parts: list[NDArray[np.float32]] = []
        self.waiting = 0

    def feed(self, samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Take (n,) samples; returns what is ready, possibly nothing."""
        if self.up == self.down:
            return [samples] if len(samples) else []
        self.parts.append(samples)
        self.waiting += len(samples)
        if self.waiting < (self.before + self.step + self.margin) * self.down:
            return []
        signal = np.concatenate(self.parts)
        first = 0
        ready = []
        while len(signal) - first >= (self.before + self.step + self.margin) * self.down:
            end = first + (self.before + self.step + self.margin) * self.down
            ready.append(self._resample(signal[first:end], self.step * self.up))
            kept = min(self.margin, self.before + self.step)
            first += (self.before + self.step - kept) * self.down
            self.before = kept
        self.parts = [signal[first:].copy()]
        self.waiting = len(self.parts[0])
        return ready

    def finish(self) -> NDArray[np.float32]:
        """The rest; ⌈n · up / down⌉ samples in all."""
        if self.up == self.down or not self.parts:
            return np.zeros(0, np.float32)
        signal = np.concatenate(self.parts)
        count = max(-(-len(signal) * self.up // self.down) - self.before * self.up, 0)
        rest = self._resample(signal, count) if count else np.zeros(0, np.float32)
        self.parts, self.waiting, self.before = [], 0, 0
        return rest

    def _resample(self, part: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        first = self.before * self.up
        out = resample_poly(part.astype(np.float64), self.up, self.down, window=_taps(max(self.up, self.down)))
        result: NDArray[np.float32] = out[first : first + count].astype(np.float32)
        return result


@lru_cache(maxsize=4)
def _taps(larger: int) -> NDArray[np.float64]:
    taps: NDArray[np.float64] = firwin(2 * ZERO_CROSSINGS * larger + 1, CUTOFF / larger, window=("kaiser", 8.0))
    return taps
