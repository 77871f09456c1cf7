import numpy as np
import pytest
from scipy.signal import filtfilt, medfilt

from made_harmonics import frames_of, golden_frames, nearest, on_grid, part, speech_like
from modashift.extract.covarep import harmonics, phase, smoothing
from modashift.extract.covarep.envelope import warped_cepstrum
from modashift.extract.covarep.grid import NAMES
from modashift.extract.covarep.phase import DistortionStream, distortion, phase_distortion

BIN = 16_000 / 1024


def wrapped(angle):
    return np.angle(np.exp(1j * angle))


def naive_distortion(frames, seed, fill=True):
    """D on 513 bins, frame by frame."""
    out = []
    for row in range(len(frames)):
        count, f0 = int(frames.count[row]), frames.f0[row]
        places = frames.spacing[row] * np.arange(1, count + 1)
        level = frames.log_amplitudes[row, :count]
        envelope = np.interp(BIN * np.arange(513), np.concatenate([[0], places]), np.concatenate([level[:1], level]))
        cepstrum = np.fft.ifft(np.concatenate([envelope, envelope[-2:0:-1]])).real
        cepstrum[1:512] *= 2
        cepstrum[513:] = 0
        minimum = np.interp(places / BIN, np.arange(513), np.fft.fft(cepstrum)[:513].imag)
        left = np.concatenate([[0], frames.phases[row, :count] - minimum])
        theta = np.unwrap(left - np.arange(count + 1) * left[1])
        d = wrapped(np.diff(theta))
        more = np.arange(count + 1, int(8000 / frames.f0.min()) + 2)
        random = phase._random_phases(seed, frames.kept[row : row + 1], more)[0]
        d = np.concatenate([d, random if fill else np.full(len(more), d[-1])])
        nodes = np.concatenate([[0, 0.95 * f0], f0 * np.arange(1, len(d) + 1)])
        out.append(np.interp(BIN * np.arange(513), nodes, np.unwrap(np.concatenate([[0, 0], d]))))
    return np.array(out)


def naive_columns(mean):
    """Circular means over the bins that share a column."""
    t = np.arange(0, 1.001, 0.01)
    across = (1 - t) ** 2 * 8 + 2 * t * (1 - t) * 25 + t**2 * 512
    up = (1 - t) ** 2 * 8 + 2 * t * (1 - t) * 25 + t**2 * 25
    bins = [[] for _ in range(25)]
    for i in range(1, 513):
        bins[nearest(i if i <= 8 else np.interp(i, across, up)) - 1].append(i - 1)
    return np.stack([np.angle(np.exp(1j * mean[:, some]).mean(1)) for some in bins], 1)


def naive_smoothing(d, open_):
    """HMPDM and HMPDD from D, with the filters themselves; their padding no longer than the recording."""

    def there_and_back(window, x):
        return filtfilt(window / window.sum(), [1.0], x, axis=0, padlen=min(3 * (len(window) - 1), len(x) - 1))

    def median(x):
        padded = np.concatenate([np.zeros((4, x.shape[1])), x, np.zeros((4, x.shape[1]))])
        return np.stack([np.median(padded[row : row + 9], axis=0) for row in range(len(x))])

    c, s = there_and_back(np.ones(25), np.cos(d)), there_and_back(np.ones(25), np.sin(d))
    mean = np.arctan2(s, c)
    tc, ts = (there_and_back(np.hanning(9), median(f(d))) for f in (np.cos, np.sin))
    trend = np.where(np.hypot(tc, ts) < 1e-12, open_, np.arctan2(ts, tc))
    z = np.hypot(*(there_and_back(np.ones(9), f(d - trend)) for f in (np.cos, np.sin)))
    deviation = np.where(z < 1 - 1e-12, np.sqrt(-2 * np.log(np.minimum(z, 1.0))), 0.0)
    deviation[:, 0] = deviation[:, 1]
    deviation[deviation == 0] = 0.001
    return naive_columns(mean), warped_cepstrum(np.log(deviation), 12)


@pytest.fixture(scope="module")
def frames():
    x, f0 = speech_like(2.0, seed=11)
    f0[[0, 7]] = 50, 500
    return harmonics.analyse(x, f0)


