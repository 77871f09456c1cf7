"""Mel cepstra of the spectral envelope, by the True Envelope method.

A. Röbel and X. Rodet, "Efficient spectral envelope estimation and its application to pitch shifting and envelope
preservation", DAFx 2005, with the order and the smoothing window of A. Röbel, F. Villavicencio and X. Rodet, "On
cepstral and all-pole based spectral envelope modeling with unknown model order", Pattern Recognition Letters 28(11),
2007; mel cepstrum after S. Imai, "Cepstral analysis synthesis on the mel frequency scale", ICASSP 1983.

The True Envelope is a cepstrally smooth curve that rests on the peaks of a log spectrum A₀: smooth, lift the spectrum
to wherever the smooth curve V lies above it, A ← max(A, V), and smooth again, until no peak of A₀ is more than 2 dB
above V. Each smoothing moves the cepstrum c of V by more than the whole difference to the low-order cepstrum b of A,

    c ← c + (E_in + E_out)/E_in · ω (b − c),        ω half a Hamming window,

E_in and E_out being the norms of the cepstrum of A below and above the order.

Cepstra of these orders (about 50 of 2048 coefficients) are cheaper as products with a table of cosines, for many
frames at once, than as Fourier transforms. Cosines about the middle bin are even for even coefficients and odd for odd
ones, which halves the tables. E_out follows from Parseval's theorem.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int

from modashift.extract.covarep.harmonics import BINS, DFT, HarmonicFrames
from modashift.extract.covarep.windows import round_away

__all__ = ["log_envelope", "mel_cepstrum", "true_envelope", "warped_cepstrum"]

SAMPLE_RATE = 16_000
NYQUIST = BINS - 1
MIDDLE = NYQUIST // 2
THRESHOLD = np.log(10.0**0.1)  # 2 dB in natural logarithms of amplitude
MAX_STEPS = 200
TINY = np.finfo(np.float64).tiny
ORDER = 24  # of the mel cepstrum
BATCH = 32  # rows at a time: small matrices multiply fastest while they stay in the processor's cache

Bins = Float[np.ndarray, "frames bins"]
Halves = Float[np.ndarray, "2 frames half"]
Cepstra = Float[np.ndarray, "frames coefficients"]
Orders = Int[np.ndarray, " frames"]


def mel_cepstrum(frames: HarmonicFrames) -> Float[np.ndarray, "frames 25"]:
    """Mel cepstrum of order 24 of each frame's True Envelope, in natural logarithms of amplitude.

    The envelope's order is 1.2 times that of half the period, P = fs/(2 f0). Below the first harmonic and near half the
    sample rate, where there is no peak to rest on, the spectrum is first replaced by an envelope of half that order.

    Returns:
        One row a frame; NaN for silent frames, whose spectrum is −∞.
    """
    out = np.full((len(frames), ORDER + 1), np.nan)
    sounding = np.flatnonzero(~frames.silent)
    period = round_away(0.5 * SAMPLE_RATE / frames.f0[sounding])
    high = round_away(1.2 * period)
    low = round_away(1.2 * round_away(high / 2))
    edge = np.minimum(round_away(0.25 * DFT / high), BINS)
    by_order = np.argsort(high, kind="stable")  # a batch's cepstra are as long as its highest order
    work = _Arrays(BATCH)
    for begin in range(0, len(sounding), BATCH):
        some = by_order[begin : begin + BATCH]
        spectrum = frames.log_spectrum[sounding[some]]
        smooth = log_envelope(_true_envelope(spectrum, low[some], work))
        for row, width in enumerate(edge[some]):
            spectrum[row, :width] = smooth[row, :width]
            spectrum[row, BINS - width + 1 :] = smooth[row, BINS - width + 1 :]
        envelope = log_envelope(_true_envelope(spectrum, high[some], work))
        out[sounding[some]] = warped_cepstrum(envelope, ORDER)
    return out


def true_envelope(spectrum: Bins, order: Orders) -> Cepstra:
    """Cepstra of the True Envelopes of log spectra.

    Args:
        spectrum: natural log magnitudes of bins 0 … 2048 of a 4096-point spectrum, finite.
        order: highest cepstral coefficient of each row's envelope, 1 … 2047.

    Returns:
        c₀ … c_m with m the highest of the orders, zero above a row's own; `log_envelope` makes curves of them. A row
        that still misses a peak by more than 2 dB after 200 steps is left as it is then.
    """
    if not len(spectrum):
        return np.zeros((0, 1))
    return _true_envelope(spectrum, order, _Arrays(len(spectrum)))


def _true_envelope(spectrum: Bins, order: Orders, work: "_Arrays") -> Cepstra:
    rows = len(spectrum)
    order = np.minimum(order, NYQUIST - 1)
    width = int(order.max())
    # Coefficients stand in the order 2048, 0, 2, 4, … | 1, 3, …; number 2048 is only there to be left out of E_out.
    even, odd = slice(1, width // 2 + 2), slice(width // 2 + 2, width + 2)
    analysis_even, analysis_odd, synthesis_even, synthesis_odd = _tables(width)
    number = np.concatenate([[NYQUIST], np.arange(0, width + 1, 2), np.arange(1, width + 1, 2)])
    within = number <= order[:, None]
    smoothing = np.where(within, 0.54 + 0.46 * np.cos(np.pi * number / order[:, None]), 0.0)  # ω
    # Without its mean a spectrum has little energy in c₀, which would swamp E_out in the difference of two energies.
    level = spectrum.mean(1)
    cepstrum, target = np.zeros((2, rows, width + 2))
    cepstrum[:, 1] = -level  # c = 0 before the mean was taken off
    peaks, lifted, envelope, spare = (array[:, :rows] for array in (work.peaks, work.lifted, work.envelope, work.spare))
    np.subtract(spectrum[:, : MIDDLE + 1], level[:, None], out=peaks[0])
    np.subtract(spectrum[:, : MIDDLE - 1 : -1], level[:, None], out=peaks[1])
    lifted[:] = peaks

    out = np.empty((rows, width + 1))
    active = np.arange(rows)
    for step in range(MAX_STEPS):
        np.add(lifted[0], lifted[1], out=spare[0])
        np.subtract(lifted[0], lifted[1], out=spare[1])
        np.matmul(spare[0], analysis_even, out=target[:, : even.stop])
        np.matmul(spare[1], analysis_odd, out=target[:, odd])
        outer = _energy(lifted) - 2 * target[:, 0] ** 2
        target *= within
        inner = np.vecdot(target, target)  # Σ b²; b_m = 2 κ_m but b₀ = κ₀
        mean = target[:, 1]
        outer -= inner + mean**2
        inner += level * (level + 2 * mean)
        gain = 1 + np.sqrt(np.maximum(outer, 0.0) / np.maximum(inner, TINY))
        target -= cepstrum
        target *= smoothing
        target *= gain[:, None]
        cepstrum += target
        np.matmul(cepstrum[:, even], synthesis_even, out=spare[0])
        np.matmul(cepstrum[:, odd], synthesis_odd, out=spare[1])
        np.add(spare[0], spare[1], out=envelope[0])
        np.subtract(spare[0], spare[1], out=envelope[1])
        miss = np.subtract(peaks, envelope, out=spare).max(2).max(0)
        done = miss <= THRESHOLD
        if step == MAX_STEPS - 1:
            done[:] = True
        if done.any():
            out[active[done], 0::2] = cepstrum[done, even]
            out[active[done], 1::2] = cepstrum[done, odd]
            out[active[done], 0] += level[done]
            source, rows = _open_first(done)
            if not rows:
                break
            parts = (active, level, within, smoothing, cepstrum, target)
            active, level, within, smoothing, cepstrum, target = (array[source] for array in parts)
            moved = np.flatnonzero(done[:rows])
            for array in (peaks, lifted, envelope):
                array[:, moved] = array[:, source[moved]]
            peaks, lifted, envelope, spare = (array[:, :rows] for array in (peaks, lifted, envelope, spare))
        np.maximum(lifted, envelope, out=lifted)
    return out


def log_envelope(cepstrum: Cepstra) -> Bins:
    """Log magnitudes of bins 0 … 2048 from cepstra of a 4096-point spectrum: Σ c_m cos(πkm/2048)."""
    _, _, even, odd = _tables(cepstrum.shape[1] - 1)
    below, above = cepstrum[:, 0::2] @ even, cepstrum[:, 1::2] @ odd
    spectrum = np.empty((len(cepstrum), BINS))
    np.add(below, above, out=spectrum[:, : MIDDLE + 1])
    np.subtract(below[:, -2::-1], above[:, -2::-1], out=spectrum[:, MIDDLE + 1 :])
    return spectrum


class _Arrays:
    """Spectra of a batch as bins 0 … 1024 and 2048 … 1024, so that mirrored bins lie below each other.

    They are made once: memory fresh from the system costs more than the arithmetic.
    """

    def __init__(self, rows: int) -> None:
        self.peaks, self.lifted, self.envelope, self.spare = (np.empty((2, rows, MIDDLE + 1)) for _ in range(4))


def _open_first(done: Bool[np.ndarray, " frames"]) -> tuple[Int[np.ndarray, " open"], int]:
    """Where to take each row from so that the rows not done come first, moving few; and how many there are."""
    rows = int((~done).sum())
    take = np.arange(rows)
    take[done[:rows]] = rows + np.flatnonzero(~done[rows:])
    return take, rows


def _energy(lifted: Halves) -> Float[np.ndarray, " frames"]:
    """2 (κ_0² + 2 Σ κ_m² + κ_2048²), m = 1 … 2047: twice the mean square of a whole spectrum."""
    half = np.vecdot(lifted, lifted) - 0.5 * lifted[:, :, 0] ** 2  # bins 0 and 2048 are in a whole spectrum once
    energy: Float[np.ndarray, " frames"] = 4 / DFT * (half[0] + half[1] - lifted[0, :, -1] ** 2)
    return energy


def warped_cepstrum(log_spectrum: Bins, order: int) -> Float[np.ndarray, "frames order1"]:
    """Cepstrum of log spectra on the mel scale, mel(f) = 1127 ln(1 + f/700).

    The amplitudes themselves are interpolated, not their logarithms.

    Args:
        log_spectrum: natural log magnitudes of bins from 0 to half the sample rate.
        order: of the cepstrum.

    Returns:
        c₀, 2c₁ … 2c_order: the log spectrum at mel frequency μ is Σ c_m cos(mμ), with μ = π at half the sample rate.
    """
    lower, share, analysis = _warping(log_spectrum.shape[1], order)
    amplitude = np.exp(log_spectrum)
    warped = amplitude.take(lower, axis=1)
    upper = amplitude.take(lower + 1, axis=1)
    upper -= warped
    upper *= share
    warped += upper
    cepstrum: Float[np.ndarray, "frames order1"] = np.log(warped, out=warped) @ analysis
    return cepstrum


def _tables(width: int) -> tuple[np.ndarray, ...]:
    """Cosine tables for cepstral coefficients 0 … `width`.

    Returns:
        Analysis: from sums of mirrored bins to κ_2048, κ_0, 2κ_2, …, and from differences to 2κ_1, 2κ_3, …
        Synthesis of bins 0 … 1024: from even coefficients, and from odd ones.
    """
    evens, odds = width // 2 + 1, (width + 1) // 2
    even, odd, from_even, from_odd = _wide_tables(64 * (width // 64 + 1))
    return even[:, : evens + 1], odd[:, :odds], from_even[:evens], from_odd[:odds]


@lru_cache(maxsize=8)
def _wide_tables(width: int) -> tuple[np.ndarray, ...]:
    bins = np.arange(MIDDLE + 1)
    turn = np.cos(np.pi / NYQUIST * np.arange(DFT))
    even, odd = np.append(NYQUIST, np.arange(0, width, 2)), np.arange(1, width, 2)
    from_even, from_odd = turn[np.outer(even, bins) % DFT], turn[np.outer(odd, bins) % DFT]
    share = np.where((bins == 0) | (bins == MIDDLE), 1.0, 2.0) / DFT  # the middle bin is its own mirror
    scale = np.where((even == 0) | (even == NYQUIST), 1.0, 2.0)
    return (from_even * share).T * scale, (from_odd * share).T * 2.0, from_even[1:], from_odd


@lru_cache(maxsize=4)
def _warping(bins: int, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower neighbour and share of the upper one for each bin of the warped spectrum, and its cepstral analysis."""
    nyquist = SAMPLE_RATE / 2
    f = nyquist * np.arange(bins) / (bins - 1)
    mel = np.log1p(f / 700)
    nodes = nyquist * mel / mel[-1]
    lower = np.clip(np.searchsorted(nodes, f, side="right") - 1, 0, bins - 2)
    share = (f - nodes[lower]) / (nodes[lower + 1] - nodes[lower])
    m = np.arange(order + 1)
    weight = np.where((np.arange(bins) == 0) | (np.arange(bins) == bins - 1), 1.0, 2.0) / (2 * (bins - 1))
    analysis = np.cos(np.pi / (bins - 1) * np.outer(np.arange(bins), m)) * weight[:, None]
    return lower, share, analysis * np.where(m == 0, 1.0, 2.0)
