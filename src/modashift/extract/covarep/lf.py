"""Shape of the glottal pulse: the LF model with one parameter, Rd, fitted to the phases of the harmonics.

G. Fant, J. Liljencrants and Q. Lin, "A four-parameter model of glottal flow", STL-QPSR 26(4), 1985, give the pulse: the
derivative of the flow is E₀ e^{αt} sin ω_g t up to the closure at t_e, and returns to zero exponentially from −E_e
after it. G. Fant, "The LF-model revisited", STL-QPSR 36(2–3), 1995, ties its times together by Rd, small for a pressed
and large for a breathy voice. Its spectrum here follows from integrating the two parts; B. Doval, C. d'Alessandro and
N. Henrich, "The spectrum of glottal flow models", Acta Acustica united with Acustica 92, 2006, discuss it.

Rd is estimated by G. Degottex, A. Röbel and X. Rodet, "Phase minimization for glottal model estimation", IEEE
Transactions on Audio, Speech, and Language Processing 19(5), 2011, criterion MSPD²: once the right pulse is taken out
of the harmonics, and the vocal tract as the minimum phase of what is left, no phase should remain but a linear one.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float, Int

from modashift.extract.covarep.grid import wrap
from modashift.extract.covarep.harmonics import HarmonicFrames
from modashift.extract.covarep.minimise import minimise_bounded

__all__ = ["RD_MAX", "RD_MIN", "Pulse", "pulse", "rd", "spectrum"]

RD_MIN, RD_MAX = 0.3, 2.5
TOLERANCE = 0.01  # of Rd
EVALUATIONS = 32
HARMONICS = 8  # whose phases are compared
BATCH = 64  # frames whose pulses' spectra are computed at a time

Values = Float[np.ndarray, " pulses"]


@dataclass(frozen=True)
class Pulse:
    """LF pulses of unit period and unit amplitude E_e, one entry a pulse.

    Attributes:
        closure: t_e, the instant of the strongest closure, periods.
        return_time: t_a, the time constant of the return phase, periods.
        angular: ω_g = π/t_p, of the sine of the open phase, radians a period.
        decay: ε of the return phase, per period.
        growth: α of the open phase, per period.
    """

    closure: Values
    return_time: Values
    angular: Values
    decay: Values
    growth: Values

    def part(self, rows: slice) -> "Pulse":
        """Some of the pulses."""
        return Pulse(*(getattr(self, field.name)[rows] for field in fields(self)))


def pulse(rd: Values) -> Pulse:
    """LF pulses of given shape parameters.

    ε > 0 solves 1 − e^{−ε(1−t_e)} = ε t_a, so that the return phase ends at zero; α ≥ 0 leaves no net flow.

    Raises:
        ValueError: an Rd outside 0.3 … 2.5.
    """
    if not np.all((rd >= RD_MIN) & (rd <= RD_MAX)):
        raise ValueError(f"Rd must lie between {RD_MIN} and {RD_MAX}")
    nodes, decay, growth = _solutions()
    closure, return_time, angular = _times(rd)
    return Pulse(
        closure,
        return_time,
        angular,
        *_polish(closure, return_time, angular, np.interp(rd, nodes, decay), np.interp(rd, nodes, growth)),
    )


def spectrum(pulses: Pulse, harmonics: int) -> Complex[np.ndarray, "pulses harmonics"]:
    """Fourier transform of the pulses (derivative of the flow) at the multiples 1 … `harmonics` of their pitch.

    ∫ g(t) e^{−jωt} dt over one period, ω = 2πh. With z = e^{−jωt_e}, s = α − jω and q = e^{−ε(1−t_e)}, the open phase
    gives −(z (s − ω_g cot ω_g t_e) + ω_g e^{−αt_e} / sin ω_g t_e) / (s² + ω_g²) and the return phase
    −((z − q)/(ε + jω) − q (z − 1)/(jω)) / (ε t_a).
    """
    t_e, t_a, w_g, decay, growth = (
        v[:, None] for v in (pulses.closure, pulses.return_time, pulses.angular, pulses.decay, pulses.growth)
    )
    jw = 2j * np.pi * np.arange(1, harmonics + 1)
    z = _powers(np.exp(-2j * np.pi * pulses.closure), harmonics)
    q = np.exp(-decay * (1 - t_e))
    s = growth - jw
    sine = np.sin(w_g * t_e)
    opening = (z * (s - w_g * np.cos(w_g * t_e) / sine) + w_g * np.exp(-growth * t_e) / sine) / (s * s + w_g * w_g)
    returning = ((z - q) / (decay + jw) - q * (z - 1) / jw) / (decay * t_a)
    total: Complex[np.ndarray, "pulses harmonics"] = -opening - returning
    return total


def rd(frames: HarmonicFrames) -> Float[np.ndarray, "frames 2"]:
    """Rd of each frame, and how far the phases confirm it.

    Rd minimises the mean square second difference of the phases left over, over harmonics 1 … 8, within 0.3 … 2.5; of
    several minima Brent's method finds one. As in the original, harmonics are divided by the complex conjugate of the
    pulse's spectrum: published features depend on it.

    Returns:
        Rd and the confidence 1 − √(minimum)/π, between 0 and 1; NaN for silent frames.
    """
    out = np.full((len(frames), 2), np.nan)
    usable = np.flatnonzero(~frames.silent)
    if not len(usable):
        return out
    usable = usable[np.argsort(frames.count[usable], kind="stable")]  # a batch's spectra are as wide as its last's
    count = frames.count[usable]
    widest = int(count[-1])
    kinds, kind = np.unique(count, return_inverse=True)
    kernels = np.zeros((len(kinds), widest, HARMONICS))
    for kernel, k in zip(kernels, kinds.tolist(), strict=True):
        kernel[:k] = _minimum_phase(k)
    source, sign = _mirrored(count)
    own = sign * np.take_along_axis(frames.phases[usable], source, 1)
    for begin in range(0, len(usable), BATCH):
        some = slice(begin, begin + BATCH)
        own[some] -= _apply(frames.log_amplitudes[usable[some], :widest], kernels[kind[some]])

    def error(rows: Int[np.ndarray, " some"], at: Values) -> Values:
        pulses = pulse(at)
        error = np.empty(len(rows))
        for begin in range(0, len(rows), BATCH):
            some = slice(begin, begin + BATCH)
            row = rows[some]
            width = int(count[row[-1]])
            divisor = spectrum(pulses.part(some), max(width, HARMONICS))
            level = 0.5 * np.log(divisor.real**2 + divisor.imag**2)[:, :width]
            left = own[row] + sign[row] * np.take_along_axis(np.angle(divisor[:, :HARMONICS]), source[row], 1)
            left += _apply(level, kernels[kind[row], :width])
            error[some] = np.mean(wrap(np.diff(left, axis=1) - left[:, :1]) ** 2, axis=1)
        return error

    found, least = minimise_bounded(error, len(usable), RD_MIN, RD_MAX, tolerance=TOLERANCE, evaluations=EVALUATIONS)
    out[usable] = np.stack([found, 1 - np.sqrt(least) / np.pi], 1)
    return out


def _apply(
    levels: Float[np.ndarray, "frames harmonics"], kernels: Float[np.ndarray, "frames harmonics 8"]
) -> Float[np.ndarray, "frames 8"]:
    """Minimum phases, each row by its own matrix."""
    phases: Float[np.ndarray, "frames 8"] = (levels[:, None, :] @ kernels)[:, 0]
    return phases


def _mirrored(count: Int[np.ndarray, " frames"]) -> tuple[Int[np.ndarray, "frames 8"], Int[np.ndarray, "frames 8"]]:
    """Column and sign of the phases of harmonics 1 … 8 of real signals with `count` harmonics.

    The last harmonic lies at half the sample rate: it is real, and those beyond it mirror those below.
    """
    h = np.arange(1, HARMONICS + 1)
    k = count[:, None]
    return np.where(h < k, h, np.abs(2 * k - h)) - 1, np.sign(k - h)


@lru_cache(maxsize=256)
def _minimum_phase(count: int) -> Float[np.ndarray, "harmonics 8"]:
    """Matrix that turns log amplitudes of harmonics 1 … `count` into the minimum phase at harmonics 1 … 8.

    The harmonics are bins of a transform of 2 `count` points. The first amplitude also stands for 0 Hz, and the last
    but one for the last. The phase is the imaginary part of the transform of the folded real cepstrum.
    """
    bins = np.clip(np.arange(count + 1), 1, count - 1) - 1
    cepstrum = np.fft.irfft(np.eye(count)[:, bins], 2 * count)
    cepstrum[:, 1:count] *= 2
    cepstrum[:, count + 1 :] = 0
    phase: Float[np.ndarray, "harmonics 8"] = np.fft.fft(cepstrum).imag[:, 1 : HARMONICS + 1]
    return phase


def _times(rd: Values) -> tuple[Values, Values, Values]:
    """t_e, t_a in periods and ω_g in radians a period, by Fant's regression on Rd."""
    r_a = (-1 + 4.8 * rd) / 100
    r_k = (22.4 + 11.8 * rd) / 100
    r_g = r_k / (4 * (0.11 * rd / (0.5 + 1.2 * r_k) - r_a))
    peak = 1 / (2 * r_g)
    return peak * (1 + r_k), r_a, np.pi / peak


