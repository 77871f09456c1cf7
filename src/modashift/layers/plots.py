"""Figures of a comparison of layers: curves over the layers, and learned weights. `save` writes them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modashift.evaluate.plots import BLUE, GREY, ORANGE, _figure
from modashift.evaluate.report_plots import DASHES, MARKERS, PALETTE, _done, save
from modashift.layers.curves import Curve, Point, Weights
from modashift.layers.plan import Part
from modashift.report.names import LABELS, better_is_lower, is_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["layer_curve", "learned_weights", "save"]


def layer_curve(
    curve: Curve,
    levels: Mapping[str, Mapping[str, float]],
    floor: Mapping[str, float],
    chosen: Sequence[int],
    output: int | None,
    constant: str,
) -> "Figure":
    """Metrics over the layers on test and dev, with lines for what has no layers; a panel a metric.

    Args:
        curve: of a modality.
        levels: by name (a conventional feature set, the weighted sum), by metric, what it reaches on test.
        floor: by metric, what one answer for all reaches on test.
        chosen: layers that dev chose, one a fold; marked, the larger the more folds.
        output: the last layer; marked by a line.
        constant: what that one answer is.
    """
    figure = _figure(4.4 * len(curve.test) + 2.2, 3.6)
    every = list(figure.subplots(1, len(curve.test), squeeze=False).flat)
    for axes, metric in zip(every, curve.test, strict=True):
        scale = 100 if is_share(metric) else 1
        _band(axes, curve.layers, curve.test[metric], scale, color=BLUE, linestyle="-", marker="o", label="test")
        _band(axes, curve.layers, curve.dev[metric], scale, color=ORANGE, linestyle="--", marker="s", label="dev")
        for layer in sorted({*chosen} & {*curve.layers}):
            point = curve.test[metric][curve.layers.index(layer)]
            size = 60 + 140 * sum(n == layer for n in chosen) / len(chosen)
            style: dict[str, Any] = {"facecolors": "none", "edgecolors": "black", "linewidths": 1.4, "zorder": 4}
            axes.scatter([layer], [scale * point.mean], s=size, **style)
        for k, (name, values) in enumerate(levels.items()):
            colour, dashes = PALETTE[(k + 2) % len(PALETTE)], DASHES[1 + k % 3]
            axes.axhline(scale * values[metric], color=colour, linestyle=dashes, linewidth=1.5, label=name)
        if np.isfinite(floor.get(metric, np.nan)) and metric != "corr":
            axes.axhline(scale * floor[metric], color=GREY, linestyle=":", linewidth=1.2, label=constant)
        if output is not None and output in curve.layers:
            axes.axvline(output, color=GREY, linewidth=0.8, zorder=0)
        arrow = "lower is better" if better_is_lower(metric) else "higher is better"
        axes.set(xlabel="layer", title=f"{LABELS[metric]}{' (%)' if is_share(metric) else ''}, {arrow}")
        axes.xaxis.get_major_locator().set_params(integer=True)
        _done(axes)
    figure.legend(*every[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=9)
    return figure


def _band(axes: "Axes", layers: Sequence[int], points: Sequence[Point], scale: float, **style: Any) -> None:
    low, high = [scale * p.low for p in points], [scale * p.high for p in points]
    axes.fill_between(layers, low, high, color=style["color"], alpha=0.15, linewidth=0)
    axes.plot(layers, [scale * p.mean for p in points], markersize=4, linewidth=1.8, **style)


def learned_weights(weights: Sequence[Weights], parts: Sequence[Part]) -> "Figure":
    """Learned weight of each layer, mean over runs and each run as a dot; a panel a modality.

    Args:
        weights: of each modality, trained alone and together.
        parts: the modalities, for the names of the encoders.
    """
    names = list(dict.fromkeys(own.modality for own in weights))
    encoder = {part.modality: part.encoder for part in parts}
    figure = _figure(3.9 * len(names) + 1.4, 3.3)
    every = list(figure.subplots(1, len(names), squeeze=False).flat)
    for axes, name in zip(every, names, strict=True):
        for own in (w for w in weights if w.modality == name):
            k = int(own.together)
            label = "trained with the others" if own.together else "trained alone"
            shift = 0.12 * (2 * k - 1)
            places = np.array(own.layers) + shift
            style = {"color": PALETTE[k], "marker": MARKERS[k]}
            axes.plot(
                places, own.values.mean(0), linestyle=DASHES[k], linewidth=1.8, markersize=5, label=label, **style
            )
            spread = np.broadcast_to(places, own.values.shape)
            axes.scatter(spread.ravel(), own.values.ravel(), s=7, alpha=0.35, color=PALETTE[k], edgecolors="none")
        count = next(len(w.layers) for w in weights if w.modality == name)
        axes.axhline(1 / count, color=GREY, linestyle=":", linewidth=1.2, label="equal weights")
        axes.set(xlabel="layer", ylabel="weight", title=f"{name} ({encoder[name]})")
        axes.set_ylim(0, 1.08 * max(float(w.values.max()) for w in weights if w.modality == name))
        axes.xaxis.get_major_locator().set_params(integer=True)
        _done(axes)
    entries = {label: handle for axes in every for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside right upper", frameon=False, fontsize=9)
    return figure
