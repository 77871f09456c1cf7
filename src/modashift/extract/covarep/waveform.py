"""A recording as it comes, turned into one channel of 64-bit samples at 16 kHz.

All features are defined at 16 kHz. Other rates are resampled by a polyphase filter: Kaiser window, β = 8, which passes
92 % of the band below the lower of the two Nyquist frequencies and is 80 dB down at that frequency.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from scipy.signal import firwin, resample_poly

from modashift.errors import DataError

__all__ = ["SAMPLE_RATE", "prepare", "resample"]

SAMPLE_RATE = 16_000
LOWEST_RATE = 1_000
ZERO_CROSSINGS = 64  # of the resampling filter on each side
CUTOFF = 0.96  # of the lower Nyquist frequency
INAUDIBLE = 1e-50  # recordings below this are silence: squares of their samples would not be numbers
ABSURD = 1e50  # and above, squares would overflow
LOUD = 2.0  # floating-point samples beyond ± this were probably never divided by their full scale
CHECK = 1 << 20


def prepare(
    waveform: npt.ArrayLike, sample_rate: int | float, *, block: int = 1 << 19
) -> tuple[Float[np.ndarray, " n"], list[str]]:
    """Check a recording, take its first channel, scale and resample it.

    Args:
        waveform: (samples,) or (samples, channels); floating point with 1 as full scale, or integers, which are divided
            by their own. Of several channels the first is taken, as the published features did.
        sample_rate: hertz, a whole number.
        block: input samples resampled at a time.

    Returns:
        Samples at 16 kHz, and warnings about what the recording lacks.

    Raises:
        DataError: there are no samples, the axes look swapped, or a sample is NaN, infinite or absurd.
        ValueError: the sample rate is not a whole number of at least 1000 hertz.
    """
    if not (math.isfinite(sample_rate) and sample_rate == int(sample_rate) and sample_rate >= LOWEST_RATE):
        raise ValueError(f"sample_rate must be a whole number of hertz, at least {LOWEST_RATE}, got {sample_rate}")
    rate = int(sample_rate)
    samples = _first_channel(np.asarray(waveform))
    warnings = []
    signal = _scaled(samples)
    largest = _check_finite(signal, rate)
    if largest > ABSURD:
        raise DataError(f"samples reach {largest:.3g}, where 1 is full scale; the waveform is not a recording")
    if largest < INAUDIBLE:
        signal = np.zeros(len(signal))
    if largest > LOUD:
        warnings.append(
            f"samples reach {largest:.6g}, where 1 is full scale; MCEP_0 grows with the logarithm of the level: divide "
            "the waveform by its full scale"
        )
    if rate < SAMPLE_RATE:
        warnings.append(
            f"sampled at {rate} Hz: nothing above {rate // 2} Hz; MCEP, HMPD, peakSlope and the glottal columns are "
            "not comparable with those of recordings at 16 kHz"
        )
    if rate != SAMPLE_RATE:
        signal = resample(signal, rate, SAMPLE_RATE, block=block)
    return signal, warnings


def resample(
    signal: Float[np.ndarray, " n"], rate: int, to: int = SAMPLE_RATE, *, block: int = 1 << 19
) -> Float[np.ndarray, " m"]:
    """Resample by the ratio of two whole rates, in blocks, to ⌈n · to / rate⌉ samples.

    Args:
        signal: samples at `rate`.
        rate: hertz.
        to: hertz.
        block: input samples worked on at a time (about); changes nothing but memory.
    """
    divisor = math.gcd(rate, to)
    up, down = to // divisor, rate // divisor
    half = ZERO_CROSSINGS * max(up, down)
    taps = firwin(2 * half + 1, CUTOFF / max(up, down), window=("kaiser", 8.0))
    margin = -(-(half // up + 1) // down)  # in units of `down` input samples, which make `up` output samples
    step = max(block // down, 1)
    out = np.empty(-(-len(signal) * up // down))
    for unit in range(0, -(-len(signal) // down), step):
        before = min(unit, margin)
        part = signal[(unit - before) * down : (unit + step + margin) * down]
        target = out[unit * up : (unit + step) * up]
        target[:] = resample_poly(part, up, down, window=taps)[before * up : before * up + len(target)]
    return out


def _first_channel(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if samples.ndim == 2:
        if 0 < samples.shape[0] < samples.shape[1]:
            raise DataError(
                f"the waveform has shape {samples.shape}, which reads as {samples.shape[0]} samples of "
                f"{samples.shape[1]} channels; pass (samples, channels): transpose it, or pass one channel"
            )
        if samples.shape[1]:
            samples = samples[:, 0]
    if samples.size == 0:
        raise DataError("the waveform has no samples; pass a recording of at least one")
    if samples.ndim != 1:
        raise DataError(f"the waveform has shape {samples.shape}; pass (samples,) or (samples, channels)")
    return samples


def _scaled(samples: npt.NDArray[Any]) -> Float[np.ndarray, " n"]:
    """64-bit floating point with 1 as full scale."""
    kind = samples.dtype.kind
    if kind == "f":
        return samples.astype(np.float64, copy=False)
    if kind not in "iu":
        raise DataError(f"the waveform has values of type {samples.dtype}; pass floating-point or integer samples")
    half = 2.0 ** (8 * samples.dtype.itemsize - 1)
    signal = samples.astype(np.float64)
    if kind == "u":  # unsigned formats, such as 8-bit WAV, put silence in the middle
        signal -= half
    signal /= half
    return signal


def _check_finite(signal: Float[np.ndarray, " n"], rate: int) -> float:
    """Largest modulus; an error where a sample is not finite."""
    largest = 0.0
    for start in range(0, len(signal), CHECK):
        part = signal[start : start + CHECK]
        peak = float(np.abs(part).max())
        largest = max(largest, peak)
        if not math.isfinite(peak):
            first = start + int(np.flatnonzero(~np.isfinite(part))[0])
            raise DataError(
                f"sample {first} ({first / rate:.3f} s) is {signal[first]}; replace or cut out samples that are not "
                "finite before extracting features"
            )
    return largest
