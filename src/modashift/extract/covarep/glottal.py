"""Voice quality of each glottal pulse: NAQ, QOQ, H1–H2 and PSP.

- NAQ, normalised amplitude quotient: P. Alku, T. Bäckström and E. Vilkman, "Normalized amplitude quotient for
  parametrization of the glottal flow", Journal of the Acoustical Society of America 112(2), 2002.
- QOQ, quasi-open quotient: T. Hacki, "Klassifizierung von Glottisdysfunktionen mit Hilfe der Elektroglottographie",
  Folia Phoniatrica 41, 1989.
- H1–H2, first against second harmonic: H. Hanson, "Glottal characteristics of female speakers: acoustic correlates",
  Journal of the Acoustical Society of America 101(1), 1997.
- PSP, parabolic spectral parameter: P. Alku, H. Strik and E. Vilkman, "Parabolic spectral parameter – a new method for
  quantification of the glottal flow", Speech Communication 22, 1997.

All four compare a pulse with its own period, so each is computed between two closures and belongs to the second.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from modashift.extract.covarep.signals import batches, gather
from modashift.extract.covarep.spectrum import low_power
from modashift.extract.covarep.windows import hamming_rows, round_away

__all__ = ["PulseQuality", "harmonic_difference", "parabolic", "pulse_quality", "quotients"]

SAMPLE_RATE = 16_000
F0_RANGE = (20, 500)  # Hz, exclusive: pulses outside count as no pulse
BEYOND = 8  # samples after the closure (0.5 ms) in which the flow may still fall fastest
SPECTRUM = 16_000  # one bin a hertz
PARABOLA_SPECTRUM = 2048
PARABOLA_ERROR = 0.01


@dataclass(frozen=True)
class PulseQuality:
    """Four parameters of each glottal pulse, and whether its period was within the range.

    Attributes:
        naq: normalised amplitude quotient.
        qoq: quasi-open quotient, share of the period above half the amplitude.
        h1h2: first minus second harmonic of the flow derivative, decibels; 0 where too few harmonics stand out.
        psp: parabolic spectral parameter; 0 where the signal begins less than a period before the closure.
        valid: False where the period lies outside 20–500 Hz; all four are then 0.
    """

    naq: Float[np.ndarray, " pulses"]
    qoq: Float[np.ndarray, " pulses"]
    h1h2: Float[np.ndarray, " pulses"]
    psp: Float[np.ndarray, " pulses"]
    valid: Bool[np.ndarray, " pulses"]


def pulse_quality(
    flow: Float[np.ndarray, " n"],
    derivative: Float[np.ndarray, " n"],
    starts: Int[np.ndarray, " pulses"],
    closures: Int[np.ndarray, " pulses"],
    periods: Int[np.ndarray, " pulses"],
) -> PulseQuality:
    """Parameters of each pulse.

    Args:
        flow: glottal flow at 16 kHz.
        derivative: its derivative.
        starts: first sample of each pulse, usually the closure before.
        closures: last sample of each pulse, its own closure.
        periods: period of each pulse in samples.
    """
    f0 = SAMPLE_RATE / periods
    valid = (f0 > F0_RANGE[0]) & (f0 < F0_RANGE[1])
    naq, qoq, h1h2, psp = (np.zeros(len(closures)) for _ in range(4))
    a, b, t0 = starts[valid], closures[valid], periods[valid]
    naq[valid], qoq[valid] = quotients(flow, derivative, a, b, t0)
    h1h2[valid] = harmonic_difference(derivative, b, t0)
    whole = valid & (closures >= periods)
    psp[whole] = parabolic(flow, (closures - periods)[whole], periods[whole])
    return PulseQuality(naq, qoq, h1h2, psp, valid)


def quotients(
    flow: Float[np.ndarray, " n"],
    derivative: Float[np.ndarray, " n"],
    starts: Int[np.ndarray, " pulses"],
    closures: Int[np.ndarray, " pulses"],
    periods: Int[np.ndarray, " pulses"],
) -> tuple[Float[np.ndarray, " pulses"], Float[np.ndarray, " pulses"]]:
    """NAQ = f_ac / (d T0) and QOQ = (t2 − t1) / T0.

    f_ac is the largest flow above the line between the pulse's ends, d the largest modulus of the derivative up to
    0.5 ms after the closure, t1 and t2 the last sample before and the first after the maximum not above half of it.
    """
    naq, qoq = np.zeros(len(starts)), np.zeros(len(starts))
    lengths = closures - starts + 1
    for rows in batches(lengths + BEYOND):
        length, begin = lengths[rows], starts[rows]
        width = int(length.max())
        column = np.arange(width)
        pulse, inside = gather(flow, begin, length, range(width))
        first, last = flow[begin, None], flow[closures[rows], None]
        pulse -= first + (last - first) * column / (length[:, None] - 1)
        pulse[np.arange(len(rows)), length - 1] = 0.0  # not a rounding error above: a pulse may lie below its line
        pulse[~inside] = -np.inf
        top = pulse.argmax(1)
        height = pulse[np.arange(len(rows)), top]
        extended = np.where(closures[rows] + BEYOND < len(flow), length + BEYOND, length)
        steepest = np.abs(gather(derivative, begin, extended, range(width + BEYOND))[0]).max(1)
        low = ~(pulse > 0.5 * height[:, None])
        left = np.where((low | (column <= 2)) & (column <= top[:, None]), column, -1).max(1)
        right = np.where((low | (column >= length[:, None] - 3)) & (column >= top[:, None]), column, width).min(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            naq[rows] = height / (steepest * periods[rows])
        qoq[rows] = (right - left) / periods[rows]
    return naq, qoq


def harmonic_difference(
    derivative: Float[np.ndarray, " n"], closures: Int[np.ndarray, " pulses"], periods: Int[np.ndarray, " pulses"]
) -> Float[np.ndarray, " pulses"]:
    """H1 − H2 in decibels, from the spectrum of three periods of the flow derivative around each closure.

    Harmonics are the local maxima of the spectrum that survive their neighbours within half of f0. Only the first two
    matter, and they depend on their surroundings only, so eight times f0 is tried first and more of the spectrum where
    that leaves a doubt.
    """
    difference = np.zeros(len(closures))
    reach = round_away(1.5 * periods)
    begin = np.maximum(closures - reach, 0)
    lengths = np.minimum(closures + reach, len(derivative) - 1) - begin + 1
    for group in batches(lengths, 64 * 256):
        rows = group
        enough = int(8 * SAMPLE_RATE / periods[rows].min()) + 1  # nearly always
        for bins in (enough, SPECTRUM // 4 + 1, SPECTRUM):
            columns = range(lengths[rows].max())
            frames = gather(derivative, begin[rows], lengths[rows], columns)[0] * hamming_rows(lengths[rows], columns)
            power = low_power(frames * 2.0**15, bins, SPECTRUM)
            found, certain = _first_two(power, SAMPLE_RATE / periods[rows], whole=bins == SPECTRUM)
            difference[rows[certain]] = found[certain]
            rows = rows[~certain]
            if not len(rows):
                break
    return difference


def _first_two(
    power: Float[np.ndarray, "rows bins"], f0: Float[np.ndarray, " rows"], *, whole: bool
) -> tuple[Float[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    """H1 − H2 of each row, and whether bins above those given could not change it.

    The maxima of all rows stand in one list. In each round every maximum closer than f0/2 to a higher neighbour goes.
    What lies above the last bin can reach one maximum further down in each round.
    """
    row, place = np.nonzero((power[:, 1:-1] > power[:, :-2]) & (power[:, 1:-1] > power[:, 2:]))
    place += 1
    height = power[row, place]
    end = np.full(len(power), np.inf if whole else float(power.shape[1]))  # maxima below this bin are certain
    while True:
        near = (row[1:] == row[:-1]) & (place[1:] - place[:-1] <= f0[row[1:]] / 2)
        if not whole:
            end = _last_below(end, row, place)
        if not near.any():
            break
        lower = height[:-1] < height[1:]
        drop = np.zeros(len(row), dtype=bool)
        drop[:-1] |= near & lower
        drop[1:] |= near & ~lower
        row, place, height = row[~drop], place[~drop], height[~drop]
    sure = place < end[row]
    row, place, height = row[sure], place[sure], height[sure]
    count = np.bincount(row, minlength=len(power))
    difference = np.zeros(len(power))
    certain = np.full(len(power), whole)
    enough = count >= 5
    if enough.any():
        one, _ = _nearest(row, place, f0)
        two, distance = _nearest(row, place, 2 * f0)
        certain[enough] |= (distance < end - 2 * f0)[enough]
        difference[enough] = 10 * np.log10(height[one[enough]] / height[two[enough]])
    return difference, certain


def _nearest(
    row: Int[np.ndarray, " maxima"], place: Int[np.ndarray, " maxima"], target: Float[np.ndarray, " rows"]
) -> tuple[Int[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
    """Index of each row's maximum nearest to `target`, and its distance in bins counted from one; 0 and ∞ without."""
    distance = np.abs(place + 1 - target[row])
    least = np.full(len(target), np.inf)
    np.minimum.at(least, row, distance)
    nearest = np.flatnonzero(distance == least[row])[::-1]  # backwards, so that the first of two equal ones stays
    index = np.zeros(len(target), dtype=np.int64)
    index[row[nearest]] = nearest
    return index, least


