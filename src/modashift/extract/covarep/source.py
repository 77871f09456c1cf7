"""Everything that describes the voice source of a recording in the time domain: pitch, closures and pulse shapes.

The steps depend on each other and on signals as long as the recording; this module runs them in an order in which no
more than three such signals exist at once.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from modashift.extract.covarep.closure import FIRST_FRAME, closures, keep_voiced
from modashift.extract.covarep.flow import glottal_flow
from modashift.extract.covarep.glottal import pulse_quality
from modashift.extract.covarep.pitch import FRAME, Pitch, pitch
from modashift.extract.covarep.residual import polarity, residual
from modashift.extract.covarep.wavelet import maxima_dispersion
from modashift.extract.covarep.windows import Window

__all__ = ["Pulses", "Source", "analyse_source", "pulse_periods"]

LONGEST_PERIOD = 800  # samples, 20 Hz: closures further apart are not one period apart


@dataclass(frozen=True)
class Pulses:
    """Voice quality of each glottal pulse.

    Attributes:
        closures: samples of the glottal closures, counted from 0.
        quality: NAQ, QOQ, H1H2 (decibels), PSP. Without a period between 20 and 500 Hz: 0 as the original has it, or
            NaN in repaired mode.
        dispersion: MDQ, likewise where the recording does not reach a period to both sides of the closure.
    """

    closures: Int[np.ndarray, " pulses"]
    quality: Float[np.ndarray, "pulses 4"]
    dispersion: Float[np.ndarray, " pulses"]


@dataclass(frozen=True)
class Source:
    """Voice source of a recording.

    Attributes:
        signal: the recording with positive polarity.
        polarity: what it was multiplied by.
        pitch: pitch track of the recording.
        pulses: voice quality of its glottal pulses; None with fewer than two closures.
    """

    signal: Float[np.ndarray, " n"]
    polarity: int
    pitch: Pitch
    pulses: Pulses | None


def analyse_source(
    signal: Float[np.ndarray, " n"], *, compat: bool = True, window: Window = "matlab", block: int = 1 << 19
) -> Source:
    """Pitch, closures and pulse shapes of a recording.

    Args:
        signal: samples at 16 kHz.
        compat: with the original's off-by-ones and its frames across pauses, or without.
        window: whose ``hanning``.
        block: samples worked on at a time.
    """
    low_order, high_order = residual(signal, 12, 18, window=window, block=block)
    track = pitch(low_order, bin_offset=-1 if compat else 0)
    del low_order
    sign = polarity(signal, high_order, window=window, block=block)
    if sign < 0:
        signal = -signal
        np.negative(high_order, out=high_order)
    np.nan_to_num(high_order, copy=False)
    instants = np.zeros(0, dtype=np.int64)
    if track.median is not None:
        instants = closures(signal, high_order, track.median, block=block)
        # a frame's true centre is 798.5 samples after its start
        instants = keep_voiced(instants, track.voiced, FIRST_FRAME if compat else (FRAME - 1) / 2)
    instants, periods = pulse_periods(instants, compat=compat)
    if not len(instants):
        return Source(signal, sign, track, None)
    dispersion = maxima_dispersion(high_order, instants, periods, offset=1 if compat else 0)
    del high_order
    flow, derivative = glottal_flow(signal, instants, periods, window=window, centre=-1 if compat else 0)
    starts = np.maximum(instants - periods, 0)
    if compat:
        starts[0] = 0  # the first pulse lasts from the beginning of the recording
    found = pulse_quality(flow, derivative, starts, instants, periods)
    quality = np.stack([found.naq, found.qoq, found.h1h2, found.psp], 1)
    if compat:
        quality[0, 3] = 0.0
        dispersion = np.nan_to_num(dispersion)
    else:
        quality[~found.valid] = np.nan
    return Source(signal, sign, track, Pulses(instants, quality, dispersion))


def pulse_periods(
    instants: Int[np.ndarray, " closures"], *, compat: bool = True
) -> tuple[Int[np.ndarray, " pulses"], Int[np.ndarray, " pulses"]]:
    """Closures with the period of each in samples; both empty for fewer than two closures.

    The original takes the distance from the closure before, even across a pause, and for the first closure that to the
    next. Otherwise a closure after a pause takes the distance to the next, and one that stands alone is left out.
    """
    if len(instants) < 2:
        return instants[:0], instants[:0]
    gaps = np.diff(instants)
    before = np.concatenate([gaps[:1], gaps])
    if compat:
        return instants, before
    after = np.concatenate([gaps, gaps[-1:]])
    periods = np.where(before <= LONGEST_PERIOD, before, after)
    kept = periods <= LONGEST_PERIOD
    return instants[kept], periods[kept]
