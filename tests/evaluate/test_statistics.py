"""Intervals and tests, against naive forms, known values and simulations of what they promise."""

import itertools
import math
import time

import numpy as np
import pytest
from scipy import stats

from modashift.evaluate.metrics import VARIANTS, regression_metrics
from modashift.evaluate.resampling import item_weights, right, seed_weights, weighted_metrics
from modashift.evaluate.statistics import Bootstrap, holm, mcnemar

RNG = np.random.default_rng(0)
GOLD = np.round(np.clip(RNG.normal(0.2, 1.5, 150), -3, 3) * 5) / 5
RUNS = GOLD + RNG.normal(size=(3, 150))


@pytest.mark.parametrize("variant", VARIANTS)
def test_weighing_is_repeating(variant):
    weights = item_weights(len(GOLD), 4, np.random.default_rng(1))
    found = weighted_metrics(GOLD, RUNS, weights, variant)
    for (b, w), (r, p) in itertools.product(enumerate(weights), enumerate(RUNS)):
        times = w.astype(int)
        expected = regression_metrics(np.repeat(GOLD, times), np.repeat(p, times), variant=variant)
        assert {m for m, v in expected.items() if not math.isnan(v)} == set(found)
        for metric, values in found.items():
            assert values[b, r] == pytest.approx(expected[metric], abs=1e-12)


def test_constants_and_samples_without_spread_have_no_correlation():
    found = weighted_metrics([1.0, 2.0, 0.0], [[0.1, 0.1, 0.1], [1.0, 2.0, 3.0]], [[1, 1, 1], [3, 0, 0], [0, 0, 3]])
    assert found["corr"][:, 0].tolist() == [0, 0, 0]
    assert found["corr"][1:, 1].tolist() == [0, 0]
    assert found["acc2_non0"][2].tolist() == [0, 0]  # nobody to count
    far = weighted_metrics([1.0, 2.0, 4.0], [[1e6 + 1, 1e6 + 2, 1e6 + 4]], [[1, 1, 1]])
    assert far["corr"][0, 0] == pytest.approx(1)


def test_weights_are_draws_with_replacement():
    weights = item_weights(50, 4000, np.random.default_rng(0))
    assert (weights.sum(1) == 50).all()
    assert weights.mean(0) == pytest.approx(np.ones(50), abs=0.08)
    assert weights.var() == pytest.approx(1 - 1 / 50, rel=0.02)
    assert seed_weights(3, 5, np.random.default_rng(0)).sum(1) == pytest.approx(np.ones(5))
    with pytest.raises(ValueError, match="resample"):
        item_weights(0, 5, np.random.default_rng(0))


@pytest.mark.parametrize("variant", VARIANTS)
def test_right_items_make_the_accuracy(variant):
    expected = regression_metrics(GOLD, RUNS[0], variant=variant)
    for metric in ("acc2_has0", "acc2_non0", "acc3", "acc5", "acc7"):
        if math.isnan(expected[metric]):
            with pytest.raises(ValueError, match="no accuracy"):
                right(GOLD, RUNS[0], metric, variant)
        else:
            assert right(GOLD, RUNS[0], metric, variant).mean() == pytest.approx(expected[metric])
    with pytest.raises(ValueError, match="no accuracy"):
        right(GOLD, RUNS[0], "f1_has0", variant)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((GOLD, RUNS, np.ones((1, 3))), "expected"), ((GOLD, RUNS[0], np.ones((1, 150))), "expected")],
)
def test_shapes_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        weighted_metrics(*arguments)
    with pytest.raises(ValueError, match="variant"):
        weighted_metrics(GOLD, RUNS, np.ones((1, 150)), "other")


def test_one_seed_is_the_plain_bootstrap_over_items():
    error = np.abs(RUNS[0] - GOLD)
    found = Bootstrap(GOLD, {"a": {1: RUNS[0]}}, samples=4000).estimate("a", "mae")
    naive_rng = np.random.default_rng(5)
    naive = [error[naive_rng.integers(len(error), size=len(error))].mean() for _ in range(4000)]
    low, high = np.quantile(naive, [0.025, 0.975])
    assert found.value == pytest.approx(error.mean())
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.006)
    assert found.seeds == 1


def test_a_single_paired_difference_agrees_with_the_t_test():
    for shift in (0.0, 0.05, 0.12):
        a, b = GOLD + RNG.normal(size=150), GOLD + RNG.normal(size=150) * (1 + shift)
        found = Bootstrap(GOLD, {"a": {1: a}, "b": {1: b}}, samples=5000).difference("a", "b", "mae")
        expected = stats.ttest_rel(np.abs(a - GOLD), np.abs(b - GOLD))
        assert found.value == pytest.approx(np.mean(np.abs(a - GOLD) - np.abs(b - GOLD)))
        assert found.p == pytest.approx(expected.pvalue, abs=0.03, rel=0.25)


