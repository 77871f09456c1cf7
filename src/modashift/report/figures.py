"""The figures of a report, each with what a reader who cannot see it should be told."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modashift.evaluate import report_plots as plots
from modashift.report.build import Report, Table
from modashift.report.names import LABELS, is_share, number, slug

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawn", "draw"]

FOLDER = "figures"


@dataclass(frozen=True)
class Drawn:
    """A figure on disk.

    Attributes:
        path: of the PNG; an SVG of the same name lies beside it.
        title: over it.
        caption: how to read it.
        alt: what it shows, with numbers, for readers who cannot see it.
    """

    path: Path
    title: str
    caption: str
    alt: str


def draw(report: Report, out: Path) -> dict[str, list[Drawn]]:
    """Draw the figures of each table into ``out/figures``; by data set."""
    taken: set[str] = set()
    result = {}
    for table in report.tables:
        name, k = slug(table.data), 1
        while name in taken:
            k += 1
            name = f"{slug(table.data)}-{k}"
        taken.add(name)
        drawn = []
        for kind, title, caption, make, alt in _kinds(report, table):
            figure = make()
            path = plots.save(figure, out / FOLDER / f"{name}-{kind}.png")
            plots.save(figure, path.with_suffix(".svg"))
            drawn.append(Drawn(path, title, caption, alt))
        result[table.data] = drawn
    return result


def _kinds(report: Report, table: Table) -> list[tuple[str, str, str, "Callable[[], Figure]", str]]:
    split = report.options.split
    runs = {row.name: np.array([run.scores[split].prediction for run in row.runs]) for row in table.rows}
    names = ", ".join(runs)
    kinds: list[tuple[str, str, str, Callable[[], Figure], str]] = []
    there = [m for m in report.metrics if all(m in row.cells for row in table.rows)]
    shown: list[str] = [m for m in ("mae", "corr", "acc2_non0", "acc7") if m in there] or there[:4]
    panels = {}
    for metric in shown:
        scale = 100 if is_share(metric) else 1
        panels[LABELS[metric]] = [
            (row.name, [scale * v for v in c.values], scale * e.value, scale * e.low, scale * e.high)
            for row in table.rows
            if (c := row.cells[metric]) and (e := c.estimate)
        ]
    floors = {
        LABELS[m]: table.floor[m] * (100 if is_share(m) else 1)
        for m in shown
        if np.isfinite(table.floor.get(m, np.nan)) and m != "corr"
    }
    said = "; ".join(
        f"{row.name} {number(shown[0], (e := row.cells[shown[0]].estimate).value)}, {number(shown[0], e.low)} to "
        f"{number(shown[0], e.high)}"
        for row in table.rows
    )
    kinds.append(
        (
            "overview",
            "Means and intervals",
            "Diamond: mean over seeds. Bar: 95 % interval over items and seeds. Dots: single runs. "
            "Overlapping bars do not mean that there is no difference: the tests above are paired.",
            lambda: plots.overview(panels, floors, table.constant),
            f"Means with 95 % intervals of {', '.join(panels)}. {LABELS[shown[0]]}: {said}.",
        )
    )
    kinds += _learning(table)
    if table.classes:
        return [*kinds, _classes(table, runs)]
    spread = {
        n: float(np.mean([np.polyfit(q, table.gold, 1)[0] if np.ptp(q) else 0.0 for q in p])) for n, p in runs.items()
    }
    kinds.append(
        (
            "calibration",
            "Calibration",
            "Items in ten parts by their prediction: mean gold score against mean prediction. Above the diagonal on "
            "the right and below it on the left, predictions are too tame. Bars: least to greatest seed.",
            lambda: plots.calibration(table.gold, runs),
            "Calibration. Slope of gold on prediction, 1 being calibrated: "
            + ", ".join(f"{n} {v:.2f}" for n, v in spread.items())
            + ".",
        )
    )
    bias = {n: float(np.mean(p.mean(0) - table.gold)) for n, p in runs.items()}
    kinds.append(
        (
            "residuals",
            "Residuals",
            "Mean prediction over seeds less gold score. The line is the mean around each whole score: where it falls, "
            "strong feelings are drawn to the middle.",
            lambda: plots.residuals(table.gold, runs),
            "Residuals by gold score. Mean residual: " + ", ".join(f"{n} {v:+.3f}" for n, v in bias.items()) + ".",
        )
    )
    kinds.append(
        (
            "confusion",
            "Seven classes",
            "Gold class by row, predicted class by column, in percent of the row, mean over seeds; scores are clipped "
            "to ±3 and rounded half to even.",
            lambda: plots.confusion(table.gold, runs),
            f"Confusion of the seven classes, one matrix for each of {names}.",
        )
    )
    if not table.texts.missing:
        words = np.array([float(table.texts.words[i]) for i in table.ids])
        link = {
            n: float(np.corrcoef(words, np.abs(p - table.gold).mean(0))[0, 1]) if np.ptp(words) else 0.0
            for n, p in runs.items()
        }
        kinds.append(
            (
                "length",
                "Error by length",
                "Mean absolute error by the number of words, in bins of about equally many items; with up to "
                "five models, bars go from the least seed to the greatest.",
                lambda: plots.error_by_length(words, table.gold, runs),
                "Error by number of words. Correlation of the two over items: "
                + ", ".join(f"{n} {v:+.2f}" for n, v in link.items())
                + ".",
            )
        )
    return kinds


def _learning(table: Table) -> list[tuple[str, str, str, "Callable[[], Figure]", str]]:
    """Learning curves, where epochs were recorded; the folds of a cross-validation have one each and are not drawn."""
    term, loss = ("ce", "Cross-entropy") if table.classes else ("mse", "Squared error")
    curves = {row.name: [run.epochs for run in row.runs] for row in table.rows}
    if not any(
        f"{s}_{term}" in e for seeds in curves.values() for epochs in seeds for e in epochs for s in ("dev", "train")
    ):
        return []
    floor = table.rows[0].runs[0].results.get("splits", {}).get("dev", {}).get("floor", {}).get(term)
    best = [
        f"{row.name} {min(reached):.3f}"
        for row in table.rows
        if (reached := [e[f"dev_{term}"] for run in row.runs for e in run.epochs if e.get(f"dev_{term}") is not None])
    ]
    constant = "one answer for all" if table.classes else "the train mean"
    return [
        (
            "learning",
            "Learning curves",
            f"{loss} on train and dev: mean over seeds, band from the least to the greatest, each seed a "
            f"thin line. Dotted: {constant}, measured on dev.",
            lambda: plots.learning_curves(curves, floor, term),
            f"Learning curves on train and dev. Least {loss.lower()} on dev of any seed: {', '.join(best)}.",
        )
    ]


def _classes(table: Table, runs: "dict[str, NDArray[np.float64]]") -> tuple[str, str, str, "Callable[[], Figure]", str]:
    """Confusion matrices of classes."""
    said = "; ".join(
        f"{row.name} UA {number('ua', row.cells['ua'].estimate.value)}" for row in table.rows if "ua" in row.cells
    )
    return (
        "confusion",
        "Confusion of the classes",
        "Gold class by row, predicted class by column, in percent of the row, mean over seeds.",
        lambda: plots.class_confusion(table.gold, runs, table.classes),
        f"Confusion of the classes {', '.join(table.classes)}, one matrix for each of {', '.join(runs)}. {said}.",
    )
