import numpy as np
import pytest

from modashift.extract.covarep.wavelet import maxima_dispersion, peak_slope, wavelet


def naive_band(signal, scale):
    t = np.arange(-1000, 1001) / 16_000 / 2.0**scale
    kernel = -np.cos(2 * np.pi * 8000 * t) * np.exp(-(t**2) / (2 * (1 / 16_000) ** 2))
    return np.convolve(signal, kernel)[1000 : 1000 + len(signal)]


def naive_slope(signal):
    bands = [np.abs(naive_band(signal, i)) for i in range(6, -1, -1)]
    weights = (np.arange(1, 8) - 4) / 28
    slopes = []
    for start in range(0, len(signal) - 639, 160):
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes.append(sum(w * np.log10(b[start : start + 640].max()) for w, b in zip(weights, bands, strict=True)))
    return np.where(np.isnan(slopes), 0.0, slopes)


def naive_dispersion(excitation, closures, periods, offset):
    bands = [naive_band(excitation, i) for i in (2, 3, 4, 5, 6)]
    values = []
    for g, period in zip(closures, periods, strict=True):
        reach = int(np.floor(0.2 * period + 0.5))
        if g < period or g + period > len(excitation) - 1:
            values.append(np.nan)
            continue
        places = [int(b[g - reach : g + reach + 1].argmax()) for b in bands]
        values.append(np.mean([abs(reach - (p + offset)) for p in places]) / period)
    return values


def test_wavelet_is_symmetric_and_looks_at_its_octave():
    for scale in range(7):
        kernel = wavelet(scale)
        np.testing.assert_array_equal(kernel, kernel[::-1])
        spectrum = np.abs(np.fft.rfft(kernel, 16_000))
        assert 0.4 < spectrum.argmax() / (8000 / 2**scale) < 1.3


@pytest.mark.parametrize("block", [160, 1000, 1 << 15])
def test_slope_is_the_literal_one(voice, block):
    signal = voice["signal"][7000:12000]
    np.testing.assert_allclose(peak_slope(signal, block=block), naive_slope(signal), atol=1e-10)


@pytest.mark.parametrize("block", [1000, 1 << 15])
def test_digital_silence_gives_the_originals_values(block):
    """Direct convolution decides which bands are exactly zero, and how small the far tails of the wavelets are."""
    rng = np.random.default_rng(0)
    signal = np.zeros(9000)
    signal[:780] = rng.standard_normal(780)  # ends just before a frame: the tails of all bands reach into it
    signal[2400:2403] = 1 / 32768
    signal[6000:6500] = rng.standard_normal(500)
    expected = naive_slope(signal)
    assert np.isneginf(expected).any()
    assert (expected == 0).any()
    assert ((expected < -5) & np.isfinite(expected)).any()
    np.testing.assert_allclose(peak_slope(signal, block=block), expected, rtol=1e-6)


def test_a_floor_keeps_silence_flat():
    signal = np.zeros(4000)
    signal[:700] = np.random.default_rng(0).standard_normal(700)
    slope = peak_slope(signal, floor=1e-5)
    np.testing.assert_allclose(slope[0], naive_slope(signal)[0], atol=1e-10)
    assert (slope[-8:] == 0).all()
    assert np.abs(slope).max() < 1


def test_slope_of_short_signals():
    assert len(peak_slope(np.ones(639))) == 0
    assert len(peak_slope(np.ones(640))) == 1
    assert len(peak_slope(np.ones(800))) == 2


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("block", [300, 1 << 15])
def test_dispersion_is_the_literal_one(offset, block):
    rng = np.random.default_rng(1)
    excitation = rng.standard_normal(9000)
    closures = np.array([50, 400, 500, 640, 3800, 3900, 5000, 8500, 8950])
    periods = np.array([100, 350, 100, 140, 3160, 100, 1100, 300, 100])
    found = maxima_dispersion(excitation, closures, periods, offset=offset, block=block)
    np.testing.assert_allclose(found, naive_dispersion(excitation, closures, periods, offset), atol=1e-12)


def test_peaks_at_the_closure_have_no_dispersion():
    excitation = np.zeros(4000)
    closures = np.arange(500, 3600, 200)
    excitation[closures] = -1.0  # the wavelet is negative at its centre
    periods = np.full(len(closures), 200)
    np.testing.assert_array_equal(maxima_dispersion(excitation, closures, periods, offset=0), 0)
    np.testing.assert_allclose(maxima_dispersion(excitation, closures, periods), 1 / 200)
