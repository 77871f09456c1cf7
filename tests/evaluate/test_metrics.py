"""Metrics against published counts, naive loops, scikit-learn and SciPy."""

import doctest
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modashift.evaluate import metrics
from modashift.evaluate.metrics import METRICS, VARIANTS, classification_metrics, regression_metrics

# CMU-MOSI's 686-item test split: 379 negative, 30 zero, 277 positive; counts of the seven and of the five classes.
MOSI_ACC7 = {-3: 46, -2: 156, -1: 145, 0: 106, 1: 113, 2: 100, 3: 20}


def mosi_like() -> np.ndarray:
    """Scores with MOSI's counts by sign and by class (class 0: 32 small negatives, 30 zeros, 44 small positives)."""
    scores = [np.full(n, float(c)) for c, n in MOSI_ACC7.items() if c != 0]
    scores += [np.full(32, -0.4), np.zeros(30), np.full(44, 0.4)]
    return np.concatenate(scores)


def noisy(seed: int = 0, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Gold scores at multiples of 0.5 (so with zeros and halves) and correlated predictions beyond [-3, 3]."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(-6, 7, n) / 2
    return gold, gold * 1.1 + rng.normal(size=n) + 0.3


def naive(gold: list[float], prediction: list[float], variant: str) -> dict[str, float]:
    """The table of conventions, one sample at a time."""
    result = dict.fromkeys(METRICS, math.nan)
    pairs = list(zip(gold, prediction, strict=True))
    dropped = [(y, p) for y, p in pairs if y != 0]
    kept = dropped if variant == "mag" else pairs
    result["mae"] = sum(abs(y - p) for y, p in kept) / len(kept)
    ym, pm = (sum(v) / len(kept) for v in zip(*kept, strict=True))
    result["corr"] = sum((y - ym) * (p - pm) for y, p in kept) / math.sqrt(
        sum((y - ym) ** 2 for y, _ in kept) * sum((p - pm) ** 2 for _, p in kept)
    )

    def at_least(x: float) -> bool:
        return x >= 0

    def above(x: float) -> bool:
        return x > 0

    rules = {
        "mmsa": {"has0": (pairs, at_least), "non0": (dropped, above)},
        "ando": {"has0": (pairs, at_least), "non0": (dropped, above)},
        "misa": {"has0": (pairs, at_least), "non0": (dropped, above)},
        "mult": {"has0": (pairs, above), "non0": (dropped, above)},
        "mag": {"non0": (dropped, at_least)},
        "mfn": {"has0": (pairs, at_least)},
    }[variant]
    for name, (samples, positive) in rules.items():
        outcomes = [(positive(y), positive(p)) for y, p in samples]
        result[f"acc2_{name}"] = sum(y == p for y, p in outcomes) / len(outcomes)
        f1 = 0.0
        for c in (False, True):
            tp = sum(y == c and p == c for y, p in outcomes)
            fp = sum(y != c and p == c for y, p in outcomes)
            fn = sum(y == c and p != c for y, p in outcomes)
            support = (tp + fp) if variant in ("mult", "misa") else (tp + fn)
            f1 += support / len(outcomes) * (2 * tp / (2 * tp + fp + fn) if tp else 0.0)
        result[f"f1_{name}"] = f1

    def accuracy(limit: float) -> float:
        # Python's round is half to even too
        return sum(round(max(-limit, min(limit, y))) == round(max(-limit, min(limit, p))) for y, p in pairs) / len(
            pairs
        )

    if variant in ("mmsa", "ando", "misa", "mult"):
        result |= {"acc3": accuracy(1), "acc5": accuracy(2), "acc7": accuracy(3)}
    if variant == "mfn":
        result["acc7"] = accuracy(1000)
    return result


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_variant_equals_a_naive_loop(variant: str, seed: int) -> None:
    gold, prediction = noisy(seed)
    found = regression_metrics(gold, prediction, variant=variant)
    expected = naive(gold.tolist(), prediction.tolist(), variant)
    assert tuple(found) == METRICS
    assert found == pytest.approx(expected, nan_ok=True, abs=1e-12)


def test_constant_zero_on_mosi_counts() -> None:
    gold = mosi_like()
    assert [np.sum(gold < 0), np.sum(gold == 0), np.sum(gold > 0)] == [379, 30, 277]
    with pytest.warns(UserWarning, match="constant"):
        found = regression_metrics(gold, np.zeros(686))
    assert found["corr"] == 0
    assert found["acc2_has0"] == pytest.approx(307 / 686)
    assert found["acc2_non0"] == pytest.approx(379 / 656)
    assert found["f1_has0"] == pytest.approx((307 / 686) * (2 * 307 / (2 * 307 + 379)))
    assert round(found["f1_has0"], 4) == 0.2767
    assert found["acc7"] == pytest.approx(106 / 686)


def test_predicting_one_class_returns_its_count() -> None:
    gold = mosi_like()
    for c, count in MOSI_ACC7.items():
        with pytest.warns(UserWarning, match="constant"):
            assert regression_metrics(gold, np.full(686, float(c)))["acc7"] == pytest.approx(count / 686)
    for c, count in zip(range(-2, 3), (202, 145, 106, 113, 120), strict=True):
        with pytest.warns(UserWarning, match="constant"):
            assert regression_metrics(gold, np.full(686, float(c)))["acc5"] == pytest.approx(count / 686)


def test_real_mosi_labels(mosi) -> None:
    import json

    rows = [json.loads(line) for line in (mosi / "segments.jsonl").read_text(encoding="utf-8").splitlines()]
    train = np.array([r["label"] for r in rows if r["split"] == "train"])
    assert train.mean() == pytest.approx(0.234, abs=5e-4)
    assert train.var() == pytest.approx(2.278, abs=5e-4)
    with pytest.warns(UserWarning, match="constant"):
        floor = regression_metrics(train, np.full(len(train), train.mean()))
    assert floor["mae"] == pytest.approx(np.mean(np.abs(train - train.mean())))


def test_perfect_prediction() -> None:
    gold = mosi_like()
    expected = dict.fromkeys(METRICS, 1.0) | {"mae": 0.0}
    assert regression_metrics(gold, gold) == pytest.approx(expected)


def test_halves_round_to_even() -> None:
    gold = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    assert regression_metrics(gold, [-2, -2, 0, 0, 2, 2])["acc7"] == 1
    assert regression_metrics(gold, [-3, -2, -1, 1, 2, 3])["acc7"] == pytest.approx(2 / 6)


def test_zero_prediction_is_negative_without_zeros_and_not_with_them() -> None:
    found = regression_metrics([-1.0, 1.0], [0.0, 0.1])
    assert found["acc2_non0"] == 1
    assert found["acc2_has0"] == 0.5


def test_swapped_f1_weights_differ() -> None:
    gold, prediction = noisy()
    a, b = (regression_metrics(gold, prediction, variant=v)["f1_non0"] for v in ("mmsa", "misa"))
    assert 0 < abs(a - b) < 0.01


def test_only_mfn_does_not_clip() -> None:
    gold, prediction = np.array([3.0, -3.0, 1.0, 0.0]), np.array([4.2, -3.0, 1.0, 0.0])
    assert regression_metrics(gold, prediction)["acc7"] == 1
    assert regression_metrics(gold, prediction, variant="mfn")["acc7"] == 0.75


def test_against_scikit_learn_and_scipy() -> None:
    sk = pytest.importorskip("sklearn.metrics")
    from scipy.stats import pearsonr

    gold, prediction = noisy(5)
    found = regression_metrics(gold, prediction)
    nz = gold != 0
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(gold, prediction))
    assert found["corr"] == pytest.approx(pearsonr(gold, prediction).statistic)
    assert found["acc2_has0"] == pytest.approx(sk.accuracy_score(gold >= 0, prediction >= 0))
    assert found["f1_has0"] == pytest.approx(sk.f1_score(gold >= 0, prediction >= 0, average="weighted"))
    assert found["f1_non0"] == pytest.approx(sk.f1_score(gold[nz] > 0, prediction[nz] > 0, average="weighted"))
    swapped = regression_metrics(gold, prediction, variant="misa")
    assert swapped["f1_non0"] == pytest.approx(sk.f1_score(prediction[nz] > 0, gold[nz] > 0, average="weighted"))


