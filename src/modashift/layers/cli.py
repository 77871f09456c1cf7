"""``modashift layers compare``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modashift.errors import ModashiftError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modashift.experiments.grid import Run
    from modashift.layers.plan import Cell
    from modashift.layers.prepare import Plan

__all__ = ["layers"]

USAGE = """usage: modashift layers compare --data STATES.store … --out DIR [options]

  compare   train every layer of an encoder alike, choose one on dev, and say what test shows

`modashift layers compare --help` lists the options.
"""


def layers(argv: list[str]) -> Path | None:
    """``modashift layers compare``."""
    if not argv or argv[0] in {"-h", "--help"}:
        sys.stdout.write(USAGE)
        return None
    if argv[0] != "compare":
        raise ModashiftError(f"modashift layers has no action {argv[0]!r}; there is compare")
    return _compare(argv[1:])


def _compare(argv: list[str]) -> Path:
    from jsonargparse import ArgumentParser

    from modashift.experiments.cli import add_running

    parser = ArgumentParser(
        prog="modashift layers compare",
        description="Every layer of frozen encoders, trained alike: a curve over the layers, the output layer against "
        "the one that dev chose and the learned sum of all, conventional features beside. Call it again after any "
        "interruption.",
    )
    add = parser.add_argument
    add("--data", type=str, nargs="+", required=True, help="data with the states; several are joined: A.store B.store")
    add("--out", type=str, required=True, help="folder of runs and report")
    add(
        "--conventional",
        type=str,
        nargs="+",
        default=[],
        help="conventional features of the same utterances: NAME=FILE",
    )
    add("--modalities", type=str, nargs="+", default=[], help="visual acoustic linguistic all; every one of the data")
    add("--layers", type=str, nargs="+", default=["all"], help="all, 0,3,6 or 1-24; of one modality: acoustic=0,2,4")
    add("--model", type=str, default="gated-encoders", help="to train")
    add(
        "--config",
        type=str,
        default=None,
        help="recipe: a YAML file, or a shipped one; the one named like the model; none",
    )
    add("--seeds", type=int, nargs="+", default=[1111, 1112, 1113], help="of every row")
    add("--protocol", type=str, default=None, help="cross-validation by name: speaker10, actors6, …")
    add("--folds", type=int, default=None, help="cross-validation in so many parts")
    add("--fold", type=str, default="all", help="all folds, or some: 1,2")
    add("--select", type=str, default="", help="dev metric that chooses a layer: mae or corr; of classes ua or wa")
    add("--set", type=str, nargs="+", default=[], help="settings of all rows: train.epochs=20 model.heads=2 …")
    add("--bootstrap", type=int, default=10_000, help="bootstrap samples")
    add("--keep_weights", type=bool, default=False, help="keep the weights of all runs, not of the weighted sums only")
    add_running(parser)
    config = parser.parse_args(argv)

    from modashift.layers.prepare import Asked, prepare

    out = Path(config.out)
    plan = prepare(
        Asked(
            data=config.data,
            conventional=config.conventional,
            modalities=config.modalities,
            layers=config.layers,
            model=config.model,
            config=config.config,
            seeds=config.seeds,
            protocol=config.protocol,
            folds=config.folds,
            fold=config.fold,
            settings=config.set,
        ),
        out,
    )
    return compare(plan, out, config)


def compare(plan: "Plan", out: Path, config: Any) -> Path:
    """Make the runs, choose the layers on dev, make the runs of the chosen ones together, and write the report.

    Args:
        plan: what to train.
        out: folder of runs and report.
        config: values of the command's options.

    Returns:
        The HTML page.

    Raises:
        ModashiftError: data, settings or runs that do not fit.
        SystemExit: some runs failed; there is no report then.
    """
    from modashift.layers.choose import choose, dev_values
    from modashift.report.names import better_is_lower

    metrics = _metrics(plan, config.select)
    runs = _made(plan, {}, [cell.row for cell in plan.cells], out, config)
    chosen = choose(plan.parts, plan.cells, dev_values(runs, out, metrics[0]), better_is_lower(metrics[0]))
    best = _chosen_together(plan, chosen)
    if best:
        _made(plan, best, list(best), out, config)

    from modashift.evaluate.results import read_results
    from modashift.layers.render import write_study
    from modashift.layers.study import study, title_of

    cells = [*plan.cells, *(cell for cell, _ in best.values())]
    seeds = plan.declared["seeds"]
    found = study(
        plan.title, read_results([out]), plan.parts, cells, chosen, seeds, metrics, plan.notes, config.bootstrap
    )
    page = write_study(found, out)
    for finding in found.findings:
        sys.stdout.write(
            f"{title_of(finding.modality)}: {finding.status}. {finding.choice} {' '.join(finding.sentences)}\n"
        )
    sys.stdout.write(f"report: {page}\n")
    return page


def _metrics(plan: "Plan", select: str) -> tuple[str, ...]:
    """Metrics to report, the one that chooses first."""
    from modashift.layers.study import METRICS

    metrics = METRICS[bool(plan.dataset.classes)]
    if select and select not in metrics:
        what = "classes" if plan.dataset.classes else "scores"
        raise ModashiftError(f"--select {select}: the labels are {what}, so choose by {' or '.join(metrics)}")
    return (select, *(m for m in metrics if m != select)) if select else metrics


def _chosen_together(plan: "Plan", chosen: "dict[str, dict[int, int]]") -> "dict[str, tuple[Cell, Sequence[int]]]":
    """Rows of the layers that dev chose for each modality, all together, that there are not yet; with their folds."""
    from modashift.layers.plan import ALL, combination

    if not any(cell.modality == ALL for cell in plan.cells):
        return {}
    there = {cell.row for cell in plan.cells}
    found: dict[str, tuple[Cell, list[int]]] = {}
    for fold in next(iter(chosen.values())):
        cell = combination(plan.parts, {m: by[fold] for m, by in chosen.items()})
        if cell.row not in there:
            found.setdefault(cell.row, (cell, []))[1].extend([fold] if fold else [])
    return dict(found)


def _made(
    plan: "Plan", more: "dict[str, tuple[Cell, Sequence[int]]]", rows: "Sequence[str]", out: Path, config: Any
) -> "tuple[Run, ...]":
    """Make the runs of some rows; ends the command where one fails."""
    from modashift.experiments.cli import carry_out, check_files, say_what_became
    from modashift.experiments.grid import resolve
    from modashift.train.setup import load_splits

    found = resolve(out / "experiment.yaml", plan.declaration(more), out)
    runs = found.select(rows)
    check_files(runs)
    if not more and not len(load_splits(runs[0].settings.data, plan.dataset).rows("test")):
        raise ModashiftError(f"{plan.dataset.name} has no test split to report on; give --protocol or --folds")
    kept: Any = config.keep_weights or [cell.row for cell in plan.cells if cell.kind == "weighted"]
    summary = carry_out(found, runs, out, config, kept)
    if summary.failed or summary.blocked:
        say_what_became(summary, out)
    return runs
