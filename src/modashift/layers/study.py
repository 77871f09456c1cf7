"""From finished runs to what a comparison of layers says: curves, table, tests and learned weights, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modashift.evaluate.results import Results, Run
from modashift.layers.curves import Curve, Weights, curve_of, weights_of
from modashift.layers.plan import ALL, EVERY, Cell, Part, combination
from modashift.layers.runs import Runs
from modashift.report.build import Options, Report, Row, Table, build
from modashift.report.compare import sentences

__all__ = ["METRICS", "Finding", "Line", "Study", "study", "title_of"]

METRICS = {False: ("mae", "corr"), True: ("ua", "wa")}  # of scores, of classes
OUTPUT, BEST, WEIGHTED, GIVEN = "output layer", "mid-best", "weighted", "as given"

Chosen = Mapping[str, Mapping[int, int]]  # by modality and fold, the layer


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        row: of the report.
        modality: or `ALL`.
        policy: which layer it has, or whose features.
        layers: in words; empty where there are none.
    """

    row: Row
    modality: str
    policy: str
    layers: str


@dataclass(frozen=True)
class Finding:
    """What is known of the best layer of a modality against its output layer.

    Attributes:
        modality: or `ALL`.
        choice: what dev chose, a sentence.
        status: by the metric that chose it, ``better`` or ``worse``, with ``(established)`` or, of fewer than three
            seeds, ``(of these runs only)``; else ``not established`` or ``nothing to compare``.
        sentences: what the tests say.
    """

    modality: str
    choice: str
    status: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """Everything that a report of layers says.

    Attributes:
        report: of the lines, for tables in any form.
        parts: the modalities.
        lines: of the table.
        curves: over the layers.
        chosen: by modality and fold, the layer that dev chose.
        weights: learned ones.
        findings: on the best layer against the output layer.
        others: sentences on the other comparisons.
        notes: what else a reader must know.
    """

    report: Report
    parts: tuple[Part, ...]
    lines: tuple[Line, ...]
    curves: tuple[Curve, ...]
    chosen: Chosen
    weights: tuple[Weights, ...]
    findings: tuple[Finding, ...]
    others: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def table(self) -> Table:
        """Of the lines."""
        return self.report.tables[0]

    @property
    def folds(self) -> tuple[int, ...]:
        """Of the cross-validation; (0,) where there is none."""
        return tuple(next(iter(self.chosen.values())))


@dataclass(frozen=True)
class _Made:
    """A line before its numbers are known: runs one a seed."""

    modality: str
    policy: str
    layers: str
    runs: list[Run]

    @property
    def name(self) -> str:
        return _name(self.modality, self.policy)


def study(
    title: str,
    results: Results,
    parts: Sequence[Part],
    cells: Sequence[Cell],
    chosen: Chosen,
    seeds: Sequence[int],
    metrics: Sequence[str],
    notes: Sequence[str] = (),
    samples: int = 10_000,
) -> Study:
    """Put everything together.

    Args:
        title: of the report.
        results: finished runs of the experiment; those of other rows, seeds and folds are left out.
        parts: the modalities.
        cells: the rows, with the combinations of the chosen layers.
        chosen: layers by modality and fold.
        seeds: to report on.
        metrics: to report; the first one chose the layers.
        notes: to hand on.
        samples: bootstrap samples of table and tests.

    Raises:
        ModashiftError: a run of a row is missing, or the runs were not tested on the same utterances.
    """
    runs = Runs(results, seeds, tuple(next(iter(chosen.values()))))
    modalities = list(dict.fromkeys(cell.modality for cell in cells))
    made = [line for m in modalities for line in _lines(m, parts, cells, chosen, runs)]
    claims, others = _planned(made, parts, chosen)
    named = [replace(run, row=line.name) for line in made for run in line.runs]
    options = Options(metrics=tuple(metrics), planned=(claims, others), texts=False, timing=False, bootstrap=samples)
    report = build(Results(title, named), options)
    table = report.tables[0]
    rows = {row.name: row for row in table.rows}
    weights = tuple(weights_of(cells, parts, runs))
    if not weights and any(cell.kind == "weighted" for cell in cells):
        notes = [*notes, "The weights of the models were deleted, so the learned weights of the layers are not known."]
    return Study(
        report=report,
        parts=tuple(parts),
        lines=tuple(Line(rows[line.name], line.modality, line.policy, line.layers) for line in made),
        curves=tuple(c for m in modalities if (c := curve_of(m, cells, runs, metrics)) is not None),
        chosen=chosen,
        weights=weights,
        findings=tuple(_finding(line.modality, parts, chosen, table) for line in made if line.policy == BEST),
        others=tuple(s for pair in others for s in _said_of(pair, table)),
        notes=tuple(notes),
    )


def title_of(modality: str) -> str:
    """A modality in a heading."""
    return "all together" if modality == ALL else modality


