"""Runs of a cross-validation put together: the test predictions of all folds are one test set."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from modashift.errors import DataError
from modashift.evaluate.results import Run, Scores

__all__ = ["pooled"]

TEST = "test"  # the only split that is pooled: an utterance is trained on in many folds


def pooled(runs: Sequence[Run]) -> list[Run]:
    """Replace the runs of one row, data set and seed that differ in their fold by one run with all test predictions.

    Metrics are to be worked out on those, since the mean of a metric over folds is another number (a fold may lack a
    class) with another spread; the runs of the folds stay in `Run.parts`.

    Raises:
        DataError: an utterance is in the test parts of two folds.
    """
    together: dict[tuple[str, str, int], list[Run]] = {}
    for run in runs:
        together.setdefault((run.row, run.data, run.seed), []).append(run)
    return [
        found[0] if len(found) == 1 else _one(sorted(found, key=lambda r: r.fold or 0)) for found in together.values()
    ]


def _one(runs: Sequence[Run]) -> Run:
    tested = [run for run in runs if TEST in run.scores]
    scores = [run.scores[TEST] for run in tested]
    ids = [i for own in scores for i in own.ids]
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise DataError(f"{runs[0].path.parent}: {twice} is tested in more than one fold; are they of one protocol?")
    first, order = runs[0], np.argsort(np.array(ids))
    whole = {}
    if scores:
        chances = [own.probabilities for own in scores if own.probabilities is not None]
        whole[TEST] = Scores(
            ids=tuple(ids[k] for k in order),
            gold=np.concatenate([own.gold for own in scores])[order],
            prediction=np.concatenate([own.prediction for own in scores])[order],
            probabilities=np.concatenate(chances)[order] if len(chances) == len(scores) else None,
        )
    return replace(
        first,
        path=first.path.parent,
        epochs=(),
        seconds=[s for run in runs for s in run.seconds],
        scores=whole,
        parts=tuple(runs),
    )
