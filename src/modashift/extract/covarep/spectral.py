"""Everything that is read off the harmonics of a recording: mel cepstra, pulse shape and phase distortion."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from modashift.extract.covarep import harmonics
from modashift.extract.covarep.envelope import mel_cepstrum
from modashift.extract.covarep.lf import rd
from modashift.extract.covarep.phase import DistortionStream

__all__ = ["SpectralTracks", "spectral_tracks"]


@dataclass(frozen=True)
class SpectralTracks:
    """Features of the harmonic frames that lie within the recording and have a pitch.

    Attributes:
        frames: n of each frame, whose centre is sample 800 + 160 n.
        cepstrum: mel cepstra.
        rd: Rd and its confidence.
        phase_mean: HMPDM, radians.
        phase_deviation: HMPDD.
    """

    frames: Int[np.ndarray, " frames"]
    cepstrum: Float[np.ndarray, "frames 25"]
    rd: Float[np.ndarray, "frames 2"]
    phase_mean: Float[np.ndarray, "frames 25"]
    phase_deviation: Float[np.ndarray, "frames 13"]


def spectral_tracks(
    signal: Float[np.ndarray, " n"],
    f0: Float[np.ndarray, " pitch_frames"],
    *,
    seed: int = 0,
    compat: bool = True,
    block: int = 1 << 19,
) -> SpectralTracks:
    """Analyse the harmonics of a recording, some frames at a time.

    Args:
        signal: samples at 16 kHz, with positive polarity.
        f0: pitch of each frame in hertz, 1 for none.
        seed: of the random phases above the last harmonic.
        compat: phase distortion as the original has it.
        block: samples worked on at a time (about); changes nothing but memory and speed.
    """
    stream = DistortionStream(seed=seed, compat=compat)
    kept, cepstrum, shape, phase = [], [], [], []
    step = max(block // harmonics.HOP, 1)
    for first in range(0, max(len(f0), 1), step):
        frames = harmonics.analyse(signal, f0[first : first + step], first=first)
        kept.append(frames.kept)
        cepstrum.append(mel_cepstrum(frames))
        shape.append(rd(frames))
        phase.append(stream.push(frames))
    phase.append(stream.finish())
    return SpectralTracks(
        np.concatenate(kept),
        np.concatenate(cepstrum),
        np.concatenate(shape),
        np.concatenate([mean for mean, _ in phase]),
        np.concatenate([deviation for _, deviation in phase]),
    )
