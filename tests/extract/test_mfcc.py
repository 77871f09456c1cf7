"""Cepstral coefficients against sums written out, and their slopes against fitted lines."""

import math
from itertools import pairwise

import numpy as np
import pytest

from modashift.extract.mfcc import add_slopes, cepstra, mfcc

RNG = np.random.default_rng(0)


def literal(frame):
    """Coefficients of one frame of 400 samples, each step as a sum."""
    x = [32768 * float(v) for v in frame]
    mean = sum(x) / 400
    x = [v - mean for v in x]
    x = [x[0] - 0.97 * x[0], *(b - 0.97 * a for a, b in pairwise(x))]
    x = [v * (0.5 - 0.5 * math.cos(2 * math.pi * i / 399)) ** 0.85 for i, v in enumerate(x)]
    power = []
    for k in range(256):
        real = sum(v * math.cos(2 * math.pi * k * i / 512) for i, v in enumerate(x))
        imaginary = sum(v * math.sin(2 * math.pi * k * i / 512) for i, v in enumerate(x))
        power.append(real**2 + imaginary**2)

    def mel(f):
        return 1127 * math.log(1 + f / 700)

    low, high = mel(20), mel(7600)
    energies = []
    for b in range(40):
        left, centre, right = (low + (b + j) * (high - low) / 41 for j in range(3))
        total = 0.0
        for k, p in enumerate(power):
            at = mel(k * 16000 / 512)
            if left < at <= centre:
                total += p * (at - left) / (centre - left)
            elif centre < at < right:
                total += p * (right - at) / (right - centre)
        energies.append(math.log(max(total, 2**-23)))
    result = []
    for k in range(40):
        scale = math.sqrt((1 if k == 0 else 2) / 40)
        c = scale * sum(e * math.cos(math.pi / 40 * (n + 0.5) * k) for n, e in enumerate(energies))
        result.append(c * (1 + 11 * math.sin(math.pi * k / 22)))
    return result


def test_coefficients_equal_the_sums():
    signal = np.convolve(RNG.normal(0, 0.1, 800), [1, 0.8, 0.3])[:720]
    found = cepstra(signal)
    assert found.shape == (3, 40)
    for t, row in enumerate(found):
        np.testing.assert_allclose(row, literal(signal[160 * t : 160 * t + 400]), rtol=1e-9, atol=1e-7)


def test_silence_is_finite():
    assert np.isfinite(cepstra(np.zeros(800))).all()


def test_slopes_are_those_of_fitted_lines():
    values = RNG.normal(size=(30, 2))
    slopes = add_slopes(values)
    assert slopes.shape == (30, 6)
    np.testing.assert_array_equal(slopes[:, :2], values)
    for t in range(4, 26):
        fitted = np.polyfit(range(-2, 3), values[t - 2 : t + 3], 1)[0]
        np.testing.assert_allclose(slopes[t, 2:4], fitted, atol=1e-12)
        np.testing.assert_allclose(
            slopes[t, 4:], np.polyfit(range(-2, 3), slopes[t - 2 : t + 3, 2:4], 1)[0], atol=1e-12
        )


def test_slopes_at_the_ends_take_the_last_frame_for_those_beyond():
    values = np.arange(5.0)[:, None]
    slopes = add_slopes(values)
    # (−2·v₋₂ − v₋₁ + v₁ + 2 v₂) / 10 with v₋₂ = v₋₁ = v₀ = 0.
    assert slopes[0, 1] == pytest.approx((1 + 2 * 2) / 10)
    assert slopes[2, 1] == pytest.approx(1.0)
    np.testing.assert_allclose(add_slopes(np.ones((1, 3))), [[1.0] * 3 + [0.0] * 6], atol=1e-15)
    assert add_slopes(np.zeros((0, 3))).shape == (0, 9)


@pytest.mark.parametrize(("samples", "count"), [(0, None), (1, 0), (399, 0), (400, 1), (559, 1), (560, 2), (16000, 98)])
def test_frames_lie_within_the_recording(samples, count):
    if count is None:
        from modashift.errors import DataError

        with pytest.raises(DataError):
            mfcc(np.zeros(0), 16000)
        return
    made = mfcc(RNG.normal(0, 0.1, samples), 16000)
    assert made.values.shape == (count, 120)
    assert made.mask.all()
    assert len(made.times) == count
    if count:
        assert made.times[0] == pytest.approx(0.0125)
        assert made.times[-1] + 0.0125 <= samples / 16000 + 1e-9


def test_columns_are_named_and_levels_move_the_zeroth_alone():
    signal = RNG.normal(0, 0.1, 4000)
    one, half = mfcc(signal, 16000), mfcc(0.5 * signal, 16000)
    assert len(set(one.columns)) == 120
    assert one.columns[0] == "MFCC_0"
    assert one.columns[40] == "MFCC_0_d"
    assert one.columns[119] == "MFCC_39_dd"
    moved = (one.values - half.values)[:, :40]
    np.testing.assert_allclose(moved[:, 0], 2 * math.log(2) * math.sqrt(40), rtol=1e-4)
    np.testing.assert_allclose(moved[:, 1:], 0, atol=1e-3)


def test_other_rates_are_resampled_and_integers_scaled():
    noise = RNG.normal(0, 0.1, 16000)
    whole = mfcc(np.round(noise * 32768).astype(np.int16), 16000)
    np.testing.assert_allclose(whole.values, mfcc(noise, 16000).values, atol=0.1)
    doubled = np.repeat(noise, 2)  # the same samples at twice the rate
    slow = mfcc(doubled, 32000)
    assert len(slow.values) == 98
    # Repeating a sample damps the upper end of the band by at most 4 dB and leaves the lower end as it was.
    near = np.abs(slow.values[:, 0] - mfcc(noise, 16000).values[:, 0])
    assert near.mean() < 2.0
