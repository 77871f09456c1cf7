"""Phase distortion of the harmonics: its mean and deviation over time (HMPDM, HMPDD).

G. Degottex and D. Erro, "A uniform phase representation for the harmonic model in speech synthesis applications",
EURASIP Journal on Audio, Speech, and Music Processing 2014; "A measure of phase randomness for the harmonic model in
speech synthesis", Interspeech 2014. With φ_h the phase of harmonic h less the minimum phase of the amplitude envelope,

    D_h = φ_h − φ_{h−1} − φ_1

does not depend on where in the period a frame begins. What stays of it over time is the shape of the pulses (the mean),
what varies is noise (the deviation).

D is put on 513 bins from 0 to 8 kHz, smoothed along time, and reduced to 25 means and to 13 cepstral coefficients of
the deviation.
"""

from functools import lru_cache

import numpy as np
import scipy.fft
from jaxtyping import Float, Int, UInt64

from modashift.extract.covarep.envelope import warped_cepstrum
from modashift.extract.covarep.grid import wrap
from modashift.extract.covarep.harmonics import HarmonicFrames
from modashift.extract.covarep.smoothing import REACH, deviation_from_trend, mean_direction
from modashift.extract.covarep.windows import round_away

__all__ = ["COLUMNS", "DistortionStream", "distortion", "phase_distortion"]

SAMPLE_RATE = 16_000
DFT = 1024
BINS = DFT // 2 + 1
COLUMNS = 25
ORDER = 12
FLOOR = 0.001  # stands for a deviation of zero
AT_ONCE = 20_000  # values smoothed at a time: as many bins as make this with the rows
STRIDE = np.uint64(0x9E3779B97F4A7C15)

Bins = Float[np.ndarray, "2 frames bins"]
Distortion = tuple[Float[np.ndarray, "frames 25"], Float[np.ndarray, "frames 13"]]


def distortion(frames: HarmonicFrames, *, seed: int = 0, compat: bool = True) -> Distortion:
    """HMPDM and HMPDD of a recording whose frames are all at hand; see `DistortionStream` for long ones."""
    stream = DistortionStream(seed=seed, compat=compat)
    stream.add(frames)
    return stream.finish()


