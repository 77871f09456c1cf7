"""Tables: the arithmetic of means and spreads, the order of columns, and what is missing."""

import io

import numpy as np
import pytest
from rich.console import Console

from modashift.evaluate.metrics import regression_metrics
from modashift.evaluate.tables import format_metrics

GOLD = np.array([-2.0, -1.0, 0.0, 1.0, 2.5])
RUNS = [regression_metrics(GOLD, GOLD + shift * np.arange(5)) for shift in (0.1, 0.2, 0.4)]


def cells(markdown: str, line: int) -> list[str]:
    return [cell.strip() for cell in markdown.splitlines()[line].strip("|").split("|")]


def test_mean_and_sample_sd() -> None:
    table = format_metrics({"a": RUNS})
    values = [run["mae"] for run in RUNS]
    row = dict(zip(cells(table, 0), cells(table, 2), strict=True))
    assert row["Model"] == "a"
    assert row["Runs"] == "3"
    assert row["MAE ↓"] == f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
    has0, non0 = ([100 * run[f"acc2_{name}"] for run in RUNS] for name in ("has0", "non0"))
    assert row["Acc-2 ↑ (has0/non0)"] == (
        f"{np.mean(has0):.2f} ± {np.std(has0, ddof=1):.2f} / {np.mean(non0):.2f} ± {np.std(non0, ddof=1):.2f}"
    )


def test_one_run_has_no_spread() -> None:
    assert "±" not in format_metrics({"a": RUNS[:1]})


def test_missing_numbers_are_dashes_and_empty_columns_go() -> None:
    mag = regression_metrics(GOLD, GOLD, variant="mag")
    table = format_metrics({"mag": [mag]})
    assert "Acc-7" not in table
    row = dict(zip(cells(table, 0), cells(table, 2), strict=True))
    assert row["Acc-2 ↑ (has0/non0)"] == "– / 100.00"
    both = format_metrics({"mag": [mag], "a": RUNS})
    assert dict(zip(cells(both, 0), cells(both, 2), strict=True))["Acc-7 ↑"] == "–"


def test_names_cannot_break_the_table() -> None:
    assert format_metrics({"a": RUNS}, title="Test").startswith("**Test**\n\n| Model")
    assert "a\\|b" in format_metrics({"a|b": RUNS})
    out = io.StringIO()
    Console(file=out, width=200).print(format_metrics({"[red]x": RUNS}, layout="rich", title="Test [1]"))
    assert "[red]x" in out.getvalue()
    assert "Test [1]" in out.getvalue()
    assert "±" in out.getvalue()


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(ValueError, match="no models"):
        format_metrics({})
    with pytest.raises(ValueError, match="no runs of b"):
        format_metrics({"a": RUNS, "b": []}, layout="rich")
    with pytest.raises(ValueError, match="layout"):
        format_metrics({"a": RUNS}, layout="html")
