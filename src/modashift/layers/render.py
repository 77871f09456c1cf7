"""A comparison of layers as an HTML page, Markdown, CSV and LaTeX, with its figures."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modashift.atomic import write_atomic
from modashift.layers import plots
from modashift.layers.curves import Curve, Point
from modashift.layers.plan import ALL
from modashift.layers.study import BEST, OUTPUT, WEIGHTED, Line, Study, title_of
from modashift.report.figures import Drawn
from modashift.report.names import LABELS, difference, is_share, number, p_value
from modashift.report.render_html import inlined
from modashift.report.render_latex import render_latex
from modashift.report.render_text import heading, markdown_table, marks, mean_and_spread, render_comparisons, render_csv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["render_layers", "write_study"]

FOLDER = "figures"


def write_study(study: Study, out: Path) -> Path:
    """Write ``report.html``, ``.md``, ``.csv`` and ``.tex``, the curves and tests as CSV, the choice, and figures.

    The same runs give the same bytes.

    Returns:
        The HTML page.

    Raises:
        DataError: a file cannot be written.
    """
    figures = _draw(study, out)
    write_atomic(out / "report.md", _markdown(study, figures, out))
    write_atomic(out / "report.tex", render_latex(study.report))
    write_atomic(out / "report.csv", render_csv(study.report))
    write_atomic(out / "tests.csv", render_comparisons(study.report))
    write_atomic(out / "layers.csv", render_layers(study))
    choice = {m: {str(k): n for k, n in by.items()} for m, by in study.chosen.items()}
    write_atomic(out / "chosen.json", json.dumps(choice, indent=2) + "\n")
    write_atomic(out / "report.html", _html(study, figures))
    return out / "report.html"


def render_layers(study: Study) -> str:
    """Every point of every curve, and learned weights, a line each."""
    lines = [["modality", "layer", "what", "split", "mean", "low", "high"]]
    for curve in study.curves:
        for split, found in (("test", curve.test), ("dev", curve.dev)):
            for metric, points in found.items():
                lines += [
                    [curve.modality, str(n), metric, split, repr(p.mean), repr(p.low), repr(p.high)]
                    for n, p in zip(curve.layers, points, strict=True)
                ]
    for own in study.weights:
        what = "weight, trained with the others" if own.together else "weight"
        lines += [
            [own.modality, str(n), what, "", repr(float(w)), repr(float(low)), repr(float(high))]
            for n, w, low, high in zip(
                own.layers, own.values.mean(0), own.values.min(0), own.values.max(0), strict=True
            )
        ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def about(study: Study) -> str:
    """How the figures came about, in a few sentences."""
    seeds, folds = len(study.lines[0].row.runs), len(study.folds)
    encoders = ", ".join(f"{p.modality} {p.encoder}" for p in study.parts if p.encoder)
    times = f"{seeds} seed{'s' * (seeds != 1)}" + (f" × {folds} folds" if folds > 1 else "")
    metric = LABELS[study.report.metrics[0]]
    where = "within each fold, by the mean over seeds" if folds > 1 else "by the mean over seeds"
    return (
        f"Encoders: {encoders}. {times} of each row, all trained alike ({study.lines[0].row.models}). Mid-best: the "
        f"layer with the best {metric} on dev, chosen {where}, the output layer being one of the candidates; of all "
        "modalities together, the layers chosen for each by itself. The test split had no part in any choice. Layer 0 "
        "is what enters the first Transformer layer, layer n the output of the nth."
    )


def tested(study: Study) -> str:
    """What is behind intervals and tests, in a few sentences."""
    return (
        f"± is the sample standard deviation over seeds; intervals of {study.report.options.bootstrap:,} bootstrap "
        f"samples of the {len(study.table.ids)} test items and of the seeds. Utterances are drawn one by one: those of "
        "one speaker are alike, and with few speakers an interval is too narrow for other ones. "
        "Nor do they say that other dev items might have chosen another layer. Tests are paired; "
        "those of mid-best against output are corrected together (Holm), all others together."
    )


def _markdown(study: Study, figures: Sequence[Drawn], out: Path) -> str:
    lines = [f"# {study.report.title}", "", about(study), ""]
    lines += [line for said in study.table.protocols for line in (f"Protocol: {said}.", "")]
    lines += [line for said in study.notes for line in (f"Note: {said}", "")]
    lines += ["## Is the best layer better than the output layer?", ""]
    for found in study.findings:
        lines += [f"**{title_of(found.modality)}: {found.status}.** {found.choice} {' '.join(found.sentences)}", ""]
    lines += ["## Output, mid-best, weighted, conventional", ""]
    metrics = study.report.metrics
    header = [
        "modality",
        "features",
        "layer",
        "seeds",
        *map(heading, metrics),
        *(f"{LABELS[m]}, 95 %" for m in metrics),
        "",
    ]
    lines += markdown_table(header, [_cells(line, study) for line in study.lines] + [_floor(study)])
    lines += ["", tested(study), ""]
    if study.others:
        lines += ["### Other comparisons", "", *(f"- {said}" for said in study.others), ""]
    for curve in study.curves:
        lines += [f"## Layers: {title_of(curve.modality)}", ""]
        lines += [*markdown_table(_curve_header(study), _curve_body(curve)), ""]
    lines += ["## Figures", ""]
    for figure in figures:
        lines += [f"![{figure.alt}]({figure.path.relative_to(out).as_posix()})", "", figure.caption, ""]
    return "\n".join(lines).rstrip() + "\n"


def _html(study: Study, figures: Sequence[Drawn]) -> str:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader("modashift.layers"), PackageLoader("modashift.report")]),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        heading=heading,
        marks=marks,
        mean_and_spread=mean_and_spread,
        number=number,
        difference=difference,
        p=lambda value: p_value(value).removeprefix("p = ").removeprefix("p "),
        labels=LABELS,
        title_of=title_of,
    )
    curves = [(title_of(c.modality), _curve_header(study), _curve_body(c)) for c in study.curves]
    return environment.get_template("layers.html.j2").render(
        study=study,
        metrics=study.report.metrics,
        about=about(study),
        tested=tested(study),
        curves=curves,
        figures=[inlined(figure) for figure in figures],
    )


def _cells(line: Line, study: Study) -> list[str]:
    cells = [line.row.cells[m] for m in study.report.metrics]
    return [
        title_of(line.modality),
        line.policy,
        line.layers or "–",
        str(len(line.row.runs)),
        *(mean_and_spread(line.row, m) for m in study.report.metrics),
        *(f"{number(m, c.estimate.low)} to {number(m, c.estimate.high)}" for m, c in zip(study.report.metrics, cells)),
        "; ".join(marks(line.row)),
    ]


def _floor(study: Study) -> list[str]:
    metrics = study.report.metrics
    shown = [number(m, study.table.floor.get(m)) for m in metrics]
    return [f"{study.table.constant} (floor)", "–", "–", "–", *shown, *["–"] * len(metrics), ""]


def _curve_header(study: Study) -> list[str]:
    return ["layer", *(f"{LABELS[m]} {split}" for m in study.report.metrics for split in ("dev", "test"))]


def _curve_body(curve: Curve) -> list[list[str]]:
    body = []
    for k, layer in enumerate(curve.layers):
        points = [(m, found[m][k]) for m in curve.test for found in (curve.dev, curve.test)]
        body.append([str(layer), *(_point(m, point) for m, point in points)])
    return body


def _point(metric: str, point: Point) -> str:
    return f"{number(metric, point.mean)} ({number(metric, point.low)} to {number(metric, point.high)})"


def _draw(study: Study, out: Path) -> list[Drawn]:
    """Draw every figure as PNG and SVG."""
    drawn = [_drawn(out, f"layers-{c.modality}", *_curve_figure(study, c)) for c in study.curves]
    if study.weights:
        runs = ", ".join(f"{len(w.values)} of {w.modality}" for w in study.weights if not w.together)
        most = "; ".join(
            f"{w.modality}{' with the others' if w.together else ''} layer {w.layers[int(w.values.mean(0).argmax())]} "
            f"({w.values.mean(0).max():.2f}, equal weights would be {1 / len(w.layers):.2f})"
            for w in study.weights
        )
        drawn.append(
            _drawn(
                out,
                "weights",
                lambda: plots.learned_weights(study.weights, study.parts),
                "Learned weights of the layers",
                "Softmax of the learned logits: mean over the runs, each run a dot. Layers start with equal weights.",
                f"Learned weights of the layers. Greatest: {most}." + (f" Runs: {runs}." if runs else ""),
            )
        )
    return drawn


def _curve_figure(study: Study, curve: Curve) -> tuple[Callable[[], "Figure"], str, str, str]:
    modality, metrics = curve.modality, study.report.metrics
    own = [line for line in study.lines if line.modality == modality]
    folded = len(study.folds) > 1
    wanted = [line for line in own if line.policy != OUTPUT and (line.policy != BEST or modality == ALL or folded)]
    names = {BEST: "best of each (dev)" if modality == ALL else "mid-best (dev)", WEIGHTED: "weighted sum"}
    levels = {
        names.get(line.policy, line.policy): {m: line.row.cells[m].estimate.value for m in metrics} for line in wanted
    }
    chosen = [] if modality == ALL else [*study.chosen[modality].values()]
    layered = [part for part in study.parts if part.layers and modality in (part.modality, ALL)]
    outputs = {part.output for part in layered}
    same = modality == ALL and len(layered) > 1
    what = "the same layer of every encoder" if same else f"the layers of {layered[0].encoder}"
    over = (
        "Dev: mean over folds and seeds, band the 95 % interval of t over the folds."
        if folded
        else "Dev: the same of dev."
    )
    metric = metrics[0]
    said = ", ".join(
        f"layer {n} {number(metric, d.mean)} and {number(metric, t.mean)}"
        for n, d, t in zip(curve.layers, curve.dev[metric], curve.test[metric], strict=True)
    )
    lines = "; ".join(f"{name} {number(metric, v[metric])}" for name, v in levels.items())
    rings = "" if modality == ALL else " Rings: layers that dev chose, larger for more folds." * bool(chosen)
    return (
        lambda: plots.layer_curve(
            curve,
            levels,
            study.table.floor,
            chosen,
            next(iter(outputs)) if len(outputs) == 1 else None,
            f"{study.table.constant} (floor)",
        ),
        f"Layers: {title_of(modality)}",
        "Test: metric of all test predictions, mean over seeds, band the 95 % interval over items and seeds. "
        f"{over}{rings} Vertical line: the output layer.",
        f"{LABELS[metric]}{' in percent' if is_share(metric) else ''} over {what}, on dev and test: {said}."
        + (f" Without layers, on test: {lines}." if lines else ""),
    )


def _drawn(out: Path, name: str, make: Callable[[], "Figure"], title: str, caption: str, alt: str) -> Drawn:
    figure = make()
    path = plots.save(figure, out / FOLDER / f"{name}.png")
    plots.save(figure, path.with_suffix(".svg"))
    return Drawn(path, title, caption, alt)
