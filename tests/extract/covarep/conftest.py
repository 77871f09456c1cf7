"""Recordings and synthetic voices for the tests of the acoustic features."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile
from scipy.optimize import brentq
from scipy.signal import lfilter

from modashift.extract.covarep.grid import NAMES

RESEARCH_DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
RECORDINGS = ("03-01-03-01-01-01-02", "03-01-04-01-01-01-07", "mosi_03bSnISJMiM_1")


@pytest.fixture(scope="session", params=RECORDINGS)
def golden(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A recording (64-bit samples at 16 kHz) with the features that the original computed under Octave."""
    folder = RESEARCH_DATA / "covarep_golden"
    if not folder.is_dir():
        pytest.skip(f"research data not present at {folder}")
    rate, samples = wavfile.read(folder / f"{request.param}.wav")
    assert rate == 16_000
    with np.load(folder / f"{request.param}.npz") as file:
        features, names = file["features"], tuple(map(str, file["names"]))
    assert names == NAMES
    return {"name": request.param, "signal": samples / 32768.0, "features": features.astype(float)}


def lf_derivative(samples: int, opening: float = 0.45, closing: float = 0.6, ret: float = 0.02) -> np.ndarray:
    """One period of the LF flow derivative; the closure is the sample at `closing` periods, with value near −1."""
    t = np.arange(samples) / samples
    epsilon = brentq(lambda e: 1 - np.exp(-e * (1 - closing)) - e * ret, 1e-3 / ret, 10 / ret)
    omega = np.pi / opening
    fall = -(np.exp(-epsilon * (t - closing)) - np.exp(-epsilon * (1 - closing))) / (epsilon * ret)

    def pulse(alpha: float) -> np.ndarray:
        scale = -1 / (np.exp(alpha * closing) * np.sin(omega * closing))
        return np.where(t <= closing, scale * np.exp(alpha * t) * np.sin(omega * t), fall)

    return pulse(brentq(lambda a: pulse(a).sum(), -5, 30))


@pytest.fixture(scope="session")
def voice() -> dict[str, Any]:
    """A vowel of 125 Hz: LF pulses through four formants, with a second of it between half seconds of faint noise.

    ``closures`` are the samples of the closures; the flow derivative is negative there.
    """
    period, pulses = 128, 125
    excitation = np.tile(lf_derivative(period), pulses)
    rng = np.random.default_rng(7)
    quiet = 8000
    excitation = np.concatenate([np.zeros(quiet), excitation, np.zeros(quiet)])
    signal = excitation
    for frequency, bandwidth in ((700, 80), (1220, 90), (2600, 120), (3500, 150)):
        radius = np.exp(-np.pi * bandwidth / 16_000)
        signal = lfilter([1.0], [1, -2 * radius * np.cos(2 * np.pi * frequency / 16_000), radius**2], signal)
    signal = 0.5 * signal / np.abs(signal).max() + 1e-4 * rng.standard_normal(len(signal))
    closures = quiet + period * np.arange(pulses) + int(0.6 * period)
    return {"signal": signal, "closures": closures, "f0": 16_000 / period, "range": (quiet, quiet + period * pulses)}
