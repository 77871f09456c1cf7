"""The choice of layers, on the dev split alone: nothing here is given a figure of the test split."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from modashift.errors import DataError
from modashift.experiments.grid import Run
from modashift.layers.plan import Cell, Part

__all__ = ["DevValues", "best_layer", "choose", "dev_values"]

# By row, and fold (0 where there is no cross-validation), the value of a metric on dev by seed.
DevValues = Mapping[str, Mapping[int, Mapping[int, float]]]


def dev_values(runs: Iterable[Run], out: Path, metric: str) -> DevValues:
    """What finished runs reached on dev, with the epoch that dev chose; figures of other splits are not looked at.

    Raises:
        DataError: a run has no such figure.
    """
    found: dict[str, dict[int, dict[int, float]]] = {}
    for run in runs:
        path = run.folder(out) / "results.json"
        try:
            value = float(json.loads(path.read_text(encoding="utf-8"))["splits"]["dev"][metric])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} does not say what {metric} is on dev ({error!r}); make the run anew") from error
        found.setdefault(run.row, {}).setdefault(_fold(run), {})[run.seed] = value
    return found


def best_layer(values: Mapping[int, Sequence[float]], lower: bool) -> int:
    """The layer with the best mean over seeds; of equal ones the highest, which is the nearest to the output.

    Args:
        values: by layer, dev figures by seed.
        lower: whether small ones are good.

    Raises:
        ValueError: the layers have figures of unlike numbers of seeds, or none.
    """
    counts = {len(own) for own in values.values()}
    if len(counts) != 1 or counts == {0}:
        raise ValueError(f"layers are to be compared over the same seeds, and have {sorted(counts)} of them")
    means = {layer: sum(own) / len(own) for layer, own in values.items()}
    sign = 1 if lower else -1
    return min(means, key=lambda layer: (sign * means[layer], -layer))


def choose(parts: Sequence[Part], cells: Sequence[Cell], dev: DevValues, lower: bool) -> dict[str, dict[int, int]]:
    """The best layer of each modality by itself, for each fold by the dev figures of that fold.

    Args:
        parts: the modalities.
        cells: the rows of the experiment.
        dev: what they reached on dev.
        lower: whether small values are good.

    Returns:
        By modality and fold (0 where there is no cross-validation), the layer.
    """
    chosen = {}
    for part in parts:
        rows = {
            cell.layers[part.modality]: dev[cell.row]
            for cell in cells
            if cell.kind == "layer" and cell.modality == part.modality
        }
        if rows:
            folds = sorted(next(iter(rows.values())))
            chosen[part.modality] = {
                fold: best_layer({layer: [*by[fold].values()] for layer, by in rows.items()}, lower) for fold in folds
            }
    return chosen


def _fold(run: Run) -> int:
    data = run.settings.data
    return data.fold if data.folds is not None or data.protocol is not None else 0
