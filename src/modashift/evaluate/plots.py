"""Figures: the map of a modality shift, predictions against gold scores, and the course of a training.

Every function writes one file, PNG, SVG or PDF by its suffix, whole or not at all, and needs no display. Colours stay
apart for colour-blind readers and in grey print where a sign does not decide.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modashift.atomic import atomic_file
from modashift.evaluate.metrics import regression_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_cms_map", "plot_learning_curve", "plot_predictions"]

SUFFIXES = (".png", ".svg", ".pdf")
BLUE, ORANGE, GREY = "#0b62a4", "#d1730a", "#8a8a8a"
MOST_LABELS = 60  # beyond this many steps their names cannot be read, and every so many are numbered instead


def plot_cms_map(
    shift: ArrayLike,
    words: Sequence[str],
    steps: Sequence[str] | None,
    path: str | Path,
    title: str = "",
    *,
    limit: float | None = None,
    step_name: str = "non-verbal step",
    value_name: str = "shift of the word by the step",
) -> Path:
    """Draw how each non-verbal step shifts each word, in the manner of Figure 1 of the CMSBERT-CLR paper.

    Args:
        shift: (N, T) signed; row i is word i, column j the non-verbal step j. NaN (no step there) is left grey.
        words: N names of the rows.
        steps: T names of the columns, the words themselves where the features are aligned to them; None numbers them.
        path: of the figure; the suffix is ``.png``, ``.svg`` or ``.pdf``.
        title: above the map.
        limit: value of the darkest colours, the same on both sides of zero; the largest magnitude where not given.
            Give the same one to figures that are to be compared.
        step_name: what a column is.
        value_name: what a colour is.

    Returns:
        The path written.

    Raises:
        ValueError: `shift` is empty, is not (N, T) or is infinite, `limit` is not positive, or the suffix is unknown.
    """
    values = np.asarray(shift, dtype=np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"a map has a row a word and a column a step; got an array of shape {values.shape}")
    if values.shape != (len(words), values.shape[1] if steps is None else len(steps)):
        raise ValueError(
            f"the map is {values.shape[0]} × {values.shape[1]}, but there are {len(words)} words"
            + ("" if steps is None else f" and {len(steps)} steps")
        )
    if np.isinf(values).any():
        raise ValueError("the map holds infinite values")
    if limit is not None and not limit > 0:
        raise ValueError(f"limit must be positive, got {limit}")
    if limit is None:
        finite = np.abs(values[np.isfinite(values)])
        limit = float(finite.max()) if finite.size and finite.max() > 0 else 1.0

    from matplotlib import colormaps

    rows, columns = values.shape
    cell = 0.26 if max(rows, columns) > 12 else 0.36
    figure = _figure(min(2.6 + cell * columns, 14), min(max(1.7 + cell * rows, 3.2), 18))
    axes = figure.subplots()
    colours = colormaps["RdBu_r"].with_extremes(bad="#d9d9d9")
    image = axes.imshow(values, cmap=colours, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    _name_ticks(axes, "y", list(words))
    if steps is None or columns > MOST_LABELS:
        axes.set_xlabel(f"{step_name}, numbered from 0")
    else:
        _name_ticks(axes, "x", list(steps))
        axes.set_xlabel(step_name)
    axes.set_ylabel("word")
    if max(rows, columns) <= MOST_LABELS:
        axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=0.6)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title, loc="left", parse_math=False)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, aspect=max(15, rows))
    bar.set_label(value_name)
    bar.outline.set_visible(False)
    return _save(figure, path)


def plot_predictions(gold: ArrayLike, prediction: ArrayLike, path: str | Path, title: str = "") -> Path:
    """Draw predictions against gold scores, and what is left over by gold score.

    The right-hand panel shows whether strong feelings are pulled towards the middle: the line of means then falls.

    Args:
        gold: (n,) true scores.
        prediction: (n,) predicted scores on the same scale.
        path: of the figure; the suffix is ``.png``, ``.svg`` or ``.pdf``.
        title: above the figure.

    Returns:
        The path written.

    Raises:
        ValueError: unusable scores, as `regression_metrics` says, or an unknown suffix.
    """
    y, p = np.asarray(gold, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    found = regression_metrics(y, p)
    figure = _figure(9.6, 4.4)
    left, right = figure.subplots(1, 2)
    dots = {"s": 14, "alpha": 0.75 if len(y) < 150 else 0.35, "color": BLUE, "edgecolors": "none"}
    low, high = min(-3.0, float(min(y.min(), p.min()))) - 0.2, max(3.0, float(max(y.max(), p.max()))) + 0.2
    left.plot([low, high], [low, high], color=GREY, linewidth=1, zorder=0)
    left.scatter(y, p, **dots)
    left.set(xlim=(low, high), ylim=(low, high), xlabel="gold score", ylabel="prediction", aspect="equal")
    whole = np.arange(np.ceil(low), np.floor(high) + 1)
    if len(whole) <= 13:
        left.set(xticks=whole, yticks=whole)
    left.set_title(f"MAE {found['mae']:.3f}, Corr {found['corr']:.3f}, n = {len(y)}", loc="left", fontsize=10)
    right.axhline(0, color=GREY, linewidth=1, zorder=0)
    right.scatter(y, p - y, **dots)
    middles, means = _binned_means(y, p - y)
    right.plot(middles, means, color=ORANGE, marker="o", linewidth=2, label="mean of the nearest whole score")
    right.set(xlim=(float(y.min()) - 0.2, float(y.max()) + 0.2), xlabel="gold score", ylabel="prediction − gold")
    right.legend(frameon=False, fontsize=9)
    for axes in (left, right):
        _plain(axes)
    right.set_title(f"bias {float(np.mean(p - y)):+.3f}", loc="left", fontsize=10)
    if title:
        figure.suptitle(title, x=0.01, ha="left", parse_math=False)
    return _save(figure, path)


def plot_learning_curve(rows: Sequence[Mapping[str, Any]], path: str | Path, title: str = "") -> Path:
    """Draw a training, epoch by epoch, from the lines of a run's ``metrics.jsonl``.

    Args:
        rows: in order of epochs, each with ``epoch`` and any of ``train_mse``, ``dev_mse``, ``train_loss``,
            ``dev_loss``, ``dev_mae``, ``dev_corr``, ``train_contrastive``, ``dev_contrastive``; a true ``best`` marks
            an improvement, the last of which is the epoch that was kept.
        path: of the figure; the suffix is ``.png``, ``.svg`` or ``.pdf``.
        title: above the figure.

    Returns:
        The path written.

    Raises:
        ValueError: no rows, a row without epoch, nothing to draw, or an unknown suffix.
    """
    if not rows or any("epoch" not in row for row in rows):
        raise ValueError("a learning curve needs rows, each with its epoch")
    keys = {key for row in rows for key in row}
    panels: list[tuple[str, list[tuple[str, str, str]]]] = []
    for name, label in (("mse", "mean squared error"), ("contrastive", "contrastive loss"), ("loss", "loss")):
        if {f"train_{name}", f"dev_{name}"} & keys and not (name == "loss" and panels):
            panels.append((label, [(f"train_{name}", "train", BLUE), (f"dev_{name}", "dev", ORANGE)]))
    for name, label in (("mae", "mean absolute error"), ("corr", "correlation")):
        if f"dev_{name}" in keys:
            panels.append((label, [(f"dev_{name}", "dev", ORANGE)]))
    if not panels:
        raise ValueError(f"nothing to draw in rows with {', '.join(sorted(keys))}")
    kept = next((row["epoch"] for row in reversed(rows) if row.get("best")), None)
    figure = _figure(3.4 * len(panels) + 0.4, 3.4)
    for axes, (label, curves) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for key, name, colour in curves:
            points = [(row["epoch"], row[key]) for row in rows if row.get(key) is not None]
            if points:
                marker = "o" if len(points) < 25 else None
                axes.plot(*zip(*points), color=colour, marker=marker, markersize=4, linewidth=1.8, label=name)
        if kept is not None:
            axes.axvline(kept, color=GREY, linestyle="--", linewidth=1, zorder=0, label=f"kept (epoch {kept})")
        axes.set(xlabel="epoch", title=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        _plain(axes)
    figure.axes[0].legend(frameon=False, fontsize=9)
    if title:
        figure.suptitle(title, x=0.01, ha="left", parse_math=False)
    return _save(figure, path)


def _figure(width: float, height: float) -> "Figure":
    """A figure that belongs to no window system and to no list of open figures."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)  # type: ignore[union-attr,call-arg]
    return figure


