"""Does a map point at what matters? Its strongest steps are taken away, and random ones as a comparison."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Attribution", "attribution", "rank_correlation"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Attribution:
    """Result of `attribution`; scores are in score points.

    Attributes:
        changes: (S,) change of the score when one step is removed.
        top: the k steps that hold the map's strongest cells, strongest first.
        top_change: change of the score when they are all removed.
        random_changes: (R,) the same for other choices of k steps.
        exact: whether these are all choices there are.
        p: share of choices that move the score at least as far as the map's (with the map's own counted among them).
        rank: Spearman's correlation of column mass and size of the change, over steps; NaN where undefined.
        rank_p: chance of a rank correlation this high or higher among shuffled steps.
        sign_rank: the same of the signed column sum and what the step adds to the score (minus the change).
    """

    changes: Floats
    top: list[int]
    top_change: float
    random_changes: Floats
    exact: bool
    p: float
    rank: float
    rank_p: float
    sign_rank: float

    def sentences(self) -> list[str]:
        """What was found, in words."""
        k, n = len(self.top), len(self.changes)
        typical = float(np.median(np.abs(self.random_changes)))
        how = f"all {len(self.random_changes)} choices" if self.exact else f"{len(self.random_changes)} random choices"
        others = f"{_count(k, 'random step')} of the {n} {'changes' if k == 1 else 'change'} it"
        first = (
            f"Removing the {_count(k, 'step')} with the map's strongest cells changes the score by "
            f"{self.top_change:+.3f}; {others} by {typical:.3f} (median size), "
            f"and {100 * self.p:.1f} % of {how} by at least as much"
        )
        verdict = (
            ": beyond what random choices do, so here the map points at steps that matter to the model."
            if self.p < 0.05
            else ": with so few choices it cannot be told from chance."
            if self.exact and len(self.random_changes) <= 20
            else ": that is within what random choices do."
        )
        if math.isnan(self.rank):
            second = "The order of the steps cannot be compared (the map or the changes are all equal)."
        else:
            agrees = self.rank > 0 and self.rank_p < 0.05
            second = (
                f"Over all steps, a column's mass in the map and the change when that step is removed have a rank "
                f"correlation of {self.rank:+.2f} (p = {self.rank_p:.3f}): the two "
                + ("agree." if agrees else "do not agree beyond chance.")
            )
        signs = (
            ""
            if math.isnan(self.sign_rank)
            else f"The map's sign and the direction in which a step moves the score: rank correlation "
            f"{self.sign_rank:+.2f}."
        )
        return [s for s in (first + verdict, second, signs) if s]


def attribution(
    mass: Floats,
    signed: Floats,
    peak: Floats,
    score_without: Callable[[NDArray[np.bool_]], Floats],
    k: int = 3,
    draws: int = 500,
    seed: int = 0,
) -> Attribution:
    """Compare a map with what happens when steps are removed.

    Args:
        mass: (S,) sum of the magnitudes of a step's column.
        signed: (S,) sum of the column.
        peak: (S,) largest magnitude in the column; the steps of the map's k strongest cells (other cells of a step
            already chosen not counted) are the k of highest peak.
        score_without: takes (R, S), True at steps to remove, and returns (R,) scores; a row without True is the score
            of the whole utterance.
        k: how many steps to remove together; at most half of them.
        draws: random choices to compare with; all choices, where there are no more than that.
        seed: of the random choices.

    Raises:
        ValueError: for fewer than four steps, of which nothing can be said.
    """
    n = len(mass)
    if n < 4:
        raise ValueError(f"{n} steps are too few to compare the map with random choices; at least four are needed")
    k = max(1, min(k, n // 2))
    rng = np.random.default_rng(seed)
    exact = math.comb(n, k) <= draws
    if exact:
        choices = np.array(list(combinations(range(n), k)))
    else:
        choices = np.stack([rng.permutation(n)[:k] for _ in range(draws)])
    top = [int(j) for j in np.argsort(-peak, kind="stable")[:k]]
    patterns = np.zeros((1 + n + 1 + len(choices), n), dtype=bool)
    patterns[1 : n + 1] = np.eye(n, dtype=bool)
    patterns[n + 1, top] = True
    np.put_along_axis(patterns[n + 2 :], choices, True, axis=1)
    scores = np.asarray(score_without(patterns), dtype=np.float64)
    changes, top_change, others = scores[1 : n + 1] - scores[0], float(scores[n + 1] - scores[0]), scores[n + 2 :]
    others = others - scores[0]
    reached = int((np.abs(others) >= abs(top_change) - 1e-9).sum())
    p = reached / len(others) if exact else (reached + 1) / (len(others) + 1)
    rank, rank_p = rank_correlation(mass, np.abs(changes), seed)
    sign_rank, _ = rank_correlation(signed, -changes, seed)
    return Attribution(changes, top, top_change, others, exact, p, rank, rank_p, sign_rank)


def rank_correlation(a: Floats, b: Floats, seed: int = 0, shuffles: int = 9999) -> tuple[float, float]:
    """Spearman's correlation, and the chance of one as high when the pairs are shuffled; NaN where one is constant."""
    from scipy.stats import rankdata

    if np.ptp(a) <= 1e-12 or np.ptp(b) <= 1e-9:
        return float("nan"), float("nan")
    x, y = (rankdata(v) - (len(v) + 1) / 2 for v in (a, b))
    scale = float(np.sqrt((x**2).sum() * (y**2).sum()))
    found = float(x @ y) / scale
    rng = np.random.default_rng(seed)
    shuffled = rng.permuted(np.tile(y, (shuffles, 1)), axis=1) @ x / scale
    return found, float((1 + (shuffled >= found - 1e-12).sum()) / (1 + shuffles))


def _count(k: int, what: str) -> str:
    return what if k == 1 else f"{k} {what}s"
