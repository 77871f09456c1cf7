import numpy as np
import pytest

from modashift.errors import DataError
from modashift.extract.covarep.waveform import prepare, resample


def tone(rate, frequency, seconds=0.5):
    return np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)


def test_16_khz_floating_point_passes_unchanged():
    signal = np.linspace(-1, 1, 1000)
    found, warnings = prepare(signal, 16_000)
    np.testing.assert_array_equal(found, signal)
    assert not warnings


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32])
def test_integers_are_divided_by_their_full_scale(kind):
    info = np.iinfo(kind)
    found, _ = prepare(np.array([info.min, 0, info.max], dtype=kind), 16_000)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [-1.0, 0.0, info.max / -float(info.min)])


def test_unsigned_integers_are_silent_in_the_middle():
    np.testing.assert_array_equal(prepare(np.array([0, 128, 255], dtype=np.uint8), 16_000)[0], [-1, 0, 127 / 128])


def test_the_first_channel_is_taken():
    left, right = np.random.default_rng(0).uniform(-1, 1, (2, 500))
    np.testing.assert_array_equal(prepare(np.stack([left, right], 1), 16_000)[0], left)
    np.testing.assert_array_equal(prepare(left[:, None], 16_000)[0], left)


@pytest.mark.parametrize("shape", [(2, 500), (1, 500), (2, 3)])
def test_swapped_axes_are_refused(shape):
    with pytest.raises(DataError, match=r"\(samples, channels\): transpose"):
        prepare(np.zeros(shape), 16_000)


@pytest.mark.parametrize("shape", [(0,), (0, 2), (5, 0), (0, 0)])
def test_nothing_is_refused(shape):
    with pytest.raises(DataError, match="no samples"):
        prepare(np.zeros(shape), 16_000)


@pytest.mark.parametrize("shape", [(), (4, 2, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(DataError, match="shape"):
        prepare(np.zeros(shape), 16_000)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 8000, 1_500_000])
def test_the_first_sample_that_is_not_finite_is_named(value, place):
    signal = np.zeros(1_600_000)
    signal[[place, -1]] = value, np.nan
    with pytest.raises(DataError, match=rf"sample {place} \({place / 8000:.3f} s\) is {value}"):
        prepare(signal, 8000)


@pytest.mark.parametrize("values", [np.array(["a", "b"]), np.array([True, False]), np.array([1j, 2j])])
def test_other_types_are_refused(values):
    with pytest.raises(DataError, match="type"):
        prepare(values, 16_000)


@pytest.mark.parametrize("rate", [0, -1, 999, 16_000.5, float("nan"), float("inf")])
def test_unusable_rates_are_refused(rate):
    with pytest.raises(ValueError, match="sample_rate"):
        prepare(np.zeros(10), rate)


def test_samples_beyond_full_scale_are_mentioned():
    assert "32767" in prepare(np.array([0.0, 32767.0]), 16_000)[1][0]
    assert not prepare(np.array([0.0, 1.2]), 16_000)[1]


def test_levels_that_are_no_sound():
    with pytest.raises(DataError, match=r"reach 1e\+60"):
        prepare(np.array([0.0, -1e60]), 16_000)
    np.testing.assert_array_equal(prepare(np.array([0.0, -1e-60]), 16_000)[0], [0, 0])
    assert prepare(np.array([1.0, 1e-60]), 16_000)[0][1] == 1e-60


def test_a_low_rate_is_mentioned():
    found, warnings = prepare(np.zeros(800), 8000)
    assert len(found) == 1600
    assert "4000 Hz" in warnings[0]


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000, 16_001, 192_000])
def test_a_tone_keeps_its_frequency_level_and_phase(rate):
    found = resample(tone(rate, 440.0), rate)
    expected = tone(16_000, 440.0)
    assert abs(len(found) - len(expected)) <= 1
    inside = slice(400, 7600)
    np.testing.assert_allclose(found[inside], expected[inside], atol=2e-4)


@pytest.mark.parametrize("frequency", [8000.0, 8400.0, 15_000.0, 20_000.0])
def test_what_does_not_fit_below_8_khz_is_removed(frequency):
    assert np.abs(resample(tone(48_000, frequency), 48_000)[400:-400]).max() < 2e-4


def test_resampling_keeps_what_lies_below_92_percent():
    found = resample(tone(48_000, 7350.0), 48_000)
    np.testing.assert_allclose(found[400:7600], tone(16_000, 7350.0)[400:7600], atol=5e-4)


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
@pytest.mark.parametrize("block", [1, 5000])
def test_resampling_does_not_depend_on_the_block(rate, block):
    signal = np.random.default_rng(0).standard_normal(9001)
    if block == 1:
        signal = signal[:999]
    whole = resample(signal, rate)
    assert len(whole) == -(-len(signal) * 16_000 // rate)
    np.testing.assert_allclose(resample(signal, rate, block=block), whole, atol=1e-12)


@pytest.mark.parametrize("length", [1, 2, 30])
def test_resampling_of_a_few_samples(length):
    assert len(resample(np.ones(length), 48_000)) == -(-length // 3)
    assert len(resample(np.ones(length), 8000)) == 2 * length