def chosen_cell(modality: str, parts: Sequence[Part], chosen: Chosen, fold: int) -> Mapping[str, int]:
    """Layers by modality of what dev chose for a fold."""
    own = [part for part in parts if part.layers and modality in (part.modality, ALL)]
    return {part.modality: chosen[part.modality][fold] for part in own}


def _name(modality: str, policy: str) -> str:
    return f"{title_of(modality)} {policy}"


def _lines(modality: str, parts: Sequence[Part], cells: Sequence[Cell], chosen: Chosen, runs: Runs) -> list[_Made]:
    layered = [part for part in parts if part.layers and modality in (part.modality, ALL)]
    found = []
    if layered:
        output = {part.modality: part.output for part in layered}
        by_fold = {k: chosen_cell(modality, parts, chosen, k) for k in runs.folds}
        rows = {k: _row(modality, parts, layers) for k, layers in by_fold.items()}
        found.append(_Made(modality, OUTPUT, _in_words(output, modality), runs.of(_row(modality, parts, output))))
        found.append(_Made(modality, BEST, _by_fold(by_fold, modality), runs.mixed(rows)))
    for cell in cells:
        if cell.modality == modality and cell.kind == "weighted":
            found.append(_Made(modality, WEIGHTED, _depths(layered), runs.of(cell.row)))
        elif cell.modality == modality and cell.kind in {"given", "conventional"}:
            policy = {"": GIVEN, EVERY: "all conventional"}.get(cell.source, cell.source)
            found.append(_Made(modality, policy, "", runs.of(cell.row)))
    return found


def _depths(layered: Sequence[Part]) -> str:
    counts = {part.modality: len(part.layers) for part in layered}
    if len({*counts.values()}) == 1:
        return f"{len(layered[0].layers)} layers{' each' if len(layered) > 1 else ''}"
    return ", ".join(f"{m} {n}" for m, n in counts.items()) + " layers"


def _row(modality: str, parts: Sequence[Part], layers: Mapping[str, int]) -> str:
    """Name of the row with one layer of each modality."""
    return combination(parts, layers).row if modality == ALL else f"{modality}-{layers[modality]:02d}"


def _in_words(layers: Mapping[str, int], modality: str) -> str:
    if modality != ALL:
        return str(layers[modality])
    return ", ".join(f"{m} {n}" for m, n in layers.items())


def _by_fold(layers: Mapping[int, Mapping[str, int]], modality: str) -> str:
    said = [_in_words(own, modality) for own in layers.values()]
    if len({*said}) == 1:
        return said[0]
    return ("; " if modality == ALL else ", ").join(said) + " by fold"


def _planned(
    made: Sequence[_Made], parts: Sequence[Part], chosen: Chosen
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """The claim that a layer chosen on dev is better than the output layer; and what else is tested, apart from it."""
    claims, others = [], []
    for modality in dict.fromkeys(line.modality for line in made):
        own = {line.policy: line.name for line in made if line.modality == modality}
        if BEST not in own:
            continue
        if _differs(modality, parts, chosen):
            claims.append((own[BEST], own[OUTPUT]))
        if WEIGHTED in own:
            others.append((own[WEIGHTED], own[OUTPUT]))
        others += [(own[BEST], name) for policy, name in own.items() if policy not in {OUTPUT, BEST, WEIGHTED}]
    return tuple(claims), tuple(others)


def _differs(modality: str, parts: Sequence[Part], chosen: Chosen) -> list[int]:
    """Folds in which dev chose something other than the output layer."""
    output = {part.modality: part.output for part in parts if part.layers}
    folds = next(iter(chosen.values()))
    return [k for k in folds if any(n != output[m] for m, n in chosen_cell(modality, parts, chosen, k).items())]


def _said_of(pair: tuple[str, str], table: Table) -> list[str]:
    return sentences([c for c in table.comparisons if (c.first, c.second) == pair])


def _finding(modality: str, parts: Sequence[Part], chosen: Chosen, table: Table) -> Finding:
    own = [part for part in parts if part.layers and modality in (part.modality, ALL)]
    folds = next(iter(chosen.values()))
    layers = _by_fold({k: chosen_cell(modality, parts, chosen, k) for k in folds}, modality)
    output = _in_words({part.modality: part.output for part in own}, modality)
    differs = _differs(modality, parts, chosen)
    what = "Layers" if modality == ALL and len(own) > 1 else "Layer"
    choice = f"{what} chosen on dev: {layers}; output: {output}."
    if not differs:
        everywhere = " in every fold" if len(folds) > 1 else ""
        said = f"Dev chose the output itself{everywhere}, so there is nothing to compare."
        return Finding(modality, choice, "nothing to compare", (said,))
    if len(differs) < len(folds):
        choice += f" In {len(folds) - len(differs)} of {len(folds)} folds dev chose the output itself."
    pair = (_name(modality, BEST), _name(modality, OUTPUT))
    first = next(c for c in table.comparisons if (c.first, c.second) == pair)
    status = first.status
    if status != "not established":
        status = f"{'better' if first.better == pair[0] else 'worse'} ({status})"
    return Finding(modality, choice, status, tuple(_said_of(pair, table)))