def _return_error(decay: Values, closure: Values, return_time: Values) -> Values:
    """By how much the return phase misses zero at the end of the period: positive below the root ε, negative above."""
    error: Values = 1 - np.exp(-decay * (1 - closure)) - decay * return_time
    return error


def _flow(growth: Values, closure: Values, angular: Values, after: Values) -> Values:
    """Net flow of a period times −(α² + ω_g²); `after` is minus the flow of the return phase."""
    wt = angular * closure
    opening = growth - angular / np.tan(wt) + angular * np.exp(-growth * closure) / np.sin(wt)
    flow: Values = opening + after * (growth**2 + angular**2)
    return flow


def _after(decay: Values, closure: Values, return_time: Values) -> Values:
    """Minus the flow of the return phase."""
    rest = (1 - closure) * np.exp(-decay * (1 - closure))
    after: Values = 1 / decay - rest / (decay * return_time)
    return after


def _polish(
    closure: Values, return_time: Values, angular: Values, decay: Values, growth: Values
) -> tuple[Values, Values]:
    """Newton's method for ε and then α, from values so near that four steps reach the limit of precision."""
    for _ in range(4):
        slope = (1 - closure) * np.exp(-decay * (1 - closure)) - return_time
        decay = decay - _return_error(decay, closure, return_time) / slope
    after = _after(decay, closure, return_time)
    sine = np.sin(angular * closure)
    for _ in range(4):
        slope = 1 - angular * closure * np.exp(-growth * closure) / sine + 2 * after * growth
        growth = growth - _flow(growth, closure, angular, after) / slope
    return decay, growth