def _last_below(
    end: Float[np.ndarray, " rows"], row: Int[np.ndarray, " maxima"], place: Int[np.ndarray, " maxima"]
) -> Float[np.ndarray, " rows"]:
    """Highest maximum of each row below its `end`, 0 without any."""
    below = place < end[row]
    last = np.zeros(len(end))
    last[row[below]] = place[below]  # ascending within a row, so the last one stays
    return last


def parabolic(
    flow: Float[np.ndarray, " n"], starts: Int[np.ndarray, " pulses"], periods: Int[np.ndarray, " pulses"]
) -> Float[np.ndarray, " pulses"]:
    """PSP = a / a_max: curvature of a pulse's spectrum at its lower end, against a rectangle as long as its period.

    Args:
        flow: glottal flow.
        starts: closure before each pulse.
        periods: samples to its own closure.
    """
    parameter = np.zeros(len(starts))
    for rows in batches(periods + 1, 64 * 256):
        pulse, inside = gather(flow, starts[rows], periods[rows] + 1, range(periods[rows].max() + 1))
        pulse -= np.where(inside, pulse, np.inf).min(1, keepdims=True)
        pulse[~inside] = 0.0
        unique, which = np.unique(periods[rows], return_inverse=True)
        rectangle = (np.arange(unique.max()) < unique[:, None]) / unique[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            pulse /= pulse.max(1, keepdims=True)
            parameter[rows] = _curvature(pulse) / _curvature(rectangle)[which]
    return parameter


def _curvature(pulses: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, " rows"]:
    """a of the parabola a k² + b fitted to the spectrum in decibels up to the first bin where it fails to fit.

    Fits over bins 0 … N − 1 for growing N ≥ 3 stop where the squared error reaches 1 % of the squared spectrum. All N
    are solved at once from running sums, first over the lowest bins, then over all for rows that have not stopped.
    """
    curvature = np.zeros(len(pulses))
    rows = np.arange(len(pulses))
    for bins in (PARABOLA_SPECTRUM // 16, PARABOLA_SPECTRUM // 2):
        level = 10 * np.log10(low_power(pulses[rows], bins, PARABOLA_SPECTRUM) + np.finfo(float).tiny)
        square = np.arange(bins, dtype=float) ** 2
        count, s2, s4 = np.arange(1, bins + 1), np.cumsum(square), np.cumsum(square**2)
        y, y2, yk = np.cumsum(level, 1), np.cumsum(level**2, 1), np.cumsum(level * square, 1)
        a = (count * yk - s2 * y)[:, 2:] / (count * s4 - s2**2)[2:]
        b = (y[:, 2:] - a * s2[2:]) / count[2:]
        failed = (y2[:, 2:] - a * yk[:, 2:] - b * y[:, 2:]) / y2[:, 2:] >= PARABOLA_ERROR
        stop = np.where(failed.any(1), failed.argmax(1), failed.shape[1] - 1)
        curvature[rows] = a[np.arange(len(rows)), stop]
        rows = rows[~failed.any(1)]
        if not len(rows):
            break
    return curvature
