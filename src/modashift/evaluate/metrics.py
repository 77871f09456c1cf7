"""Metrics of sentiment regression, in the conventions of the published code bases.

Pure functions of gold scores and raw, unclipped predictions; NumPy only. The name of a number states its convention:
``has0`` keeps the utterances whose gold score is exactly 0, ``non0`` leaves them out.
"""

import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modashift.evaluate.classification import CLASS_METRICS, class_metrics

__all__ = ["METRICS", "VARIANTS", "Variant", "classification_metrics", "regression_metrics"]

METRICS = ("mae", "corr", "acc2_has0", "acc2_non0", "f1_has0", "f1_non0", "acc3", "acc5", "acc7")
Variant = Literal["mmsa", "mult", "misa", "mag", "mfn", "ando"]

VARIANTS: Mapping[str, str] = MappingProxyType(
    {
        "mmsa": "MMSA and Self-MM: ≥ 0 with zeros, > 0 without; F1 weighted by gold support; classes clipped, rounded",
        "mult": "MulT: > 0 with zeros and without; F1 weighted by predicted support; classes clipped, rounded",
        "misa": "MISA: ≥ 0 with zeros, > 0 without; F1 weighted by predicted support; classes clipped, rounded",
        "mag": "MAG-BERT: zeros dropped from every number, ≥ 0 as threshold; no has0 and no multi-class accuracy",
        "mfn": "MFN, MFM, TFN, RAVEN: ≥ 0, zeros kept, no non0; seven classes rounded but not clipped",
        "ando": "Ando et al.: '2' is has0, 'nz2' is non0; accuracy is their WA, F1 their WF1 (UA, MF1: "
        "`classification_metrics`)",
    }
)
"""What each variant does; all keep the zeros in MAE and correlation, except ``mag``."""

Scores = NDArray[np.float64]


def regression_metrics(gold: ArrayLike, prediction: ArrayLike, *, variant: Variant = "mmsa") -> dict[str, float]:
    """Nine metrics of predicted sentiment scores.

    Args:
        gold: (n,) real scores, in [-3, 3] on CMU-MOSI and CMU-MOSEI.
        prediction: (n,) raw model outputs on the same scale, not clipped.
        variant: whose conventions to follow; see `VARIANTS`.

    Returns:
        Always the keys of `METRICS`, in that order. ``mae`` in label units, ``corr`` Pearson's r in [-1, 1], the rest
        fractions in [0, 1]. A number that the variant's code base does not report is NaN. So is, with a UserWarning,
        a number that is left without samples because every gold score is 0.

        Rounding to classes is half to even: 0.5 is class 0, 1.5 and 2.5 are class 2.

    Raises:
        ValueError: unknown variant, no samples, unequal lengths, more than one dimension, NaN or infinite values.

    Warns:
        UserWarning: gold or prediction is constant; the correlation is then undefined and returned as 0.

    Example:
        >>> regression_metrics([-2.0, 0.0, 1.5], [-1.0, 0.5, 1.5])["mae"]
        0.5
    """
    if variant not in get_args(Variant):
        raise ValueError(f"variant {variant!r} is not one of {', '.join(get_args(Variant))}")
    y, p = _checked(gold, prediction)
    result = dict.fromkeys(METRICS, float("nan"))
    nonzero = y != 0
    if not nonzero.any():
        warnings.warn("every gold score is 0: the metrics without zeros are NaN", UserWarning, stacklevel=2)
    if variant == "mag":
        y, p = y[nonzero], p[nonzero]
        if y.size:
            result["mae"], result["corr"] = _mae(y, p), _pearson(y, p)
            result["acc2_non0"], result["f1_non0"] = _binary(y >= 0, p >= 0)
        return result

    result["mae"], result["corr"] = _mae(y, p), _pearson(y, p)
    swap = variant in ("mult", "misa")
    if variant == "mult":
        result["acc2_has0"], result["f1_has0"] = _binary(y > 0, p > 0, swap)
    else:
        result["acc2_has0"], result["f1_has0"] = _binary(y >= 0, p >= 0, swap)
    if variant == "mfn":
        result["acc7"] = float(np.mean(np.round(y) == np.round(p)))
        return result
    if nonzero.any():
        result["acc2_non0"], result["f1_non0"] = _binary(y[nonzero] > 0, p[nonzero] > 0, swap)
    for name, limit in (("acc3", 1), ("acc5", 2), ("acc7", 3)):
        result[name] = float(np.mean(_classes(y, limit) == _classes(p, limit)))
    return result


