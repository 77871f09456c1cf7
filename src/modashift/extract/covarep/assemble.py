"""The feature matrix: all tracks of a recording on the 10 ms grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from threadpoolctl import threadpool_limits

from modashift.extract.covarep import columns, grid, wavelet
from modashift.extract.covarep.grid import NAMES
from modashift.extract.covarep.pitch import FRAME, Pitch
from modashift.extract.covarep.source import Source, analyse_source
from modashift.extract.covarep.spectral import SpectralTracks, spectral_tracks
from modashift.extract.covarep.waveform import SAMPLE_RATE, prepare
from modashift.extract.covarep.windows import WINDOWS, Window

__all__ = ["Features", "covarep"]

PITCH_WITHOUT_VOICE = 100.0  # Hz: sets the length of the spectral frames of a recording without a voiced frame
SETTLED = 72  # frames: with no more, the smoothing of the phase columns has less than its full context
SLOPE_FLOOR = 1e-5  # −100 dB: what is below is digital silence, not a voice


@dataclass(frozen=True)
class Features:
    """Acoustic features of a recording.

    Attributes:
        values: (T, 74), one row every 10 ms; finite but for −inf in peakSlope beside digital silence (compat mode).
        times: (T,) seconds, 0.005, 0.015, …
        names: 74 column names.
        warnings: what is missing from this recording's features, and why; empty for ordinary speech.
        metadata: settings and findings: ``compat``, ``window``, ``seed``, ``sample_rate`` (of the recording),
            ``seconds``, ``polarity``, ``f0_median`` (hertz or None), ``closures`` (how many), ``creak``.
    """

    values: Float[np.ndarray, "T 74"]
    times: Float[np.ndarray, " T"]
    names: tuple[str, ...] = NAMES
    warnings: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def select(self, names: Sequence[str]) -> Float[np.ndarray, "T columns"]:
        """Columns by name, in the order asked for.

        Raises:
            KeyError: a name is none of the 74.
        """
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise KeyError(f"no such columns: {', '.join(unknown)}; there are {', '.join(self.names)}")
        return self.values[:, [self.names.index(name) for name in names]]


def covarep(
    waveform: npt.ArrayLike,
    sample_rate: int | float,
    *,
    compat: bool = True,
    window: Window = "matlab",
    seed: int = 0,
    block_seconds: int | float = 30.0,
) -> Features:
    """Compute the 74 COVAREP features of a recording, every 10 ms.

    G. Degottex, J. Kane, T. Drugman, T. Raitio and S. Scherer, "COVAREP – a collaborative voice analysis repository for
    speech technologies", ICASSP 2014. The methods and their papers stand in the modules of this package.

    Args:
        waveform: (samples,) or (samples, channels), of which the first is taken; floating point with 1 as full scale,
            or integers, which are divided by theirs.
        sample_rate: hertz; other rates than 16 kHz are resampled.
        compat: features as the original has them, oddities included, so that models trained on published features can
            be fed. False repairs them: see `docs/covarep.md`.
        window: whose ``hanning`` window: ``matlab`` for the published CMU data, ``octave`` for features computed with
            Octave.
        seed: of the random phases that HMPDM and HMPDD need above the last harmonic.
        block_seconds: how much is worked on at a time; changes memory and speed, not the result.

    Returns:
        Features of T = ⌊(L − 80) / 160⌋ + 1 frames, L samples at 16 kHz. What a recording is too short for, or has no
        voiced part for, is zero, with a warning. Column ``creak`` is always zero: the original's is a trained network.

    Raises:
        DataError: no samples, swapped axes, or a sample that is NaN or infinite.
        ValueError: an unusable sample rate, window or block.
    """
    if window not in WINDOWS:
        raise ValueError(f"window {window!r} is not one of {', '.join(WINDOWS)}")
    if not block_seconds > 0:
        raise ValueError(f"block_seconds must be positive, got {block_seconds}")
    # Sharing the many small products among threads costs more than they do, far more on a busy machine.
    with threadpool_limits(1, "blas"):
        return _compute(waveform, sample_rate, compat, window, seed, float(block_seconds))


def _compute(
    waveform: npt.ArrayLike, sample_rate: int | float, compat: bool, window: Window, seed: int, block_seconds: float
) -> Features:
    block = max(int(block_seconds * SAMPLE_RATE), 1)
    signal, warnings = prepare(waveform, sample_rate, block=max(int(block_seconds * sample_rate), 1))
    samples = len(signal)
    source = analyse_source(signal, compat=compat, window=window, block=block)
    del signal  # the source holds the one with positive polarity
    f0 = source.pitch.f0 if compat else _continuous(source.pitch)
    spectral = spectral_tracks(source.signal, f0, seed=seed, compat=compat, block=block)
    slope = wavelet.peak_slope(source.signal, floor=0.0 if compat else SLOPE_FLOOR)
    place = columns.original if compat else columns.repaired
    values = place(source, spectral, slope, samples)
    values[np.isnan(values)] = 0.0
    warnings += _missing(samples, source, spectral)
    return Features(
        values,
        grid.positions(samples) / SAMPLE_RATE,
        NAMES,
        tuple(warnings),
        {
            "compat": compat,
            "window": window,
            "seed": seed,
            "sample_rate": int(sample_rate),
            "seconds": samples / SAMPLE_RATE,
            "polarity": source.polarity,
            "f0_median": source.pitch.median,
            "closures": 0 if source.pulses is None else len(source.pulses.closures),
            "creak": "unavailable",
        },
    )


def _continuous(track: Pitch) -> Float[np.ndarray, " frames"]:
    """Pitch that sets the frames of the spectral columns in repaired mode: unvoiced frames take their neighbours'.

    Digital silence keeps its code of 1 Hz, with which a frame is left out.
    """
    frames = np.arange(len(track.f0))
    voiced = np.flatnonzero(track.voiced)
    f0 = np.interp(frames, voiced, track.f0[voiced]) if len(voiced) else np.full(len(frames), PITCH_WITHOUT_VOICE)
    return np.where(track.f0 > 1, f0, 1.0)


def _missing(samples: int, source: Source, spectral: SpectralTracks) -> list[str]:
    """What the recording gives no features for, and why."""
    milliseconds = 1000 * samples / SAMPLE_RATE
    if not grid.frame_count(samples):
        return [f"{milliseconds:.3g} ms are shorter than half a frame (5 ms): there are no rows"]
    missing = []
    if samples < wavelet.FRAME:
        missing.append(f"{milliseconds:.3g} ms are shorter than one frame of 40 ms: peakSlope is 0")
    if samples <= FRAME:
        missing.append(f"{milliseconds:.3g} ms are shorter than one pitch frame of 100 ms: all other columns are 0")
        return missing
    if not source.pitch.voiced.any():
        missing.append("no voiced frame: NAQ, QOQ, H1H2, PSP and MDQ are 0")
    elif source.pulses is None:
        missing.append("fewer than two glottal closures in voiced frames: NAQ, QOQ, H1H2, PSP and MDQ are 0")
    kept = len(spectral.frames)
    if not kept:
        missing.append("no frame with a pitch estimate (digital silence): Rd, Rd_conf, MCEP, HMPDM and HMPDD are 0")
    elif kept <= SETTLED:
        missing.append(
            f"only {kept} frames with a pitch estimate: HMPDM and HMPDD are smoothed over less than their full context"
        )
    return missing
