import numpy as np
import pytest

from modashift.extract.covarep.grid import NAMES, frame_count, interpolate, positions, wrap


@pytest.mark.parametrize(
    ("samples", "frames"), [(57_658, 360), (56_590, 354), (53_290, 333), (79, 0), (80, 1), (320, 2)]
)
def test_number_of_frames(samples, frames):
    assert frame_count(samples) == len(positions(samples)) == frames


def test_frames_stand_every_ten_milliseconds_from_five_on():
    np.testing.assert_allclose(positions(1000) / 16_000, [0.005, 0.015, 0.025, 0.035, 0.045, 0.055])


def test_names_are_the_originals():
    assert len(NAMES) == len(set(NAMES)) == 74
    assert [NAMES[i] for i in (0, 1, 7, 8, 10, 11, 35, 36, 60, 61, 73)] == [
        *("F0", "VUV", "peakSlope", "Rd", "creak", "MCEP_0", "MCEP_24", "HMPDM_0", "HMPDM_24", "HMPDD_0", "HMPDD_12")
    ]


def test_interpolation_is_linear_and_nan_outside():
    rng = np.random.default_rng(0)
    nodes = np.cumsum(rng.uniform(1, 50, 40))
    values = rng.standard_normal((40, 3))
    grid = np.linspace(-10, nodes[-1] + 30, 500)
    found = interpolate(nodes, values, grid)
    inside = (grid >= nodes[0]) & (grid <= nodes[-1])
    for column in range(3):
        np.testing.assert_allclose(found[inside, column], np.interp(grid[inside], nodes, values[:, column]), atol=1e-12)
    assert np.isnan(found[~inside]).all()
    np.testing.assert_allclose(interpolate(nodes, values, nodes), values, atol=1e-12)


def test_an_infinite_node_is_infinite_on_one_side_only():
    found = interpolate(np.array([0.0, 10, 20]), np.array([[1.0], [-np.inf], [1.0]]), np.array([5.0, 15.0]))
    assert np.isneginf(found[0, 0])
    assert np.isnan(found[1, 0])


@pytest.mark.parametrize("nodes", [0, 1])
def test_too_few_nodes_give_nothing(nodes):
    grid = np.array([80.0, 240.0])
    assert np.isnan(interpolate(81 + np.arange(float(nodes)), np.ones((nodes, 2)), grid)).sum() == 4
    held = interpolate(81 + np.arange(float(nodes)), np.ones((nodes, 2)), grid, hold=10.0)
    assert (held == 1).sum() == 2 * nodes


def test_gaps_are_not_joined_and_ends_are_held():
    nodes, values = np.array([100.0, 200, 1200, 1300]), np.array([[1.0], [2.0], [3.0], [4.0]])
    grid = np.array([20.0, 60, 150, 240, 300, 700, 1170, 1250, 1400])
    found = interpolate(nodes, values, grid, largest_gap=500.0, hold=50.0)[:, 0]
    np.testing.assert_array_equal(found, [np.nan, 1, 1.5, 2, np.nan, np.nan, 3, 3.5, np.nan])


def test_angles_go_the_shorter_way_round():
    """The same as unwrapping the track in time, interpolating and wrapping."""
    rng = np.random.default_rng(1)
    nodes, grid = np.arange(0.0, 100, 10), np.arange(0.0, 90.5, 0.5)
    values = rng.uniform(-np.pi, np.pi, (10, 4))
    found = interpolate(nodes, values, grid, circular=True)
    unwrapped = np.unwrap(values, axis=0)
    for column in range(4):
        expected = np.interp(grid, nodes, unwrapped[:, column])
        np.testing.assert_allclose(np.exp(1j * found[:, column]), np.exp(1j * expected), atol=1e-12)
    assert (np.abs(found) <= np.pi).all()


def test_wrap_keeps_the_angle():
    phase = np.linspace(-20, 20, 401)
    np.testing.assert_allclose(np.exp(1j * wrap(phase)), np.exp(1j * phase), atol=1e-12)
    assert (np.abs(wrap(phase)) <= np.pi).all()
