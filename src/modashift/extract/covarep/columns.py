"""Placing the tracks of a recording in their columns, as the original does it or repaired."""

import numpy as np
from jaxtyping import Float

from modashift.extract.covarep import pitch, wavelet
from modashift.extract.covarep.grid import NAMES, interpolate, positions
from modashift.extract.covarep.source import Source
from modashift.extract.covarep.spectral import SpectralTracks
from modashift.extract.covarep.windows import round_away

__all__ = ["GAP", "original", "repaired"]

GAP = 800.0  # samples (50 ms): repaired tracks neither join over a longer gap nor reach further beyond their ends

F0, VUV, MDQ, SLOPE = (slice(i, i + 1) for i in map(NAMES.index, ("F0", "VUV", "MDQ", "peakSlope")))
QUALITY, RD, MCEP, HMPDM, HMPDD = slice(2, 6), slice(8, 10), slice(11, 36), slice(36, 61), slice(61, 74)


def original(
    source: Source, spectral: SpectralTracks, slope: Float[np.ndarray, " frames"], samples: int
) -> Float[np.ndarray, "T 74"]:
    """Columns with the original's node positions; NaN where a track has no value.

    Its inconsistencies are kept: the mel cepstra are spread evenly over the recording wherever their frames were, MDQ
    stands a sample before the other pulse parameters, and the phase columns are read a sample early.

    Args:
        source: pitch and pulses.
        spectral: tracks on the harmonic frames.
        slope: peak slope of each 40 ms frame.
        samples: length of the recording at 16 kHz.
    """
    grid = positions(samples)
    values = np.zeros((len(grid), len(NAMES)))
    track = source.pitch
    frames = 800.0 + pitch.HOP * np.arange(len(track.f0))
    values[:, F0] = interpolate(frames, track.f0[:, None], grid)
    values[:, VUV] = interpolate(frames, track.voiced[:, None].astype(float), grid) >= 0.5
    if source.pulses is not None:
        closures = source.pulses.closures.astype(float)
        values[:, QUALITY] = interpolate(closures + 1, source.pulses.quality, grid)
        values[:, MDQ] = interpolate(closures, source.pulses.dispersion[:, None], grid)
    values[:, SLOPE] = interpolate(320.0 + wavelet.HOP * np.arange(len(slope)), slope[:, None], grid)
    kept = 800.0 + pitch.HOP * spectral.frames
    values[:, RD] = interpolate(kept, spectral.rd, grid)
    spread = 1 + (samples - 1) * np.arange(len(kept)) / max(len(kept) - 1, 1)
    values[:, MCEP] = interpolate(round_away(spread).astype(float), spectral.cepstrum, grid)
    values[:, HMPDM] = interpolate(kept, spectral.phase_mean, grid - 1, circular=True)
    values[:, HMPDD] = interpolate(kept, spectral.phase_deviation, grid - 1)
    return values


def repaired(
    source: Source, spectral: SpectralTracks, slope: Float[np.ndarray, " frames"], samples: int
) -> Float[np.ndarray, "T 74"]:
    """Columns with every value at its true time, and none where there is no voice to measure.

    F0, NAQ, QOQ, H1H2, PSP, MDQ, Rd and Rd_conf are zero in unvoiced frames. Nothing is interpolated across more than
    50 ms; the first and last value of a track stands in for at most 50 ms beyond.

    Args:
        source: pitch and pulses, analysed in repaired mode.
        spectral: tracks on the harmonic frames.
        slope: peak slope of each 40 ms frame.
        samples: length of the recording at 16 kHz.
    """
    grid = positions(samples)
    values = np.zeros((len(grid), len(NAMES)))
    values[:, F0], values[:, VUV] = _nearest_pitch(source.pitch, grid)
    voiced = values[:, VUV] > 0
    if source.pulses is not None:
        pulses = source.pulses
        for column, track in ((QUALITY, pulses.quality), (MDQ, pulses.dispersion[:, None])):
            known = np.isfinite(track).all(1)
            nodes = pulses.closures[known] + 1.0
            values[:, column] = np.where(voiced, _joined(nodes, track[known], grid), 0.0)
    centres = (wavelet.FRAME + 1) / 2 + wavelet.HOP * np.arange(len(slope))
    values[:, SLOPE] = _joined(centres, slope[:, None], grid)
    kept = 801.0 + pitch.HOP * spectral.frames
    values[:, RD] = np.where(voiced, _joined(kept, spectral.rd, grid), 0.0)
    values[:, MCEP] = _joined(kept, spectral.cepstrum, grid)
    values[:, HMPDM] = _joined(kept, spectral.phase_mean, grid, circular=True)
    values[:, HMPDD] = _joined(kept, spectral.phase_deviation, grid)
    return values


def _joined(
    nodes: Float[np.ndarray, " nodes"],
    values: Float[np.ndarray, "nodes columns"],
    grid: Float[np.ndarray, " T"],
    circular: bool = False,
) -> Float[np.ndarray, "T columns"]:
    return interpolate(nodes, values, grid, circular=circular, largest_gap=GAP, hold=GAP)


def _nearest_pitch(
    track: pitch.Pitch, grid: Float[np.ndarray, " T"]
) -> tuple[Float[np.ndarray, "T 1"], Float[np.ndarray, "T 1"]]:
    """F0 and VUV at the grid: of the pitch frames on either side, half a hop away, the stronger voiced one."""
    centres = (pitch.FRAME + 1) / 2 + pitch.HOP * np.arange(len(track.f0))
    f0 = np.zeros((len(grid), 1))
    if not len(centres):
        return f0, f0.copy()
    right = np.searchsorted(centres, grid)
    sides = np.clip(np.stack([right - 1, right]), 0, len(centres) - 1)  # (2, T)
    strength = np.where(track.voiced[sides], track.strength[sides], -1.0)
    chosen = np.take_along_axis(sides, strength.argmax(0)[None], 0)[0]
    voiced = track.voiced[chosen] & (np.abs(grid - centres[chosen]) <= GAP)
    f0[:, 0] = np.where(voiced, track.f0[chosen], 0.0)
    return f0, voiced[:, None].astype(float)
