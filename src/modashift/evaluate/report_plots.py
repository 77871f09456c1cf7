"""Figures that set several models side by side: one panel a model, on common axes.

Each function returns a matplotlib figure; `save` writes it. Models are told apart by panel and title, or by marker and
dashes as well as colour (of Okabe and Ito's palette, which stays apart for colour-blind readers).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modashift.evaluate.plots import BLUE, GREY, ORANGE, _figure, _plain, _save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "calibration",
    "class_confusion",
    "confusion",
    "error_by_length",
    "learning_curves",
    "overview",
    "residuals",
    "save",
]

Array = NDArray[np.float64]
Runs = Mapping[str, Array]  # by model, (S, n) predictions of each seed
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKERS = "osD^vPX*<>"
DASHES = ("-", "--", "-.", ":")


def save(figure: "Figure", path: Path) -> Path:
    """Write a figure as its suffix says: the same figure gives the same bytes.

    Raises:
        ValueError: an unknown suffix.
    """
    return _save(figure, path)


def overview(
    panels: Mapping[str, Sequence[tuple[str, Sequence[float], float, float, float]]],
    floors: Mapping[str, float],
    constant: str = "train mean",
) -> "Figure":
    """Mean, interval and single runs of each model, one panel a metric.

    Args:
        panels: by label of the metric, for each model: name, values of its runs, mean, lower and upper end.
        floors: by label of the metric, what one answer for all reaches; a dashed line where it is near, else in words.
        constant: what that answer is.
    """
    rows = len(next(iter(panels.values())))
    figure = _figure(3.1 * len(panels) + 1.2, 0.36 * rows + 1.2)
    every = list(figure.subplots(1, len(panels), squeeze=False, sharey=True).flat)
    for axes, (label, lines) in zip(every, panels.items(), strict=True):
        for k, (_, values, mean, low, high) in enumerate(lines):
            axes.plot([low, high], [k, k], color=BLUE, linewidth=2.2, solid_capstyle="butt")
            axes.scatter([mean], [k], s=42, color=BLUE, marker="D", zorder=3)
            axes.scatter(values, np.full(len(values), k + 0.27), s=13, color=ORANGE, zorder=3, edgecolors="none")
        drawn = np.array([v for _, values, *rest in lines for v in (*values, *rest)])
        edge = 0.06 * float(np.ptp(drawn)) or 0.05
        left, right = float(drawn.min()) - edge, float(drawn.max()) + edge
        if label in floors:
            floor = floors[label]
            if left - 5 * edge < floor < right + 5 * edge:
                left, right = min(left, floor - edge), max(right, floor + edge)
                axes.axvline(floor, color=GREY, linestyle="--", linewidth=1)
            axes.set_xlabel(f"{constant}: {floor:.4g}", fontsize=8, color="#59616b")
        axes.set_yticks(range(rows), [_short(line[0]) for line in lines], fontsize=9)
        axes.set(xlim=(left, right), ylim=(rows - 0.4, -0.5), title=label)
        axes.locator_params(axis="x", nbins=5)
        _done(axes)
    return figure


def learning_curves(
    curves: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], floor: float | None, term: str = "mse"
) -> "Figure":
    """Task loss on train and dev over the epochs: mean over seeds, range as a band, each seed as a thin line.

    Args:
        curves: by model, for each seed the lines of its ``metrics.jsonl``.
        floor: loss of one answer for all on dev.
        term: the loss: ``mse`` of scores, ``ce`` of classes.
    """
    figure, grid = _panels(len(curves), sharey=True)
    top = 0.0
    for axes, (name, seeds) in zip(grid, curves.items(), strict=True):
        for key, label, colour, dashes in (
            (f"train_{term}", "train", GREY, "--"),
            (f"dev_{term}", "dev", BLUE, "-"),
        ):
            series = [[(e["epoch"], e[key]) for e in epochs if e.get(key) is not None] for epochs in seeds]
            series = [s for s in series if s]
            for points in series:
                axes.plot(*zip(*points), color=colour, linewidth=0.6, alpha=0.5, linestyle=dashes)
            epochs = sorted({e for s in series for e, _ in s})
            found = [[v for s in series for e, v in s if e == epoch] for epoch in epochs]
            if found:
                low, high = [min(v) for v in found], [max(v) for v in found]
                top = max(top, float(np.quantile(high, 0.95)))
                axes.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
                means = [sum(v) / len(v) for v in found]
                axes.plot(epochs, means, color=colour, linewidth=2, linestyle=dashes, label=label)
        if floor is not None:
            axes.axhline(
                floor,
                color=ORANGE,
                linewidth=1.2,
                linestyle=":",
                label="train mean on dev" if term == "mse" else "one answer for all",
            )
        axes.locator_params(axis="x", integer=True)
        axes.set_title(_short(name))
        _done(axes)
    top = max(top, floor or 0.0)
    if top > 0:
        grid[0].set_ylim(0, 1.08 * top)
    _label(figure, grid, "epoch", "mean squared error" if term == "mse" else "cross-entropy")
    _legend(grid[0])
    return figure


def calibration(gold: Array, runs: Runs, bins: int = 10) -> "Figure":
    """Mean gold score of the items in each tenth of the predictions, against the mean prediction there.

    On the diagonal a prediction can be taken at its word. Runs are binned one by one; the bars are the range over them.
    """
    figure, grid = _panels(len(runs), sharey=True)
    for axes, (name, predictions) in zip(grid, runs.items(), strict=True):
        xs, ys = [], []
        for p in predictions:
            parts = np.array_split(np.argsort(p, kind="stable"), min(bins, len(p)))
            xs.append([p[part].mean() for part in parts])
            ys.append([gold[part].mean() for part in parts])
        x, y = np.mean(xs, axis=0), np.array(ys)
        mean = y.mean(0)
        axes.axline((0, 0), slope=1, color=GREY, linewidth=1, zorder=0)
        axes.errorbar(
            x, mean, yerr=[mean - y.min(0), y.max(0) - mean], color=BLUE, marker="o", markersize=4, linewidth=1.6
        )
        axes.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), aspect="equal", title=_short(name))
        axes.set(xticks=range(-3, 4), yticks=range(-3, 4))
        _done(axes)
    _label(figure, grid, "mean prediction", "mean gold score")
    return figure


def residuals(gold: Array, runs: Runs) -> "Figure":
    """What the mean prediction over seeds leaves over, by gold score, with the mean around each whole score."""
    figure, grid = _panels(len(runs), sharey=True)
    nearest = np.rint(gold)
    bins = np.unique(nearest)
    for axes, (name, predictions) in zip(grid, runs.items(), strict=True):
        left = predictions.mean(0) - gold
        axes.axhline(0, color=GREY, linewidth=1, zorder=0)
        axes.scatter(gold, left, s=9, alpha=0.3, color=BLUE, edgecolors="none", rasterized=True)
        axes.plot(
            bins, [left[nearest == b].mean() for b in bins], color=ORANGE, marker="o", markersize=4, linewidth=1.8
        )
        axes.set(title=_short(name), xticks=range(-3, 4))
        _done(axes)
    _label(figure, grid, "gold score", "prediction − gold")
    return figure


def confusion(gold: Array, runs: Runs) -> "Figure":
    """The seven classes: share of each gold class (a row) that is predicted as each class, mean over the runs."""
    classes = [f"{c}".replace("-", "−") for c in range(-3, 4)]
    return _confusion(_seven(gold), {name: [_seven(p) for p in found] for name, found in runs.items()}, classes)


def class_confusion(gold: Array, runs: Runs, names: Sequence[str]) -> "Figure":
    """Share of each gold class (a row) that is predicted as each class, mean over the runs.

    Args:
        gold: (n,) numbers of classes.
        runs: by model, (S, n) predicted numbers.
        names: of the classes.
    """
    numbers = {name: [p.astype(np.intp) for p in found] for name, found in runs.items()}
    return _confusion(
        gold.astype(np.intp), numbers, [_short(name, 12) for name in names], size=max(2.9, 0.5 * len(names))
    )


def _confusion(
    true: NDArray[np.intp],
    runs: Mapping[str, Sequence[NDArray[np.intp]]],
    classes: Sequence[str],
    size: float = 2.9,
) -> "Figure":
    figure, grid = _panels(len(runs), size=size)
    n = len(classes)
    for axes, (name, predictions) in zip(grid, runs.items(), strict=True):
        counts = np.mean([np.bincount(true * n + p, minlength=n * n) for p in predictions], axis=0).reshape(n, n)
        totals = counts.sum(1, keepdims=True)
        shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=0.8, interpolation="nearest")
        for i, j in np.ndindex(n, n):
            if shares[i, j] >= 0.005:
                colour = "white" if shares[i, j] > 0.45 else "black"
                axes.text(j, i, f"{100 * shares[i, j]:.0f}", ha="center", va="center", fontsize=8, color=colour)
        words = max(map(len, classes)) > 2
        axes.set_xticks(range(n), classes, fontsize=8, rotation=45 if words else 0, ha="right" if words else "center")
        axes.set_yticks(range(n), [f"{c} ({t:.0f})" for c, t in zip(classes, totals[:, 0])], fontsize=8)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(_short(name), fontsize=10, parse_math=False)
    _label(figure, grid, "predicted class", "gold class (items)")
    return figure


def error_by_length(words: Array, gold: Array, runs: Runs, bins: int = 6) -> "Figure":
    """Mean absolute error by the number of words, in bins of about equally many items; one line a model.

    With up to five models, bars go from the least seed to the greatest.
    """
    edges = np.unique(np.quantile(words, np.linspace(0, 1, bins + 1)))
    place = np.clip(np.searchsorted(edges, words, side="right") - 1, 0, max(len(edges) - 2, 0))
    used = np.unique(place)
    names = [f"{int(words[place == k].min())}–{int(words[place == k].max())}" for k in used]
    counts = [int(np.sum(place == k)) for k in used]
    figure = _figure(7.2, 3.9)
    axes = figure.subplots()
    for k, (name, predictions) in enumerate(runs.items()):
        error = np.abs(predictions - gold)
        by_seed = np.array([[e[place == b].mean() for b in used] for e in error])
        mean = by_seed.mean(0)
        style: dict[str, Any] = {
            "color": PALETTE[k % len(PALETTE)],
            "marker": MARKERS[k % len(MARKERS)],
            "markersize": 5,
        }
        offset = (k - (len(runs) - 1) / 2) * 0.5 / max(len(runs), 3)  # bars beside each other can be told apart
        axes.errorbar(
            np.arange(len(used)) + offset,
            mean,
            yerr=[mean - by_seed.min(0), by_seed.max(0) - mean] if len(runs) <= 5 else None,
            linestyle=DASHES[k % len(DASHES)],
            linewidth=1.5,
            elinewidth=0.8,
            label=_short(name),
            **style,
        )
    axes.set_xticks(range(len(used)), [f"{n}\n({c})" for n, c in zip(names, counts)], fontsize=9)
    axes.set(xlabel="words (items)", ylabel="mean absolute error")
    _done(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=8)
    return figure


def _seven(values: Array) -> NDArray[np.intp]:
    return (np.rint(np.clip(values, -3, 3)) + 3).astype(np.intp)


def _panels(count: int, size: float = 2.5, sharey: bool = False) -> "tuple[Figure, list[Axes]]":
    columns = min(count, 4)
    rows = -(-count // columns)
    figure = _figure(max(size * columns, 3.6) + 0.5, size * rows + 0.4)
    every = list(figure.subplots(rows, columns, squeeze=False, sharey=sharey).flat)
    for axes in every[count:]:
        axes.remove()
    return figure, every[:count]


def _label(figure: "Figure", grid: "Sequence[Axes]", x: str, y: str) -> None:
    figure.supxlabel(x, fontsize=10)
    figure.supylabel(y, fontsize=10)


def _legend(axes: "Axes") -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8)


def _done(axes: "Axes") -> None:
    _plain(axes)
    axes.title.set_parse_math(False)
    axes.tick_params(labelsize=9)
    for text in (*axes.get_yticklabels(), *axes.get_xticklabels()):
        text.set_parse_math(False)


def _short(name: str, most: int = 34) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
