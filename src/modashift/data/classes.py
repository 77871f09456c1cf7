"""Labels that are classes: names turned into numbers, what can be wrong with them, how often each occurs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from modashift.data.dataset import SPLITS, Dataset
from modashift.errors import DataError

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["class_faults", "class_table", "count_classes", "is_number", "number_labels", "renumbered", "require_scores"]

Fault = tuple[Literal["error", "warning"], str | None, str, str]


def is_number(label: object) -> bool:
    """Whether a label of a table is a number (or an infinity or NaN, which the checks look at)."""
    try:
        float(str(label))
    except ValueError:
        return False
    return True


def number_labels(
    labels: Sequence[str | None], where: Sequence[str], classes: Sequence[str] | None = None
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Labels of a table as scores or as numbers of classes.

    They are classes where `classes` are named, or where there are two names or more and no number among them.

    Args:
        labels: (n,) as written; None where unlabelled.
        where: (n,) place of each, for messages.
        classes: names of the classes, in their order; sorted by name where not given.

    Returns:
        (n,) scores and no names, or (n,) class numbers and the names of the classes; NaN where unlabelled.

    Raises:
        DataError: some labels are numbers and some are not, or a label is none of the classes.
    """
    given = [label for label in labels if label is not None]
    if classes is None and (any(map(is_number, given)) or len(set(given)) < 2):
        for label, place in zip(labels, where):
            if label is not None and not is_number(label):
                raise DataError(
                    f"{place}, label: {label!r} is not a number, and not all labels are names of two classes or more; "
                    "where they are classes, name these: --classes '[a, b]'"
                )
        return np.array([np.nan if label is None else float(label) for label in labels], dtype=np.float64), ()
    names = tuple(sorted(set(given))) if classes is None else tuple(str(name) for name in classes)
    number = {name: float(k) for k, name in enumerate(names)}
    for label, place in zip(labels, where):
        if label is not None and label not in number:
            raise DataError(f"{place}, label: {label!r} is none of the classes {', '.join(names)}")
    return np.array([np.nan if label is None else number[label] for label in labels], dtype=np.float64), names


def class_faults(dataset: Dataset) -> Iterator[Fault]:
    """What is wrong with the labels of a data set of classes: severity, first utterance, message, remedy."""
    names, labels = dataset.classes, dataset.labels
    if len(set(names)) < len(names) or not all(name.strip() for name in names):
        yield "error", None, f"class names are empty or occur twice: {', '.join(map(repr, names))}", "give each its own"
    if len(names) < 2:
        yield "error", None, f"only one class, {names[0]!r}", "there is nothing to tell apart; add the other classes"
    known = ~np.isnan(labels)
    with np.errstate(invalid="ignore"):
        wrong = known & ~((labels >= 0) & (labels < len(names)) & (labels == np.floor(labels)))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        yield (
            "error",
            dataset.ids[row],
            f"{int(wrong.sum())} labels are no number of a class, {labels[row]:g} for example",
            f"they must be whole numbers from 0 to {len(names) - 1}",
        )
        return
    counts = count_classes(dataset)
    unused = [name for k, name in enumerate(names) if not sum(counts[split][k] for split in SPLITS)]
    if unused:
        yield "warning", None, f"no utterance is of class {', '.join(unused)}", "leave such classes out"
    if sum(counts["train"]):
        for split in ("dev", "test"):
            new = [
                name
                for k, name in enumerate(names)
                if counts[split][k] and not counts["train"][k] and name not in unused
            ]
            if new:
                message = f"{', '.join(new)} occur in the {split} split but not in train"
                yield "warning", None, message, "no model can learn them; declare the splits anew"


def count_classes(dataset: Dataset) -> dict[str, list[int]]:
    """Number of utterances of each class, by split."""
    found = {}
    for split in SPLITS:
        labels = dataset.labels[dataset.rows(split)]
        numbers = labels[~np.isnan(labels)].astype(np.int64)
        found[split] = np.bincount(numbers, minlength=len(dataset.classes)).tolist()
    return found


def class_table(dataset: Dataset) -> "Table":
    """Utterances of each class by split, for people; unlabelled ones, and labels that are no class, are left out."""
    from rich.table import Table

    table = Table(title="Classes", title_justify="left")
    table.add_column("class")
    for column in (*SPLITS, "all", "share"):
        table.add_column(column, justify="right")
    whole = dataset.labels[np.isfinite(dataset.labels)]
    fits = (whole >= 0) & (whole < len(dataset.classes))
    for k, name in enumerate(dataset.classes):
        numbers = [int((dataset.labels[dataset.rows(split)] == k).sum()) for split in SPLITS]
        share = sum(numbers) / max(1, int(fits.sum()))
        table.add_row(name, *map(str, numbers), str(sum(numbers)), f"{100 * share:.1f} %")
    return table


def renumbered(dataset: Dataset, classes: Sequence[str]) -> Dataset:
    """The data set with its classes in the order of a model's, by name; as it is where it has no labels at all.

    Args:
        dataset: whose labels are to be compared with what a model says.
        classes: of the model; none where it predicts scores.

    Raises:
        DataError: scores for a model of classes or the reverse, or classes the model does not know.
    """
    if tuple(dataset.classes) == tuple(classes) or not np.isfinite(dataset.labels).any():
        return dataset
    own, theirs = (f"classes ({', '.join(c)})" if c else "scores" for c in (dataset.classes, classes))
    unknown = [name for name in dataset.classes if name not in classes]
    if unknown or not dataset.classes:
        raise DataError(f"the labels of {dataset.name} are {own}, and the model predicts {theirs}")
    number = np.array([list(classes).index(name) for name in dataset.classes], dtype=np.float64)
    known = np.isfinite(dataset.labels)
    labels = np.full(len(dataset), np.nan)
    labels[known] = number[dataset.labels[known].astype(np.int64)]
    return replace(dataset, labels=labels, classes=tuple(classes))


def require_scores(dataset: Dataset, what: str) -> None:
    """Stop where something is meant for scores only.

    Raises:
        DataError: the labels of the data set are classes.
    """
    if dataset.classes:
        raise DataError(f"{what}, and the labels of {dataset.name} are classes ({', '.join(dataset.classes)})")
