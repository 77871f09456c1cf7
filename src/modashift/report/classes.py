"""What a report says about classes and about folds: recalls, precisions, numbers by fold, worst utterances."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modashift.evaluate.classification import LEGACY, confusion_matrix, over_folds
from modashift.evaluate.metrics import regression_metrics
from modashift.evaluate.results import Run
from modashift.report.names import LABELS, number

if TYPE_CHECKING:
    from modashift.report.build import Options, Row, Table

__all__ = ["Section", "sections", "worst_classes"]

FOLDED = ("wa", "ua", "f1_weighted", "f1_macro")
FOLDED_SCORES = ("mae", "corr", "acc2_has0", "acc2_non0")


@dataclass(frozen=True)
class Section:
    """A small table below the main one: title, how to read it, header and lines."""

    title: str
    caption: str
    header: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]


def sections(table: "Table", options: "Options") -> list[Section]:
    """The small tables of a data set: by fold, and of classes the recalls and the precisions."""
    return [*_by_fold(table, options), *(_of_classes(table, options) if table.classes else [])]


def _by_fold(table: "Table", options: "Options") -> list[Section]:
    folded = [row for row in table.rows if all(run.parts for run in row.runs)]
    if not folded:
        return []
    metrics = FOLDED if table.classes else FOLDED_SCORES
    body = []
    for row in folded:
        found = [_fold_values(run, options) for run in row.runs]  # of each seed, by metric (K,)
        cells = []
        for metric in metrics:
            values = np.mean([seed[metric] for seed in found], axis=0)  # (K,)
            sd = number(metric, float(values.std(ddof=1)))
            cells.append(f"{number(metric, float(values.mean()))} ± {sd}")
        body.append((row.name, str(len(row.runs[0].parts)), *cells))
    caption = (
        "Mean ± sample standard deviation over the folds, each fold's value being the mean over the seeds. The main "
        "table has the metrics of all test predictions together, which are not the means of these."
    )
    return [Section("By fold", caption, ("", "folds", *(LABELS[m] for m in metrics)), tuple(body))]


def _fold_values(run: Run, options: "Options") -> dict[str, NDArray[np.float64]]:
    pairs = [(p.scores[options.split].gold, p.scores[options.split].prediction) for p in run.parts]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # classes absent from a fold: said in the caption of the recalls
        if run.classes:
            return {m: np.array(found.values) for m, found in over_folds(pairs, len(run.classes)).items()}
        each = [regression_metrics(gold, p, variant=options.variant) for gold, p in pairs]
    return {m: np.array([found[m] for found in each]) for m in each[0]}


def _of_classes(table: "Table", options: "Options") -> list[Section]:
    counts = np.bincount(table.gold.astype(np.int64), minlength=len(table.classes))
    body = [("items", *map(str, counts))]
    for row in table.rows:
        matrices = _confusions(row, table, options)
        recalls = [
            [m[k, k] / m[k].sum() if m[k].sum() else float("nan") for k in range(len(table.classes))] for m in matrices
        ]
        body.append((row.name, *(number("ua", float(v)) for v in np.mean(recalls, axis=0))))
    absent = [name for name, n in zip(table.classes, counts) if not n]
    caption = "Share of the items of a class that is found, mean over the seeds; UA is their mean over the classes."
    if absent:
        caption += f" Nobody is of {', '.join(absent)}: left out of UA."
    if missing := _absent_in_folds(table, options):
        caption += f" Within single folds classes are absent, and left out of that fold's UA: {missing}."
    recall = Section("Recall of each class", caption, ("", *table.classes), tuple(body))
    lines = tuple((row.name, *(number(m, row.cells[m].estimate.value) for m in LEGACY)) for row in table.rows)
    caption = (
        "Some papers have by mistake printed the weighted precision as WA and the macro precision as UA. These columns "
        "are for comparison with such papers only."
    )
    legacy = Section("Precisions", caption, ("", *(LABELS[m] for m in LEGACY)), lines)
    return [recall, legacy]


def _absent_in_folds(table: "Table", options: "Options") -> str:
    found = []
    for part in table.rows[0].runs[0].parts:
        counts = np.bincount(part.scores[options.split].gold.astype(np.int64), minlength=len(table.classes))
        if (counts == 0).any():
            found.append(f"{', '.join(c for c, n in zip(table.classes, counts) if not n)} in fold {part.fold}")
    return "; ".join(found)


def _confusions(row: "Row", table: "Table", options: "Options") -> Sequence[NDArray[np.int64]]:
    """Confusion matrix of each run of a row."""
    count = len(table.classes)
    return [confusion_matrix(table.gold, run.scores[options.split].prediction, count) for run in row.runs]


def worst_classes(table: "Table", row: "Row", count: int) -> list[tuple[str, str, str, str]]:
    """Items whose own class is given the least mean probability: id, text, that class, and what was chosen instead."""
    assert row.probabilities is not None
    gold = table.gold.astype(np.int64)
    own = row.probabilities[np.arange(len(gold)), gold]
    order = np.lexsort((np.arange(len(gold)), own))[:count]
    names = table.classes
    return [
        (
            table.ids[k],
            table.texts.texts.get(table.ids[k], ""),
            f"{names[gold[k]]} ({100 * own[k]:.0f} %)",
            f"{names[int(row.prediction[k])]} ({100 * row.probabilities[k].max():.0f} %)",
        )
        for k in order
    ]
