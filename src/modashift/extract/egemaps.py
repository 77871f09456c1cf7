"""The 25 low-level descriptors of eGeMAPS, by openSMILE where it is installed.

F. Eyben et al., "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for voice research and affective computing",
IEEE Transactions on Affective Computing 7(2), 2016. The descriptors every 10 ms, not the 88 statistics of a whole
recording: statistics are made word by word, by `modashift.extract.align`.

openSMILE may be used for research and by private persons; other use needs a licence of audEERING's. So it is no part of
``modashift[extract]``.
"""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from modashift.errors import DataError, ModashiftError
from modashift.extract.recording import Frames
from modashift.extract.sets import Column, FeatureSet

__all__ = ["EGEMAPS", "egemaps"]

MIDDLE = 0.02  # s after the beginning of a row's frames, which last 20 ms (spectrum, loudness) or 60 ms (pitch)
_VOICED = "in voiced frames, 0 in others"

_FORMANTS = tuple(
    column
    for n in (1, 2, 3)
    for column in (
        Column(f"F{n}frequency_sma3nz", "Hz", f"centre of formant {n}"),
        Column(f"F{n}bandwidth_sma3nz", "Hz", f"bandwidth of formant {n}"),
        Column(
            f"F{n}amplitudeLogRelF0_sma3nz",
            "dB",
            f"spectral peak at formant {n} relative to the one at F0, {_VOICED.replace('0 in', '−201 in')}",
        ),
    )
)
COLUMNS: tuple[Column, ...] = (
    Column("Loudness_sma3", "–", "estimate of perceived loudness from an auditory spectrum"),
    Column("alphaRatio_sma3", "dB", "energy of 50–1000 Hz over that of 1–5 kHz"),
    Column("hammarbergIndex_sma3", "dB", "strongest peak of 0–2 kHz over the one of 2–5 kHz"),
    Column("slope0-500_sma3", "dB/Hz", "slope of the spectrum from 0 to 500 Hz"),
    Column("slope500-1500_sma3", "dB/Hz", "slope of the spectrum from 500 to 1500 Hz"),
    Column("spectralFlux_sma3", "–", "difference between the spectra of consecutive frames"),
    *(Column(f"mfcc{n}_sma3", "–", f"mel-frequency cepstral coefficient {n}") for n in (1, 2, 3, 4)),
    Column("F0semitoneFrom27.5Hz_sma3nz", "semitones", f"pitch above 27.5 Hz {_VOICED}"),
    Column("jitterLocal_sma3nz", "ratio", f"change of the period from one to the next {_VOICED}"),
    Column("shimmerLocaldB_sma3nz", "dB", f"change of the amplitude from one period to the next {_VOICED}"),
    Column("HNRdBACF_sma3nz", "dB", f"harmonics over noise {_VOICED}"),
    Column("logRelF0-H1-H2_sma3nz", "dB", f"first over second harmonic {_VOICED}"),
    Column("logRelF0-H1-A3_sma3nz", "dB", f"first harmonic over the strongest one in the third formant {_VOICED}"),
    *_FORMANTS,
)
"""In openSMILE's order; ``sma3`` in its names says that three frames were averaged, ``nz`` that zeros were left out."""

EGEMAPS = FeatureSet(
    name="egemaps",
    modality="acoustic",
    columns=COLUMNS,
    rate=100.0,
    source="openSMILE, eGeMAPSv02 low-level descriptors (Eyben et al. 2016)",
    needs="modashift[egemaps] (openSMILE: for research; other use needs a licence)",
)


def egemaps(waveform: npt.ArrayLike, sample_rate: int | float) -> Frames:
    """Compute the 25 low-level descriptors of eGeMAPSv02 every 10 ms.

    Args:
        waveform: (samples,), 1 being full scale.
        sample_rate: hertz.

    Returns:
        The ``egemaps`` set. A row's time is 20 ms after the beginning of its frames: within 10 ms of the middle of all
        of them. Recordings under 60 ms have no rows.

    Raises:
        DataError: the waveform is no row of finite numbers, or the sample rate is not positive.
        ModashiftError: openSMILE is not installed, or is a release with other columns.
    """
    samples = np.asarray(waveform, dtype=np.float32)
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise DataError(f"a waveform must be one row of finite numbers, got shape {samples.shape}")
    if not sample_rate > 0:
        raise DataError(f"a sample rate must be positive, got {sample_rate}")
    smile = _smile()
    names = tuple(column.name for column in COLUMNS)
    if tuple(smile.feature_names) != names:
        raise ModashiftError("this release of openSMILE has other eGeMAPSv02 columns; install opensmile 2.5 or 2.6")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Segment too short", category=UserWarning)
        table = smile.process_signal(samples, sample_rate)
    values = table.to_numpy(dtype=np.float32)
    starts = table.index.get_level_values("start").total_seconds().to_numpy(dtype=np.float64)
    computed = np.isfinite(values).all(axis=1)  # a recording that is too short comes back as one row of NaN
    values, starts = values[computed], starts[computed]
    return Frames(EGEMAPS.name, names, values, starts + MIDDLE, np.ones(len(values), dtype=bool))


def _smile() -> Any:
    try:
        import opensmile
    except ImportError as error:
        raise ModashiftError(
            f'eGeMAPS needs openSMILE, whose licence allows research only: pip install "modashift[egemaps]" ({error})'
        ) from error
    return opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02,
        feature_level=opensmile.FeatureLevel.LowLevelDescriptors,
    )
