import numpy as np
import pytest
from scipy.signal import firls, lfilter

from modashift.extract.covarep import flow as flow_module
from modashift.extract.covarep.flow import glottal_flow
from modashift.extract.covarep.windows import hanning

from .test_residual import naive_predictor


def naive_iaif(frame, window):
    """One frame, step by step."""
    kernel = firls(301, [0, 40, 70, 8000], [0, 0, 1, 1], fs=16_000)
    frame = frame * hanning(len(frame), window)
    y = lfilter(kernel, [1.0], np.concatenate([frame, np.zeros(150)]))[150:]
    ramped = np.concatenate([np.linspace(-y[0], y[0], 21), y])
    w = hanning(len(y), window)

    def inverse(predictor):
        return lfilter(predictor, [1.0], ramped)

    def integrate(signal):
        return lfilter([1.0], [1.0, -0.99], signal)

    glottis = naive_predictor(y * w, 1)
    tract = naive_predictor(inverse(glottis)[21:] * w, 20)
    glottis = naive_predictor(integrate(inverse(tract))[21:] * w, 8)
    tract = naive_predictor(integrate(inverse(glottis))[21:] * w, 20)
    derivative = inverse(tract)
    return integrate(derivative)[21:], derivative[21:]


def naive_flow(signal, closures, periods, window, centre=-1):
    flow, derivative = np.zeros(len(signal)), np.zeros(len(signal))
    for g, period in zip(closures, periods, strict=True):
        first, last = max(g + centre - period, 0), min(g + centre + period, len(signal) - 1)
        if last - first + 1 <= 20:
            continue
        pulse, rate = naive_iaif(signal[first : last + 1], window)
        flow[first : last + 1] += pulse
        derivative[first : last + 1] += rate
    return flow, derivative


def pulses(voice):
    """A few closures at the beginning, the end and between, with a gap that makes one frame long."""
    signal = voice["signal"][7900:14000]
    closures = np.concatenate([voice["closures"][:12], voice["closures"][30:36], voice["closures"][44:47]]) - 7900
    closures = np.concatenate([[0, 9], closures, [len(signal) - 3]])
    periods = np.concatenate([[9], np.diff(closures)])
    return signal, closures, periods + np.arange(len(periods)) % 3


@pytest.mark.parametrize("window", ["matlab", "octave"])
@pytest.mark.parametrize("centre", [-1, 0])
def test_flow_is_the_literal_one(voice, window, centre):
    signal, closures, periods = pulses(voice)
    expected = naive_flow(signal, closures, periods, window, centre)
    found = glottal_flow(signal, closures, periods, window=window, centre=centre)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8 * np.abs(other).max())


@pytest.mark.parametrize("part", [50, 333])
def test_long_frames_are_worked_on_in_parts(voice, monkeypatch, part):
    signal, closures, periods = pulses(voice)
    whole = glottal_flow(signal, closures, periods)
    monkeypatch.setattr(flow_module, "PART", part)
    for one, other in zip(glottal_flow(signal, closures, periods), whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9 * np.abs(other).max())


def test_flow_derivative_has_its_peaks_at_the_closures(voice):
    closures = voice["closures"][10:100]
    _, derivative = glottal_flow(voice["signal"], closures, np.full(len(closures), 128))
    lowest = np.array([derivative[c - 64 : c + 64].argmin() - 64 for c in closures[3:-3]])
    assert np.abs(lowest).max() <= 3


def test_silent_frames_add_nothing():
    signal = np.zeros(2000)
    signal[1000:] = np.random.default_rng(0).standard_normal(1000)
    flow, derivative = glottal_flow(signal, np.array([300, 400, 1500]), np.array([100, 100, 100]))
    assert not flow[:1000].any()
    assert np.isfinite(derivative).all()
    assert derivative[1400:1599].any()


def test_no_closures_no_flow():
    flow, derivative = glottal_flow(np.ones(100), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    assert not flow.any()
    assert not derivative.any()
