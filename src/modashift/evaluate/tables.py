"""Tables of results: each metric's mean and spread over the runs of a model, in Markdown or for the terminal."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, overload

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["format_metrics"]

Runs = Mapping[str, Sequence[Mapping[str, float]]]

# Heading, the metrics of the column (has0 before non0, as published tables print them), as a percentage or not.
COLUMNS: tuple[tuple[str, tuple[str, ...], bool], ...] = (
    ("MAE ↓", ("mae",), False),
    ("Corr ↑", ("corr",), False),
    ("Acc-2 ↑ (has0/non0)", ("acc2_has0", "acc2_non0"), True),
    ("F1 ↑ (has0/non0)", ("f1_has0", "f1_non0"), True),
    ("Acc-7 ↑", ("acc7",), True),
    ("Acc-5 ↑", ("acc5",), True),
    ("Acc-3 ↑", ("acc3",), True),
)


@overload
def format_metrics(rows: Runs, layout: Literal["markdown"] = ..., title: str | None = ...) -> str: ...
@overload
def format_metrics(rows: Runs, layout: Literal["rich"], title: str | None = ...) -> "Table": ...
def format_metrics(
    rows: Runs, layout: Literal["markdown", "rich"] = "markdown", title: str | None = None
) -> "str | Table":
    """A table with a line a model.

    Args:
        rows: by name of the model, the metrics of each of its runs as `regression_metrics` returns them. Other keys
            are left out of the table.
        layout: ``markdown`` for text, ``rich`` for a table that a rich Console prints.
        title: above the table.

    Returns:
        Mean ± sample standard deviation over the runs, without ± for a single run. MAE and correlation have three
        decimals, the rest are percentages with two; a metric that any run lacks, or has as NaN, is "–". Columns that
        no model fills are left out.

    Raises:
        ValueError: no models, a model without runs, or an unknown layout.
    """
    header, body = _cells(rows)
    if layout == "rich":
        return _rich(header, body, title)
    if layout != "markdown":
        raise ValueError(f"layout {layout!r} is not one of markdown, rich")
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *body]
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
    return f"**{title}**\n\n{table}" if title else table


def _rich(header: list[str], body: list[list[str]], title: str | None) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title) if title else None)
    for name in header:
        table.add_column(Text(name), justify="left" if name == header[0] else "right")
    for line in body:
        table.add_row(*(Text(cell) for cell in line))  # Text: a name in brackets is no style
    return table


def _cells(rows: Runs) -> tuple[list[str], list[list[str]]]:
    if not rows:
        raise ValueError("no models to put into the table")
    empty = [name for name, runs in rows.items() if not runs]
    if empty:
        raise ValueError(f"no runs of {', '.join(empty)}")
    used = [c for c in COLUMNS if any(_summary(runs, key, c[2]) != "–" for runs in rows.values() for key in c[1])]
    header = ["Model", "Runs", *(heading for heading, _, _ in used)]
    body = [
        [name, str(len(runs)), *(" / ".join(_summary(runs, key, percent) for key in keys) for _, keys, percent in used)]
        for name, runs in rows.items()
    ]
    return header, body


def _summary(runs: Sequence[Mapping[str, float]], key: str, percent: bool) -> str:
    scale, decimals = (100, 2) if percent else (1, 3)
    values = [float(run.get(key, math.nan)) * scale for run in runs]
    if not all(map(math.isfinite, values)):
        return "–"
    mean = f"{statistics.fmean(values):.{decimals}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{decimals}f}"
