"""What a data set is, for people to read before they train on it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modashift.data.classes import class_table
from modashift.data.dataset import SPLITS, Dataset
from modashift.data.validate import Report

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

__all__ = ["OFFICIAL", "describe", "feature_rows", "recognise", "split_rows"]

OFFICIAL: Mapping[str, str] = {
    "78e0f8b5ef8ff71558e7307848fc1fa929ecb078203f565ab22b9daab2e02524": "MMSA's CMU-MOSI, unaligned_50.pkl",
    "d3994fd25681f9c7ad6e9c6596a6fe9b4beb85ff7d478ba978b124139002e5f9": "MMSA's CMU-MOSI, aligned_50.pkl",
    "ad8b23d50557045e7d47959ce6c5b955d8d983f2979c7d9b7b9226f6dd6fec1f": "MMSA's CMU-MOSEI, unaligned_50.pkl",
    "45eccfb748a87c80ecab9bfac29582e7b1466bf6605ff29d3b338a75120bf791": "MMSA's CMU-MOSEI, aligned_50.pkl",
    "c9e20c13ec0454d98bb9c1e520e490c75146bfa2dfeeea78d84de047dbdd442f": "MMSA's CH-SIMS, unaligned_39.pkl",
}
"""Published files by their SHA-256."""

BAR = 40  # characters of the longest bar


def recognise(hashes: Mapping[str, str]) -> list[str]:
    """Published files among those a data set was read from (file name to SHA-256)."""
    return [f"{file} is {OFFICIAL[digest]}, unchanged" for file, digest in hashes.items() if digest in OFFICIAL]


def describe(dataset: Dataset, path: Path | str, report: Report) -> "RenderableType":
    """Everything about a data set on one page.

    Args:
        dataset: what to describe.
        path: where it was opened.
        report: of `check`, listed last.

    Returns:
        Something for ``rich.console.Console.print``.
    """
    from rich.console import Group
    from rich.text import Text

    origin = dataset.provenance
    lines = [f"{path}: {len(dataset)} utterances in {len(set(dataset.groups))} groups (videos, speakers)"]
    lines.append(f"read as {origin.get('format', 'unknown')}" + (" in a store" if "store" in origin else ""))
    lines += recognise(origin.get("sha256", {}))
    lines += [f"note: {note}" for note in origin.get("notes", ())]
    for modality, feature in dataset.features.items():
        if feature.columns:
            lines.append(f"{modality} columns: {', '.join(feature.columns[:6])}{' …' if feature.dim > 6 else ''}")
    for modality, counts in origin.get("replaced_nonfinite", {}).items():
        lines.append(f"{modality}: replaced by 0: {', '.join(f'{n} {kind}' for kind, n in counts.items())}")
    labels = class_table(dataset) if dataset.classes else Text(_histogram(dataset.labels))
    parts: list[Any] = [Text("\n".join(lines)), _splits(dataset), labels, _features(dataset)]
    found = [Text(f"{p.severity}: {p}", style="red" if p.severity == "error" else "yellow") for p in report.problems]
    return Group(*parts, *(found or [Text("no problem found")]))


def _table(title: str, columns: Sequence[str]) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for k, column in enumerate(columns):
        table.add_column(column, justify="right" if k else "left")
    return table


def split_rows(dataset: Dataset) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and lines of the table of splits: how many of what, and of scores their signs, mean and deviation."""
    scores = () if dataset.classes else ("< 0", "= 0", "> 0", "mean", "sd")
    groups = np.array(list(dataset.groups), dtype=object)
    words = np.array([len(w) for w in dataset.words], dtype=np.int64)
    found = []
    for split in SPLITS:
        rows = dataset.rows(split)
        labels = dataset.labels[rows]
        labels = labels[np.isfinite(labels)]
        counts = [len(rows), len(set(groups[rows])), int(words[rows].sum()), len(labels)]
        if dataset.classes:
            found.append((split, *map(str, counts)))
            continue
        counts += [int((labels < 0).sum()), int((labels == 0).sum()), int((labels > 0).sum())]
        moments = [f"{labels.mean():.3f}", f"{labels.std():.3f}"] if len(labels) else ["", ""]
        found.append((split, *map(str, counts), *moments))
    return ("split", "n", "groups", "words", "labels", *scores), found


def _splits(dataset: Dataset) -> "Table":
    header, rows = split_rows(dataset)
    table = _table("Splits and labels", header)
    for row in rows:
        table.add_row(*row)
    return table


def _histogram(labels: NDArray[np.float64]) -> str:
    """Bars of the seven classes that scores are rounded to."""
    classes = np.clip(np.rint(labels[np.isfinite(labels)]), -3, 3)
    counts = [int((classes == c).sum()) for c in range(-3, 4)]
    most = max(1, *counts)
    return "\n".join(
        f"{c:+d} {'█' * round(BAR * n / most)} {n}" if c else f" 0 {'█' * round(BAR * n / most)} {n}"
        for c, n in zip(range(-3, 4), counts)
    )


def feature_rows(dataset: Dataset) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and lines of the table of features: columns, where they are missing, steps an utterance."""
    found = []
    for modality, feature in dataset.features.items():
        lengths = feature.lengths[feature.lengths > 0]
        quantiles = [f"{q:.0f}" for q in np.quantile(lengths, (0, 0.5, 0.95, 1))] if len(lengths) else [""] * 4
        missing = int((feature.lengths == 0).sum())
        found.append((modality, str(feature.dim), feature.alignment, str(missing), *quantiles))
    return ("features", "columns", "a step is a", "missing", "min", "median", "95 %", "max"), found


def _features(dataset: Dataset) -> "Table":
    header, rows = feature_rows(dataset)
    table = _table("Features, and their steps an utterance", header)
    for row in rows or [("none: words only", *[""] * (len(header) - 1))]:
        table.add_row(*row)
    return table
