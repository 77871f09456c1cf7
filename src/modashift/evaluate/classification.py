"""Metrics of emotion recognition: classes instead of scores. Pure functions, NumPy only.

The names are the field's: WA, "weighted accuracy", is plain accuracy, since recall weighted by support is that; UA,
"unweighted accuracy", is the mean recall of the classes. Some papers have by mistake printed the weighted and the macro
*precision* under these names (a notice in the code of Choi and Yoon's attentive modality hopping says so of their own
numbers); `LEGACY` holds these two, to compare with such papers and for nothing else.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "CLASS_METRICS",
    "LEGACY",
    "OverFolds",
    "class_metrics",
    "confusion_matrix",
    "metrics_of_confusion",
    "over_folds",
    "per_class",
    "weighted_class_metrics",
]

CLASS_METRICS = ("wa", "ua", "f1_weighted", "f1_macro")
LEGACY: Mapping[str, str] = MappingProxyType(
    {
        "legacy_precision_weighted": "what affected papers print as WA: precision weighted by support",
        "legacy_precision_macro": "what affected papers print as UA: mean precision of the classes",
    }
)
"""Precisions, and what affected papers call them."""

Array = NDArray[np.float64]
CHUNK = 500  # samples weighed at a time: bounds the memory, changes no result


def confusion_matrix(gold: ArrayLike, prediction: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Utterances by gold class (row) and predicted class (column), (C, C).

    Args:
        gold: (n,) numbers of classes, from 0.
        prediction: (n,) likewise.
        classes: C.

    Raises:
        ValueError: no samples, unequal lengths, or values that are no class number.
    """
    y, p = _numbers(gold, "gold", classes), _numbers(prediction, "prediction", classes)
    if y.shape != p.shape:
        raise ValueError(f"{len(y)} gold classes but {len(p)} predictions")
    return np.bincount(y * classes + p, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def class_metrics(gold: ArrayLike, prediction: ArrayLike, classes: int) -> dict[str, float]:
    """Metrics of predicted classes; see `metrics_of_confusion` for the numbers and `confusion_matrix` for the rest.

    Example:
        >>> class_metrics([0, 0, 1, 2], [0, 0, 1, 1], 3)["ua"]
        0.6666666666666666
    """
    return metrics_of_confusion(confusion_matrix(gold, prediction, classes))


def metrics_of_confusion(matrix: ArrayLike) -> dict[str, float]:
    """Metrics of a confusion matrix (gold by row).

    Returns:
        Fractions in [0, 1]: ``wa`` accuracy; ``ua`` mean recall over the classes that occur in gold (one that does not
        has no recall; see `per_class` for which these are); ``f1_weighted`` F1 weighted by gold support; ``f1_macro``
        mean F1 over the classes that occur in gold or prediction; and the keys of `LEGACY`. F1 and precision are 0
        where they are 0/0.

    Raises:
        ValueError: no square matrix of counts, or one without samples.
    """
    m = np.asarray(matrix, dtype=np.float64)
    if m.ndim != 2 or m.shape[0] != m.shape[1] or (m < 0).any() or not m.sum():
        raise ValueError(f"expected a square matrix with counts of one utterance or more, got shape {m.shape}")
    hits, support, predicted = (a[None] for a in (np.diag(m), m.sum(1), m.sum(0)))
    return {name: float(value[0]) for name, value in _from_counts(hits, support, predicted).items()}


def per_class(matrix: ArrayLike, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Support, recall, precision and F1 of each class by its name; recall is NaN for a class without support."""
    m = np.asarray(matrix, dtype=np.float64)
    hits, support, predicted = np.diag(m), m.sum(1), m.sum(0)
    recall = np.where(support > 0, _ratio(hits, support), np.nan)
    precision, f1 = _ratio(hits, predicted), _ratio(2 * hits, support + predicted)
    return {
        name: {
            "support": int(support[k]),
            "recall": float(recall[k]),
            "precision": float(precision[k]),
            "f1": float(f1[k]),
        }
        for k, name in enumerate(names)
    }


@dataclass(frozen=True)
class OverFolds:
    """A metric over the folds of a cross-validation.

    Attributes:
        values: of each fold.
        mean: of these.
        sd: their sample standard deviation; NaN for one fold.
        pooled: the metric over all test predictions together, which is not the mean of the folds.
    """

    values: tuple[float, ...]
    mean: float
    sd: float
    pooled: float


def over_folds(folds: Sequence[tuple[ArrayLike, ArrayLike]], classes: int) -> dict[str, OverFolds]:
    """Each metric by fold and pooled over all folds.

    Args:
        folds: of each, gold and predicted classes of its test part.
        classes: C.

    Raises:
        ValueError: no folds, or as `confusion_matrix`.

    Warns:
        UserWarning: classes are absent from the test part of a fold, and so from its UA.
    """
    if not folds:
        raise ValueError("no folds")
    matrices = [confusion_matrix(gold, prediction, classes) for gold, prediction in folds]
    absent = [f"{(m.sum(1) == 0).sum()} in fold {k}" for k, m in enumerate(matrices, 1) if (m.sum(1) == 0).any()]
    if absent:
        warnings.warn(f"classes are absent from a test part and from its UA: {', '.join(absent)}", stacklevel=2)
    each = [metrics_of_confusion(m) for m in matrices]
    pooled = metrics_of_confusion(np.sum(matrices, axis=0))
    result = {}
    for name, whole in pooled.items():
        values = np.array([found[name] for found in each])
        sd = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
        result[name] = OverFolds(tuple(float(v) for v in values), float(values.mean()), sd, whole)
    return result


def weighted_class_metrics(
    gold: ArrayLike, predictions: ArrayLike, weights: ArrayLike, classes: int
) -> dict[str, Array]:
    """The metrics of several runs on the same items, under each of several weightings of the items.

    What `modashift.evaluate.resampling.weighted_metrics` is for scores: a bootstrap sample weighs each utterance by
    how often it was drawn, and the counts of all samples and runs are one matrix product a class.

    Args:
        gold: (n,) numbers of classes.
        predictions: (R, n) of R runs.
        weights: (B, n) non-negative.
        classes: C.

    Returns:
        By name, (B, R): with weights of 1 what `class_metrics` returns; 0 for a weighting that leaves nothing.

    Raises:
        ValueError: shapes that do not fit, or values that are no class number.
    """
    y, p = _numbers(gold, "gold", classes), np.asarray(predictions)
    w = np.asarray(weights, dtype=np.float64)
    if p.ndim != 2 or w.ndim != 2 or p.shape[1] != len(y) or w.shape[1] != len(y):
        raise ValueError(f"expected gold (n,), predictions (R, n), weights (B, n); got {y.shape}, {p.shape}, {w.shape}")
    p = np.stack([_numbers(run, "prediction", classes) for run in p])
    is_gold = [(y == c).astype(np.float64) for c in range(classes)]
    is_predicted = [(p == c).astype(np.float64) for c in range(classes)]  # (R, n) each
    is_hit = [g * q for g, q in zip(is_gold, is_predicted)]
    parts = []
    for k in range(0, len(w), CHUNK):
        own = w[k : k + CHUNK]
        hits, predicted = (np.stack([own @ one.T for one in found], -1) for found in (is_hit, is_predicted))
        support = np.broadcast_to(np.stack([own @ one for one in is_gold], -1)[:, None], hits.shape)
        parts.append(_from_counts(hits, support, predicted))  # from (b, R, C)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _from_counts(hits: Array, support: Array, predicted: Array) -> dict[str, Array]:
    """Metrics (…,) from counts (…, C): hits, gold support, and how often each class was predicted."""
    total = support.sum(-1)
    recall, precision = _ratio(hits, support), _ratio(hits, predicted)
    f1 = _ratio(2 * hits, support + predicted)
    there, either = (support > 0).sum(-1), (support + predicted > 0).sum(-1)
    return {
        "wa": _ratio(hits.sum(-1), total),
        "ua": _ratio(recall.sum(-1), there),
        "f1_weighted": _ratio((f1 * support).sum(-1), total),
        "f1_macro": _ratio(f1.sum(-1), either),
        "legacy_precision_weighted": _ratio((precision * support).sum(-1), total),
        "legacy_precision_macro": _ratio(precision.sum(-1), either),
    }


def _ratio(part: Array, whole: Any) -> Array:
    part, whole = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    return np.asarray(np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0), dtype=np.float64)


def _numbers(values: ArrayLike, what: str, classes: int) -> NDArray[np.int64]:
    given = np.asarray(values)
    if given.ndim != 1 or not len(given):
        raise ValueError(f"{what} must have one dimension and an entry or more, got shape {given.shape}")
    numbers = given.astype(np.float64)
    if not ((numbers >= 0) & (numbers < classes) & (numbers == np.floor(numbers))).all():
        raise ValueError(f"{what} holds values that are no class number from 0 to {classes - 1}")
    return numbers.astype(np.int64)
