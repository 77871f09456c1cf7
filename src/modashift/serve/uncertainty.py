"""How far a score may be off: from the model's errors on utterances that it was not trained on.

Split conformal prediction (Vovk, Gammerman and Shafer 2005; Lei et al., *Distribution-free predictive inference for
regression*, JASA 2018): with |gold − prediction| of n dev utterances in rising order, the ⌈(n + 1) · level⌉-th is a
half-width that holds the truth of a new utterance of the same kind with probability `level`, whatever the errors look
like. Two things weaken this here, and the texts say so: the checkpoint was chosen on the same dev split, and a
recording may be unlike the data.
"""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modashift.serve.result import Interval

__all__ = ["LEVEL", "Residuals", "dev_residuals", "half_width"]

LEVEL = 0.8
FEWEST = 20  # dev utterances; with fewer the quantile is itself a guess


@dataclass(frozen=True)
class Residuals:
    """Errors of a model, or of the mean of several, on dev utterances.

    Attributes:
        sizes: (n,) |gold − prediction|; empty where they cannot be had.
        data: name of the data.
        missing: why there are none; empty where there are.
    """

    sizes: NDArray[np.float64]
    data: str = ""
    missing: str = ""

    def interval(self, score: float, level: float = LEVEL) -> Interval | None:
        """Around one score, cut at the ends −3 and 3 of the scale (where the score itself lies within)."""
        if self.missing:
            return None
        half = half_width(self.sizes, level)
        return Interval(
            low=max(score - half, min(score, -3.0)),
            high=min(score + half, max(score, 3.0)),
            level=level,
            half_width=half,
            n=len(self.sizes),
            data=self.data,
        )

    def sentence(self, models: int = 1, level: float = LEVEL) -> str:
        """Where the interval comes from, in words."""
        if self.missing:
            return f"No range is given: {self.missing}."
        mean = "" if models == 1 else f"the mean of the {models} models' scores with "
        of = f" of {self.data}" if self.data else ""
        return (
            f"The range comes from comparing {mean}{'its scores with ' if models == 1 else ''}what people said of "
            f"{len(self.sizes):,} utterances{of} kept aside in training: for {100 * level:.0f} of 100 the score was "
            f"less than {half_width(self.sizes, level):.1f} away. A recording unlike those may be further off."
        )


def half_width(sizes: NDArray[np.float64], level: float = LEVEL) -> float:
    """The ⌈(n + 1) · level⌉-th smallest of the errors (n,).

    Raises:
        ValueError: too few errors for the level.
    """
    rank = math.ceil((len(sizes) + 1) * level - 1e-9)
    if not 1 <= rank <= len(sizes):
        raise ValueError(f"{len(sizes)} errors are too few for a level of {level:g}")
    return float(np.sort(sizes)[rank - 1])


def dev_residuals(folders: Sequence[Path]) -> Residuals:
    """Errors on the dev split, from the ``predictions.csv`` of one run; of several, errors of their mean prediction.

    Args:
        folders: of the runs. Of several, only dev utterances that all of them scored count.
    """
    found: list[dict[str, tuple[float, float]]] = []
    for folder in folders:
        scores = _dev_scores(folder / "predictions.csv")
        if not scores:
            return Residuals(np.zeros(0), missing=f"{folder.name} holds no predictions for a dev split")
        found.append(scores)
    common = [i for i in found[0] if all(i in scores for scores in found[1:])]
    same = [i for i in common if all(scores[i][0] == found[0][i][0] for scores in found)]
    if len(same) < FEWEST:
        among = "" if len(folders) == 1 else " in common"
        return Residuals(np.zeros(0), missing=f"there are only {len(same)} dev predictions{among}, {FEWEST} are needed")
    gold = np.array([found[0][i][0] for i in same])
    predicted = np.array([[scores[i][1] for i in same] for scores in found]).mean(0)
    return Residuals(np.abs(gold - predicted), _data_name(folders[0]))


def _dev_scores(path: Path) -> dict[str, tuple[float, float]]:
    """By id, the gold score and the prediction of the dev split."""
    if not path.is_file():
        return {}
    scores = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                pair = (float(row["gold"]), float(row["prediction"]))
            except (KeyError, TypeError, ValueError):
                return {}
            if row.get("split") == "dev" and all(map(math.isfinite, pair)):
                scores[row["id"]] = pair
    return scores


def _data_name(folder: Path) -> str:
    try:
        return str(json.loads((folder / "results.json").read_text(encoding="utf-8")).get("data", ""))
    except (OSError, ValueError):
        return ""
