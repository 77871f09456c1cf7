"""The declared grid: from an experiment file to the list of runs it stands for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modashift import recipes
from modashift.errors import ModashiftError
from modashift.experiments.declare import find, override, read_yaml, unknown_keys
from modashift.experiments.points import folds as declared_folds
from modashift.experiments.points import rows as declared_rows
from modashift.experiments.points import section
from modashift.experiments.points import seeds as declared_seeds
from modashift.experiments.settings import DATA, TRAIN, Settings, place, settle

__all__ = ["Experiment", "Run", "read", "resolve"]

TOP = ("title", "about", "data", "seeds", "train", "rows", "grid", "prepare")


@dataclass(frozen=True)
class Run:
    """One run of an experiment.

    Attributes:
        name: ``row/data/seed``, below that ``fold1`` and so on for the folds of a cross-validation, or ``prepare/name``
            for a run that others start from.
        row: row of the table; empty for a prepared run.
        table: name of the data set.
        seed: of the training.
        settings: model, data, training and options.
        after: the prepared run that must be finished first.
    """

    name: str
    row: str
    table: str
    seed: int
    settings: Settings
    after: str | None = None

    def folder(self, out: Path) -> Path:
        """The run's folder within that of the experiment."""
        return out / self.name if not self.row else out / "runs" / self.name


@dataclass(frozen=True)
class Experiment:
    """A declared grid of runs.

    Attributes:
        title: of the experiment.
        source: file it was read from.
        declaration: the file's content with what the command line changed.
        rows: names of the rows, grids multiplied out, in order.
        tables: names of the data sets.
        runs: everything to run; what others wait for comes first, then seed by seed, so that a table of one seed is
            complete early.
    """

    title: str
    source: Path
    declaration: Mapping[str, Any]
    rows: tuple[str, ...]
    tables: tuple[str, ...]
    runs: tuple[Run, ...]

    def select(
        self, rows: Sequence[str] = (), tables: Sequence[str] = (), seeds: Sequence[int] = ()
    ) -> tuple[Run, ...]:
        """Some of the runs, with what they start from; a row stands for all its grid points.

        Raises:
            ModashiftError: for a row, table or seed that is not declared.
        """
        stems = {name.split(",")[0] for name in self.rows}
        known: dict[str, set[Any]] = {
            "row": {*self.rows, *stems},
            "table": set(self.tables),
            "seed": {r.seed for r in self.runs if r.row},
        }
        asked_for: dict[str, Sequence[Any]] = {"row": rows, "table": tables, "seed": seeds}
        for kind, asked in asked_for.items():
            for one in asked:
                if one not in known[kind]:
                    there = ", ".join(map(str, sorted(known[kind])))
                    raise ModashiftError(f"{self.source} declares no {kind} {one!r}; it has {there}")
        chosen = [
            run
            for run in self.runs
            if run.row
            and (not rows or run.row in rows or run.row.split(",")[0] in rows)
            and (not tables or run.table in tables)
            and (not seeds or run.seed in seeds)
        ]
        needed = {run.after for run in chosen}
        return (*(run for run in self.runs if not run.row and run.name in needed), *chosen)


def read(
    name: str | Path, out: str | Path = "", settings: Sequence[str] = (), tables: Sequence[str] = ()
) -> Experiment:
    """Read an experiment file and multiply it out.

    Args:
        name: file, or name of a shipped experiment.
        out: folder of the experiment; rows that start from a prepared run point into it.
        settings: changes from the command line, ``KEY=VALUE``.
        tables: data sets that are wanted; the others need no file.

    Raises:
        ModashiftError: where something in it is wrong, naming file and key.
    """
    path = find(name)
    declaration = read_yaml(path)
    override(declaration, settings, str(path))
    return resolve(path, declaration, out, tables)


