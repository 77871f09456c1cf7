"""The pictures of `modashift explain`: CMS maps, norms of the shift, gates, the attribution check, what is left out."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modashift.evaluate import plots
from modashift.evaluate.attribution import Attribution
from modashift.evaluate.explain import Explanation
from modashift.evaluate.shift import Inside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_attribution", "plot_last_map", "plot_left_out", "plot_maps", "plot_shift"]

Floats = NDArray[np.float64]
ACROSS = 6  # layers side by side
VALUE = "shift of the word by the step (mean entry)"


def _panels(inside: Inside) -> dict[str, tuple[Floats, list[str]]]:
    """By heading, map (L, words, S) without special tokens, and the names of its steps."""
    panels = {m: (maps[:, inside.real], inside.steps[m]) for m, maps in inside.maps.items()}
    total = inside.summed()
    if total is not None:
        panels["summed"] = (total[:, inside.real], next(iter(inside.steps.values())))
    return panels


def _limit(panels: dict[str, tuple[Floats, list[str]]]) -> float:
    return max((float(np.abs(v).max()) for v, _ in panels.values()), default=0.0) or 1.0


def plot_maps(inside: Inside, path: Path, title: str) -> Path:
    """Small multiples: layers side by side, modalities below each other, one colour scale."""
    panels = _panels(inside)
    limit = _limit(panels)
    words = [inside.pieces[k] for k in inside.real]
    blocks = [list(range(k, min(k + ACROSS, len(inside.layers)))) for k in range(0, len(inside.layers), ACROSS)]
    columns = max(map(len, blocks))
    height = min(max(0.13 * len(words), 1.2), 3.4)
    wide = min(max(0.13 * max(len(s) for _, s in panels.values()), 1.3), 3.0)
    figure = plots._figure(wide * columns + 2.0, (height + 0.35) * len(panels) * len(blocks) + 1.5)
    axes = figure.subplots(len(panels) * len(blocks), columns, squeeze=False)
    for panel in axes.flat:
        panel.set_visible(False)
    image: Any = None
    for b, block in enumerate(blocks):
        for r, (heading, (values, steps)) in enumerate(panels.items()):
            for c, layer in enumerate(block):
                panel = axes[b * len(panels) + r, c]
                panel.set_visible(True)
                image = _image(panel, values[layer], limit)
                lowest = r == len(panels) - 1 or len(steps) != len(list(panels.values())[r + 1][1])
                _small_ticks(panel, words if c == 0 else [], steps if lowest else [])
                if r == 0:
                    panel.set_title(f"layer {inside.layers[layer]}", fontsize=9)
                if c == 0:
                    panel.set_ylabel(heading, fontsize=9)
    figure.colorbar(image, ax=axes, fraction=0.015, pad=0.01, aspect=40).set_label(VALUE, fontsize=9)
    figure.suptitle(
        f"{title}\nrows: word pieces, columns: steps of face and voice",
        x=0.01,
        ha="left",
        fontsize=10,
        parse_math=False,
    )
    return plots._save(figure, path)


def plot_last_map(inside: Inside, path: Path, title: str) -> Path:
    """The last layer, large."""
    panels = {heading: (values[-1], steps) for heading, (values, steps) in _panels(inside).items()}
    limit = max((float(np.abs(v).max()) for v, _ in panels.values()), default=0.0) or 1.0
    words = [inside.pieces[k] for k in inside.real]
    widths = [max(0.27 * len(steps), 1.6) for _, steps in panels.values()]
    total = min(sum(widths), 24.0)
    figure = plots._figure(total + 2.6, min(max(0.27 * len(words) + 2.2, 3.4), 16))
    axes = figure.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0]
    image: Any = None
    for panel, (heading, (values, steps)) in zip(axes, panels.items()):
        image = _image(panel, values, limit)
        _small_ticks(panel, words if panel is axes[0] else [], steps, size=9)
        panel.set_title(heading, fontsize=10)
        panel.set_xlabel("step" if not steps[-1].isdigit() else "frame", fontsize=9)
    axes[0].set_ylabel("word piece", fontsize=9)
    figure.colorbar(image, ax=axes, fraction=0.02, pad=0.01, aspect=30).set_label(VALUE, fontsize=9)
    heading = f"{title}\nCMS map, layer {inside.layers[-1]}"
    figure.suptitle(heading, x=0.01, ha="left", fontsize=10, parse_math=False)
    return plots._save(figure, path)


def _image(panel: "Axes", values: Floats, limit: float) -> Any:
    panel.tick_params(length=0)
    for side in panel.spines.values():
        side.set_color("#c8c8c8")
    return panel.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")


def _small_ticks(panel: "Axes", rows: Sequence[str], columns: Sequence[str], size: float = 6.5) -> None:
    """Names of rows and columns, or numbers where there are too many to be read."""
    panel.set_xticks([])
    panel.set_yticks([])
    many = plots.MOST_LABELS
    if rows and len(rows) <= many:
        panel.set_yticks(range(len(rows)), list(rows), fontsize=size)
    numbers = bool(columns) and len(columns) > 1 and all(c.isdigit() for c in columns)
    if columns and (numbers or len(columns) > many):
        every = 10 if len(columns) <= many else 50
        at = sorted({0, *range(every - 1, len(columns), every)})
        panel.set_xticks(at, [str(k + 1) for k in at], fontsize=size)
    elif columns:
        panel.set_xticks(
            range(len(columns)), list(columns), fontsize=size if len(columns) < 25 else size - 1, rotation=90
        )
    for text in (*panel.get_xticklabels(), *panel.get_yticklabels()):
        text.set_parse_math(False)


def plot_shift(inside: Inside, path: Path, title: str) -> Path:
    """Length of the shift by position and layer, and the share of closed gates by modality and layer."""
    shown = np.flatnonzero(inside.norms.max(0) > 0)
    shown = shown if len(shown) else np.arange(len(inside.pieces))
    names = [inside.pieces[k] for k in shown]
    layers = [str(n) for n in inside.layers]
    tall = min(max(0.24 * len(layers) + 2.0, 3.0), 8)
    figure = plots._figure(min(max(0.3 * len(names), 3.0), 18) + 0.75 * len(inside.zero_gates) + 3.6, tall)
    ratios = [max(0.3 * len(names), 3.0), 0.55 * len(inside.zero_gates) + 0.5]
    left, right = figure.subplots(1, 2, width_ratios=ratios)
    image = left.imshow(inside.norms[:, shown], cmap="viridis", vmin=0, aspect="auto", interpolation="nearest")
    _small_ticks(left, layers, names, size=9)
    left.set(ylabel="layer", title="length of the shift")
    bar = figure.colorbar(image, ax=left, fraction=0.03, pad=0.02)
    bar.set_label("Euclidean norm of a_i", fontsize=9)
    shares = np.stack(list(inside.zero_gates.values()), axis=1)  # (L, modalities)
    right.imshow(shares, cmap="Greys", vmin=0, vmax=1.4, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        text = "all" if share == 1 else f"{100 * share:.0f} %"
        right.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if share > 0.8 else "black")
    _small_ticks(right, layers, list(inside.zero_gates), size=9)
    right.set_title("gates at zero")
    for panel in (left, right):
        panel.title.set_fontsize(10)
        panel.tick_params(length=0)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, parse_math=False)
    return plots._save(figure, path)


def plot_attribution(found: Explanation, check: Attribution, path: Path, title: str) -> Path:
    """Left: each step's mass in the map against the change without it; right: top steps against random ones."""
    assert found.inside is not None
    names = found.item_names
    mass = np.array([np.abs(found.inside.maps[m][:, found.inside.real, s]).sum() for m, s in found.items])
    figure = plots._figure(10.4, 4.6)
    left, right = figure.subplots(1, 2)
    modalities = list(found.inside.maps)
    for m, colour, marker in zip(modalities, (plots.BLUE, plots.ORANGE), "os"):
        own = [k for k, (name, _) in enumerate(found.items) if name == m]
        left.scatter(mass[own], np.abs(check.changes[own]), color=colour, marker=marker, s=26, label=m, alpha=0.8)
    span = float(np.abs(check.changes).max()) or 1.0
    for place, j in enumerate(check.top, 1):  # numbered, and named below: names would lie on top of each other
        end = (mass[j], abs(check.changes[j]))
        left.annotate(str(place), end, (0, 5), textcoords="offset points", fontsize=9, ha="center", weight="bold")
    listed = "   ".join(f"{place}: {names[j]}" for place, j in enumerate(check.top[:8], 1))
    below = "\n".join(textwrap.wrap(listed, 80))
    left.set_ylim(-0.04 * span, 1.18 * span)
    left.set(ylabel="size of the change without the step (score points)")
    left.set_xlabel(f"mass of the step's column in the map\n{below}", parse_math=False)
    rank = "undefined" if np.isnan(check.rank) else f"{check.rank:+.2f}"
    left.set_title(f"single steps: rank correlation {rank}", loc="left", fontsize=10)
    left.legend(fontsize=9, framealpha=0.85, edgecolor="none")
    bins = min(30, max(5, len(check.random_changes) // 4))
    right.hist(check.random_changes, bins=bins, color="#b9cfe0", edgecolor="white", label="choices of as many steps")
    right.axvline(check.top_change, color=plots.ORANGE, lw=2, label="the map's strongest steps")
    right.axvline(0, color=plots.GREY, lw=1, ls="--")
    count = "1 step" if len(check.top) == 1 else f"{len(check.top)} steps"
    right.set(xlabel=f"change of the score without {count} (score points)", ylabel="choices")
    right.set_title(f"choices that reach as far: {100 * check.p:.1f} %", loc="left", fontsize=10)
    away = "upper left" if check.top_change > 0 else "upper right"
    right.legend(loc=away, fontsize=9, framealpha=0.85, edgecolor="none")
    for panel in (left, right):
        plots._plain(panel)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, parse_math=False)
    return plots._save(figure, path)


def plot_left_out(found: Explanation, path: Path, title: str) -> Path:
    """Bars: change of the score without each word, and without each modality."""
    groups = [(found.units, found.word_changes, "word left out (with its features)")]
    if found.modality_changes:
        changes = np.array(list(found.modality_changes.values()))
        groups.append((list(found.modality_changes), changes, "modality left out"))
    widths = [max(0.28 * len(names), 1.2) for names, *_ in groups]
    figure = plots._figure(min(sum(widths), 20) + 2.2, 4.0)
    axes = figure.subplots(1, len(groups), squeeze=False, width_ratios=widths, sharey=True)[0]
    for panel, (names, values, label) in zip(axes, groups):
        colours = [plots.BLUE if v < 0 else plots.ORANGE for v in np.nan_to_num(values)]
        panel.bar(range(len(names)), np.nan_to_num(values), color=colours, width=0.75)
        panel.axhline(0, color=plots.GREY, lw=1)
        panel.set_xticks(range(len(names)), names, fontsize=9, rotation=90)
        for text in panel.get_xticklabels():
            text.set_parse_math(False)
        panel.set_xlim(-0.6, max(len(names), 1) - 0.4)
        panel.set_title(label)
        plots._plain(panel)
        panel.grid(visible=False, axis="x")
        panel.tick_params(axis="x", length=0)
    axes[0].set_ylabel("change of the score (score points)")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, parse_math=False)
    return plots._save(figure, path)
