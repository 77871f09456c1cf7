import numpy as np
import pytest

from made_harmonics import golden_frames, nearest, part, speech_like
from modashift.extract.covarep import envelope, harmonics
from modashift.extract.covarep.envelope import log_envelope, mel_cepstrum, true_envelope, warped_cepstrum
from modashift.extract.covarep.grid import NAMES

MCEP = slice(NAMES.index("MCEP_0"), NAMES.index("MCEP_24") + 1)


def naive_true_envelope(half, order, steps=200):
    whole = np.concatenate([half, half[-2:0:-1]])
    omega = np.hamming(2 * order + 1)[order:]
    cepstrum, lifted = np.zeros(order + 1), whole
    for _ in range(steps):
        kappa = np.fft.ifft(lifted).real
        low = np.concatenate([kappa[:1], 2 * kappa[1 : order + 1]])
        inner, outer = np.linalg.norm(low), np.linalg.norm(2 * kappa[order + 1 : 2048])
        cepstrum = cepstrum + (inner + outer) / inner * omega * (low - cepstrum)
        curve = np.fft.fft(cepstrum, 4096).real
        lifted = np.maximum(lifted, curve)
        if (whole - curve).max() <= np.log(10**0.1):
            break
    return curve[:2049]


def naive_warped(half, order):
    bins = len(half)
    f = np.linspace(0, 8000, bins)
    mel = 1127 * np.log(1 + f / 700)
    warped = np.log(np.interp(f, 8000 * mel / mel[-1], np.exp(half)))
    cepstrum = np.fft.ifft(np.concatenate([warped, warped[-2:0:-1]])).real
    return np.concatenate([cepstrum[:1], 2 * cepstrum[1 : order + 1]])


def naive_mel_cepstrum(level, f0):
    period = nearest(8000 / f0)
    high = nearest(1.2 * period)
    low = nearest(1.2 * nearest(high / 2))
    smooth = naive_true_envelope(level, low)
    z = nearest(1024 / high)
    level = level.copy()
    level[:z] = smooth[:z]
    level[2049 - z + 1 :] = smooth[2049 - z + 1 :]
    return naive_warped(naive_true_envelope(level, high), 24)


@pytest.fixture(scope="module")
def frames():
    x, f0 = speech_like(1.0, seed=3)
    f0[[4, 9, 30]] = 50, 500, 333
    return harmonics.analyse(x, f0)


@pytest.mark.parametrize("steps", [1, 4, 200])
def test_true_envelopes_of_different_orders_together(frames, steps, monkeypatch):
    monkeypatch.setattr(envelope, "MAX_STEPS", steps)
    order = np.array([1, 2, 19, 24, 47, 48, 63, 64, 65, 191, 192, 60])
    spectra = frames.log_spectrum[: len(order)]
    curves = log_envelope(true_envelope(spectra, order))
    for curve, spectrum, q in zip(curves, spectra, order, strict=True):
        np.testing.assert_allclose(curve, naive_true_envelope(spectrum, q, steps), rtol=0, atol=1e-10)


def test_a_true_envelope_misses_no_peak_by_more_than_two_decibels(frames):
    order = np.full(len(frames), 60)
    curve = log_envelope(true_envelope(frames.log_spectrum, order))
    missed = 20 / np.log(10) * (frames.log_spectrum - curve).max(1)
    assert missed.max() <= 2 + 1e-9
    assert missed.min() > 0  # the search ends as soon as that holds


def test_extreme_spectra():
    flat = np.full((1, 2049), -2.0)
    np.testing.assert_allclose(log_envelope(true_envelope(flat, np.array([40]))), flat, atol=1e-9)
    zero = np.zeros((1, 2049))
    np.testing.assert_allclose(log_envelope(true_envelope(zero, np.array([40]))), zero, atol=1e-12)
    floor = np.full((1, 2049), -354.0)
    floor[0, 500] = 0.0
    curve = log_envelope(true_envelope(floor, np.array([40])))[0]
    np.testing.assert_allclose(curve, naive_true_envelope(floor[0], 40), atol=1e-8)


def test_mel_cepstra_step_by_step(frames):
    found = mel_cepstrum(frames)
    for row in range(0, len(frames), 2):
        expected = naive_mel_cepstrum(frames.log_spectrum[row], frames.f0[row])
        np.testing.assert_allclose(found[row], expected, rtol=0, atol=1e-10)


def test_a_frame_has_the_same_mel_cepstrum_in_any_company(frames):
    whole = mel_cepstrum(frames)
    for rows in (slice(0, 1), slice(5, 12), slice(12, None)):
        np.testing.assert_allclose(mel_cepstrum(part(frames, rows)), whole[rows], rtol=0, atol=1e-10)


@pytest.mark.parametrize(("bins", "order"), [(2049, 24), (513, 12)])
def test_warped_cepstrum_step_by_step(bins, order):
    spectra = np.random.default_rng(0).normal(size=(3, bins)).cumsum(1) / 10
    found = warped_cepstrum(spectra, order)
    for row, spectrum in zip(found, spectra, strict=True):
        np.testing.assert_allclose(row, naive_warped(spectrum, order), atol=1e-12)
    flat = warped_cepstrum(np.full((1, bins), -3.5), order)
    np.testing.assert_allclose(flat, [[-3.5] + order * [0.0]], atol=1e-12)


def test_silent_frames_have_no_cepstrum():
    x = np.zeros(4000)
    x[2000:] = np.random.default_rng(0).standard_normal(2000)
    frames = harmonics.analyse(x, np.full(12, 200.0))
    cepstra = mel_cepstrum(frames)
    assert list(np.isnan(cepstra).all(1)) == list(frames.silent)
    assert 0 < frames.silent.sum() < len(frames)
    assert np.isfinite(cepstra[~frames.silent]).all()
    assert mel_cepstrum(part(frames, slice(0))).shape == (0, 25)
    assert true_envelope(frames.log_spectrum[:0], np.zeros(0, dtype=int)).shape == (0, 1)


def test_reference_recordings(golden):
    frames = golden_frames(golden)
    cepstra, samples = mel_cepstrum(frames), len(golden["signal"])
    # The original spreads the frames evenly over the recording.
    nodes = np.floor(1 + (samples - 1) * np.arange(len(cepstra)) / (len(cepstra) - 1) + 0.5)
    s = 80 + 160 * np.arange(len(golden["features"]))
    found = np.stack([np.interp(s, nodes, column) for column in cepstra.T], 1)
    np.testing.assert_allclose(found, golden["features"][:, MCEP], rtol=0, atol=1e-6)