@lru_cache(maxsize=1)
def _solutions() -> tuple[Values, Values, Values]:
    """ε and α by bisection on a grid of Rd: where Newton's method starts from."""
    nodes = np.linspace(RD_MIN, RD_MAX, 257)
    closure, return_time, angular = _times(nodes)
    steepest = np.log((1 - closure) / return_time) / (1 - closure)  # ε = 0 is a root too, below this
    decay = _bisect(lambda v: _return_error(v, closure, return_time), steepest, 1.01 / return_time)
    after = _after(decay, closure, return_time)
    growth = _bisect(lambda v: -_flow(v, closure, angular, after), np.zeros_like(nodes), np.full_like(nodes, 20.0))
    return nodes, decay, growth


def _bisect(f: Callable[[Values], Values], lower: Values, upper: Values) -> Values:
    """Root of each entry's function, positive below and negative above it."""
    for _ in range(40):
        middle = 0.5 * (lower + upper)
        above = f(middle) > 0
        lower, upper = np.where(above, middle, lower), np.where(above, upper, middle)
    root: Values = 0.5 * (lower + upper)
    return root


def _powers(z: Complex[np.ndarray, " pulses"], count: int) -> Complex[np.ndarray, "pulses count"]:
    """z¹ … z^count, by doubling."""
    powers = np.empty((len(z), count), dtype=np.complex128)
    powers[:, 0] = z
    done = 1
    while done < count:
        more = min(done, count - done)
        powers[:, done : done + more] = powers[:, :more] * powers[:, done - 1 : done]
        done += more
    return powers
