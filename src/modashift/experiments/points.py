"""The points of a declared grid: names of rows, data sets and seeds, before anything is known of their settings."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modashift.errors import ModashiftError
from modashift.experiments.declare import read_yaml, unknown_keys
from modashift.experiments.settings import DATA, place

__all__ = ["ALL", "Row", "declared", "folds", "rows", "section", "seeds"]

ROW = ("title", "model", "config", "data", "layout", "train", "options", "grid")
ALL = "all"  # as fold of a data set: every fold of its cross-validation is a run
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+,=-]*")


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        name: its folder's; the declared name and, for a point of a grid, ``,option=value`` for each option.
        declared: the name it is declared under.
        point: values of the grid's options.
    """

    name: str
    declared: str
    point: Mapping[str, Any]


def declared(path: Path) -> tuple[str, ...]:
    """Names ``row/data/seed`` of all runs that a file declares, whatever part of them was asked for.

    Where a data set has ``fold: all``, its runs are ``row/data/seed/fold1`` and so on.

    Raises:
        ModashiftError: where the file cannot be read or does not say.
    """
    declaration = read_yaml(path)
    data = section(path, declaration, "data", "the data sets, by name")
    found = rows(path, declaration)
    cells = section(path, declaration, "rows", "the rows of the table")
    names = []
    for seed in seeds(path, declaration):
        for table, dataset in data.items():
            for row in found:
                own = (cells[row.declared] or {}).get("data") or {}
                for key, value in row.point.items():
                    own = place(str(path), key, value, {"data": own, "train": {}, "options": {}})["data"]
                of = folds(f"{path}: data.{table}", {**(dataset or {}), **own})
                names += [f"{row.name}/{table}/{seed}" + (f"/fold{k}" if k else "") for k in of]
    return tuple(names)


def folds(where: str, data: Mapping[str, Any]) -> tuple[int | None, ...]:
    """Folds that a row stands for on these data, a run each; None for the one run that ``fold`` itself says.

    They are every one where ``fold`` is ``all``, and those of a list.

    Args:
        where: file and key, for messages.
        data: fields of `DataArgs`, with ``folds`` (a number) or ``protocol`` (whose name ends in one: ``speaker10``).

    Raises:
        ModashiftError: ``all`` or a list without a number of folds, or folds that are not there.
    """
    fold = data.get("fold")
    if fold != ALL and not isinstance(fold, list):
        return (None,)
    count = data.get("folds")
    if data.get("protocol") is not None:
        match = re.fullmatch(r"[a-z]+([1-9]\d*)(-random)?", str(data["protocol"]))
        count = int(match[1]) if match else None
    if type(count) is not int or count < 2:
        raise ModashiftError(
            f"{where}: fold {'all' if fold == ALL else fold} needs a cross-validation: folds (a number of 2 or more), "
            "or a protocol (speaker10, …)"
        )
    every = range(1, count + 1)
    if fold == ALL:
        return tuple(every)
    if not fold or any(type(k) is not int or k not in every for k in fold) or len({*fold}) < len(fold):
        raise ModashiftError(f"{where}: fold {fold} must be different numbers from 1 to {count}, or all")
    return tuple(sorted(fold))


def seeds(path: Path, declaration: Mapping[str, Any]) -> list[int]:
    """The declared seeds.

    Raises:
        ModashiftError: where they are no list of different whole numbers.
    """
    found = declaration.get("seeds", [1111])
    if not isinstance(found, list) or not found or any(type(s) is not int for s in found):
        raise ModashiftError(f"{path}: seeds must be a list of whole numbers, such as [1111, 1112], got {found!r}")
    if len(set(found)) < len(found):
        raise ModashiftError(f"{path}: a seed is given twice in {found}")
    return found


def rows(path: Path, declaration: Mapping[str, Any]) -> list[Row]:
    """The declared rows, grids multiplied out, in order.

    Raises:
        ModashiftError: where a row or grid is wrong, or two points of a grid have one name.
    """
    result = []
    for name, row in section(path, declaration, "rows", "the rows of the table").items():
        for point in _points(path, name, {**(declaration.get("grid") or {}), **((row or {}).get("grid") or {})}):
            full = ",".join([name, *(f"{_short(k, point)}={_readable(v)}" for k, v in point.items())])
            result.append(Row(full, name, point))
    names = [row.name for row in result]
    if len(set(names)) < len(names):
        raise ModashiftError(f"{path}: grid values that look alike give the same row name twice in {names}")
    return result


def section(path: Path, declaration: Mapping[str, Any], key: str, what: str, needed: bool = True) -> dict[str, Any]:
    """A section of a declaration that holds things by name.

    Args:
        path: of the file, for messages.
        declaration: content of the file.
        key: of the section: ``rows``, ``data`` or ``prepare``.
        what: it names, for messages.
        needed: whether it must be there.

    Raises:
        ModashiftError: where it is missing, or a name or a key within cannot be.
    """
    found = declaration.get(key) or {}
    if not isinstance(found, dict) or (needed and not found):
        raise ModashiftError(f"{path}: {key} must name {what}")
    for name, value in found.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ModashiftError(
                f"{path}: {key}: {name!r} names a folder, so use letters, digits and . _ + - (quote it if it is a "
                "number); a title: may hold anything"
            )
        if value is not None and not isinstance(value, dict):
            raise ModashiftError(f"{path}: {key}.{name} must hold keys and values, got {value!r}")
        if key != "data":
            unknown_keys(f"{path}: {key}.{name}", value or {}, ROW)
        else:
            unknown_keys(f"{path}: data.{name}", value or {}, (*DATA, "layouts"))
    return found


def _points(path: Path, row: str, grid: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for key, values in grid.items():
        if not isinstance(values, list) or not values:
            raise ModashiftError(f"{path}: grid: {key} of row {row} must be a list of values, got {values!r}")
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _short(key: str, point: Mapping[str, Any]) -> str:
    last = key.rpartition(".")[2]
    return last if sum(k.rpartition(".")[2] == last for k in point) == 1 else key


def _readable(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(_readable, value))
    plain = {None: "null", True: "true", False: "false"} if value is None or isinstance(value, bool) else {}
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", str(plain.get(value, value)))