@pytest.mark.parametrize("fill", [True, False])
def test_distortion_of_each_frame_step_by_step(frames, fill):
    expected = naive_distortion(frames, 5, fill)
    found = phase_distortion(frames, seed=5, random_fill=fill)
    np.testing.assert_allclose(np.exp(1j * found), np.exp(1j * expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9, 10, 24, 25, 26, 72, 73, 180])
def test_smoothing_step_by_step(frames, count):
    some = part(frames, slice(0, count))
    d = phase_distortion(some, seed=3)
    mean, deviation = naive_smoothing(d, phase._random_phases(3, np.array([-1]), np.arange(513))[0])
    found = distortion(some, seed=3)
    np.testing.assert_allclose(np.exp(1j * found[0]), np.exp(1j * mean), rtol=0, atol=1e-9)
    inner = slice(1, -1) if count >= 9 else slice(None)
    np.testing.assert_allclose(found[1][inner], deviation[inner], rtol=0, atol=1e-7)
    if count >= 9:  # at the ends the deviation is that of rounding errors: some bins zero, others 1.5e-8
        assert ((found[1][[0, -1], 0] > -18) & (found[1][[0, -1], 0] < np.log(0.001))).all()


@pytest.mark.parametrize("compat", [True, False])
@pytest.mark.parametrize("size", [7, 24, 25, 49, 100, 500])
def test_blocks_do_not_matter(frames, compat, size):
    whole = distortion(frames, seed=1, compat=compat)
    stream = DistortionStream(seed=1, compat=compat)
    parts = [stream.push(part(frames, slice(at, at + size))) for at in range(0, len(frames), size)]
    assert stream._rows.shape[1] <= 48  # what is held does not grow with the recording
    parts.append(stream.finish())
    for i in (0, 1):
        np.testing.assert_allclose(np.concatenate([part[i] for part in parts]), whole[i], rtol=0, atol=1e-12)


def test_a_short_recording_in_blocks(frames):
    some = part(frames, slice(0, 20))
    stream = DistortionStream()
    pushed = [stream.push(part(some, slice(at, at + 5))) for at in range(0, 20, 5)]
    assert not any(len(mean) for mean, _ in pushed)
    np.testing.assert_allclose(stream.finish()[1], distortion(some)[1], atol=1e-12)
    assert stream.finish()[0].shape == (0, 25)  # a new recording begins


def test_no_frames(frames):
    mean, deviation = distortion(part(frames, slice(0)))
    assert mean.shape == (0, 25)
    assert deviation.shape == (0, 13)


def test_distortion_does_not_depend_on_where_a_period_begins():
    rng = np.random.default_rng(0)
    amplitudes, phases = rng.uniform(0.1, 1, (40, 39)), np.tile(rng.uniform(-3, 3, 39), (40, 1))
    amplitudes[:] = amplitudes[0]
    shifted = phases + rng.uniform(-9, 9, (40, 1)) * np.arange(1, 40)
    still, moving = (phase_distortion(frames_of(amplitudes, p), random_fill=False) for p in (phases, shifted))
    np.testing.assert_allclose(np.exp(1j * moving), np.exp(1j * still), atol=1e-9)
    mean, deviation = distortion(frames_of(amplitudes, shifted), compat=False)
    np.testing.assert_allclose(np.exp(1j * mean), np.exp(1j * mean[:1]).repeat(40, 0), atol=1e-9)
    np.testing.assert_allclose(deviation[:, 0], np.log(0.001), atol=1e-9)  # nothing varies


def test_a_minimum_phase_sound_has_no_distortion():
    z = np.exp(-1j * np.pi * np.arange(1, 161) / 160)
    tract = 1 / ((1 - 0.8 * np.exp(0.5j) * z) * (1 - 0.8 * np.exp(-0.5j) * z))[None]
    d = phase_distortion(frames_of(np.abs(tract), np.angle(tract), f0=50.0), random_fill=False)
    # Only what the flat continuation below the first harmonic leaves.
    assert np.abs(wrapped(d)).max() < 0.02


def test_deviation_grows_with_noise():
    rng = np.random.default_rng(0)
    amplitudes = np.ones((100, 39))
    levels = []
    for noise in (0.05, 0.2, 0.8):
        frames = frames_of(amplitudes, rng.normal(0, noise, (100, 39)))
        levels.append(distortion(frames, compat=False)[1][20:80, 0].mean())
    assert levels[0] < levels[1] < levels[2]