def classification_metrics(gold: ArrayLike, prediction: ArrayLike) -> dict[str, float]:
    """Metrics of predicted classes, for emotions and for the two-class numbers of Ando et al.

    Args:
        gold: (n,) class labels: integers, booleans or strings.
        prediction: (n,) predicted labels of the same kind.

    Returns:
        ``wa`` weighted accuracy, which is plain accuracy; ``ua`` unweighted accuracy, the mean recall over the
        classes that occur in gold; ``f1_macro`` mean F1 over the classes in gold or prediction; ``f1_weighted`` mean
        F1 weighted by gold support. All fractions in [0, 1].

    Raises:
        ValueError: no samples, unequal lengths or more than one dimension.
    """
    y, p = np.asarray(gold), np.asarray(prediction)
    _same_shape(y, p)
    classes, numbers = np.unique(np.concatenate([y, p]), return_inverse=True)
    found = class_metrics(numbers[: len(y)], numbers[len(y) :], len(classes))
    return {name: found[name] for name in CLASS_METRICS}


def _checked(gold: ArrayLike, prediction: ArrayLike) -> tuple[Scores, Scores]:
    y, p = np.asarray(gold, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    _same_shape(y, p)
    for name, values in (("gold", y), ("prediction", p)):
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise ValueError(
                f"{name} has {bad.size} value(s) that are NaN or infinite, the first at position {bad[0]}; leave out "
                "unlabelled utterances, and check that training has not diverged"
            )
    return y, p


def _same_shape(y: NDArray[Any], p: NDArray[Any]) -> None:
    if y.ndim != 1 or p.ndim != 1:
        raise ValueError(f"gold and prediction must have one dimension, got shapes {y.shape} and {p.shape}")
    if len(y) != len(p):
        raise ValueError(f"{len(y)} gold scores but {len(p)} predictions")
    if not len(y):
        raise ValueError("no samples to evaluate: gold and prediction are empty")


def _mae(y: Scores, p: Scores) -> float:
    return float(np.mean(np.abs(p - y)))


def _pearson(y: Scores, p: Scores) -> float:
    centred = []
    for values in (y, p):
        shifted = values - values.mean()
        # A mean of equal floats may miss them by a rounding error, so constancy is judged on the values themselves.
        largest = np.abs(shifted).max() if np.ptp(values) else 0.0
        if largest == 0:
            warnings.warn("a constant has no correlation with anything; returning 0", UserWarning, stacklevel=3)
            return 0.0
        centred.append(shifted / largest)  # keeps the squares clear of overflow and underflow
    a, b = centred
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1, 1))


def _classes(values: Scores, limit: int) -> Scores:
    return np.asarray(np.rint(np.clip(values, -limit, limit)), dtype=np.float64)


def _binary(y: NDArray[np.bool_], p: NDArray[np.bool_], swap: bool = False) -> tuple[float, float]:
    """Accuracy and weighted F1; `swap` weights by predicted instead of gold support, as (pred, gold) arguments do."""
    reference = p if swap else y
    share = float(np.mean(reference))
    return float(np.mean(y == p)), share * _f1(y, p, True) + (1 - share) * _f1(y, p, False)


def _f1(y: NDArray[Any], p: NDArray[Any], c: Any) -> float:
    """F1 of one class, 2TP / (2TP + FP + FN): symmetric in gold and prediction; 0 where neither has the class."""
    either = np.sum(y == c) + np.sum(p == c)
    return float(2 * np.sum((y == c) & (p == c)) / either) if either else 0.0
