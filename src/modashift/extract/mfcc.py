"""Mel-frequency cepstral coefficients with Kaldi's conventions, and their slopes: what recurrent speech models read.

D. Povey et al., "The Kaldi Speech Recognition Toolkit", ASRU 2011. Defaults are those of Kaldi's recipes for 40
coefficients: 40 bands from 20 Hz to 400 Hz below half the sample rate, the zeroth coefficient in place of the energy,
frames of 25 ms every 10 ms that lie wholly within the recording. No noise is added (Kaldi's dither), so that the same
recording always gives the same numbers.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

from modashift.extract.covarep.waveform import SAMPLE_RATE, prepare
from modashift.extract.recording import Frames

__all__ = ["COEFFICIENTS", "add_slopes", "cepstra", "mfcc"]

COEFFICIENTS = 40
BANDS = 40
LOWEST, BELOW_NYQUIST = 20.0, 400.0  # Hz
LENGTH, HOP, SIZE = 400, 160, 512  # samples at 16 kHz: of a frame, between frames, of the Fourier transform
PREEMPHASIS = 0.97
LIFTER = 22.0
FULL_SCALE = 32768.0  # Kaldi reads samples as 16-bit integers; it matters for the zeroth coefficient alone
FLOOR = float(np.finfo(np.float32).eps)
REACH = 2  # frames on either side that a slope is fitted to


def mfcc(waveform: npt.ArrayLike, sample_rate: int | float) -> Frames:
    """40 coefficients with slopes and slopes of slopes, 120 columns every 10 ms.

    Args:
        waveform: (samples,) or (samples, channels), of which the first is taken; floating point with 1 as full scale,
            or integers, which are divided by theirs.
        sample_rate: hertz; other rates than 16 kHz are resampled.

    Returns:
        T = ⌊(L − 400) / 160⌋ + 1 frames of L samples at 16 kHz, none of less than 25 ms; all are valid.

    Raises:
        DataError: no samples, swapped axes, or a sample that is NaN or infinite.
        ValueError: an unusable sample rate.
    """
    signal, _ = prepare(waveform, sample_rate)
    values = add_slopes(cepstra(signal))
    names = [f"MFCC_{k}" for k in range(COEFFICIENTS)]
    times = (np.arange(len(values)) * HOP + LENGTH / 2) / SAMPLE_RATE
    columns = (*names, *(f"{name}_d" for name in names), *(f"{name}_dd" for name in names))
    return Frames("mfcc", columns, values.astype(np.float32), times, np.ones(len(values), dtype=bool))


def cepstra(signal: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "T 40"]:
    """Coefficients of a signal at 16 kHz with full scale 1."""
    count = max(0, (len(signal) - LENGTH) // HOP + 1)
    if not count:
        return np.zeros((0, COEFFICIENTS))
    frames = np.lib.stride_tricks.sliding_window_view(signal, LENGTH)[::HOP] * FULL_SCALE  # (T, 400)
    frames = frames - frames.mean(1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)  # the first sample is its own predecessor
    frames = (frames - PREEMPHASIS * before) * _window()
    power = np.abs(np.fft.rfft(frames, SIZE)[:, : SIZE // 2]) ** 2  # the band ends below half the sample rate
    energies = np.log(np.maximum(power @ _bands().T, FLOOR))
    result: Float[np.ndarray, "T 40"] = energies @ _cosines().T * _lifter()
    return result


def add_slopes(values: Float[np.ndarray, "T D"]) -> Float[np.ndarray, "T columns"]:
    """Append slopes and slopes of slopes, three columns for each; frames beyond the ends count as the last one there.

    The slope is that of the least-squares line through five frames, Σ n x_{t+n} / Σ n². That of slopes is the same
    weights applied twice, over nine frames of the values themselves.
    """
    once = np.arange(-REACH, REACH + 1) / sum(n * n for n in range(-REACH, REACH + 1))
    parts = [values]
    for weights in (once, np.convolve(once, once)):
        reach = len(weights) // 2
        at = np.clip(np.arange(len(values))[:, None] + np.arange(-reach, reach + 1), 0, max(len(values) - 1, 0))
        parts.append(np.einsum("tkd,k->td", values[at], weights))
    return np.concatenate(parts, axis=1)


@cache
def _window() -> Float[np.ndarray, " 400"]:
    """Povey's window: a Hann window to the power of .85, so that it goes to zero like Hann's and is wide like
    Hamming's."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(LENGTH) / (LENGTH - 1))
    return np.asarray(hann**0.85)


def _mel(hertz: npt.ArrayLike) -> Float[np.ndarray, "..."]:
    return np.asarray(1127.0 * np.log1p(np.asarray(hertz, dtype=np.float64) / 700.0))


@cache
def _bands() -> Float[np.ndarray, "40 256"]:
    """Triangles of equal width on the mel scale, each over the lines of the spectrum."""
    edges = np.linspace(_mel(LOWEST), _mel(SAMPLE_RATE / 2 - BELOW_NYQUIST), BANDS + 2)
    lines = _mel(np.arange(SIZE // 2) * SAMPLE_RATE / SIZE)
    rising = (lines - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - lines) / (edges[2:] - edges[1:-1])[:, None]
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))


@cache
def _cosines() -> Float[np.ndarray, "40 40"]:
    """Orthonormal cosine transform, one row a coefficient."""
    k, n = np.arange(COEFFICIENTS)[:, None], np.arange(BANDS)
    rows = np.sqrt(2 / BANDS) * np.cos(np.pi / BANDS * (n + 0.5) * k)
    rows[0] = np.sqrt(1 / BANDS)
    return np.asarray(rows)


@cache
def _lifter() -> Float[np.ndarray, " 40"]:
    return np.asarray(1 + LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / LIFTER))