def test_random_phases():
    one = phase._random_phases(0, np.arange(300), np.arange(50))
    assert np.abs(one).max() <= np.pi
    assert np.histogram(one, 10, (-np.pi, np.pi))[0] == pytest.approx(1500, rel=0.1)
    assert abs(np.corrcoef(one[:-1].ravel(), one[1:].ravel())[0, 1]) < 0.03
    assert abs(np.corrcoef(one[:, :-1].ravel(), one[:, 1:].ravel())[0, 1]) < 0.03
    np.testing.assert_array_equal(phase._random_phases(0, np.array([7]), np.array([9]))[0, 0], one[7, 9])
    for other in (1, -1, 2**64 - 2):
        assert not np.isin(phase._random_phases(other, np.arange(30), np.arange(50)), one).any()


def test_the_seed_matters_above_the_last_harmonic_only(frames):
    first, second = (distortion(frames, seed=seed)[0] for seed in (0, 1))
    np.testing.assert_allclose(np.exp(1j * first[:, :23]), np.exp(1j * second[:, :23]), atol=1e-9)
    assert np.abs(first[:, 24] - second[:, 24]).max() > 1e-3
    repaired = [distortion(frames, seed=seed, compat=False) for seed in (0, 1)]
    for one, other in zip(*repaired, strict=True):
        np.testing.assert_array_equal(one, other)


def test_repaired_ends_are_like_the_rest(frames):
    inside = slice(30, -30)
    original, repaired = distortion(frames)[1], distortion(frames, compat=False)[1]
    assert (original[[0, -1], 0] < original[inside, 0].min() - 2).all()
    assert (repaired[[0, -1], 0] > repaired[inside, 0].min() - 1).all()


def test_silent_frames_have_no_distortion():
    x = np.zeros(8000)
    x[4000:] = np.random.default_rng(0).standard_normal(4000)
    frames = harmonics.analyse(x, np.full(40, 200.0))
    d = phase_distortion(frames)
    assert frames.silent.any()
    assert not d[frames.silent].any()
    assert all(np.isfinite(values).all() for values in distortion(frames))


def test_median_and_moving_sum_are_those_of_scipy():
    rows = np.random.default_rng(0).normal(size=(2, 40, 3))
    expected = np.stack([medfilt(part, (9, 1)) for part in rows])
    np.testing.assert_array_equal(smoothing._median(rows, True), expected)
    for width in (1, 2, 7, 9, 25):
        expected = np.stack([[np.convolve(c, np.ones(width), "valid") for c in part.T] for part in rows])
        np.testing.assert_allclose(smoothing._moving_sum(rows, np.ones(width)), expected.swapaxes(1, 2), atol=1e-12)


def test_reference_recordings(golden):
    frames = golden_frames(golden)
    features, first = golden["features"], NAMES.index("HMPDM_0")
    voiced = features[:, NAMES.index("VUV")] == 1
    by_seed = [distortion(frames, seed=seed) for seed in range(5)]
    mean, deviation = by_seed[0]
    found, expected = on_grid(golden, frames, mean, phase=True), features[:, first : first + 25]
    alike = np.abs(np.exp(1j * (found - expected))[voiced].mean(0))
    assert (alike[:24] > 0.99999).all()
    assert np.median(np.abs(wrapped(found - expected))[:, :24]) < 1e-6
    random = [on_grid(golden, frames, m, phase=True)[voiced, 24] - expected[voiced, 24] for m, _ in by_seed]
    alike = [np.abs(np.exp(1j * r).mean()) for r in random]  # the last column depends on the random phases
    assert min(alike) > 0.9
    assert np.median(alike) > 0.96

    found, expected = on_grid(golden, frames, deviation, phase=True), features[:, first + 25 : first + 38]
    nonzero = np.flatnonzero(expected[:, 0])
    assert nonzero[0] == np.flatnonzero(found[:, 0])[0]
    assert nonzero[-1] == np.flatnonzero(found[:, 0])[-1]
    inside = voiced.copy()
    ends = nonzero[[0, -1]]
    inside[ends] = False  # what these hold is half rounding error
    assert np.abs(found[ends, 0] - expected[ends, 0]).max() < 1
    assert min(np.corrcoef(found[inside, i], expected[inside, i])[0, 1] for i in range(13)) > 0.9977
    assert np.median(np.abs(found - expected)[inside]) < 0.002
