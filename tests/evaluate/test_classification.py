import numpy as np
import pytest
from sklearn import metrics as sk

from modashift.evaluate.classification import (
    CLASS_METRICS,
    LEGACY,
    class_metrics,
    confusion_matrix,
    metrics_of_confusion,
    over_folds,
    per_class,
    weighted_class_metrics,
)
from modashift.evaluate.metrics import classification_metrics

IEMOCAP = {"angry": 1103, "happy": 1636, "sad": 1084, "neutral": 1708}


def draw(classes, n=200, seed=0, right=0.5):
    rng = np.random.default_rng(seed)
    gold = rng.choice(classes, n, p=rng.dirichlet(np.full(classes, 2.0)))
    return gold, np.where(rng.random(n) < right, gold, rng.integers(classes, size=n))


def by_sklearn(gold, prediction):
    average = dict.fromkeys(("weighted", "macro"))
    f1 = {a: sk.f1_score(gold, prediction, average=a, zero_division=0) for a in average}
    precision = {a: sk.precision_score(gold, prediction, average=a, zero_division=0) for a in average}
    with np.errstate(all="ignore"):
        recall = sk.recall_score(gold, prediction, average=None, labels=np.unique(gold), zero_division=0)
    return {
        "wa": sk.accuracy_score(gold, prediction),
        "ua": recall.mean(),
        "f1_weighted": f1["weighted"],
        "f1_macro": f1["macro"],
        "legacy_precision_weighted": precision["weighted"],
        "legacy_precision_macro": precision["macro"],
    }


@pytest.mark.parametrize("classes", [2, 4, 8])
@pytest.mark.parametrize("n", [3, 20, 300])
def test_agrees_with_scikit_learn(classes, n):
    for seed in range(20):
        gold, prediction = draw(classes, n, seed)
        found = class_metrics(gold, prediction, classes)
        assert found == pytest.approx(by_sklearn(gold, prediction), abs=1e-12)
        assert set(found) == {*CLASS_METRICS, *LEGACY}
        expected = sk.confusion_matrix(gold, prediction, labels=range(classes))
        np.testing.assert_array_equal(confusion_matrix(gold, prediction, classes), expected)
        assert classification_metrics(gold, prediction) == pytest.approx({m: found[m] for m in CLASS_METRICS})


def test_a_matrix_by_hand():
    #          predicted a, b, c
    matrix = [[8, 1, 1], [2, 3, 0], [0, 5, 0]]
    found = metrics_of_confusion(matrix)
    assert found["wa"] == pytest.approx(11 / 20)
    assert found["ua"] == pytest.approx((0.8 + 0.6 + 0) / 3)
    f1 = [16 / 20, 6 / 14, 0]
    assert found["f1_macro"] == pytest.approx(sum(f1) / 3)
    assert found["f1_weighted"] == pytest.approx((10 * f1[0] + 5 * f1[1]) / 20)
    assert found["legacy_precision_weighted"] == pytest.approx((10 * 0.8 + 5 * 3 / 9) / 20)
    assert found["legacy_precision_macro"] == pytest.approx((0.8 + 3 / 9 + 0) / 3)
    each = per_class(matrix, ["a", "b", "c"])
    assert each["b"] == pytest.approx({"support": 5, "recall": 0.6, "precision": 1 / 3, "f1": 6 / 14})


def test_the_majority_of_iemocap():
    gold = np.repeat(np.arange(4), list(IEMOCAP.values()))
    found = class_metrics(gold, np.full(len(gold), 3), 4)
    assert len(gold) == 5531
    assert round(found["wa"], 3) == 0.309
    assert found["ua"] == 0.25


def test_an_absent_class_is_no_part_of_ua():
    found = class_metrics([0, 0, 1], [0, 2, 1], 4)
    assert found["ua"] == pytest.approx(0.75)  # classes 2 and 3 have no recall
    assert found["f1_macro"] == pytest.approx((2 / 3 + 1 + 0) / 3)  # but 2 was predicted
    each = per_class(confusion_matrix([0, 0, 1], [0, 2, 1], 4), list("abcd"))
    assert np.isnan(each["c"]["recall"])
    assert each["d"]["f1"] == 0


def test_over_folds():
    folds = [draw(3, 40, seed) for seed in range(4)]
    found = over_folds(folds, 3)
    each = [class_metrics(g, p, 3)["ua"] for g, p in folds]
    assert found["ua"].values == pytest.approx(each)
    assert found["ua"].mean == pytest.approx(np.mean(each))
    assert found["ua"].sd == pytest.approx(np.std(each, ddof=1))
    gold, prediction = (np.concatenate(parts) for parts in zip(*folds))
    assert found["ua"].pooled == pytest.approx(class_metrics(gold, prediction, 3)["ua"])
    assert found["ua"].pooled != pytest.approx(found["ua"].mean, abs=1e-6)
    assert np.isnan(over_folds(folds[:1], 3)["wa"].sd)
    with pytest.warns(UserWarning, match="absent from a test part and from its UA: 1 in fold 2"):
        over_folds([([0, 1], [0, 1]), ([0, 0], [0, 1])], 2)
    with pytest.raises(ValueError, match="no folds"):
        over_folds([], 2)


def test_weighted_by_bootstrap_samples():
    rng = np.random.default_rng(1)
    gold, _ = draw(4, 30)
    runs = np.stack([draw(4, 30, seed)[1] for seed in range(3)])
    counts = rng.integers(0, 3, size=(700, 30))
    found = weighted_class_metrics(gold, runs, counts, 4)
    for b in (0, 1, 499, 500, 699):
        for r in range(3):
            own = class_metrics(np.repeat(gold, counts[b]), np.repeat(runs[r], counts[b]), 4)
            assert {m: v[b, r] for m, v in found.items()} == pytest.approx(own)
    nothing = weighted_class_metrics(gold, runs, np.zeros((1, 30)), 4)
    assert all((v == 0).all() for v in nothing.values())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: class_metrics([], [], 2), "one dimension and an entry"),
        (lambda: class_metrics([0, 1], [0], 2), "2 gold classes but 1"),
        (lambda: class_metrics([0, 2], [0, 1], 2), "gold holds values that are no class number from 0 to 1"),
        (lambda: class_metrics([0, 1], [0, np.nan], 2), "prediction holds values"),
        (lambda: metrics_of_confusion([[1, 2]]), "square matrix"),
        (lambda: metrics_of_confusion(np.zeros((2, 2))), "one utterance or more"),
        (lambda: weighted_class_metrics([0, 1], [0, 1], [[1, 1]], 2), "expected gold"),
    ],
)
def test_misuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()
