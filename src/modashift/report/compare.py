"""Paired comparisons of the rows of a table, corrected together, and sentences that say what they establish."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from modashift.errors import ModashiftError
from modashift.evaluate.metrics import Variant
from modashift.evaluate.resampling import right
from modashift.evaluate.statistics import Bootstrap, Estimate, holm, mcnemar
from modashift.report.names import LABELS, better_is_lower, difference, is_share, p_value

__all__ = ["ENOUGH_SEEDS", "LEVEL", "Comparison", "compare", "sentences"]

LEVEL = 0.05
ENOUGH_SEEDS = 3


@dataclass(frozen=True)
class Comparison:
    """Two rows by one metric.

    Attributes:
        first: name of a row.
        second: name of the row it is compared with.
        metric: what is compared.
        seeds: number of runs of both.
        estimate: of first less second, with the interval and p of the paired bootstrap.
        only_first: items that the first's mean prediction gets right and the second's does not; accuracies only.
        only_second: the reverse.
        p_mcnemar: of these counts; accuracies only.
        p: what is corrected: of the bootstrap; for an accuracy, the larger of both where there are several seeds.
        p_holm: p after correction over the family.
        family: number of tests corrected together.
    """

    first: str
    second: str
    metric: str
    seeds: tuple[int, int]
    estimate: Estimate
    only_first: int | None
    only_second: int | None
    p_mcnemar: float | None
    p: float
    p_holm: float = 1.0
    family: int = 1

    @property
    def few_seeds(self) -> bool:
        """Whether a side has fewer than three seeds."""
        return min(self.seeds) < ENOUGH_SEEDS

    @property
    def status(self) -> str:
        """``established``, ``of these runs only`` (fewer than three seeds) or ``not established``."""
        if self.p_holm >= LEVEL:
            return "not established"
        return "of these runs only" if self.few_seeds else "established"

    @property
    def better(self) -> str:
        """Row with the better value."""
        first_is_better = (self.estimate.value < 0) == better_is_lower(self.metric)
        return self.first if first_is_better else self.second


def compare(
    bootstrap: Bootstrap,
    gold: NDArray[np.float64],
    predictions: Mapping[str, NDArray[np.float64]],
    metrics: Sequence[str],
    variant: Variant,
    against: str | None = None,
    planned: Sequence[Sequence[tuple[str, str]]] | None = None,
) -> list[Comparison]:
    """Compare pairs of rows by every metric, and correct the p-values together.

    Args:
        bootstrap: of the rows' runs.
        gold: (n,) scores, or numbers of classes.
        predictions: by row, (n,) means over its runs, or the classes that the mean probabilities choose.
        metrics: to test.
        variant: metric conventions.
        against: compare with this row only. A smaller family of tests, chosen before looking, is corrected less.
        planned: the pairs to compare, in families that are corrected each by itself; all pairs in one where not given.

    Raises:
        ModashiftError: `against` is no row.
    """
    if against is not None and against not in predictions:
        raise ModashiftError(f"there is no row {against!r} to compare with; there are {', '.join(predictions)}")
    if planned is not None:
        families = [_compared(bootstrap, gold, predictions, metrics, variant, pairs) for pairs in planned]
    else:
        pairs = [(a, b) for a, b in combinations(predictions, 2) if against is None or against in (a, b)]
        families = [_compared(bootstrap, gold, predictions, metrics, variant, pairs)]
    return [c for family in families for c in _corrected(family)]


def _compared(
    bootstrap: Bootstrap,
    gold: NDArray[np.float64],
    predictions: Mapping[str, NDArray[np.float64]],
    metrics: Sequence[str],
    variant: Variant,
    pairs: Sequence[tuple[str, str]],
) -> list[Comparison]:
    found = []
    for first, second in pairs:
        for metric in metrics:
            estimate = bootstrap.difference(first, second, metric)
            seeds = (len(bootstrap.seeds[first]), len(bootstrap.seeds[second]))
            only_first = only_second = p_mcnemar = None
            p = estimate.p
            if metric == "wa" or metric.startswith("acc"):
                a, b = (
                    predictions[name] == gold if metric == "wa" else right(gold, predictions[name], metric, variant)
                    for name in (first, second)
                )
                only_first, only_second = int(np.sum(a & ~b)), int(np.sum(b & ~a))
                p_mcnemar = mcnemar(only_first, only_second)
                p = p_mcnemar if max(seeds) == 1 else max(p, p_mcnemar)
            found.append(Comparison(first, second, metric, seeds, estimate, only_first, only_second, p_mcnemar, p))
    return found


def _corrected(found: Sequence[Comparison]) -> list[Comparison]:
    adjusted = holm([c.p for c in found])
    return [
        Comparison(**{**c.__dict__, "p_holm": p, "family": len(found)}) for c, p in zip(found, adjusted, strict=True)
    ]


def sentences(comparisons: Sequence[Comparison]) -> list[str]:
    """What the comparisons say, in words: for each pair, what is established, then what is not."""
    said = []
    for first, second in dict.fromkeys((c.first, c.second) for c in comparisons):
        of_pair = [c for c in comparisons if (c.first, c.second) == (first, second)]
        for better, other in ((first, second), (second, first)):
            if found := [c for c in of_pair if c.status != "not established" and c.better == better]:
                said.append(_found(found, better, other))
        if open_ := [c for c in of_pair if c.status == "not established"]:
            said.append(_open(open_, alone=len(open_) == len(of_pair)))
    return said


def _found(comparisons: Sequence[Comparison], better: str, other: str) -> str:
    parts: list[str] = []
    for c in comparisons:
        comparative = "lower" if better_is_lower(c.metric) else "higher"
        flip = -1 if c.estimate.value < 0 else 1
        low, high = sorted((flip * c.estimate.low, flip * c.estimate.high))
        than = "" if parts else f" than {other}"
        part = (
            f"a {comparative} {LABELS[c.metric]}{than} by {difference(c.metric, abs(c.estimate.value), sign=False)}"
            f"{' points' if is_share(c.metric) else ''} (95 % interval {difference(c.metric, low, sign=False)} to "
            f"{difference(c.metric, high, sign=False)}, {p_value(c.p_holm)} after correction"
        )
        if c.p_mcnemar is not None:
            mine, theirs = (c.only_first, c.only_second) if better == c.first else (c.only_second, c.only_first)
            part += f"; right alone on {mine} items against {theirs}"
        parts.append(part + ")")
    text = f"{better} has " + (parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}") + "."
    if comparisons[0].few_seeds:
        text += " This is of these trained models only: fewer than three seeds say nothing of other ones."
    return text


def _open(comparisons: Sequence[Comparison], alone: bool) -> str:
    first, second = comparisons[0].first, comparisons[0].second
    parts = [
        f"{LABELS[c.metric]} {difference(c.metric, c.estimate.value)}{' points' if is_share(c.metric) else ''} "
        f"({difference(c.metric, c.estimate.low)} to {difference(c.metric, c.estimate.high)}, {p_value(c.p_holm)})"
        for c in comparisons
    ]
    few = " Fewer than three seeds." if comparisons[0].few_seeds else ""
    no = "No" if alone else "No other"
    return f"{no} difference between {first} and {second} is established: {'; '.join(parts)}.{few}"