class DistortionStream:
    """HMPDM and HMPDD of a recording that comes in blocks of frames.

    Both are smoothed along the frames, 24 to either side, so results come 24 frames late; they do not depend on where
    the blocks end. Silent frames have D = 0.

    Args:
        seed: of the random phases that stand above the last harmonic; each frame has its own.
        compat: as the original does it. False changes three things: above its last harmonic a frame keeps that
            harmonic's D in place of a random one, the median is not mixed with zeros at the ends of the recording, and
            smoothing continues the recording by its mirror image there. (The original continues cosine and sine by
            reflection in their last value, by which the first and last frame's deviation is zero but for rounding.)
    """

    def __init__(self, *, seed: int = 0, compat: bool = True) -> None:
        self.seed, self.compat = seed, compat
        self._rows: Bins = np.empty((2, 0, BINS))
        self._begun = False  # whether rows have been dropped before the ones held

    def add(self, frames: HarmonicFrames) -> None:
        """Add the next frames, without results: for recordings that are short enough for one go."""
        angle = phase_distortion(frames, seed=self.seed, random_fill=self.compat)
        rows = np.empty((2, self._rows.shape[1] + len(frames), BINS))
        rows[:, : -len(frames) or None] = self._rows
        np.cos(angle, out=rows[0, self._rows.shape[1] :])
        np.sin(angle, out=rows[1, self._rows.shape[1] :])
        self._rows = rows

    def push(self, frames: HarmonicFrames) -> Distortion:
        """Add the next frames.

        Returns:
            (pdm, pdd) of the frames whose surroundings are complete now, in order; perhaps of none.
        """
        self.add(frames)
        start = REACH if self._begun else 0
        stop = self._rows.shape[1] - REACH
        # Too few rows to smooth at the beginning are kept for later: how a recording continues depends on its length.
        if stop <= start or self._rows.shape[1] <= 2 * REACH:
            return np.empty((0, COLUMNS)), np.empty((0, ORDER + 1))
        out = self._smooth(start, stop)
        self._rows = self._rows[:, stop - REACH :].copy()
        self._begun = True
        return out

    def finish(self) -> Distortion:
        """(pdm, pdd) of the frames not given yet; the recording ends with the last one added."""
        out = self._smooth(REACH if self._begun else 0, self._rows.shape[1])
        self._rows, self._begun = np.empty((2, 0, BINS)), False
        return out

    def _smooth(self, start: int, stop: int) -> Distortion:
        """Results of the rows held from `start` to `stop`, as if the recording were the rows held."""
        count = stop - start
        mean = np.empty((2, count, BINS))
        deviation = np.empty((count, BINS))
        open_ = _random_phases(self.seed, np.array([-1]), np.arange(BINS))[0]
        if count:
            group = max(AT_ONCE // self._rows.shape[1], 8)
            for begin in range(0, BINS, group):
                some = slice(begin, begin + group)
                rows = np.ascontiguousarray(self._rows[:, :, some])
                mean[:, :, some] = mean_direction(rows, self.compat)[:, start:stop]
                deviation[:, some] = deviation_from_trend(rows, open_[some], self.compat)[start:stop]
        cosine, sine = mean @ _column_means()
        deviation[:, 0] = deviation[:, 1]
        deviation[deviation == 0.0] = FLOOR
        return np.arctan2(sine, cosine), warped_cepstrum(np.log(deviation), ORDER)


def phase_distortion(
    frames: HarmonicFrames, *, seed: int = 0, random_fill: bool = True
) -> Float[np.ndarray, "frames 513"]:
    """D of each frame on bins from 0 to 8 kHz, radians, not wrapped; linear between harmonics, the shorter way round.

    Args:
        frames: harmonics; a silent frame has D = 0.
        seed: of the random phases.
        random_fill: above the last harmonic, lead to random phases; otherwise continue with the last harmonic's D.
    """
    if not len(frames):
        return np.empty((0, BINS))
    count = frames.count[:, None]
    phase = frames.phases - _minimum_phase(frames)
    nodes = int(SAMPLE_RATE / 2 / frames.f0.min()) + 2
    node = np.arange(nodes)
    d = np.zeros((len(frames), nodes))
    most = min(phase.shape[1], nodes - 1)
    d[:, 2 : most + 1] = wrap(np.diff(phase[:, :most], axis=1) - phase[:, :1])
    beyond = _random_phases(seed, frames.kept, node) if random_fill else np.take_along_axis(d, count, 1)
    d = np.where(node > count, beyond, d)
    d[frames.silent] = 0.0
    step = np.zeros_like(d)
    step[:, :-1] = wrap(np.diff(d, axis=1))
    place = np.arange(BINS) * (SAMPLE_RATE / DFT / frames.f0[:, None])
    lower = place.astype(np.int64)
    place -= lower
    place *= np.take_along_axis(step, lower, 1)
    place += np.take_along_axis(d, lower, 1)
    angle: Float[np.ndarray, "frames 513"] = place
    return angle


def _minimum_phase(frames: HarmonicFrames) -> Float[np.ndarray, "frames harmonics"]:
    """Minimum phase of the amplitude envelope at the harmonics.

    The log amplitudes are joined by straight lines, and continued at the same height to 0 Hz and to 8 kHz.
    """
    width = SAMPLE_RATE / DFT
    last = frames.count[:, None] - 1.0
    place = np.clip(np.arange(BINS) * (width / frames.spacing[:, None]) - 1, 0, last)
    envelope = _interpolate(frames.log_amplitudes, place, frames.count[:, None] - 2)
    cepstrum = scipy.fft.irfft(envelope, DFT, workers=1)
    cepstrum[:, 1 : DFT // 2] *= 2
    cepstrum[:, DFT // 2 + 1 :] = 0
    phase = np.ascontiguousarray(scipy.fft.rfft(cepstrum, workers=1).imag)
    harmonic = np.arange(1, frames.phases.shape[1] + 1)
    return _interpolate(phase, np.minimum(harmonic * (frames.spacing[:, None] / width), BINS - 1), BINS - 2)


def _interpolate(
    values: Float[np.ndarray, "rows n"], place: Float[np.ndarray, "rows m"], highest: Int[np.ndarray, "rows 1"] | int
) -> Float[np.ndarray, "rows m"]:
    """Linear interpolation at fractional columns, between columns that go up to `highest` + 1."""
    lower = np.minimum(place.astype(np.int64), highest)
    left = np.take_along_axis(values, lower, 1)
    between: Float[np.ndarray, "rows m"] = left + (place - lower) * (np.take_along_axis(values, lower + 1, 1) - left)
    return between


def _random_phases(
    seed: int, frame: Int[np.ndarray, " frames"], node: Int[np.ndarray, " nodes"]
) -> Float[np.ndarray, "frames nodes"]:
    """Uniform in −π … π, a fixed number for each seed, frame and node, so that blocks do not matter.

    The mixing function of SplitMix64: G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom number
    generators", OOPSLA 2014.
    """
    state = _mix(np.array([seed % 2**64], dtype=np.uint64))
    state = _mix(state + frame.astype(np.uint64) * STRIDE)
    state = _mix(state[:, None] + node.astype(np.uint64) * STRIDE)
    phases: Float[np.ndarray, "frames nodes"] = (state >> np.uint64(11)) * (2 * np.pi / 2.0**53) - np.pi
    return phases


def _mix(state: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    state = state + STRIDE
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: UInt64[np.ndarray, "*shape"] = state ^ (state >> np.uint64(31))
    return mixed


@lru_cache(maxsize=1)
def _column_means() -> Float[np.ndarray, "513 25"]:
    """Matrix that takes means over the bins of each HMPDM column.

    Numbered from one, bins 1 … 8 have columns of their own and the others share columns along a quadratic Bézier curve
    from (8, 8) by (25, 25) to (512, 25); the highest bin is left out. The original's scale is one of harmonics.
    """
    t = np.arange(101) / 100
    across = (1 - t) ** 2 * 8 + 2 * t * (1 - t) * 25 + t**2 * 512
    up = (1 - t) ** 2 * 8 + 2 * t * (1 - t) * 25 + t**2 * 25
    number = np.arange(1, BINS)
    column = round_away(np.where(number <= 8, number, np.interp(number, across, up))) - 1
    means: Float[np.ndarray, "513 25"] = np.zeros((BINS, COLUMNS))
    means[np.arange(BINS - 1), column] = 1
    means /= means.sum(0)
    return means