def resolve(path: Path, declaration: dict[str, Any], out: str | Path = "", tables: Sequence[str] = ()) -> Experiment:
    """Multiply out a declaration that is in memory.

    Args:
        path: of the file it is from, or is to be written to; for messages.
        declaration: as in an experiment file; names of configurations that are files become absolute in it.
        out: see `read`.
        tables: see `read`.

    Raises:
        ModashiftError: as `read`.
    """
    unknown_keys(str(path), declaration, TOP)
    rows = section(path, declaration, "rows", "the rows of the table")
    data = section(path, declaration, "data", "the data sets, by name")
    seeds = declared_seeds(path, declaration)
    shared = _part(f"{path}: train", declaration.get("train"), TRAIN)
    prepared = section(path, declaration, "prepare", "runs that others start from", needed=False)
    for named in (rows, prepared):
        for row in named.values():
            if row and row.get("config") and Path(row["config"]).is_file():
                row["config"] = str(Path(row["config"]).resolve())  # the copy must name the same file
    base = Path(out).resolve()
    first = [_run(path, row, "", "", seeds[0], {}, shared, name, base, prepared) for name, row in prepared.items()]
    used = [table for table in data if not tables or table in tables]
    cells = [
        (row.name, _applied(path, row.declared, rows[row.declared], row.point))
        for row in declared_rows(path, declaration)
    ]
    runs = []
    for seed in seeds:
        for table in used:
            parts: dict[int, list[Run]] = {}  # fold by fold, so that all rows of a fold are there early
            for full, row in cells:
                merged = {**(data[table] or {}), **(row.get("data") or {})}
                for fold in declared_folds(f"{path}: data.{table}", merged):
                    run = _run(path, row, full, table, seed, data[table] or {}, shared, "", base, prepared, fold)
                    parts.setdefault(fold or 0, []).append(run)
            runs += [run for k in sorted(parts) for run in parts[k]]
    title = str(declaration.get("title", path.stem))
    names = tuple(name for name, _ in cells)
    return Experiment(title, path, declaration, names, tuple(data), (*first, *runs))


def _part(where: str, given: Any, allowed: Sequence[str] | None) -> dict[str, Any]:
    given = given or {}
    if not isinstance(given, dict):
        raise ModashiftError(f"{where} must hold keys and values, got {given!r}")
    if allowed is not None:
        unknown_keys(where, given, allowed)
    return given


def _applied(path: Path, name: str, row: Mapping[str, Any] | None, point: Mapping[str, Any]) -> dict[str, Any]:
    """A row with the values of a grid point."""
    row = row or {}
    parts: dict[str, dict[str, Any]] = {k: dict(row.get(k) or {}) for k in ("data", "train", "options")}
    for key, value in point.items():
        parts = place(f"{path}: grid of row {name}", key, value, parts)
    return {**row, **parts}


def _run(
    path: Path,
    row: Mapping[str, Any] | None,
    full: str,
    table: str,
    seed: int,
    dataset: Mapping[str, Any],
    shared: Mapping[str, Any],
    name: str,
    base: Path,
    prepared: Mapping[str, Any],
    fold: int | None = None,
) -> Run:
    """Settings of one run: the configuration, then what all rows share, then the row's own."""
    row = row or {}
    where = f"{path}: rows.{full}" if full else f"{path}: prepare.{name}"
    recipe = recipes.Recipe({}, {}, {})
    if row.get("config"):
        try:
            recipe = recipes.read(str(row["config"]).replace("{data}", table))
        except ModashiftError as error:
            raise ModashiftError(f"{where}: {error}") from error
    model = row.get("model")
    if not model:
        raise ModashiftError(f"{where}: model is missing; give the name of one (`modashift models` lists them)")
    own = _part(f"{where}.train", row.get("train"), TRAIN)
    train = {**recipe.train, **(shared if full else {}), **own}
    options = _merged(recipe.options, _part(f"{where}.options", row.get("options"), None))
    data = {**recipe.data, **_file(where, dataset, table, row.get("layout"))}
    data |= _part(f"{where}.data", row.get("data"), DATA)
    if fold is not None:
        data["fold"] = fold
    if not data.get("data"):
        said = f"give --data {table}=PATH" if full else "give it as data: {data: …}"
        raise ModashiftError(f"{where}: the data set {table or name!r} has no file; {said}")
    after = None
    if train.get("init"):
        init = str(train["init"]).replace("{data}", table).replace("{seed}", str(seed))
        init = init.replace("{fold}", str(fold or ""))
        if full and init in prepared:
            after, init = f"prepare/{init}", str(base / "prepare" / init)
        train["init"] = init
    settings = settle(where, model, data, {**train, "seed": seed}, options)
    full_name = f"{full}/{table}/{seed}" + (f"/fold{fold}" if fold else "") if full else f"prepare/{name}"
    return Run(full_name, full, table, seed, settings, after)


def _file(where: str, dataset: Mapping[str, Any], table: str, layout: str | None) -> dict[str, Any]:
    """Fields of a data set, with the file of the layout that a row asks for."""
    result = {k: v for k, v in dataset.items() if k != "layouts"}
    if layout is not None:
        file = (dataset.get("layouts") or {}).get(layout)
        if not file:
            raise ModashiftError(
                f"{where} reads the layout {layout!r}, which {table!r} lacks; give --data {table}.{layout}=PATH"
            )
        result["data"] = file
    return result


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a model; nested ones are merged too."""
    result = dict(first)
    for key, value in second.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if both else value
    return result
