"""Metrics of many bootstrap samples at once.

Each of the nine metrics is a function of a few sums over utterances: of absolute errors, of products, of hits, of true
and predicted positives. A bootstrap sample weighs each utterance by how often it was drawn, so that the sums of all
samples and all runs are one matrix product, and 10,000 samples of 50 runs take seconds.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modashift.evaluate.metrics import METRICS, Variant

__all__ = ["item_weights", "right", "seed_weights", "weighted_metrics"]

Array = NDArray[np.float64]
CHUNK = 500  # samples weighed at a time: bounds the memory, changes no result


def item_weights(items: int, samples: int, rng: np.random.Generator) -> Array:
    """How often each item is drawn when as many items are drawn with replacement.

    Returns:
        (samples, items) counts, each row with the sum `items`.

    Raises:
        ValueError: no items or no samples.
    """
    if items < 1 or samples < 1:
        raise ValueError(f"cannot resample {items} items {samples} times")
    drawn = rng.integers(items, size=(samples, items)) + items * np.arange(samples)[:, None]
    return np.bincount(drawn.ravel(), minlength=samples * items).reshape(samples, items).astype(np.float64)


def seed_weights(seeds: int, samples: int, rng: np.random.Generator) -> Array:
    """(samples, seeds) share of each seed in as many draws with replacement; the rows have the sum 1."""
    return item_weights(seeds, samples, rng) / seeds


def weighted_metrics(
    gold: ArrayLike, predictions: ArrayLike, weights: ArrayLike, variant: Variant = "mmsa"
) -> dict[str, Array]:
    """The metrics of several runs on the same items, under each of several weightings of the items.

    Args:
        gold: (n,) scores.
        predictions: (R, n) of R runs.
        weights: (B, n) non-negative.
        variant: conventions, as of `regression_metrics`.

    Returns:
        By name, (B, R): with weights of 1 what `regression_metrics` returns, except that a metric without samples or
        spread (a correlation with a constant) is 0 without a warning. Metrics that the variant does not have are left
        out.

    Raises:
        ValueError: unknown variant, or shapes that do not fit.
    """
    y, p, w = (np.asarray(a, dtype=np.float64) for a in (gold, predictions, weights))
    if variant not in get_args(Variant):
        raise ValueError(f"variant {variant!r} is not one of {', '.join(get_args(Variant))}")
    if y.ndim != 1 or p.ndim != 2 or w.ndim != 2 or p.shape[1] != len(y) or w.shape[1] != len(y):
        raise ValueError(f"expected gold (n,), predictions (R, n), weights (B, n); got {y.shape}, {p.shape}, {w.shape}")
    plan = _columns(y, p, variant)
    parts = [_from_sums(plan, w[k : k + CHUNK]) for k in range(0, len(w), CHUNK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in METRICS if name in parts[0]}


def right(gold: ArrayLike, prediction: ArrayLike, metric: str, variant: Variant = "mmsa") -> NDArray[np.bool_]:
    """Which items an accuracy counts as right, among those it counts at all.

    Args:
        gold: (n,) scores.
        prediction: (n,) of one run.
        metric: an accuracy: ``acc2_has0``, ``acc2_non0``, ``acc3``, ``acc5`` or ``acc7``.
        variant: conventions, as of `regression_metrics`.

    Returns:
        (m,) for the m ≤ n items counted; its mean is the accuracy.

    Raises:
        ValueError: a metric that is no accuracy, or that the variant does not have.
    """
    y, p = np.asarray(gold, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    c = _columns(y, p[None], variant)
    if metric in c.hits:
        return np.asarray(c.hits[metric][0] > 0)
    b = c.binary.get(metric.removeprefix("acc2_")) if metric.startswith("acc2_") else None
    if b is None:
        raise ValueError(f"{metric!r} is no accuracy of the variant {variant!r}")
    return np.asarray((b.gold == b.predicted[0])[b.counts > 0])


@dataclass(frozen=True)
class _Binary:
    """Items of a two-class metric: who counts, who is positive in gold, and in each prediction."""

    counts: Array  # (n,)
    gold: Array  # (n,)
    predicted: Array  # (R, n)


@dataclass(frozen=True)
class _Columns:
    y: Array
    p: Array
    keep: Array
    error: Array
    binary: dict[str, _Binary]
    hits: dict[str, Array]
    swap: bool


def _columns(y: Array, p: Array, variant: Variant) -> _Columns:
    """Per-item quantities whose weighted sums give the metrics."""
    everybody, nonzero = np.ones_like(y), (y != 0).astype(np.float64)
    binary: dict[str, _Binary] = {}
    hits: dict[str, Array] = {}
    keep = everybody
    if variant == "mag":
        keep = nonzero
        binary["non0"] = _binary(nonzero, y >= 0, p >= 0)
    else:
        strict = variant == "mult"
        binary["has0"] = _binary(everybody, y > 0 if strict else y >= 0, p > 0 if strict else p >= 0)
        if variant == "mfn":
            hits["acc7"] = np.equal(np.rint(y), np.rint(p)).astype(np.float64)
        else:
            binary["non0"] = _binary(nonzero, y > 0, p > 0)
            for name, limit in (("acc3", 1), ("acc5", 2), ("acc7", 3)):
                classes = np.rint(np.clip(y, -limit, limit))
                hits[name] = np.equal(classes, np.rint(np.clip(p, -limit, limit))).astype(np.float64)
    error = np.abs(p - y) * keep
    kept = keep > 0
    if kept.any():  # centred, so that the sums of squares lose no digits
        y, p = (y - y[kept].mean()) * keep, (p - p[:, kept].mean(1, keepdims=True)) * keep
    return _Columns(y, p, keep, error, binary, hits, variant in ("mult", "misa"))


def _binary(counts: Array, gold: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> _Binary:
    return _Binary(counts, counts * gold, counts * predicted)


def _from_sums(c: _Columns, w: Array) -> dict[str, Array]:
    total = (w @ c.keep)[:, None]
    sums = {
        "mae": _share(w @ c.error.T, total),
        "corr": _pearson(
            total, (w @ c.y)[:, None], w @ c.p.T, (w @ c.y**2)[:, None], w @ (c.p**2).T, w @ (c.p * c.y).T
        ),
    }
    for name, b in c.binary.items():
        n, gold = (w @ b.counts)[:, None], (w @ b.gold)[:, None]
        predicted, both = w @ b.predicted.T, w @ (b.predicted * b.gold).T
        neither = n - gold - predicted + both
        sums[f"acc2_{name}"] = _share(both + neither, n)
        positive = _share(2 * both, gold + predicted)
        negative = _share(2 * neither, 2 * n - gold - predicted)
        share = _share(predicted if c.swap else gold, n)
        sums[f"f1_{name}"] = share * positive + (1 - share) * negative
    for name, hit in c.hits.items():
        sums[name] = _share(w @ hit.T, (w.sum(1))[:, None])
    return sums


def _share(part: Array, whole: Array) -> Array:
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def _pearson(n: Array, y: Array, p: Array, yy: Array, pp: Array, py: Array) -> Array:
    y_spread, p_spread = n * yy - y**2, n * pp - p**2
    # What rounding leaves of the spread of a constant is no spread.
    defined = (y_spread > 1e-12 * n * yy) & (p_spread > 1e-12 * n * pp)
    product = np.where(defined, y_spread * p_spread, 1.0)
    r = np.where(defined, (n * py - y * p) / np.sqrt(product), 0.0)
    return np.asarray(np.clip(r, -1, 1), dtype=np.float64)
