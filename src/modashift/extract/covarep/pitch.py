"""Pitch and voicing: summation of residual harmonics (SRH).

T. Drugman and A. Alwan, "Joint robust voicing detection and pitch estimation based on residual harmonics",
Interspeech 2011. With E the magnitude spectrum of a 100 ms frame of the residual, normalised to unit energy,

    SRH(f) = Σ_{h=1}^{5} E(h f) − Σ_{h=1}^{4} E((h + ½) f)

so a frame scores where its residual has harmonics of f and nothing between them. The frame's pitch is the f of the
highest score; a second pass narrows the search to one octave around the median of the first.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.lib.stride_tricks import sliding_window_view

from modashift.extract.covarep.spectrum import low_power
from modashift.extract.covarep.windows import blackman, round_away

__all__ = ["F0_MAX", "F0_MIN", "FRAME", "HOP", "Pitch", "frame_count", "pitch"]

FRAME = 1598  # samples at 16 kHz
HOP = 160
F0_MIN, F0_MAX = 50, 500  # Hz, the range of the search
FFT_SIZE = 16_000  # one bin a hertz
BINS = 5 * F0_MAX + 1  # bins the score looks at
BATCH = 32  # frames at a time
KEPT = 10_000  # frames (100 s, 36 MB) whose scores are kept for the second pass; those of later frames are made again


@dataclass(frozen=True)
class Pitch:
    """Pitch track with one entry a frame; frame n covers samples 160 n … 160 n + 1597.

    Attributes:
        f0: hertz; 1 where no candidate scores above zero (digital silence).
        strength: score of that pitch, 0 where there is none.
        voiced: whether the strength exceeds the threshold.
    """

    f0: Float[np.ndarray, " frames"]
    strength: Float[np.ndarray, " frames"]
    voiced: Bool[np.ndarray, " frames"]

    @property
    def median(self) -> float | None:
        """Median pitch of the voiced frames strictly within the range of the search, hertz; None without any."""
        inside = self.f0[self.voiced & (self.f0 > F0_MIN) & (self.f0 < F0_MAX)]
        return float(np.median(inside)) if len(inside) else None


def frame_count(samples: int) -> int:
    """Number of frames of a signal of that many samples."""
    return max((samples - FRAME - 1) // HOP + 1, 0)


def pitch(residual: Float[np.ndarray, " n"], *, bin_offset: int = -1) -> Pitch:
    """Track the pitch of a residual and decide where it is voiced.

    Args:
        residual: linear-prediction residual of order 12 at 16 kHz; NaN marks digital silence.
        bin_offset: added to every bin of the score. The original counts bins from one and so reads each harmonic 1 Hz
            too low (−1); 0 reads where the harmonic is.

    Returns:
        One entry for each frame that fits; none for fewer than 1599 samples.
    """
    frames = frame_count(len(residual))
    f0, strength = np.ones(frames), np.zeros(frames)
    if not frames:
        return Pitch(f0, strength, np.zeros(0, dtype=bool))
    kept = np.empty((min(frames, KEPT), F0_MAX - F0_MIN + 1))
    for begin in range(0, frames, BATCH):
        some = slice(begin, min(begin + BATCH, frames))
        scores = _scores(residual, np.arange(some.start, some.stop), bin_offset)
        f0[some], strength[some] = _best(scores, F0_MIN, F0_MAX)
        kept[some] = scores[: max(len(kept) - begin, 0)]
    if strength.max() > 0.1:
        median = float(np.median(f0[strength > 0.1]))
        low, high = max(F0_MIN, int(round_away(0.5 * median))), min(F0_MAX, int(round_away(2 * median)))
        # The highest score of a narrower range is the old one wherever that lies within the range.
        outside = np.flatnonzero((f0 > 1) & ((f0 < low) | (f0 > high)))
        for begin in range(0, len(outside), BATCH):
            again = outside[begin : begin + BATCH]
            scores = kept[again] if again[-1] < len(kept) else _scores(residual, again, bin_offset)
            f0[again], strength[again] = _best(scores, low, high)
    spread = float(np.std(strength, ddof=1)) if frames > 1 else 0.0
    return Pitch(f0, strength, strength > (0.085 if spread > 0.05 else 0.07))


def _scores(
    residual: Float[np.ndarray, " n"], frames: Int[np.ndarray, " f"], bin_offset: int
) -> Float[np.ndarray, "f candidates"]:
    """SRH of the named frames for each hertz of the range; 0 for digital silence, which has no spectrum."""
    magnitude, norm = _spectrum(sliding_window_view(residual, FRAME)[::HOP][frames])
    harmonics, between = _bins(np.arange(F0_MIN, F0_MAX + 1), bin_offset)
    score = sum(magnitude[:, bins] for bins in harmonics) - sum(magnitude[:, bins] for bins in between)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores: Float[np.ndarray, "f candidates"] = np.nan_to_num(score / norm[:, None], nan=0.0)
    return scores


def _best(
    scores: Float[np.ndarray, "f candidates"], low: int, high: int
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, " f"]]:
    """Candidate from `low` to `high` with the highest score, and that score; 1 Hz and 0 without a positive one."""
    allowed = scores[:, low - F0_MIN : high - F0_MIN + 1]
    best = allowed.argmax(1)
    value = allowed[np.arange(len(best)), best]
    return np.where(value > 0, best + float(low), 1.0), np.maximum(value, 0.0)


def _bins(
    candidates: Int[np.ndarray, " c"], offset: int
) -> tuple[list[Int[np.ndarray, " c"]], list[Int[np.ndarray, " c"]]]:
    """Bins of the five harmonics of each candidate, and of the four places half-way between them."""
    harmonics = [h * candidates + offset for h in range(1, 6)]
    between = [round_away((h + 0.5) * candidates) + offset for h in range(1, 5)]
    return harmonics, between


def _spectrum(frames: Float[np.ndarray, "f 1598"]) -> tuple[Float[np.ndarray, "f bins"], Float[np.ndarray, " f"]]:
    """Magnitudes of the lower bins of the 16,000-point spectrum, and the root of the energy in bins 0 … 7999.

    The energy follows from Parseval's theorem, less the bin at 8000 Hz.
    """
    windowed = frames * blackman(FRAME)
    windowed -= windowed.mean(1, keepdims=True)
    power = low_power(windowed, BINS, FFT_SIZE)
    nyquist = windowed[:, 0::2].sum(1) - windowed[:, 1::2].sum(1)
    total = FFT_SIZE * np.einsum("fn,fn->f", windowed, windowed)
    return np.sqrt(power), np.sqrt((total + power[:, 0] - nyquist**2) / 2)
