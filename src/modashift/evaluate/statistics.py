"""Intervals and paired tests over test items and seeds.

A figure in a table varies for two reasons: other utterances could have been in the test set, and another seed would
have trained another model. Both are resampled here (the two-way, "pigeonhole" bootstrap: A. B. Owen, *The pigeonhole
bootstrap*, Annals of Applied Statistics 1, 2007), with one correction. A bootstrap over three or five seeds is too
narrow: it underestimates their variance by (S - 1)/S and takes it for known (T. Hesterberg, *What teachers should know
about the bootstrap*, The American Statistician 69, 2015); and it counts what items and seeds do together twice too
often. So its draws give the *shape* of an interval, and components of variance its *width*:

- V_i, of the items: variance of the mean over seeds, over samples of the items only;
- V_s, of the seeds: sample variance over seeds / S. It holds V_is, which is in V_i already;
- V_is, of both together: how much larger the variance over seeds is in samples of the items than it is in the data.

The squared standard error is V = V_i + max(V_s - V_is, 0), with V² / (V_i²/(n - 1) + V_s²/(S - 1)) degrees of freedom
(Satterthwaite 1946). The draws' deviations from the estimate are multiplied by sqrt(V) / (their standard deviation) and
by the quantile of t over that of the normal. p is the level at which the interval ends at 0, so that the test and the
interval never disagree. With one seed only the items are resampled, and nothing is said about other seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, ndtr, ndtri, stdtr, stdtrit

from modashift.evaluate.classification import weighted_class_metrics
from modashift.evaluate.metrics import Variant
from modashift.evaluate.resampling import item_weights, seed_weights, weighted_metrics

__all__ = ["Bootstrap", "Estimate", "holm", "mcnemar"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure and what is known of it.

    Attributes:
        value: mean over seeds of the metric, or of its difference.
        low: lower end of the 95 % interval.
        high: its upper end.
        p: two-sided, of the value being 0; meaningful for differences.
        seeds: the fewest seeds that went in; with 1, the interval is over items only.
        paired: whether the seeds of a difference are the same on both sides and were drawn together.
    """

    value: float
    low: float
    high: float
    p: float
    seeds: int
    paired: bool = False


@dataclass(frozen=True)
class _Part:
    """One set of seeds: (S,) values on all items, (B, S) values on each sample, (B, S) shares of each seed."""

    values: Array
    draws: Array
    shares: Array


class Bootstrap:
    """The runs of several models on the same test items, resampled together.

    Every model meets the same samples of the items, and models with the same seeds the same samples of the seeds, so
    that differences between them are paired.

    Args:
        gold: (n,) scores, or numbers of classes.
        runs: by model, its predictions by seed, each (n,).
        samples: bootstrap samples.
        variant: metric conventions, as of `regression_metrics`.
        seed: of the samples: the same input gives the same intervals.
        classes: number of classes, whose metrics are then worked out; 0 for scores.

    Raises:
        ValueError: no items, a model without runs, or predictions of another length.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> gold = rng.normal(size=300)
        >>> runs = {name: {s: gold + rng.normal(size=300) * sd for s in (1, 2, 3)} for name, sd in (("a", 1), ("b", 2))}
        >>> difference = Bootstrap(gold, runs, samples=1000).difference("a", "b", "mae")
        >>> difference.high < 0, difference.p < 0.01
        (True, True)
    """

    def __init__(
        self,
        gold: ArrayLike,
        runs: Mapping[str, Mapping[int, ArrayLike]],
        samples: int = 10_000,
        variant: Variant = "mmsa",
        seed: int = 0,
        classes: int = 0,
    ) -> None:
        y = np.asarray(gold, dtype=np.float64)
        empty = [name for name, found in runs.items() if not found]
        if empty or not runs:
            raise ValueError(f"no runs{' of ' + ', '.join(empty) if empty else ''}")
        self.items = len(y)
        self.seeds = {name: tuple(found) for name, found in runs.items()}
        flat = [np.asarray(p, dtype=np.float64) for found in runs.values() for p in found.values()]
        if any(p.shape != y.shape for p in flat):
            raise ValueError(f"{self.items} gold scores, but predictions of other lengths")
        # Bootstrap samples of the items, and one that is the items themselves.
        weights = np.vstack([np.ones((1, self.items)), item_weights(self.items, samples, np.random.default_rng(seed))])
        if classes:
            self._drawn = weighted_class_metrics(y, np.stack(flat), weights, classes)
        else:
            self._drawn = weighted_metrics(y, np.stack(flat), weights, variant)
        ends = np.cumsum([len(found) for found in runs.values()])
        self._columns = {
            name: slice(end - len(found), end) for (name, found), end in zip(runs.items(), ends, strict=True)
        }
        sets = sorted(set(self.seeds.values()))
        self._shares = {
            seeds: seed_weights(len(seeds), samples, np.random.default_rng([seed, 1, k]))
            for k, seeds in enumerate(sets)
        }

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that the variant has."""
        return tuple(self._drawn)

    def by_seed(self, name: str, metric: str) -> Array:
        """(S,) metric of each run of a model, in the order of its seeds."""
        return self._drawn[metric][0, self._columns[name]]

    def estimate(self, name: str, metric: str) -> Estimate:
        """Mean over seeds of a metric of one model, with its interval."""
        return _estimate([self._part(name, metric)], self.items)

    def difference(self, first: str, second: str, metric: str) -> Estimate:
        """Paired bootstrap test: the first model's mean over seeds less the second's, with interval and p.

        Items are paired always. Seeds are where both models have the same ones; otherwise each model's are drawn by
        themselves.
        """
        a, b = self._part(first, metric), self._part(second, metric)
        if self.seeds[first] == self.seeds[second]:
            return _estimate([_Part(a.values - b.values, a.draws - b.draws, a.shares)], self.items, paired=True)
        return _estimate([a, _Part(-b.values, -b.draws, b.shares)], self.items)

    def _part(self, name: str, metric: str) -> _Part:
        drawn = self._drawn[metric][:, self._columns[name]]
        return _Part(drawn[0], drawn[1:], self._shares[self.seeds[name]])


def holm(p: Sequence[float]) -> list[float]:
    """Adjust the p-values of a family of tests, so that any false rejection among all of them has the stated level.

    S. Holm, *A simple sequentially rejective multiple test procedure*, Scandinavian Journal of Statistics 6, 1979. The
    tests may depend on each other in any way, as those of a table do.

    Returns:
        In the given order: the kth smallest of m values becomes the largest of (m - j + 1) p_(j), j ≤ k, at most 1.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1)
    return [float(v) for v in adjusted]


