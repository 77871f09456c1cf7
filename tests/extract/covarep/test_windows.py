import math

import numpy as np
import pytest

from modashift.extract.covarep.windows import blackman, hamming_rows, hanning, hanning_rows, round_away


def test_the_two_hannings_differ_in_their_ends():
    np.testing.assert_allclose(hanning(3, "matlab"), [0.5, 1.0, 0.5], atol=1e-15)
    np.testing.assert_allclose(hanning(3, "octave"), [0.0, 1.0, 0.0], atol=1e-15)
    n = 401
    np.testing.assert_allclose(
        hanning(n, "matlab"), [0.5 - 0.5 * math.cos(2 * math.pi * k / (n + 1)) for k in range(1, n + 1)], atol=1e-15
    )
    np.testing.assert_allclose(
        hanning(n, "octave"), [0.5 - 0.5 * math.cos(2 * math.pi * k / (n - 1)) for k in range(n)], atol=1e-15
    )


@pytest.mark.parametrize("window", ["matlab", "octave"])
def test_rows_hold_windows_of_different_lengths_and_any_columns(window):
    lengths = np.array([5, 1, 8, 5])
    rows = hanning_rows(lengths, range(-2, 10), window)
    assert rows.shape == (4, 12)
    for row, length in zip(rows, lengths, strict=True):
        np.testing.assert_array_equal(row[:2], 0)
        np.testing.assert_allclose(row[2 : 2 + length], hanning(int(length), window), atol=1e-15)
        np.testing.assert_array_equal(row[2 + length :], 0)
    np.testing.assert_array_equal(hanning_rows(lengths, range(3, 6), window), rows[:, 5:8])


def test_a_window_of_one_sample_is_one():
    assert hanning(1, "matlab") == hanning(1, "octave") == 1.0


def test_hamming_and_blackman_are_the_symmetric_ones():
    np.testing.assert_allclose(hamming_rows(np.array([9, 4]), range(9))[0], np.hamming(9), atol=1e-15)
    np.testing.assert_allclose(hamming_rows(np.array([9, 4]), range(9))[1, :4], np.hamming(4), atol=1e-15)
    np.testing.assert_allclose(blackman(51), np.blackman(51), atol=1e-15)


def test_halves_are_rounded_away_from_zero():
    np.testing.assert_array_equal(round_away([0.5, 1.5, 2.5, -0.5, -2.5, 0.49, -1.2]), [1, 2, 3, -1, -3, 0, -1])
    assert round_away(2.5) == 3
