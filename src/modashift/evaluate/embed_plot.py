"""The picture of `modashift embed`: t-SNE of each run, and the numbers of the representations below."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modashift.evaluate import plots
from modashift.evaluate.embed import SHAPES, SHORT, Representations

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["embed_figure", "numbers"]

Placed = Mapping[str, tuple[NDArray[np.intp], NDArray[np.float64]]]
COLUMNS = 3


def embed_figure(
    runs: Sequence[Representations],
    placed: Sequence[Placed],
    found: Sequence[Mapping[str, Any]],
    path: str | Path,
    title: str = "",
) -> Path:
    """Draw the runs side by side: colour is the score, the marker the modality; the numbers stand below.

    Args:
        runs: the vectors, for scores and names.
        placed: positions of each, from `modashift.evaluate.embed.project`.
        found: numbers of each, from `modashift.evaluate.embed.describe`.
        path: of the figure; the suffix is ``.png``, ``.svg`` or ``.pdf``.
        title: above the figure.

    Returns:
        The path written.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    panels = [
        (run, group, found[k], number == 0)
        for k, run in enumerate(runs)
        for number, group in enumerate([placed[k]] if run.common else [{m: p} for m, p in placed[k].items()])
    ]
    columns = min(COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    figure = plots._figure(4.6 * columns + 0.9, 5.9 * lines + 0.5)
    axes = figure.subplots(lines, columns, squeeze=False)
    scale = ScalarMappable(Normalize(-3, 3), "RdYlBu_r")
    for panel, (run, group, numbers_of, first) in zip(axes.flat, panels):
        _scatter(panel, run, group, scale)
        alone = "" if run.common else f": {' and '.join(group)} alone"
        panel.set_title(run.name + alone, loc="left", fontsize=10.5, parse_math=False)
        text = numbers(numbers_of) if first else "(numbers: first panel of this run)"
        panel.set_xlabel(text, family="monospace", fontsize=7.5, loc="left", multialignment="left", labelpad=8)
    for panel in list(axes.flat)[len(panels) :]:
        panel.set_visible(False)
    figure.colorbar(scale, ax=axes, fraction=0.02, pad=0.015, aspect=35).set_label("gold score")
    figure.legend(
        handles=_handles({m for run in runs for m in run.vectors}),
        loc="outside upper right",
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)
    return plots._save(figure, path)


def _scatter(panel: "Axes", run: Representations, group: Placed, scale: Any) -> None:
    rows = np.concatenate([own for own, _ in group.values()]) if group else np.zeros(0, int)
    size = 26 if len(rows) < 500 else 14
    order = np.random.default_rng(0).permutation(len(rows))  # no modality lies on top of the others
    names = np.array([m for m, (own, _) in group.items() for _ in own])
    places = np.concatenate([p for _, p in group.values()]) if group else np.zeros((0, 2))
    gold = np.nan_to_num(run.gold[rows])
    for part in np.array_split(order, 12):
        for m in group:
            own = part[names[part] == m]
            panel.scatter(
                places[own, 0],
                places[own, 1],
                c=gold[own],
                cmap=scale.cmap,
                norm=scale.norm,
                marker=SHAPES.get(m, "s"),
                s=size * (1.5 if m == "acoustic" else 1),
                edgecolors="#404040",
                linewidths=0.25,
            )
    panel.set(xticks=[], yticks=[])
    panel.set_box_aspect(1)
    for side in panel.spines.values():
        side.set_color("#b0b0b0")


def _handles(modalities: set[str]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], linestyle="", marker=shape, color="#808080", markeredgecolor="#404040", label=m)
        for m, shape in SHAPES.items()
        if m in modalities
    ]


def numbers(found: Mapping[str, Any]) -> str:
    """The numbers of a run as a few lines of text of fixed width."""
    lines = []
    if found["note"]:
        lines.append(_wrapped(found["note"]))
    if found["alignment"]:
        lines.append(f"{'':<13}{'cosine: true':>13}{'others':>8}{'retrieval@1':>18}")
        for pair, a in found["alignment"].items():
            one, two = pair.split("-")
            there, back = (found["retrieval"][f"{x}>{y}"] for x, y in ((one, two), (two, one)))
            rates = f"{100 * there['value']:.1f} % / {100 * back['value']:.1f} %"
            name = f"{SHORT.get(one, one)}–{SHORT.get(two, two)}"
            lines.append(f"{name:<13}{a['true']:>13.3f}{a['other']:>8.3f}{rates:>18}")
        chance = next(iter(found["retrieval"].values()))["chance"]
        lines.append(f"{'chance':<34}{f'{100 * chance:.1f} %':>18}")
    own = "  ".join(f"{SHORT.get(m, m)} {k['value']:.3f}" for m, k in found["knn_mae"].items())
    floors = sorted({f"{k['floor']:.3f}" for k in found["knn_mae"].values()})
    lines.append(f"k-NN MAE     {own}")
    lines.append(f"floor        {' / '.join(floors)} (train mean for all), n = {found['n']}")
    return "\n".join(lines)


def _wrapped(text: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, 54))
