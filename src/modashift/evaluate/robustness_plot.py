"""The picture of `modashift robustness`: small multiples, a line a run."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modashift.evaluate import plots
from modashift.evaluate.robustness import Condition

__all__ = ["curves_figure"]

AXES = {
    "missing": "share of steps missing",
    "noise": "noise (train sd of the feature)",
    "deletion": "share of words deleted",
    "substitution": "share of words replaced",
}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#4d4d4d")  # Okabe and Ito
MARKERS = "osD^vPX"


def curves_figure(rows: Sequence[Mapping[str, Any]], path: str | Path, title: str = "") -> Path:
    """Draw MAE and correlation against the level of each disturbance, a line a run, with intervals.

    Args:
        rows: of `summarise`, of all runs.
        path: of the figure; the suffix is ``.png``, ``.svg`` or ``.pdf``.
        title: above the figure.

    Returns:
        The path written.
    """
    runs = list(dict.fromkeys(r["run"] for r in rows))
    curves = [k for k in dict.fromkeys((r["kind"], r["modality"]) for r in rows) if k[0] in AXES]
    groups = [[c for c in curves if c[0] == kind] for kind in ("missing", "noise")]
    words = [c for c in curves if c[1] == "linguistic"]
    lines = [g for g in groups if g] or [[]]
    for k, curve in enumerate(words):
        lines[k % len(lines)].append(curve)
    columns = max(map(len, lines))
    floor = max((r["floor_mae"] for r in rows), default=math.nan)
    figure = plots._figure(2.75 * columns + 0.6, 2.35 * 2 * len(lines) + 0.9)
    axes = figure.subplots(2 * len(lines), columns, squeeze=False)
    for k, metric in enumerate(("mae", "corr")):
        ends = [r[f"{metric}_{end}"] for r in rows for end in ("low", "high") if r["kind"] != "unknown"]
        ends += [floor] if metric == "mae" and math.isfinite(floor) else []
        margin = 0.05 * (max(ends) - min(ends) or 1.0)
        for line, group in enumerate(lines):
            for column in range(columns):
                panel = axes[k * len(lines) + line, column]
                if column >= len(group):
                    panel.set_visible(False)
                    continue
                _panel(panel, rows, runs, group[column], metric)
                if metric == "mae" and math.isfinite(floor):
                    panel.axhline(floor, color=plots.GREY, ls="--", lw=1.2, label="train mean for everybody")
                panel.set_ylim(min(ends) - margin, max(ends) + margin)
                if column == 0:
                    panel.set_ylabel("MAE (score points)" if metric == "mae" else "correlation")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=min(4, len(labels)), frameon=False, fontsize=9)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)
    return plots._save(figure, path)


def _panel(panel: Any, rows: Sequence[Mapping[str, Any]], runs: list[str], curve: tuple[str, str], metric: str) -> None:
    kind, modality = curve
    for k, run in enumerate(runs):
        own = [r for r in rows if r["run"] == run and (r["kind"] == "none" or (r["kind"], r["modality"]) == curve)]
        own.sort(key=lambda r: r["level"])
        x = [r["level"] for r in own]
        colour = COLOURS[k % len(COLOURS)]
        panel.fill_between(
            x, [r[f"{metric}_low"] for r in own], [r[f"{metric}_high"] for r in own], color=colour, alpha=0.15, lw=0
        )
        marker = MARKERS[k % len(MARKERS)]
        panel.plot(x, [r[metric] for r in own], color=colour, marker=marker, markersize=4, lw=1.6, label=run)
    plots._plain(panel)
    panel.set_title(Condition(kind, modality, 0, 1).title, loc="left", fontsize=10)
    panel.set_xlabel(AXES[kind], fontsize=9)
    panel.tick_params(labelsize=8)