def _plain(axes: "Axes") -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.title.set_fontsize(10)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)


def _name_ticks(axes: "Axes", axis: str, names: list[str]) -> None:
    size = 9 if len(names) <= 45 else 7
    if axis == "y":
        axes.set_yticks(range(len(names)), names, fontsize=size)
    else:
        axes.set_xticks(range(len(names)), names, fontsize=size, rotation=90)
    for text in axes.get_yticklabels() if axis == "y" else axes.get_xticklabels():
        text.set_parse_math(False)  # a sentence with two dollar signs is no formula


def _binned_means(x: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    nearest = np.rint(x)
    bins = np.unique(nearest)
    return [float(b) for b in bins], [float(values[nearest == b].mean()) for b in bins]


def _save(figure: "Figure", path: str | Path) -> Path:
    from matplotlib import rc_context

    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"cannot write a figure as {path.name!r}; use one of {', '.join(SUFFIXES)}")
    kind = path.suffix.lower()
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(kind)
    # No date and fixed ids: the same data gives the same file. A word in a script the font lacks shows as boxes.
    with rc_context({"svg.hashsalt": "modashift", "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from", category=UserWarning)
        with atomic_file(path) as file:
            figure.savefig(file, format=kind[1:], dpi=160, metadata=metadata)
    return path