def mcnemar(only_first: int, only_second: int, method: Literal["mid-p", "exact"] = "mid-p") -> float:
    """Two-sided p that two classifiers are right equally often, from the items that one of them gets right.

    Q. McNemar, Psychometrika 12, 1947, as a binomial test of `only_first` among the discordant items: exact for any
    number of them, however few. ``mid-p`` counts half of the probability of what was observed; the exact test is
    conservative, and mid-p keeps the level in practice (M. W. Fagerland, S. Lydersen, P. Laake, BMC Medical Research
    Methodology 13:91, 2013).

    The items must be independent: a count over the runs of several seeds is *not*, since an utterance that is hard for
    one seed is hard for all, and would be counted as often as there are seeds. Combine the seeds first, into one
    prediction an item (the mean); the test is then about the seed-averaged predictors. That other seeds would do the
    same is a second question, which `Bootstrap.difference` answers; a report claims a difference of accuracies only
    where both tests agree (an intersection-union test has the level of its parts: R. L. Berger, Technometrics 24,
    1982).

    Args:
        only_first: items that the first is right about and the second wrong.
        only_second: the reverse.
        method: mid-p or exact.

    Raises:
        ValueError: negative counts or an unknown method.
    """
    if only_first < 0 or only_second < 0:
        raise ValueError(f"counts cannot be negative: {only_first}, {only_second}")
    if method not in ("mid-p", "exact"):
        raise ValueError(f"method {method!r} is not one of mid-p, exact")
    fewer, n = min(only_first, only_second), only_first + only_second
    if only_first == only_second:
        return 1.0
    up_to = float(bdtr(fewer, n, 0.5))
    if method == "exact":
        return min(1.0, 2 * up_to)
    below = float(bdtr(fewer - 1, n, 0.5)) if fewer else 0.0
    return up_to + below  # twice the tail, less the probability of `fewer` itself


def _estimate(parts: Sequence[_Part], items: int, paired: bool = False) -> Estimate:
    value = float(sum(part.values.mean() for part in parts))
    both = np.sum([(part.draws * part.shares).sum(1) for part in parts], axis=0)  # items and seeds resampled
    of_items = float(np.var(np.sum([part.draws.mean(1) for part in parts], axis=0), ddof=1))
    of_seeds, uncertainty = 0.0, of_items**2 / max(items - 1, 1)
    for part in parts:
        s = len(part.values)
        if s > 1:
            within = float(part.values.var(ddof=1)) / s
            together = float(part.draws.var(axis=1, ddof=1).mean()) / s - within
            of_seeds += max(within - max(together, 0.0), 0.0)
            uncertainty += within**2 / (s - 1)
    total, spread = of_items + of_seeds, float(both.std(ddof=1))
    seeds = min(len(part.values) for part in parts)
    if total <= 0 or spread <= 0:  # nothing varies: equal predictions, or a single item
        return Estimate(value, value, value, 1.0 if value == 0 else 0.0, seeds, paired)
    deviations = np.sort(both - value) * (np.sqrt(total) / spread)
    df = min(total**2 / uncertainty, 1e6) if uncertainty > 0 else 1e6
    low, high = (_bound(deviations, df, side) for side in (-1, 1))
    return Estimate(value, value + low, value + high, _p(value, deviations, df), seeds, paired)


def _bound(deviations: Array, df: float, side: int, z: float = 1.959963984540054) -> float:
    """End of the interval, relative to the estimate, at the level that z standard deviations have."""
    return float(np.quantile(deviations, ndtr(side * z)) * stdtrit(df, ndtr(z)) / z)


def _p(value: float, deviations: Array, df: float) -> float:
    """Level at which the interval ends at 0; beyond what the draws resolve, by their last quantile and t."""
    side = -1 if value > 0 else 1
    furthest = -float(ndtri(min(0.25, 5 / len(deviations))))
    z = np.linspace(0.005, furthest, 500)
    ends = side * np.quantile(deviations, ndtr(side * z)) * stdtrit(df, ndtr(z)) / z  # how far the interval reaches
    beyond = np.flatnonzero(ends >= abs(value))
    if beyond.size:
        k = int(beyond[0])
        if k == 0:
            return 1.0
        reach = (abs(value) - ends[k - 1]) / (ends[k] - ends[k - 1])
        return float(2 * ndtr(-(z[k - 1] + reach * (z[k] - z[k - 1]))))
    scale = side * float(np.quantile(deviations, ndtr(side * furthest))) / furthest
    return float(2 * stdtr(df, -abs(value) / scale)) if scale > 0 else 1.0
