import numpy as np
import pytest

from modashift.extract.covarep import pitch as pitch_module
from modashift.extract.covarep.pitch import frame_count, pitch
from modashift.extract.covarep.residual import residual
from modashift.extract.covarep.windows import blackman, round_away


def naive_pitch(signal, bin_offset=-1):
    """SRH with a full spectrum, a full table and two full passes, one frame at a time."""
    spectra = []
    for start in range(0, len(signal) - 1598, 160):
        frame = signal[start : start + 1598] * blackman(1598)
        frame = frame - frame.mean()
        magnitude = np.abs(np.fft.fft(frame, 16_000))[:8000]
        with np.errstate(invalid="ignore"):
            spectra.append(magnitude / np.sqrt((magnitude**2).sum()))

    def search(low, high):
        found = []
        for spectrum in spectra:
            best = (0.0, 1)
            for f in range(low, high + 1):
                score = sum(spectrum[h * f + bin_offset] for h in range(1, 6))
                score -= sum(spectrum[int(round_away((h + 0.5) * f)) + bin_offset] for h in range(1, 5))
                if score > best[0]:
                    best = (score, f)
            found.append(best)
        return np.array(found)

    low, high = 50, 500
    found = search(low, high)
    if found[:, 0].max() > 0.1:
        median = np.median(found[found[:, 0] > 0.1, 1])
        low, high = max(low, int(round_away(median / 2))), min(high, int(round_away(2 * median)))
        found = search(low, high)
    threshold = 0.085 if np.std(found[:, 0], ddof=1) > 0.05 else 0.07
    return found[:, 1], found[:, 0], found[:, 0] > threshold


@pytest.mark.parametrize(("bin_offset", "kept"), [(-1, 1000), (0, 1000), (-1, 40), (-1, 0)])
def test_track_is_the_literal_one(voice, monkeypatch, bin_offset, kept):
    monkeypatch.setattr(pitch_module, "KEPT", kept)
    signal = voice["signal"][4000:20000]
    (excitation,) = residual(signal, 12)
    f0, strength, voiced = naive_pitch(excitation, bin_offset)
    track = pitch(excitation, bin_offset=bin_offset)
    np.testing.assert_array_equal(track.f0, f0)
    np.testing.assert_allclose(track.strength, strength, atol=1e-12)
    np.testing.assert_array_equal(track.voiced, voiced)


@pytest.mark.parametrize("period", [32, 40, 64, 80, 95])
def test_a_pulse_train_has_its_own_pitch(period):
    signal = np.zeros(16_000)
    signal[::period] = 1.0
    (excitation,) = residual(signal, 12)
    track = pitch(excitation, bin_offset=0)
    assert track.voiced.all()
    np.testing.assert_allclose(track.f0, 16_000 / period, atol=0.5)


@pytest.mark.parametrize("period", [120, 160, 200, 300])
def test_a_low_pulse_train_has_its_own_pitch(period):
    # Three times the pitch scores as high as the pitch where all harmonics are alike; jitter weakens the higher ones.
    rng = np.random.default_rng(period)
    places = np.cumsum(period * (1 + 0.02 * rng.standard_normal(16_000 // period - 4))).astype(int)
    signal = np.zeros(16_000)
    signal[places] = 1.0
    (excitation,) = residual(signal, 12)
    track = pitch(excitation, bin_offset=0)
    np.testing.assert_allclose(track.median, 16_000 / np.diff(places).mean(), rtol=0.02)
    inside = slice(0, (places[-1] - 1598) // 160)
    assert track.voiced[inside].mean() > 0.9


def test_the_originals_bins_raise_the_estimate_a_little(voice):
    start, stop = voice["range"]
    (excitation,) = residual(voice["signal"][start:stop], 12)
    assert np.median(pitch(excitation, bin_offset=0).f0) == voice["f0"]
    assert voice["f0"] <= np.median(pitch(excitation).f0) <= voice["f0"] + 1


def test_voicing_follows_the_voice(voice):
    (excitation,) = residual(voice["signal"], 12)
    track = pitch(excitation)
    centre = 160 * np.arange(len(track.f0)) + 799
    start, stop = voice["range"]
    assert track.voiced[(centre > start + 800) & (centre < stop - 800)].all()
    assert not track.voiced[(centre < start - 800) | (centre > stop + 800)].any()
    assert abs(track.median - voice["f0"]) <= 1


def test_silence_has_no_pitch():
    track = pitch(residual(np.zeros(4000), 12)[0])
    assert len(track.f0) == frame_count(4000) == 16
    assert (track.f0 == 1).all()
    assert not track.strength.any()
    assert not track.voiced.any()
    assert track.median is None


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1598, 0), (1599, 1), (1758, 1), (1759, 2), (57_658, 351)])
def test_number_of_frames(samples, frames):
    assert frame_count(samples) == frames
    if samples < 3000:
        assert len(pitch(np.ones(samples)).f0) == frames


def test_identical_to_the_original(golden):
    (excitation,) = residual(golden["signal"], 12, window="octave")
    track = pitch(excitation)
    expected_f0, expected_voiced = golden["features"][:, 0], golden["features"][:, 1]
    last = len(track.f0) + 4
    np.testing.assert_array_equal((track.f0[:-1] + track.f0[1:]) / 2, expected_f0[5:last])
    np.testing.assert_array_equal(track.voiced[:-1] | track.voiced[1:], expected_voiced[5:last])
