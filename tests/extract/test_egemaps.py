"""eGeMAPS by openSMILE, which need not be installed."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from modashift.errors import DataError, ModashiftError
from modashift.extract.egemaps import EGEMAPS, egemaps
from modashift.extract.sets import find_set

RATE = 16_000


@pytest.fixture
def opensmile() -> None:
    pytest.importorskip("opensmile", reason="openSMILE is not installed (pip install modashift[egemaps])")


def pulses(start: float, stop: float, seconds: float) -> np.ndarray:
    """125 Hz pulses through resonances, with faint noise all along."""
    from scipy.signal import lfilter

    signal = np.zeros(int(seconds * RATE))
    signal[int(start * RATE) : int(stop * RATE) : 128] = 1
    for frequency in (700, 1220, 2600):
        signal = lfilter([1], [1, -2 * 0.97 * np.cos(2 * np.pi * frequency / RATE), 0.97**2], signal)
    return signal / np.abs(signal).max() * 0.5 + np.random.default_rng(0).normal(0, 1e-4, len(signal))


def test_without_opensmile_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(ModashiftError, match=r'research only: pip install "modashift\[egemaps\]"'):
        egemaps(np.zeros(RATE), RATE)


def test_a_release_with_other_columns_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = SimpleNamespace(
        Smile=lambda **_: SimpleNamespace(feature_names=["Loudness_sma3"]),
        FeatureSet=SimpleNamespace(eGeMAPSv02=None),
        FeatureLevel=SimpleNamespace(LowLevelDescriptors=None),
    )
    monkeypatch.setitem(sys.modules, "opensmile", other)
    with pytest.raises(ModashiftError, match="other eGeMAPSv02 columns"):
        egemaps(np.zeros(RATE), RATE)


@pytest.mark.parametrize("wrong", [np.zeros((2, 100)), np.array([0.0, np.nan])])
def test_other_waveforms_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(DataError, match="one row of finite numbers"):
        egemaps(wrong, RATE)


def test_a_rate_without_sense_is_refused() -> None:
    with pytest.raises(DataError, match="must be positive"):
        egemaps(np.zeros(100), 0)


@pytest.mark.usefixtures("opensmile")
def test_voice_is_found_at_its_time() -> None:
    frames = egemaps(pulses(0.5, 1.0, 2.0), RATE)
    assert find_set(frames.columns) == frames.set_name == EGEMAPS.name
    assert frames.mask.all()
    assert np.diff(frames.times) == pytest.approx(np.full(len(frames.times) - 1, 0.01))
    pitch = frames.values[:, frames.columns.index("F0semitoneFrom27.5Hz_sma3nz")]
    voiced = frames.times[pitch > 0]
    assert (voiced[0] + voiced[-1]) / 2 == pytest.approx(0.75, abs=0.02)
    assert np.median(pitch[pitch > 0]) == pytest.approx(12 * np.log2(125 / 27.5), abs=0.3)
    loud = frames.values[:, frames.columns.index("Loudness_sma3")]
    at = frames.times[loud > loud.max() / 2]
    assert (at[0] + at[-1]) / 2 == pytest.approx(0.75, abs=0.02)


@pytest.mark.usefixtures("opensmile")
@pytest.mark.parametrize("samples", [0, 1, 400, 900])
def test_recordings_that_are_too_short_have_no_rows(samples: int) -> None:
    frames = egemaps(np.zeros(samples), RATE)
    assert frames.values.shape == (0, 25)
    assert len(frames.times) == 0
