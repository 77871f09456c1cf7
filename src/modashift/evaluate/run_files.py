"""The files of a finished run, read and checked."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from modashift.errors import DataError

__all__ = ["Scores", "read_json", "read_lines", "read_predictions", "read_yaml"]


@dataclass(frozen=True)
class Scores:
    """What a run said about one split: ids, gold scores and predictions, all (n,), in the order of the ids.

    Of classes, gold and prediction are their numbers, and `probabilities` (n, C) what the run gave each class.
    """

    ids: tuple[str, ...]
    gold: NDArray[np.float64]
    prediction: NDArray[np.float64]
    probabilities: NDArray[np.float64] | None = None


def read_predictions(path: Path, classes: tuple[str, ...]) -> dict[str, Scores]:
    """Read ``predictions.csv``, by split.

    Args:
        path: of the file.
        classes: names of the classes; none for scores.

    Raises:
        DataError: it is not there, damaged, or a number in it is not finite.
    """
    found: dict[str, list[tuple[str, float, float, list[float]]]] = {}
    number = {name: float(k) for k, name in enumerate(classes)}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                gold, said = (number[line[k]] if classes else float(line[k]) for k in ("gold", "prediction"))
                chances = [float(line[f"p({name})"]) for name in classes]
                found.setdefault(line["split"], []).append((line["id"], gold, said, chances))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; the run has results but no predictions") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged: expected id, gold, prediction, split in each line ({error})") from error
    result = {}
    for split, rows in found.items():
        rows.sort(key=lambda row: row[0])
        ids = tuple(row[0] for row in rows)
        if len(set(ids)) < len(ids):
            raise DataError(f"{path}: an id occurs twice in the {split} split")
        chances_ = np.array([r[3] for r in rows]) if classes else None
        result[split] = Scores(ids, np.array([r[1] for r in rows]), np.array([r[2] for r in rows]), chances_)
        if not (np.isfinite(result[split].gold).all() and np.isfinite(result[split].prediction).all()):
            raise DataError(f"{path}: a gold score or prediction of the {split} split is not finite; did it diverge?")
    return result


def read_json(path: Path) -> Any:
    """Content of a JSON file; DataError where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from error


def read_yaml(path: Path) -> Any:
    """Content of a YAML file; DataError where it cannot be read."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise DataError(f"cannot read {path}: {error}") from error


def read_lines(path: Path) -> list[Mapping[str, Any]]:
    """Lines of a JSON-lines file, none where there is no file; a last line that a kill cut short is left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    rows: list[Mapping[str, Any]] = []
    for k, line in enumerate(lines):
        try:
            row = json.loads(line)
        except ValueError as error:
            if k == len(lines) - 1:
                break
            raise DataError(f"{path}, line {k + 1}: {error}") from error
        if isinstance(row, dict):
            rows.append(row)
    return rows
