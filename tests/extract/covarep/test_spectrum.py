import numpy as np
import pytest

from modashift.extract.covarep.spectrum import low_power


@pytest.mark.parametrize("bins", [1, 6, 500, 501, 1001, 1499, 2000, 2001, 4000])
@pytest.mark.parametrize("length", [1, 2, 100, 101, 333, 400, 1200])
def test_low_bins_are_those_of_the_whole_transform(bins, length):
    frames = np.random.default_rng(length).standard_normal((19, length))
    expected = np.abs(np.fft.fft(frames, 4000)[:, :bins])
    found = np.sqrt(low_power(frames, bins, 4000))
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(frames).sum(1).max())


@pytest.mark.parametrize("size", [2048, 37])
def test_sizes_that_cannot_be_divided(size):
    frames = np.random.default_rng(0).standard_normal((3, 30))
    expected = np.abs(np.fft.fft(frames, size)[:, :15]) ** 2
    np.testing.assert_allclose(low_power(frames, 15, size), expected, atol=1e-10)


def test_silence_stays_silent():
    assert not low_power(np.zeros((2, 100)), 1000, 16_000).any()
