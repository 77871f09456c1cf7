import numpy as np
import pytest
from scipy.signal import ellip, filtfilt

from modashift.extract.covarep.signals import Kernels, batches, convolve_part, gather, zero_phase

rng = np.random.default_rng(0)


@pytest.mark.parametrize("order", [5, 9])
@pytest.mark.parametrize("block", [7, 1000, 1 << 20])
def test_zero_phase_filter_is_filtfilt_with_matlabs_padding(order, block):
    numerator, denominator = ellip(order, 3, 60, 480 / 8000, btype="highpass")
    signal = rng.standard_normal(3000)
    expected = filtfilt(numerator, denominator, signal, padlen=3 * order)
    np.testing.assert_allclose(zero_phase(numerator, denominator, signal, block=block), expected, atol=1e-12)
    same = signal.copy()
    assert zero_phase(numerator, denominator, same, block=block, out=same) is same
    np.testing.assert_allclose(same, expected, atol=1e-12)


@pytest.mark.parametrize("length", [1, 2, 10])
def test_zero_phase_filter_survives_signals_shorter_than_its_padding(length):
    numerator, denominator = ellip(9, 3, 60, 480 / 8000, btype="highpass")
    assert np.isfinite(zero_phase(numerator, denominator, rng.standard_normal(length))).all()


def test_part_of_a_convolution_is_cut_from_the_whole():
    signal, taps = rng.standard_normal(500), rng.standard_normal((3, 41))
    whole = np.stack([np.convolve(signal, k, "same") for k in taps])
    kernels = Kernels(taps)
    for start, stop in ((0, 500), (0, 10), (5, 30), (100, 200), (470, 500), (499, 500)):
        for room in (0, 50, 1000):
            found = convolve_part(signal, kernels, start, stop, room)
            np.testing.assert_allclose(found, whole[:, start:stop], atol=1e-12)


def test_convolution_of_a_signal_shorter_than_the_kernel():
    signal, kernel = rng.standard_normal(7), rng.standard_normal(41)
    expected = np.convolve(signal, kernel)[20:27]
    np.testing.assert_allclose(convolve_part(signal, Kernels(kernel[None]), 0, 7)[0], expected, atol=1e-12)


def test_batches_hold_every_row_once_and_stay_small():
    lengths = rng.integers(1, 400, 1000)
    lengths[17] = 100_000
    groups = list(batches(lengths, 4000))
    assert sorted(np.concatenate(groups)) == list(range(1000))
    for group in groups:
        assert len(group) == 1 or len(group) * lengths[group].max() <= 4000
    assert len(groups) < 100
    assert not list(batches(np.zeros(0, dtype=np.int64)))


def test_gather_reads_pieces_and_fills_with_zeros():
    signal = np.arange(1.0, 11.0)
    rows, inside = gather(signal, np.array([0, 7]), np.array([4, 3]), range(-1, 5))
    np.testing.assert_array_equal(rows, [[0, 1, 2, 3, 4, 0], [0, 8, 9, 10, 0, 0]])
    np.testing.assert_array_equal(inside, rows > 0)
