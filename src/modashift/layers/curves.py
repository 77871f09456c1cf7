"""A metric over the layers of an encoder, and the weights that were learned for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from modashift.evaluate.results import Run
from modashift.evaluate.statistics import Bootstrap
from modashift.layers.plan import ALL, Cell, Part
from modashift.layers.runs import Runs

__all__ = ["Curve", "Point", "Weights", "curve_of", "same_index", "weights_of"]

SAMPLES = 2000


@dataclass(frozen=True)
class Point:
    """A layer by one metric: its mean, and the 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """The layers of a modality, or the same layer of all modalities together.

    Attributes:
        modality: or `ALL`.
        layers: rising.
        test: by metric, a point a layer: the metric of all test predictions, interval over items and seeds.
        dev: by metric, a point a layer: the same of the dev split; of a cross-validation, whose dev parts may overlap,
            the mean over folds and seeds, with an interval over the folds.
    """

    modality: str
    layers: tuple[int, ...]
    test: Mapping[str, tuple[Point, ...]]
    dev: Mapping[str, tuple[Point, ...]]


@dataclass(frozen=True)
class Weights:
    """Learned weights of layers.

    Attributes:
        modality: whose layers.
        together: whether all modalities were trained together.
        layers: rising.
        values: (R, L), each of R runs with the sum 1.
    """

    modality: str
    together: bool
    layers: tuple[int, ...]
    values: NDArray[np.float64]


def curve_of(modality: str, cells: Sequence[Cell], runs: Runs, metrics: Sequence[str]) -> Curve | None:
    """The curve of a modality; None where there are fewer than two layers.

    Raises:
        ModashiftError: a run is missing.
    """
    rows = {n: cell.row for cell in cells if cell.modality == modality and (n := same_index(cell)) is not None}
    if len(rows) < 2:
        return None
    layers = tuple(sorted(rows))
    order = [rows[n] for n in layers]
    found = {row: runs.of(row) for row in order}
    if len(runs.folds) == 1:
        dev = _sampled(found, "dev", metrics)
    else:
        dev = {metric: tuple(_over_folds(row, runs, metric) for row in order) for metric in metrics}
    return Curve(modality, layers, _sampled(found, "test", metrics), dev)


def _sampled(found: Mapping[str, Sequence[Run]], split: str, metrics: Sequence[str]) -> dict[str, tuple[Point, ...]]:
    """Points of rows, by their runs one a seed, with intervals over items and seeds."""
    first = next(iter(found.values()))[0]
    bootstrap = Bootstrap(
        first.scores[split].gold,
        {row: {run.seed: run.scores[split].prediction for run in own} for row, own in found.items()},
        SAMPLES,
        classes=len(first.classes),
    )
    estimates = {metric: [bootstrap.estimate(row, metric) for row in found] for metric in metrics}
    return {metric: tuple(Point(e.value, e.low, e.high) for e in own) for metric, own in estimates.items()}


def same_index(cell: Cell) -> int | None:
    """The layer of a row; of all modalities together, the one that all have, None where they differ."""
    numbers = {*cell.layers.values()}
    return numbers.pop() if cell.kind == "layer" and len(numbers) == 1 else None


def _over_folds(row: str, runs: Runs, metric: str) -> Point:
    """Mean over folds of the means over seeds, with the interval of t, within what the metric can be."""
    by_fold = [[float(run.results["splits"]["dev"][metric]) for run in found] for found in runs.single(row)]
    values = np.array([np.mean(own) for own in by_fold])
    mean = float(values.mean())
    reach = float(stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / np.sqrt(len(values)))
    least, most = {"mae": (0.0, np.inf), "corr": (-1.0, 1.0)}.get(metric, (0.0, 1.0))
    return Point(mean, max(mean - reach, least), min(mean + reach, most))


def weights_of(cells: Sequence[Cell], parts: Sequence[Part], runs: Runs) -> list[Weights]:
    """Learned weights of all weighted rows; those of runs whose weights were deleted are left out."""
    result = []
    for cell in cells:
        if cell.kind != "weighted":
            continue
        folders = [run.path for found in runs.single(cell.row) for run in found]
        learned = [_layer_weights(folder) for folder in folders if (folder / "model.safetensors").is_file()]
        for part in parts:
            values = [own[part.modality] for own in learned if part.modality in own]
            if values:
                result.append(Weights(part.modality, cell.modality == ALL, part.layers, np.stack(values)))
    return result


def _layer_weights(folder: Path) -> dict[str, NDArray[np.float64]]:
    from modashift.predictor import load

    model: Any = load(folder).model
    weights = model.layer_weights() if hasattr(model, "layer_weights") else {}
    return {m: w.double().cpu().numpy() for m, w in weights.items()}
