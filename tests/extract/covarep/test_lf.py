import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar

from made_harmonics import frames_of, golden_frames, on_grid, part, speech_like
from modashift.extract.covarep import harmonics
from modashift.extract.covarep.grid import NAMES
from modashift.extract.covarep.lf import pulse, rd, spectrum
from modashift.extract.covarep.minimise import minimise_bounded

SHAPES = np.array([0.3, 0.41, 0.7, 1.0, 1.6180339, 2.2, 2.49, 2.5])


def parameters(shape):
    """t_e, t_a, ω_g, ε and α of one pulse, by root finding between brackets."""
    ra, rk = (-1 + 4.8 * shape) / 100, (22.4 + 11.8 * shape) / 100
    rg = 1 / (4 * (0.11 * shape / (0.5 + 1.2 * rk) - ra) / rk)
    te, omega = (1 + rk) / (2 * rg), 2 * np.pi * rg
    epsilon = brentq(lambda e: 1 - np.exp(-e * (1 - te)) - e * ra, 0.5 / ra, 1.5 / ra, xtol=1e-13)
    alphas = np.linspace(0, 50, 501)

    def net(alpha):
        return quad(lambda t: flow_derivative(t, te, ra, omega, epsilon, alpha), 0, te, epsabs=1e-13)[0] + after

    after = quad(lambda t: flow_derivative(t, te, ra, omega, epsilon, 0.0), te, 1, epsabs=1e-13, limit=200)[0]
    values = [net(alpha) for alpha in alphas[:150]]
    first = next(i for i in range(149) if values[i] * values[i + 1] < 0)
    return te, ra, omega, epsilon, brentq(net, alphas[first], alphas[first + 1], xtol=1e-13)


def flow_derivative(t, te, ta, omega, epsilon, alpha):
    if t <= te:
        return -np.exp(alpha * (t - te)) * np.sin(omega * t) / np.sin(omega * te)
    return -(np.exp(-epsilon * (t - te)) - np.exp(-epsilon * (1 - te))) / (epsilon * ta)


def naive_spectrum(shape, count):
    """The pulse's transform by integrating it numerically, over the two parts."""
    found = parameters(shape)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    total = np.zeros(count, dtype=complex)
    for low, high in ((0.0, found[0]), (found[0], 1.0)):
        t = 0.5 * (high - low) * nodes + 0.5 * (high + low)
        g = np.array([flow_derivative(v if high < 1 else max(v, low + 1e-15), *found) for v in t])
        kernel = np.exp(-2j * np.pi * np.outer(np.arange(1, count + 1), t))
        total += kernel @ (g * weights) * 0.5 * (high - low)
    return total


def naive_error(shape, amplitudes, phases, divisor):
    """The criterion for one frame: what is left of the phases, by transforms of the whole spectrum."""
    count = len(amplitudes)
    harmonic = amplitudes * np.exp(1j * phases)
    left = np.empty(count + 1, dtype=complex)
    left[1:] = harmonic / np.conj(divisor(shape, count))
    left[count] = abs(left[count - 1])
    left[0] = abs(left[1])
    level = np.log(np.abs(left))
    cepstrum = np.fft.ifft(np.concatenate([level, level[-2:0:-1]])).real
    cepstrum[1:count] *= 2
    cepstrum[count + 1 :] = 0
    left /= np.exp(np.fft.fft(cepstrum)[: count + 1])
    phase = np.angle(np.concatenate([left, left[-2:0:-1].conj()]))
    last = min(2 * count - 1, 8)
    second = [phase[h + 1] - phase[h] - phase[1] for h in range(1, last)]
    return np.mean(np.angle(np.exp(1j * np.array(second))) ** 2)


