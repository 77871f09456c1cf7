"""Finished runs, read from their folders: an experiment's, or any others."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modashift.errors import DataError, ModashiftError
from modashift.evaluate.run_files import Scores, read_json, read_lines, read_predictions, read_yaml
from modashift.experiments.points import declared as declared_runs

__all__ = ["Results", "Run", "Scores", "read_results"]


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes:
        path: its folder.
        row: line of the table it belongs to; runs of a row differ in their seeds.
        data: data set it belongs to.
        seed: of training.
        model: registered name of its model.
        results: content of ``results.json``.
        config: content of ``config.yaml``.
        epochs: lines of ``metrics.jsonl``.
        seconds: of each epoch.
        scores: by split.
        parts: of a cross-validation, the runs of the folds whose test parts were put together here.
    """

    path: Path
    row: str
    data: str
    seed: int
    model: str
    results: Mapping[str, Any]
    config: Mapping[str, Any]
    epochs: Sequence[Mapping[str, Any]]
    seconds: Sequence[float]
    scores: Mapping[str, Scores]
    parts: "tuple[Run, ...]" = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; none where scores were predicted."""
        return tuple(self.results.get("classes", ()))

    @property
    def fold(self) -> int | None:
        """Number of the fold, of a run of a cross-validation."""
        parted = self.config.get("folds") or self.config.get("protocol")
        return int(self.config.get("fold", 1)) if parted else None

    @property
    def folds(self) -> int | None:
        """How many folds the cross-validation has."""
        counted = re.search(r"(\d+)(-random)?$", str(self.config.get("protocol") or ""))
        return int(counted[1]) if counted else self.config.get("folds")

    @property
    def protocol(self) -> str:
        """How the splits came about, in words; empty where it was not recorded."""
        return str(self.results.get("protocol", ""))

    @property
    def beat_floor(self) -> bool | None:
        """Whether dev was ever better than one answer for all (the train mean, the class shares); None if not known.

        By squared error, else by absolute; of classes by the cross-entropy; of folds, whether it was so in each.
        """
        if self.parts:
            each = [run.beat_floor for run in self.parts]
            return False if False in each else None if None in each else True
        floor = self.results.get("splits", {}).get("dev", {}).get("floor", {})
        for name in ("mse", "mae", "ce"):
            reached = [e[f"dev_{name}"] for e in self.epochs if e.get(f"dev_{name}") is not None]
            if reached and name in floor:
                return bool(min(reached) < floor[name])
        return None


@dataclass(frozen=True)
class Results:
    """Runs that belong into one report.

    Attributes:
        title: of the experiment, or of the folder.
        runs: those finished, by data, row and seed.
        unfinished: folders of runs without ``results.json``.
        failures: lines of ``failures.jsonl``: run and error.
        declared: number of runs that the experiments declare.
        missing: those of them that were not even begun, as ``row/data/seed``.
        unclear: why it is not known what was declared, for each experiment whose file does not say.
    """

    title: str
    runs: Sequence[Run]
    unfinished: Sequence[str] = ()
    failures: Sequence[Mapping[str, str]] = field(default_factory=tuple)
    declared: int = 0
    missing: Sequence[str] = ()
    unclear: Sequence[str] = ()


def read_results(paths: Sequence[str | Path]) -> Results:
    """Read runs.

    Args:
        paths: an experiment folder (``runs/ROW/DATA/SEED`` in it, and in that ``foldK`` of a cross-validation), a
            folder with runs anywhere in it, or run folders.

    Raises:
        ModashiftError: nothing there, or two runs of one row, data set and seed.
        DataError: a run's files cannot be read, naming the file.
    """
    from modashift.evaluate.pooling import pooled

    roots = [Path(p) for p in paths]
    missing = [str(p) for p in roots if not p.is_dir()]
    if missing or not roots:
        raise ModashiftError(f"there is no folder {', '.join(missing)}" if missing else "no folders to report on")
    runs: list[Run] = []
    unfinished: list[str] = []
    failures: list[Mapping[str, str]] = []
    declared, missing, unclear = 0, list[str](), list[str]()
    title = ", ".join(p.resolve().name for p in roots)
    for root in roots:
        experiment = (root / "experiment.yaml").is_file()
        if experiment and len(roots) == 1:
            title = str((read_yaml(root / "experiment.yaml") or {}).get("title") or title)
        folders = _run_folders(root / "runs" if experiment else root)
        if experiment:
            try:
                names = declared_runs(root / "experiment.yaml")
            except ModashiftError as error:
                unclear.append(str(error))
                names = ()
            there = {folder.relative_to(root / "runs").as_posix() for folder in folders}
            declared += len(names)
            above = f"{root.resolve().name}: " if len(roots) > 1 else ""
            missing += [above + name for name in names if name not in there]
        for folder in folders:
            if not (folder / "results.json").is_file():
                unfinished.append(folder.relative_to(root).as_posix())
                continue
            run = _read_run(folder)
            if experiment and len(parts := folder.relative_to(root / "runs").parts) in {3, 4}:
                run = replace(run, row=parts[0], data=parts[1])
            runs.append(run)
        failures += [_failure(line) for line in read_lines(root / "failures.jsonl")]
    runs = pooled(_distinct(runs))
    order = {row: k for k, row in enumerate(_declared_rows(roots))}

    def place(row: str) -> int:
        stem = row.split(",", maxsplit=1)[0]  # a point of a grid is "row,option=value"
        return order.get(row, order.get(stem, len(order)))

    runs.sort(key=lambda r: (r.data, place(r.row), r.row, r.seed))
    return Results(title, runs, sorted(unfinished), failures, declared, missing, unclear)


def _declared_rows(roots: Sequence[Path]) -> list[str]:
    """Names of the rows in the order of the declaration, where it lists them."""
    names: list[str] = []
    for root in roots:
        declared = read_yaml(root / "experiment.yaml") if (root / "experiment.yaml").is_file() else None
        names += [str(row) for row in (declared.get("rows") or ())] if isinstance(declared, dict) else []
    return names


def _run_folders(root: Path) -> list[Path]:
    """Folders with a ``config.yaml`` or ``results.json``, outermost first; what lies within a run is not looked at."""
    if (root / "config.yaml").is_file() or (root / "results.json").is_file():
        return [root]
    if not root.is_dir():
        return []
    inner = sorted(p for p in root.iterdir() if p.is_dir() and not p.is_symlink() and not p.name.startswith("."))
    return [folder for p in inner for folder in _run_folders(p)]


def _distinct(runs: list[Run]) -> list[Run]:
    """Tell rows of one name apart by the folders above them; refuse what is still twice the same."""

    def repeated(found: list[Run]) -> set[tuple[str, str]]:
        seen = set()
        twice = set()
        for run in found:
            if (run.row, run.data, run.seed, run.fold) in seen:
                twice.add((run.row, run.data))
            seen.add((run.row, run.data, run.seed, run.fold))
        return twice

    twice = repeated(runs)
    if twice:
        runs = [
            replace(r, row=f"{r.path.resolve().parent.name}/{r.row}") if (r.row, r.data) in twice else r for r in runs
        ]
    if twice := repeated(runs):
        row, data = sorted(twice)[0]
        same = [str(r.path) for r in runs if (r.row, r.data) == (row, data)]
        raise ModashiftError(
            f"several runs of {row!r} on {data!r} have the same seed: {', '.join(same)}; report on the folders apart, "
            "or rename them"
        )
    return runs


def _read_run(folder: Path) -> Run:
    results = read_json(folder / "results.json")
    try:
        model, seed = str(results["model"]), int(results["seed"])
        data = str(results["data"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / 'results.json'} is not of a run: no {error}") from error
    config = read_yaml(folder / "config.yaml") if (folder / "config.yaml").is_file() else {}
    name = folder.resolve().name
    stem = re.sub(rf"[-_. ]*(seed[-_ ]?)?{seed}$", "", name)
    if not stem:  # the folder is the seed
        stem = folder.resolve().parent.name
    row = stem if stem != name else model
    return Run(
        path=folder,
        row=row,
        data=data,
        seed=seed,
        model=model,
        results=results,
        config=config if isinstance(config, dict) else {},
        epochs=read_lines(folder / "metrics.jsonl"),
        seconds=[float(line["seconds"]) for line in read_lines(folder / "timing.jsonl") if "seconds" in line],
        scores=read_predictions(folder / "predictions.csv", tuple(results.get("classes", ()))),
    )


def _failure(line: Mapping[str, Any]) -> Mapping[str, str]:
    return {key: str(line.get(key, "")) for key in ("run", "error")}
