import numpy as np
import pytest
from scipy.signal import ellip, filtfilt

from modashift.extract.covarep.closure import closures, keep_voiced, mean_based_signal, swings
from modashift.extract.covarep.pitch import pitch
from modashift.extract.covarep.residual import polarity, residual
from modashift.extract.covarep.windows import blackman, round_away


def naive_mean_based(signal, f0):
    half = int(round_away(1.7 * round_away(16_000 / f0) / 2))
    mean = np.zeros(len(signal))
    window = blackman(2 * half + 1) / (2 * half + 1)
    for i in range(half, len(signal) - half):
        mean[i] = (signal[i - half : i + half + 1] * window).sum()
    numerator, denominator = ellip(5, 3, 60, 50 / 8000, btype="highpass")
    return filtfilt(numerator, denominator, mean, padlen=15)


def naive_closures(mean, excitation):
    low = [i for i in range(1, len(mean) - 1) if mean[i - 1] > mean[i] < mean[i + 1]]
    high = [i for i in range(1, len(mean) - 1) if mean[i - 1] < mean[i] > mean[i + 1]]
    high = [i for i in high if i > low[0]]
    low = [i for i in low if i < high[-1]]
    pairs = list(zip(low, high, strict=True))
    places = []
    for i in np.flatnonzero(excitation > 0.4 * np.abs(excitation).max()):
        nearest = min(range(len(low)), key=lambda k: abs(low[k] - i))
        places.append((i - low[nearest]) / (high[nearest] - low[nearest]))
    place = float(np.median(places)) if places else 0.0
    found = set()
    for a, b in pairs:
        first = max(a + int(round_away((place - 0.35) * (b - a))), 0)
        last = min(a + int(round_away((place + 0.35) * (b - a))), len(mean) - 1)
        found.add(first + int(excitation[first : last + 1].argmax()))
    return sorted(found)


def test_mean_based_signal_is_the_literal_one(voice):
    signal = voice["signal"][6000:12000]
    expected = naive_mean_based(signal, 125.0)
    # the filter's poles are so close together that rounding grows a millionfold
    np.testing.assert_allclose(mean_based_signal(signal, 125.0), expected, atol=1e-8)
    np.testing.assert_allclose(mean_based_signal(signal, 125.0, block=777), expected, atol=1e-8)


def test_candidates_are_the_literal_ones(voice):
    signal = voice["signal"][6000:12000]
    excitation = np.nan_to_num(residual(signal, 18)[0])
    expected = naive_closures(naive_mean_based(signal, 125.0), excitation)
    assert len(expected) > 30
    np.testing.assert_array_equal(closures(signal, excitation, 125.0), expected)
    np.testing.assert_array_equal(closures(signal, excitation, 125.0, block=500), expected)


@pytest.mark.parametrize("block", [3, 4, 1000])
def test_swings_go_from_a_minimum_to_the_next_maximum(block):
    mean = np.array([0, 1, 0.5, -1, 2, 3, 1, 0, 4, 4, 3, 2, 5, 1], dtype=float)
    low, rise = swings(mean, block)
    # minima at 3, 7, 11; maxima at 1 (before the first minimum), 5, 12; 4, 4 is a plateau, not a maximum
    np.testing.assert_array_equal(low[0], 3)
    np.testing.assert_array_equal(rise[0], 2)
    assert (rise > 0).all()


def test_closures_of_a_synthetic_voice_are_where_they_were_put(voice):
    signal, (start, stop) = voice["signal"], voice["range"]
    excitation = residual(signal, 18)[0]
    sign = polarity(signal, excitation)
    track = pitch(residual(signal, 12)[0])
    found = keep_voiced(closures(sign * signal, sign * excitation, track.median), track.voiced)
    steady = voice["closures"][(voice["closures"] > start + 1600) & (voice["closures"] < stop - 1600)]
    errors = np.array([found[np.abs(found - c).argmin()] - c for c in steady])
    # The residual peaks during the return phase, which takes 2.6 samples, so a little after the closure.
    assert errors.min() >= 0
    assert errors.max() <= 5
    assert np.ptp(errors) <= 2
    inside = found[(found > steady[0] - 64) & (found < steady[-1] + 64)]
    assert len(inside) == len(steady)


def test_closures_are_kept_where_half_the_voicing_is_reached():
    voiced = np.array([False, True, True, False])
    instants = np.array([700, 799, 800, 879, 880, 1000, 1200, 1201, 1280, 1281, 2000])
    np.testing.assert_array_equal(keep_voiced(instants, voiced), [880, 1000, 1200])
    np.testing.assert_array_equal(keep_voiced(instants, voiced[:0]), [])


def test_a_flat_signal_has_no_closures():
    assert not len(closures(np.zeros(4000), np.zeros(4000), 100.0))


EXPECTED = {
    "03-01-03-01-01-01-02": (362, [7308, 7405, 17053]),
    "03-01-04-01-01-01-07": (200, [17116, 17204, 17322]),
    "mosi_03bSnISJMiM_1": (368, [1685, 1748, 1830]),
}


def test_closures_of_the_golden_recordings(golden):
    low_order, high_order = residual(golden["signal"], 12, 18, window="octave")
    sign = polarity(golden["signal"], high_order, window="octave")
    track = pitch(low_order)
    found = closures(sign * golden["signal"], sign * np.nan_to_num(high_order), track.median)
    found = keep_voiced(found, track.voiced)
    count, first = EXPECTED[golden["name"]]
    assert len(found) == count
    np.testing.assert_array_equal(found[:3], first)