def naive_components(x):
    """Two-way layout (seeds, items), term by term: variance of the mean by items, by seeds beyond that, and df."""
    seeds, n = len(x), len(x[0])
    whole = sum(map(sum, x)) / (seeds * n)
    of_item = [sum(row[i] for row in x) / seeds for i in range(n)]
    of_seed = [sum(row) / n for row in x]
    v_items = sum((m - whole) ** 2 for m in of_item) / (n - 1) / n
    v_seeds = sum((m - whole) ** 2 for m in of_seed) / (seeds - 1) / seeds
    left = sum((x[s][i] - of_item[i] - of_seed[s] + whole) ** 2 for s in range(seeds) for i in range(n))
    v_both = left / ((seeds - 1) * (n - 1)) / (n * seeds)
    total = v_items + max(v_seeds - v_both, 0)
    return total, total**2 / (v_items**2 / (n - 1) + v_seeds**2 / (seeds - 1))


def test_the_width_is_that_of_the_components_of_variance():
    bias = np.array([0.0, 0.35, -0.2, 0.1])[:, None]
    a = GOLD + np.abs(RNG.normal(size=(4, 150))) + bias
    b = GOLD + np.abs(RNG.normal(size=(4, 150)))
    runs = {name: dict(enumerate(p)) for name, p in (("a", a), ("b", b))}
    found = Bootstrap(GOLD, runs, samples=20_000).difference("a", "b", "mae")
    total, df = naive_components((np.abs(a - GOLD) - np.abs(b - GOLD)).tolist())
    assert found.paired
    assert found.high - found.low == pytest.approx(2 * math.sqrt(total) * stats.t.ppf(0.975, df), rel=0.06)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.value) / math.sqrt(total), df), rel=0.25, abs=0.01)


def test_other_seeds_are_not_paired():
    runs = {"a": {1: RUNS[0], 2: RUNS[1]}, "b": {2: RUNS[2], 3: RUNS[0]}}
    found = Bootstrap(GOLD, runs, samples=500).difference("a", "b", "mae")
    assert not found.paired
    assert found.seeds == 2
    mean = [regression_metrics(GOLD, p)["mae"] for p in RUNS]
    assert found.value == pytest.approx((mean[0] + mean[1]) / 2 - (mean[2] + mean[0]) / 2)


@pytest.mark.parametrize("metric", ["mae", "corr", "f1_non0", "acc7"])
def test_p_and_interval_never_disagree(metric):
    for k in range(25):
        rng = np.random.default_rng(k)
        runs = {
            name: {s: GOLD + rng.normal(size=150) * sd for s in range(3)}
            for name, sd in (("a", 1.0), ("b", 1 + k / 60))
        }
        boot = Bootstrap(GOLD, runs, samples=400)
        d, reverse = boot.difference("a", "b", metric), boot.difference("b", "a", metric)
        assert d.low <= d.value <= d.high
        if abs(d.p - 0.05) > 0.002:
            assert (d.p < 0.05) == (d.low > 0 or d.high < 0)
        assert reverse.value == pytest.approx(-d.value)
        assert (reverse.low, reverse.high) == pytest.approx((-d.high, -d.low))
        assert reverse.p == pytest.approx(d.p, rel=0.02)


def test_equal_predictions_do_not_differ_and_input_decides_the_output():
    runs = {"a": dict(enumerate(RUNS)), "b": dict(enumerate(RUNS))}
    found = Bootstrap(GOLD, runs, samples=200).difference("a", "b", "corr")
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert Bootstrap(GOLD, runs, samples=200).estimate("a", "f1_has0") == Bootstrap(GOLD, runs, samples=200).estimate(
        "a", "f1_has0"
    )
    for wrong in ({}, {"a": {}}, {"a": {1: GOLD[:5]}}):
        with pytest.raises(ValueError, match=r"no runs|other lengths"):
            Bootstrap(GOLD, wrong)


def simulated(rng, seeds, n, of_seed, of_item, of_both):
    """Absolute errors of two equally good models: deviations by seed, by item, and by both."""
    difference = (
        of_seed * rng.normal(size=(seeds, 1)) + of_item * rng.normal(size=n) + of_both * rng.normal(size=(seeds, n))
    )
    base = 10.0
    gold = np.zeros(n)
    return gold, {"a": dict(enumerate(base + difference)), "b": dict(enumerate(np.full((seeds, n), base)))}