def test_classes_against_scikit_learn() -> None:
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    gold = rng.choice(["angry", "happy", "neutral", "sad"], 200)
    prediction = np.where(rng.random(200) < 0.6, gold, rng.choice(["angry", "happy", "neutral", "sad"], 200))
    assert classification_metrics(gold, prediction) == pytest.approx(
        {
            "wa": sk.accuracy_score(gold, prediction),
            "ua": sk.recall_score(gold, prediction, average="macro"),
            "f1_macro": sk.f1_score(gold, prediction, average="macro"),
            "f1_weighted": sk.f1_score(gold, prediction, average="weighted"),
        }
    )


def test_classes_predicted_but_never_gold_do_not_enter_ua() -> None:
    found = classification_metrics([0, 0, 1, 1], [0, 0, 1, 2])
    assert found["ua"] == 0.75
    assert found["f1_macro"] == pytest.approx((1 + 2 / 3 + 0) / 3)


@pytest.mark.parametrize(
    ("gold", "prediction", "message"),
    [
        ([], [], "no samples"),
        ([1.0], [1.0, 2.0], "1 gold scores but 2"),
        ([1.0, np.nan], [1.0, 2.0], "gold has 1 value.*position 1"),
        ([1.0, 2.0], [np.inf, 2.0], "prediction has 1 value.*position 0"),
        ([[1.0], [2.0]], [1.0, 2.0], "one dimension"),
    ],
)
def test_unusable_input_is_refused(gold: list, prediction: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regression_metrics(gold, prediction)


def test_unknown_variant_is_refused() -> None:
    with pytest.raises(ValueError, match="mmsa, mult"):
        regression_metrics([1.0], [1.0], variant="other")


@pytest.mark.parametrize("variant", VARIANTS)
def test_gold_of_zeros_only(variant: str) -> None:
    with pytest.warns(UserWarning, match="every gold score is 0|constant"):
        found = regression_metrics([0.0, 0.0], [1.0, 2.0], variant=variant)
    assert math.isnan(found["acc2_non0"])


def test_docstring_examples_run() -> None:
    assert doctest.testmod(metrics).failed == 0


scores = arrays(np.float64, st.shared(st.integers(1, 30), key="n"), elements=st.floats(-4, 4, allow_subnormal=False))


@given(gold=scores, prediction=scores, variant=st.sampled_from(sorted(VARIANTS)))
def test_ranges_and_order_invariance(gold: np.ndarray, prediction: np.ndarray, variant: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = regression_metrics(gold, prediction, variant=variant)
        turned = regression_metrics(gold[::-1], prediction[::-1], variant=variant)
    assert found == pytest.approx(turned, nan_ok=True, abs=1e-9)
    for name, value in found.items():
        if not math.isnan(value):
            assert (-1 if name == "corr" else 0) <= value <= (8 if name == "mae" else 1 + 1e-12)


@given(gold=scores, scale=st.floats(0.1, 10), offset=st.floats(-2, 2))
def test_correlation_ignores_scale_and_offset(gold: np.ndarray, scale: float, offset: float) -> None:
    if np.ptp(gold) < 1e-3:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert regression_metrics(gold, gold * scale + offset)["corr"] == pytest.approx(1, abs=1e-6)
        assert regression_metrics(gold, -gold * scale + offset)["corr"] == pytest.approx(-1, abs=1e-6)
