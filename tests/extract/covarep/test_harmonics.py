import numpy as np
import pytest

from made_harmonics import naive_frame, part, speech_like
from modashift.extract.covarep import harmonics


def test_every_frame_is_what_it_is_step_by_step():
    x, f0 = speech_like(1.2)
    f0[[3, 40]] = 50, 500
    f0[20] = 1
    naive = [frame for n, f in enumerate(f0) if (frame := naive_frame(x, f, n))]
    frames = harmonics.analyse(x, f0)
    assert list(frames.kept) == [frame["n"] for frame in naive]
    assert 20 not in frames.kept
    assert sum(frame["dropped"] > 0 for frame in naive) > 2  # harmonics beyond half the rate do occur here
    for row, frame in enumerate(naive):
        count = len(frame["amplitudes"])
        assert frames.f0[row] == frame["f0"]
        assert frames.count[row] == count
        np.testing.assert_allclose(frames.log_spectrum[row], frame["level"], atol=1e-9)
        np.testing.assert_allclose(frames.log_amplitudes[row, :count], np.log(frame["amplitudes"]), atol=1e-9)
        apart = np.exp(1j * (frames.phases[row, :count] - frame["phases"]))
        np.testing.assert_allclose(apart, 1, atol=1e-7)
        assert frames.spacing[row] == pytest.approx(frame["spacing"], abs=1e-7)
        assert not frames.log_amplitudes[row, count:].any()
        assert not frames.phases[row, count:].any()


def test_a_periodic_signal_gives_its_amplitudes_and_phases_back():
    rng = np.random.default_rng(1)
    f0, count = 160.0, 49
    amplitudes, phases = 1 / np.arange(1, count + 1), rng.uniform(-np.pi, np.pi, count)
    t = (np.arange(4800) - 2400) / 16_000  # frame 10 has its centre at 2400
    x = sum(a * np.cos(2 * np.pi * h * f0 * t + p) for h, a, p in zip(range(1, 50), amplitudes, phases, strict=True))
    frames = harmonics.analyse(x, np.array([f0]), first=10)
    assert frames.kept == [10]
    assert frames.count[0] in (49, 50)  # the fiftieth would lie at half the sample rate
    np.testing.assert_allclose(2 * np.exp(frames.log_amplitudes[0, :count]), amplitudes, rtol=2e-3)
    np.testing.assert_allclose(np.exp(1j * (frames.phases[0, :count] - phases)), 1, atol=5e-3)
    assert frames.spacing[0] == pytest.approx(f0, abs=0.05)


def test_harmonics_moved_beyond_half_the_sample_rate_are_left_out():
    true = 206.0  # 38 · 206 < 8000 < 39 · 206
    t = (np.arange(3200) - 1600) / 16_000
    x = sum(np.cos(2 * np.pi * h * true * t) for h in range(1, 39))
    frames = harmonics.analyse(x, np.array([202.0]), first=5)  # 39 harmonics are wanted
    assert frames.spacing[0] == pytest.approx(true, abs=0.5)
    assert frames.count == [38]


def test_a_run_of_frames_is_the_same_run_of_the_whole():
    x, f0 = speech_like()
    f0[2] = 1
    whole = harmonics.analyse(x, f0)
    start = 0
    for first in range(0, len(f0), 7):
        some = harmonics.analyse(x, f0[first : first + 7], first=first)
        same = part(whole, slice(start, start := start + len(some)))
        width = some.phases.shape[1]
        for name, value in vars(some).items():
            expected = getattr(same, name)
            assert np.array_equal(value, expected[:, :width] if name in ("phases", "log_amplitudes") else expected)
    assert start == len(whole)


def test_frames_that_do_not_fit_are_left_out():
    x = np.random.default_rng(0).standard_normal(3000)
    # Windows reach 480, 800, 801 and 2000 samples to each side of samples 800, 960, 1120 and 1280.
    frames = harmonics.analyse(x, np.array([50.0, 30.0, 11.9, 12.0, 50.0]))
    assert list(frames.kept) == [0, 1, 4]
    assert list(harmonics.analyse(x, np.array([30.0])).kept) == [0]
    assert list(harmonics.analyse(x, np.array([29.9])).kept) == []
    assert list(harmonics.analyse(x[:1600], np.array([30.0])).kept) == []  # one sample short
    assert list(harmonics.analyse(x[:1601], np.array([30.0])).kept) == [0]


def test_nothing_gives_nothing():
    for frames in (
        harmonics.analyse(np.zeros(0), np.zeros(0)),
        harmonics.analyse(np.zeros(1600), np.ones(1)),
        harmonics.analyse(np.zeros(10), np.array([100.0])),
    ):
        assert len(frames) == 0
        assert frames.log_spectrum.shape == (0, 2049)


def test_silence_and_single_clicks_are_analysed():
    x = np.zeros(4000)
    x[1280] = 0.5  # the centre of frame 3
    frames = harmonics.analyse(x, np.array([120.0, 120.0, 120.0, 120.0, 1.0, 120.0]))
    assert list(frames.kept) == [0, 1, 2, 3, 5]
    assert list(frames.silent) == [True, True, False, False, True]
    # A click has a flat spectrum: no peaks, so the spectrum is read where harmonics should be.
    click = 0.5 / np.blackman(401).sum()
    np.testing.assert_allclose(np.exp(frames.log_amplitudes[3, :66]), click, rtol=1e-9)
    assert frames.spacing[3] == pytest.approx(120)


@pytest.mark.parametrize("f0", [[0.5], [501.0], [np.nan], [-1.0]])
def test_impossible_pitch_is_refused(f0):
    with pytest.raises(ValueError, match="pitch must lie between 1"):
        harmonics.analyse(np.zeros(4000), np.array(f0))


def test_other_rates_and_negative_frames_are_refused():
    with pytest.raises(ValueError, match="resample"):
        harmonics.analyse(np.zeros(4000), np.ones(3), sample_rate=8000)
    with pytest.raises(ValueError, match="counted from 0"):
        harmonics.analyse(np.zeros(4000), np.ones(3), first=-1)
