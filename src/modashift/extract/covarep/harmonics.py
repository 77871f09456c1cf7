"""Harmonics of short frames: amplitudes and phases at the multiples of the pitch.

R. J. McAulay and T. F. Quatieri, "Speech analysis/synthesis based on a sinusoidal representation", IEEE Transactions
on Acoustics, Speech, and Signal Processing 34(4), 1986: harmonics are read off the peaks of a windowed spectrum. Three
periods of the signal, under a Blackman window, are one frame; the mel cepstra, the glottal shape parameter and the
phase distortion all start from these frames.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from jaxtyping import Bool, Complex, Float, Int

from modashift.extract.covarep.grid import wrap
from modashift.extract.covarep.windows import blackman, round_away

__all__ = ["BINS", "CENTRE", "DFT", "HOP", "HarmonicFrames", "analyse"]

SAMPLE_RATE = 16_000
CENTRE = 800  # sample in the middle of frame 0, counted from 0
HOP = 160
DFT = 4096
BINS = DFT // 2 + 1
F0_MAX = 500.0  # Hz
BATCH = 32  # frames whose spectra are held at a time
FLOOR = np.finfo(np.float64).tiny  # stands in for a power of zero

Bins = Float[np.ndarray, "frames bins"]
Spectra = Complex[np.ndarray, "frames bins"]
Padded = Float[np.ndarray, "frames harmonics"]


@dataclass(frozen=True)
class HarmonicFrames:
    """Spectra and harmonics of the frames that lie within the signal.

    Harmonic h of a row is in column h − 1; columns from `count` on are padding and hold 0.

    Attributes:
        kept: n of each row's frame, whose centre is sample 800 + 160 n.
        f0: pitch the frame was analysed with, hertz.
        log_spectrum: natural logarithm of the magnitudes of bins 0 … 2048 of the 4096-point spectrum; the window sums
            to 1.
        count: number of harmonics K.
        log_amplitudes: natural logarithms of the harmonics' amplitudes.
        phases: of the harmonics at the centre of the frame, radians within −π … π.
        spacing: distance of the harmonics in hertz: harmonic h is taken to lie at h times this.
        silent: frames of nothing but zeros; their spectrum and harmonics mean nothing.
    """

    kept: Int[np.ndarray, " frames"]
    f0: Float[np.ndarray, " frames"]
    log_spectrum: Bins
    count: Int[np.ndarray, " frames"]
    log_amplitudes: Padded
    phases: Padded
    spacing: Float[np.ndarray, " frames"]
    silent: Bool[np.ndarray, " frames"]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.kept)


def analyse(
    x: Float[np.ndarray, " n"], f0: Float[np.ndarray, " some"], *, first: int = 0, sample_rate: int = SAMPLE_RATE
) -> HarmonicFrames:
    """Find the harmonics of every frame of a signal, or of a run of its frames.

    A frame has no pitch where `f0` is 1, and does not fit where its window reaches beyond the signal or is longer than
    the transform (pitch below 12 Hz); such frames are left out.

    Args:
        x: the whole signal, with positive polarity.
        f0: pitch in hertz of the frames `first`, `first` + 1, …; 1 for none.
        first: which frame of the signal `f0` begins with. A long recording can be analysed run by run; each frame
            comes out as it does in one go.
        sample_rate: hertz; the method is defined at 16 kHz only.

    Raises:
        ValueError: another sample rate, a negative `first`, or a pitch that is not a number between 1 and 500 Hz.
    """
    if sample_rate != SAMPLE_RATE:
        raise ValueError(f"harmonic analysis is defined at {SAMPLE_RATE} Hz, got {sample_rate}: resample the signal")
    if first < 0:
        raise ValueError(f"frames are counted from 0, got first={first}")
    f0 = np.asarray(f0, dtype=np.float64)
    if not np.all((f0 >= 1.0) & (f0 <= F0_MAX)):
        raise ValueError(f"pitch must lie between 1 (none) and {F0_MAX:g} Hz")
    half = round_away(1.5 * SAMPLE_RATE / f0)
    centre = CENTRE + HOP * (first + np.arange(len(f0)))
    inside = (f0 > 1.0) & (2 * half + 1 <= DFT) & (centre >= half) & (centre + half < len(x))
    f0, half, centre = f0[inside], half[inside], centre[inside]
    rows = len(f0)
    wanted = round_away((SAMPLE_RATE / 2 - f0 / 2) / f0)
    columns = int(wanted.max(initial=0))
    frames = HarmonicFrames(
        kept=first + np.flatnonzero(inside),
        f0=f0,
        log_spectrum=np.empty((rows, BINS)),
        count=np.zeros(rows, dtype=np.int64),
        log_amplitudes=np.zeros((rows, columns)),
        phases=np.zeros((rows, columns)),
        spacing=np.zeros(rows),
        silent=np.zeros(rows, dtype=bool),
    )
    order = np.argsort(f0, kind="stable")  # a batch's arrays are as wide as its lowest pitch asks for
    for begin in range(0, rows, BATCH):
        some = order[begin : begin + BATCH]
        spectrum = _spectra(x, centre[some], half[some])
        power = spectrum.real**2 + spectrum.imag**2
        log_spectrum = 0.5 * np.log(np.maximum(power, FLOOR))
        frames.log_spectrum[some] = log_spectrum
        frames.silent[some] = power.max(1) == 0.0
        count = wanted[some]
        where, height = _pick(log_spectrum, f0[some], count)
        phase = _phase_at(spectrum, where)
        spacing = _spacing(where, count)
        # A spacing above f0 can move the last harmonics beyond half the sample rate, where there is nothing.
        harmonic = np.arange(1, where.shape[1] + 1)
        below = (harmonic <= count[:, None]) & (harmonic * spacing[:, None] <= SAMPLE_RATE / 2)
        frames.count[some] = below.sum(1)
        frames.spacing[some] = spacing
        frames.log_amplitudes[some, : where.shape[1]] = np.where(below, height, 0.0)
        frames.phases[some, : where.shape[1]] = np.where(below, phase, 0.0)
    return frames


def _spectra(
    x: Float[np.ndarray, " n"], centre: Int[np.ndarray, " frames"], half: Int[np.ndarray, " frames"]
) -> Spectra:
    """Half spectra of windows of 2 `half` + 1 samples about `centre`, with the centre as the origin of time."""
    padded = np.zeros((len(centre), DFT))
    for row, c, h in zip(padded, centre.tolist(), half.tolist(), strict=True):
        window = _window(h)
        np.multiply(x[c : c + h + 1], window[h:], out=row[: h + 1])
        np.multiply(x[c - h : c], window[:h], out=row[DFT - h :])
    spectrum: Spectra = scipy.fft.rfft(padded, workers=1)
    return spectrum


@lru_cache(maxsize=1024)
def _window(half: int) -> Float[np.ndarray, " n"]:
    """Blackman window of 2 `half` + 1 samples and sum 1."""
    window = blackman(2 * half + 1)
    window /= window.sum()
    return window


def _pick(
    log_spectrum: Bins, f0: Float[np.ndarray, " frames"], count: Int[np.ndarray, " frames"]
) -> tuple[Padded, Padded]:
    """Frequency in hertz and log amplitude of the harmonics.

    A harmonic is the peak nearest to h f0, if that is less than f0/2 away; a peak is the top of the parabola through a
    local maximum of the log spectrum and its neighbours. Where there is none, the spectrum is read at the bin nearest
    to h f0.
    """
    rows = len(f0)
    rising, falling = log_spectrum[:, 1:] > log_spectrum[:, :-1], log_spectrum[:, 1:] < log_spectrum[:, :-1]
    row, column = np.divmod(np.flatnonzero(rising[:, :-1] & falling[:, 1:]), BINS - 2)
    place = row * BINS + column
    flat = log_spectrum.ravel()
    left, top, right = flat[place], flat[place + 1], flat[place + 2]
    shift = 0.5 * (left - right) / (left - 2 * top + right)
    # Every row's peaks behind those of the row before, far enough apart that no other row's peak is ever within f0/2.
    distance = 2.0 * SAMPLE_RATE
    peak = np.concatenate([[np.nan], (column + 1 + shift) * (SAMPLE_RATE / DFT), [np.nan]])
    key = np.concatenate([[-np.inf], row * distance + peak[1:-1], [np.inf]])
    height = np.concatenate([[np.nan], top - 0.25 * (left - right) * shift, [np.nan]])

    harmonic = np.arange(1, int(count.max()) + 1)
    target = harmonic * f0[:, None]
    sought = target + np.arange(rows)[:, None] * distance
    after = np.searchsorted(key, sought)
    nearest = np.where(sought - key[after - 1] <= key[after] - sought, after - 1, after)
    found = np.abs(key[nearest] - sought) < f0[:, None] / 2
    bins = np.minimum(round_away(target * (DFT / SAMPLE_RATE)), BINS - 1)
    sampled = np.take_along_axis(log_spectrum, bins, 1)
    return np.where(found, peak[nearest], target), np.where(found, height[nearest], sampled)


def _phase_at(spectrum: Spectra, where: Padded) -> Padded:
    """Phase at frequencies in hertz, linear between bins along the shorter way round."""
    place = np.clip(where * (DFT / SAMPLE_RATE), 0, BINS - 1)
    lower = np.minimum(place.astype(np.int64), BINS - 2)
    phase = np.angle(np.take_along_axis(spectrum, lower, 1))
    step = np.angle(np.take_along_axis(spectrum, lower + 1, 1)) - phase
    phase += (place - lower) * wrap(step)
    return wrap(phase)


def _spacing(where: Padded, count: Int[np.ndarray, " frames"]) -> Float[np.ndarray, " frames"]:
    """Median distance of neighbouring harmonics, of which 0 Hz is the first."""
    distances = np.diff(where, axis=1, prepend=0.0)
    distances[np.arange(where.shape[1]) >= count[:, None]] = np.inf
    distances.sort(axis=1)
    rows = np.arange(len(count))
    middle: Float[np.ndarray, " frames"] = distances[rows, (count - 1) // 2] + distances[rows, count // 2]
    return 0.5 * middle
