from itertools import pairwise

import numpy as np
import pytest

from modashift.extract.covarep import glottal
from modashift.extract.covarep.flow import glottal_flow
from modashift.extract.covarep.glottal import harmonic_difference, parabolic, pulse_quality, quotients

TINY = np.finfo(float).tiny


def naive_quotients(flow, derivative, a, b, period):
    u = flow[a : b + 1] - np.linspace(flow[a], flow[b], b - a + 1)
    top = int(u.argmax())
    steepest = np.abs(derivative[a : b + 9 if b + 8 < len(flow) else b + 1]).max()
    half = 0.5 * u[top]
    left = right = top
    while u[left] > half and left > 2:
        left -= 1
    while u[right] > half and right < len(u) - 3:
        right += 1
    return u[top] / (steepest * period), (right - left) / period


def naive_harmonics(derivative, g, period):
    f0 = 16_000 / period
    reach = int(np.floor(1.5 * period + 0.5))
    frame = derivative[max(g - reach, 0) : g + reach + 1]
    level = 20 * np.log10(np.abs(np.fft.fft(frame * 2.0**15 * np.hamming(len(frame)), 16_000)) + TINY)
    peaks = [i for i in range(1, 15_999) if level[i - 1] < level[i] > level[i + 1]]
    while True:
        drop = set()
        for p, q in pairwise(peaks):
            if q - p <= f0 / 2:
                drop.add(p if level[p] < level[q] else q)
        if not drop:
            break
        peaks = [p for p in peaks if p not in drop]
    if len(peaks) < 5:
        return 0.0
    one, two = (level[min(peaks, key=lambda p: abs(p + 1 - h * f0))] for h in (1, 2))
    return one - two


def naive_curvature(pulse):
    level = 20 * np.log10(np.abs(np.fft.fft(pulse, 2048)[:1024]) + TINY)
    for n in range(3, 1025):
        k = np.arange(n)
        design = np.stack([k**2, np.ones(n)], 1)
        (a, b), *_ = np.linalg.lstsq(design, level[:n], rcond=None)
        if ((level[:n] - a * k**2 - b) ** 2).sum() / (level[:n] ** 2).sum() >= 0.01:
            return a
    return a


def naive_parabolic(flow, a, period):
    u = flow[a : a + period + 1] - flow[a : a + period + 1].min()
    return naive_curvature(u / u.max()) / naive_curvature(np.full(period, 1 / period))


@pytest.fixture(scope="module")
def pulses(voice):
    closures = voice["closures"]
    periods = np.diff(closures, prepend=closures[0] - 128)
    jitter = np.random.default_rng(3).integers(-25, 26, len(closures))
    closures = closures + jitter  # uneven periods from 78 to 178 samples
    periods = np.diff(closures, prepend=closures[0] - 128)
    flow, derivative = glottal_flow(voice["signal"], closures, periods)
    return flow, derivative, closures, periods


def test_quotients_are_the_literal_ones(pulses):
    flow, derivative, closures, periods = pulses
    flow, derivative = flow[: closures[-1] + 5], derivative[: closures[-1] + 5]  # the last lacks its 0.5 ms beyond
    naq, qoq = quotients(flow, derivative, closures - periods, closures, periods)
    expected = [naive_quotients(flow, derivative, c - t, c, t) for c, t in zip(closures, periods, strict=True)]
    np.testing.assert_allclose(np.stack([naq, qoq], 1), expected, rtol=1e-10)


def test_harmonics_are_the_literal_ones(pulses):
    _, derivative, closures, periods = pulses
    some = np.arange(0, len(closures), 4)
    found = harmonic_difference(derivative, closures[some], periods[some])
    expected = [naive_harmonics(derivative, c, t) for c, t in zip(closures[some], periods[some], strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert np.ptp(found) > 1


@pytest.mark.parametrize("period", [33, 40, 250, 790])
def test_harmonics_of_noise_at_extreme_periods(period):
    # Noise has its maxima anywhere, so that which of them survive depends on more than the nearest neighbours.
    derivative = np.random.default_rng(period).standard_normal(6000)
    closures = np.array([100, 1500, 3000, 5800])
    found = harmonic_difference(derivative, closures, np.full(4, period))
    np.testing.assert_allclose(found, [naive_harmonics(derivative, c, period) for c in closures], atol=1e-7)


def test_harmonics_of_silence_are_zero():
    assert harmonic_difference(np.zeros(1000), np.array([500]), np.array([100])) == 0


def test_parabolic_parameter_is_the_literal_one(pulses):
    flow, _, closures, periods = pulses
    found = parabolic(flow, closures - periods, periods)
    expected = [naive_parabolic(flow, c - t, t) for c, t in zip(closures, periods, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_parabola_of_a_click_needs_the_whole_spectrum():
    click = np.zeros((1, 100))
    click[0, :2] = 1.0, 0.97  # a spectrum that falls too slowly to stop the fit early
    np.testing.assert_allclose(glottal._curvature(click), naive_curvature(click[0]), rtol=1e-6)


def test_known_values():
    """A flow of one half sine: its height is 1, its steepest slope 2π/T, and it is above half for a third of T / 2."""
    period = 200
    t = np.arange(2 * period + 9)
    flow = np.maximum(np.sin(2 * np.pi * t / period), 0.0)
    derivative = np.gradient(flow)
    naq, qoq = quotients(flow, derivative, np.array([period]), np.array([2 * period]), np.array([period]))
    np.testing.assert_allclose(naq, 1 / (2 * np.pi), rtol=1e-2)
    np.testing.assert_allclose(qoq, 1 / 3, atol=0.011)


def test_periods_outside_the_range_give_zeros(pulses):
    flow, derivative, closures, _ = pulses
    periods = np.array([32, 33, 799, 800, 5])
    some = closures[60:65]
    found = pulse_quality(flow, derivative, some - periods, some, periods)
    np.testing.assert_array_equal(found.valid, [False, True, True, False, False])
    for values in (found.naq, found.qoq, found.psp):
        np.testing.assert_array_equal(values != 0, found.valid)