@pytest.mark.parametrize(
    ("seeds", "parts", "least"),
    [
        (1, (0.0, 1.0, 0.0), 0.03),
        (3, (0.5, 0.5, 0.5), 0.03),
        (5, (0.5, 0.5, 0.5), 0.03),
        (5, (0.1, 1.0, 0.3), 0.03),
        (5, (0.0, 0.0, 1.0), 0.0),  # nothing but both together: known to be cautious
    ],
    ids=["items", "seeds-of-3", "seeds-of-5", "all", "both"],
)
def test_the_test_keeps_its_level(seeds, parts, least):
    rng = np.random.default_rng(7)
    rejected, simple = 0, 0
    for k in range(300):
        gold, runs = simulated(rng, seeds, 80, *parts)
        boot = Bootstrap(gold, runs, samples=400, seed=k)
        rejected += boot.difference("a", "b", "mae").p < 0.05
        part = boot._part("a", "mae")
        low, high = np.quantile((part.draws * part.shares).sum(1), [0.025, 0.975])
        simple += not low < 10 < high
    assert least <= rejected / 300 <= 0.09  # three standard errors of .05, and a little for few samples
    if parts[0] > 0.4:  # what the correction is for: percentiles alone find differences that are not there
        assert simple / 300 > 0.1


def test_the_interval_of_a_model_covers_its_expectation():
    rng = np.random.default_rng(3)
    truth, hits = math.sqrt(2 / math.pi), 0
    for k in range(300):
        gold = rng.normal(size=100)
        scale = rng.normal(1, 0.1, size=(4, 1))
        runs = {"a": dict(enumerate(gold + scale * rng.normal(size=(4, 100))))}
        found = Bootstrap(gold, runs, samples=400, seed=k).estimate("a", "mae")
        hits += found.low <= truth <= found.high
    assert 0.91 <= hits / 300 <= 0.99


def test_mcnemar_known_values():
    assert mcnemar(1, 9, "exact") == pytest.approx(22 / 1024)
    assert mcnemar(9, 1) == pytest.approx(12 / 1024)
    assert mcnemar(0, 0) == mcnemar(7, 7) == mcnemar(7, 7, "exact") == 1
    assert mcnemar(0, 1, "exact") == 1
    for b, c in itertools.product(range(0, 40, 3), range(0, 300, 37)):
        if b + c:
            assert mcnemar(b, c, "exact") == pytest.approx(stats.binomtest(b, b + c, 0.5).pvalue)
            n, k = b + c, min(b, c)
            tail = sum(math.comb(n, i) for i in range(k)) + math.comb(n, k) / 2
            assert mcnemar(b, c) == pytest.approx(float(2 * tail / 2**n))
    with pytest.raises(ValueError, match="negative"):
        mcnemar(-1, 2)
    with pytest.raises(ValueError, match="mid-p, exact"):
        mcnemar(1, 2, "chi2")  # type: ignore[arg-type]


def test_mcnemar_keeps_its_level_where_pooled_seeds_do_not():
    rng = np.random.default_rng(0)
    one, pooled = 0, 0
    for _ in range(1500):
        hard = rng.normal(size=(1, 300))  # an item that is hard for a seed is hard for all of them
        lean = rng.normal(size=(1, 300)) * 0.7
        a = hard + lean + 0.4 * rng.normal(size=(5, 300)) > 0
        b = hard - lean + 0.4 * rng.normal(size=(5, 300)) > 0
        one += mcnemar(int((a[0] & ~b[0]).sum()), int((b[0] & ~a[0]).sum())) < 0.05
        pooled += mcnemar(int((a & ~b).sum()), int((b & ~a).sum())) < 0.05
    assert 0.03 <= one / 1500 <= 0.068
    assert pooled / 1500 > 0.2


def naive_holm(p):
    adjusted = []
    for value in p:
        below = [v for v in p if v <= value]
        adjusted.append(min(1.0, max(v * (len(p) - sum(u < v for u in p)) for v in below)))
    return adjusted


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.2]) == [0.2]
    p = RNG.random(30).tolist()
    assert holm(p) == pytest.approx(naive_holm(p))
    family = np.random.default_rng(1).random((2000, 10))
    assert np.mean([min(holm(row)) < 0.05 for row in family]) == pytest.approx(0.05, abs=0.015)


@pytest.mark.slow
def test_a_table_takes_seconds():
    gold = RNG.normal(size=686)
    runs = {str(k): {s: gold + RNG.normal(size=686) for s in range(5)} for k in range(10)}
    started = time.perf_counter()
    boot = Bootstrap(gold, runs)
    for a, b in itertools.combinations(runs, 2):
        boot.difference(a, b, "mae")
    assert time.perf_counter() - started < 20
