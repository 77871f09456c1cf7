import numpy as np
import pytest
from scipy.linalg import solve_toeplitz
from scipy.signal import ellip, filtfilt, lfilter
from scipy.stats import skew

from modashift.extract.covarep.lpc import levinson
from modashift.extract.covarep.residual import polarity, residual
from modashift.extract.covarep.windows import hanning


def naive_predictor(frame, order):
    lags = np.array([np.dot(frame[: len(frame) - k], frame[k:]) for k in range(order + 1)])
    return np.concatenate([[1.0], -solve_toeplitz(lags[:-1], lags[1:])])


def naive_residual(signal, order, window, predict_from=None):
    """Section by section as the method is described, one frame at a time."""
    known = signal if predict_from is None else predict_from
    out = np.zeros(len(signal))
    shape = hanning(401, window)
    start = 0
    while start + 400 < len(signal) - 1:
        frame = signal[start : start + 401] * shape
        error = lfilter(naive_predictor(known[start : start + 401] * shape, order), [1.0], frame)
        out[start : start + 401] += error * np.sqrt((frame**2).sum() / (error**2).sum())
        start += 80
    return out


def test_predictors_solve_the_normal_equations():
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((6, 300)) * np.hanning(300)
    lags = np.array([[np.dot(f[: 300 - k], f[k:]) for k in range(21)] for f in frames])
    eight, twenty = levinson(lags, 8, 20)
    for i, frame in enumerate(frames):
        np.testing.assert_allclose(eight[i], naive_predictor(frame, 8), atol=1e-10)
        np.testing.assert_allclose(twenty[i], naive_predictor(frame, 20), atol=1e-10)


def test_a_frame_of_zeros_has_no_predictor():
    (predictor,) = levinson(np.zeros((1, 4)), 3)
    assert predictor[0, 0] == 1
    assert np.isnan(predictor[0, 1:]).all()


@pytest.mark.parametrize("window", ["matlab", "octave"])
def test_residual_is_the_literal_one(voice, window):
    signal = voice["signal"][7000:12345]
    twelve, eighteen = residual(signal, 12, 18, window=window)
    np.testing.assert_allclose(twelve, naive_residual(signal, 12, window), atol=1e-9)
    np.testing.assert_allclose(eighteen, naive_residual(signal, 18, window), atol=1e-9)


@pytest.mark.parametrize("block", [100, 401, 1234])
def test_residual_does_not_depend_on_the_block(voice, block):
    signal = voice["signal"][7000:12345]
    for whole, parts in zip(residual(signal, 12, 18), residual(signal, 12, 18, block=block), strict=True):
        np.testing.assert_allclose(parts, whole, atol=1e-12)


@pytest.mark.parametrize("length", [1, 400, 401, 402, 500])
def test_residual_of_short_signals(voice, length):
    signal = voice["signal"][9000 : 9000 + length]
    (out,) = residual(signal, 12)
    np.testing.assert_allclose(out, naive_residual(signal, 12, "matlab"), atol=1e-9)
    assert out.any() == (length > 401)


def test_silence_has_no_residual():
    signal = np.zeros(2000)
    signal[1500:] = np.random.default_rng(0).standard_normal(500)
    (out,) = residual(signal, 12)
    assert np.isnan(out[:1100]).all()
    assert np.isfinite(out[-81:]).all()


def test_polarity_follows_the_sign_of_the_recording(voice):
    signal = voice["signal"]
    (order_18,) = residual(signal, 18)
    sign = polarity(signal, order_18)
    assert sign == 1  # the flow derivative of the synthetic voice falls to its peaks, as that of a voice does
    assert polarity(-signal, -order_18) == -1
    assert polarity(signal, order_18, block=3000) == sign


def test_polarity_compares_two_skewnesses(voice):
    signal = voice["signal"][6000:14000]
    numerator, denominator = ellip(9, 3, 60, 480 / 8000, btype="highpass")
    high = filtfilt(numerator, denominator, signal, padlen=27)
    for sign in (1, -1):
        full, from_high = (sign * naive_residual(signal, 18, "matlab", source) for source in (signal, high))
        expected = np.sign(skew(full) - skew(from_high))
        assert polarity(sign * signal, residual(sign * signal, 18)[0]) == expected


def test_polarity_of_nothing_is_positive():
    assert polarity(np.zeros(1000), residual(np.zeros(1000), 18)[0]) == 1
    assert polarity(np.zeros(3), np.zeros(3)) == 1
