"""Glottal closure instants (GCIs): SEDREAMS.

T. Drugman and T. Dutoit, "Glottal closure and opening instant detection from speech signals", Interspeech 2009;
T. Drugman, M. Thomas, J. Gudnason, P. Naylor and T. Dutoit, "Detection of glottal closure instants from speech signals:
a quantitative review", IEEE Transactions on Audio, Speech, and Language Processing 20(3), 2012.

The mean-based signal, speech smoothed over about 1.75 pitch periods, swings once a period. Each swing from a minimum
to the next maximum tells roughly where the closure is, and the largest residual peak around that place is the closure.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.signal import ellip

from modashift.extract.covarep import pitch
from modashift.extract.covarep.signals import Kernels, batches, convolve_part, gather, zero_phase
from modashift.extract.covarep.windows import blackman, round_away

__all__ = ["closures", "keep_voiced", "mean_based_signal", "swings"]

STRONG_PEAK = 0.4  # of the largest residual sample: peaks that tell where in its swing a closure lies
FIRST_FRAME = 800.0  # where the original places the first pitch frame when it looks up the voicing of a closure
PART = 8192  # samples: a transform that stays in the processor's cache
REACH = 0.35  # of a swing, on both sides of that place


def mean_based_signal(
    signal: Float[np.ndarray, " n"], f0_median: float, *, sample_rate: int = 16_000, block: int = 1 << 19
) -> Float[np.ndarray, " n"]:
    """Speech averaged over about 1.75 pitch periods, and freed from its slow part.

    Args:
        signal: speech of positive polarity.
        f0_median: hertz.
        sample_rate: hertz.
        block: samples worked on at a time.
    """
    period = int(round_away(sample_rate / f0_median))
    half = int(round_away(1.7 * period / 2))
    kernel = Kernels(blackman(2 * half + 1)[None] / (2 * half + 1))
    mean = np.zeros(len(signal))
    step = min(block, PART)
    for start in range(half, len(signal) - half, step):
        stop = min(start + step, len(signal) - half)
        mean[start:stop] = convolve_part(signal, kernel, start, stop, step)[0]
    numerator, denominator = ellip(5, 3, 60, 50 / (sample_rate / 2), btype="highpass")
    return zero_phase(numerator, denominator, mean, block=block, out=mean)


def swings(
    mean: Float[np.ndarray, " n"], block: int = 1 << 20
) -> tuple[Int[np.ndarray, " swings"], Int[np.ndarray, " swings"]]:
    """Samples of each local minimum of a mean-based signal, and the samples from there to the maximum that follows."""
    lows, highs = [], []
    for start in range(1, len(mean) - 1, block):
        stop = min(start + block, len(mean) - 1)
        rising = np.diff(mean[start - 1 : stop + 1]) > 0
        falling = np.diff(mean[start - 1 : stop + 1]) < 0
        lows.append(np.flatnonzero(falling[:-1] & rising[1:]) + start)
        highs.append(np.flatnonzero(rising[:-1] & falling[1:]) + start)
    low = np.concatenate([np.zeros(0, dtype=np.int64), *lows])
    high = np.concatenate([np.zeros(0, dtype=np.int64), *highs])
    high = high[np.searchsorted(high, low[0]) :] if len(low) else high[:0]
    low = low[: np.searchsorted(low, high[-1])] if len(high) else low[:0]
    count = min(len(low), len(high))
    return low[:count], (high[:count] - low[:count])


def closures(
    signal: Float[np.ndarray, " n"],
    residual: Float[np.ndarray, " n"],
    f0_median: float,
    *,
    block: int = 1 << 19,
) -> Int[np.ndarray, " closures"]:
    """Candidates for glottal closures, one a swing of the mean-based signal, in voiced and unvoiced parts alike.

    Args:
        signal: speech of positive polarity at 16 kHz.
        residual: its residual of order 18, without NaN; only its shape matters.
        f0_median: median pitch of the voiced frames, hertz.
        block: samples worked on at a time.

    Returns:
        Samples (counted from 0), ascending, each once.
    """
    low, rise = swings(mean_based_signal(signal, f0_median, block=block), block)
    if not len(low):
        return low
    peak = max(float(np.abs(residual[start : start + block]).max()) for start in range(0, len(residual), block))
    place = _usual_place(np.flatnonzero(residual > STRONG_PEAK * peak), low, rise)
    begin = np.clip(low + round_away((place - REACH) * rise), 0, len(residual) - 1)
    end = np.clip(low + round_away((place + REACH) * rise), 0, len(residual) - 1)
    lengths = end - begin + 1
    best = np.empty_like(low)
    for rows in batches(lengths):
        samples, inside = gather(residual, begin[rows], lengths[rows], range(lengths[rows].max()))
        best[rows] = begin[rows] + np.where(inside, samples, -np.inf).argmax(1)
    return np.unique(best)


def _usual_place(
    strong: Int[np.ndarray, " peaks"], low: Int[np.ndarray, " swings"], rise: Int[np.ndarray, " swings"]
) -> float:
    """Median place of strong residual samples, as a share of the swing whose minimum is nearest; 0 without any."""
    if not len(strong):
        return 0.0
    after = np.clip(np.searchsorted(low, strong), 1, len(low) - 1) if len(low) > 1 else np.zeros_like(strong)
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(strong - low[before]) <= np.abs(low[after] - strong), before, after)
    return float(np.median((strong - low[nearest]) / rise[nearest]))


def keep_voiced(
    instants: Int[np.ndarray, " closures"], voiced: Bool[np.ndarray, " frames"], first: float = FIRST_FRAME
) -> Int[np.ndarray, " some"]:
    """Closures at which the voicing of the pitch frames, interpolated linearly, is at least one half.

    Args:
        instants: samples counted from 0.
        voiced: voicing of each pitch frame.
        first: where the first frame counts on the axis of `instants`; frames follow every 160 samples.
    """
    place = (instants - first) / pitch.HOP
    inside = (place >= 0) & (place <= len(voiced) - 1)
    level = np.interp(place, np.arange(len(voiced)), voiced.astype(float)) if len(voiced) else np.zeros(len(place))
    return instants[inside & (level >= 0.5)]