def divisor(shape, count):
    return spectrum(pulse(np.array([shape])), count)[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_pulse_and_its_spectrum(shape):
    found = pulse(np.array([shape]))
    expected = parameters(shape)
    for value, name in zip(expected, ("closure", "return_time", "angular", "decay", "growth"), strict=True):
        assert getattr(found, name)[0] == pytest.approx(value, rel=1e-9), name
    np.testing.assert_allclose(spectrum(found, 120)[0], naive_spectrum(shape, 120), rtol=0, atol=1e-11)


def test_pulses_by_the_dozen():
    shapes = np.random.default_rng(0).uniform(0.3, 2.5, 50)
    pulses = pulse(shapes)
    te, ta, omega, epsilon = pulses.closure, pulses.return_time, pulses.angular, pulses.decay
    np.testing.assert_allclose(1 - np.exp(-epsilon * (1 - te)), epsilon * ta, rtol=0, atol=1e-14)
    assert (epsilon * ta > 0.5).all()  # not the root at zero
    alpha, sine = pulses.growth, np.sin(omega * te)
    opened = -(alpha - omega / np.tan(omega * te) + omega * np.exp(-alpha * te) / sine) / (alpha**2 + omega**2)
    closed = -(1 / epsilon - (1 - te) * np.exp(-epsilon * (1 - te)) / (epsilon * ta))
    np.testing.assert_allclose(opened + closed, 0, atol=1e-14)
    for row, shape in enumerate(shapes[:5]):
        np.testing.assert_array_equal(pulses.part(slice(row, row + 1)).growth, pulses.growth[row : row + 1])
        np.testing.assert_allclose(spectrum(pulses, 30)[row], divisor(shape, 30), rtol=0, atol=1e-15)


@pytest.mark.parametrize("shape", [0.29, 2.51, np.nan])
def test_shapes_beyond_the_model_are_refused(shape):
    with pytest.raises(ValueError, match=r"between 0\.3 and 2\.5"):
        pulse(np.array([1.0, shape]))


def test_minimisation_takes_the_steps_of_a_single_one():
    rng = np.random.default_rng(2)
    a, b, c, d = rng.uniform(0.3, 9, (4, 300))
    taken = [[] for _ in a]

    def together(index, x):
        for i, value in zip(index, x, strict=True):
            taken[i].append(value)
        return np.cos(a[index] * x + b[index]) + 0.3 * np.abs(np.sin(c[index] * x)) + 0.05 * d[index] * x

    x, value = minimise_bounded(together, len(a), 0.3, 2.5, tolerance=0.01, evaluations=32)
    for i in range(len(a)):
        alone = []

        def single(v, i=i, alone=alone):
            alone.append(v)
            return np.cos(a[i] * v + b[i]) + 0.3 * np.abs(np.sin(c[i] * v)) + 0.05 * d[i] * v

        result = minimize_scalar(single, bounds=(0.3, 2.5), method="bounded", options={"xatol": 0.01, "maxiter": 32})
        np.testing.assert_allclose(taken[i], alone, rtol=0, atol=1e-12)
        assert x[i] == pytest.approx(result.x, abs=1e-12)
        assert value[i] == pytest.approx(result.fun, abs=1e-12)


def test_minimisation_ends_when_told_to():
    calls = []
    minimise_bounded(lambda i, x: calls.append(x) or np.cos(40 * x), 3, 0.0, 1.0, tolerance=1e-12, evaluations=7)
    assert len(calls) == 7


def test_rd_step_by_step():
    x, f0 = speech_like(0.8, seed=5)
    f0[3] = 50
    frames = harmonics.analyse(x, f0)
    found = rd(frames)
    for row in range(0, len(frames), 2):
        amplitudes = np.exp(frames.log_amplitudes[row, : frames.count[row]])
        phases = frames.phases[row, : frames.count[row]]
        result = minimize_scalar(
            naive_error,
            args=(amplitudes, phases, divisor),
            bounds=(0.3, 2.5),
            method="bounded",
            options={"xatol": 0.01, "maxiter": 32},
        )
        assert found[row, 0] == pytest.approx(result.x, abs=1e-8)
        assert found[row, 1] == pytest.approx(1 - np.sqrt(result.fun) / np.pi, abs=1e-8)


@pytest.mark.parametrize("count", [7, 8, 9, 16])
def test_few_harmonics_are_mirrored(count):
    rng = np.random.default_rng(count)
    amplitudes, phases = rng.uniform(0.1, 1, (3, count)), rng.uniform(-3, 3, (3, count))
    found = rd(frames_of(amplitudes, phases))
    for row in range(3):
        error = naive_error(found[row, 0], amplitudes[row], phases[row], divisor)
        assert found[row, 1] == pytest.approx(1 - np.sqrt(error) / np.pi, abs=1e-10)


def test_the_shape_a_voice_was_made_with_is_found():
    shapes, count = np.array([0.6, 1.0, 1.5, 2.0, 2.3]), 40
    # Vocal tract of minimum phase: two poles; the pulse conjugated, as the criterion divides by it.
    z = np.exp(-1j * np.pi * np.arange(1, count + 1) / count)
    tract = 1 / ((1 - 0.9 * np.exp(0.3j) * z) * (1 - 0.9 * np.exp(-0.3j) * z))
    voice = np.conj(spectrum(pulse(shapes), count)) * tract * np.exp(0.7j * np.arange(1, count + 1))
    found = rd(frames_of(np.abs(voice), np.angle(voice)))
    np.testing.assert_allclose(found[:, 0], shapes, atol=0.05)
    assert (found[:, 1] > 0.98).all()
    mixed = frames_of(np.abs(voice), np.angle(voice), count=np.array([40, 30, 40, 20, 35]))
    np.testing.assert_allclose(rd(mixed)[[0, 2]], found[[0, 2]], atol=1e-12)


def test_silent_frames_have_no_shape():
    x = np.zeros(4000)
    x[2000:] = np.random.default_rng(0).standard_normal(2000)
    frames = harmonics.analyse(x, np.full(12, 200.0))
    found = rd(frames)
    assert list(np.isnan(found).all(1)) == list(frames.silent)
    assert ((found[~frames.silent] >= [0.3, 0]) & (found[~frames.silent] <= [2.5, 1])).all()
    assert np.isnan(rd(part(frames, slice(0, 1)))).all()
    assert rd(part(frames, slice(0))).shape == (0, 2)


def test_reference_recordings(golden):
    frames = golden_frames(golden)
    columns = slice(NAMES.index("Rd"), NAMES.index("Rd_conf") + 1)
    expected = golden["features"][:, columns]
    found = on_grid(golden, frames, rd(frames))
    apart = np.abs(found - expected)
    # A search can turn another way where two steps are equal but for rounding, or at a click without harmonics.
    assert np.mean(apart.max(1) < 1e-6) > 0.98
    voiced = golden["features"][:, NAMES.index("VUV")] == 1
    assert apart[voiced].max() < 2e-3
    assert min(np.corrcoef(found[voiced, i], expected[voiced, i])[0, 1] for i in (0, 1)) > 0.99999
