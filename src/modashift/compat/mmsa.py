"""MMSA's entry point (thuiar/MMSA, ``MMSA_run``), its model names, its parameters and its table of results."""

import csv
import io
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from modashift import recipes
from modashift.atomic import write_atomic
from modashift.errors import ModashiftError
from modashift.train.args import DataArgs, TrainArgs

__all__ = ["COLUMNS", "DATASETS", "MODELS", "MMSA_run", "write_table"]

MODELS = {
    "tfn": "tfn",
    "mfn": "mfn",
    "mfm": "mfm",
    "mult": "mult",
    "misa": "misa",
    "self_mm": "self-mm",
    "bert_mag": "mag-bert",
}
"""MMSA's names of models and ours; our own names are taken as well."""

DATASETS = {"mosi": "MOSI", "mosei": "MOSEI", "sims": "SIMS"}
"""Names of data sets, and the folder MMSA keeps each in."""

UNALIGNED = {"misa", "self-mm"}  # what MMSA's own configuration feeds with unaligned files; MulT with aligned ones

COLUMNS = {
    "Has0_acc_2": "acc2_has0",
    "Non0_acc_2": "acc2_non0",
    "Has0_F1_score": "f1_has0",
    "Non0_F1_score": "f1_non0",
    "Mult_acc_5": "acc5",
    "Mult_acc_7": "acc7",
    "MAE": "mae",
    "Corr": "corr",
}
"""Columns of MMSA's table and our metrics."""

PARAMETERS = {
    "learning_rate": "lr",
    "learning_rate_bert": "lr_backbone",
    "learning_rate_other": "lr",
    "early_stop": "patience",
    "update_epochs": "accumulate",
    "pretrained": "backbone",
    "grad_clip": "clip_value",
    "num_epochs": "epochs",
}
"""MMSA's names of training parameters and ours."""


def MMSA_run(
    model_name: str,
    dataset_name: str,
    config: Mapping[str, Any] | None = None,
    config_file: str | Path = "",
    seeds: Sequence[int] | None = None,
    is_tune: bool = False,
    tune_times: int = 50,
    model_save_dir: str | Path = "runs/mmsa/models",
    res_save_dir: str | Path = "runs/mmsa/results",
    verbose_level: int = 1,
    **ignored: Any,
) -> dict[str, tuple[float, float]]:
    """Train a model with several seeds and write MMSA's table.

    Args:
        model_name: MMSA's name of a model (``bert_mag``, ``self_mm``, …) or ours (``mag-bert``, ``cmsbert-clr``, …).
        dataset_name: ``mosi``, ``mosei`` or ``sims``: which recipe, and where the pickle is looked for.
        config: what to change in the recipe: ``featurePath`` (the pickle), or ``dataset_root_dir`` (the folder with
            ``MOSI/Processed/aligned_50.pkl`` and so on) with ``need_data_aligned``; training parameters in MMSA's names
            or ours; ``model`` with options of the model.
        config_file: a configuration of ours, by path or shipped name, in place of the recipe.
        seeds: 1111 to 1115 where not given.
        is_tune: draw ``tune_times`` combinations from the lists of values in `config`, choose the best on the
            validation split, then train with it. The test split has no part in the choice.
        tune_times: combinations to draw.
        model_save_dir: a run folder for each seed is written there: ``MODEL-DATASET-SEED``.
        res_save_dir: ``DATASET.csv`` is written there, a line a model.
        verbose_level: 0 for no progress on the terminal.
        ignored: MMSA's other arguments (gpu_ids, num_workers, log_dir), which need no counterpart here.

    Returns:
        Mean and standard deviation over seeds of each column, in per cent as in MMSA's table (MAE and Corr times 100).

    Raises:
        ModashiftError: for a model that is not here, data that are not found, or a parameter without counterpart.
    """
    from modashift.train.command import train

    name = _model(model_name)
    known = {"gpu_ids", "num_workers", "log_dir"}
    if unknown := sorted(set(ignored) - known):
        raise ModashiftError(f"MMSA_run takes no {', '.join(unknown)} here")
    if dataset_name not in DATASETS:
        raise ModashiftError(f"there is no data set {dataset_name!r}; choose from {', '.join(DATASETS)}")
    given = dict(config or {})
    recipe = recipes.read(config_file or _shipped(name, dataset_name))
    data_file = _data_file(given, dataset_name, name)
    ranges = {k: v for k, v in given.items() if isinstance(v, list)} if is_tune else {}
    base, options = _translate({k: v for k, v in given.items() if k not in ranges}, name)
    data = DataArgs(**{**recipe.data, "data": data_file})
    options = {**recipe.options, **options}
    silent = verbose_level == 0
    label = f"{name}-{dataset_name}"
    if is_tune:
        best = _tune(name, label, ranges, tune_times, data, recipe, base, options, Path(model_save_dir), res_save_dir)
        base, options = {**base, **best[0]}, {**options, **best[1]}
    results = []
    for seed in seeds or range(1111, 1116):
        args = TrainArgs(**{**recipe.train, **base, "seed": seed})
        run = Path(model_save_dir) / f"{label}-{seed}"
        results.append(train(name, data, run, args, options, resume=True, silent=silent)["splits"]["test"])
    row = {c: _mean_sd([r[m] for r in results]) for c, m in COLUMNS.items()}
    write_table(Path(res_save_dir) / f"{dataset_name}.csv", model_name, row)
    return row


def _model(name: str) -> str:
    from modashift.models import MODELS as OURS

    ours = MODELS.get(name.lower().replace("-", "_"), name.lower().replace("_", "-"))
    if ours not in OURS:
        raise ModashiftError(f"there is no model {name!r} here; choose from {', '.join([*MODELS, *OURS])}")
    return ours


def _shipped(name: str, dataset: str) -> Path:
    """The recipe with MMSA's hyper-parameters, or else the official one, or else the paper's."""
    for candidate in (f"{name}-{dataset}-mmsa", f"{name}-{dataset}", f"{name}-paper", f"{name}-mag"):
        path = recipes.folder() / f"{candidate}.yaml"
        if path.is_file():
            return path
    raise ModashiftError(f"no recipe of {name} for {dataset} is shipped; give one with config_file")


def _data_file(given: dict[str, Any], dataset: str, name: str) -> str:
    """Take the data's place out of the configuration."""
    path = given.pop("featurePath", None)
    root = given.pop("dataset_root_dir", ".")
    aligned = given.pop("need_data_aligned", name not in UNALIGNED)
    if path is None:
        path = Path(root) / DATASETS[dataset] / "Processed" / ("aligned_50.pkl" if aligned else "unaligned_50.pkl")
    if not Path(path).exists():
        raise ModashiftError(
            f"{path} is not there; give the pickle as config={{'featurePath': …}} (on the command line: -T FILE), or "
            "the folder that holds MOSI/Processed as dataset_root_dir"
        )
    return str(path)


def _translate(given: Mapping[str, Any], model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """MMSA's parameters as ours: those of training, and those of the model."""
    from modashift.models import get_model
    from modashift.train.setup import typed_options

    able = {f.name for f in fields(TrainArgs)}
    training = {PARAMETERS.get(k, k): v for k, v in given.items() if PARAMETERS.get(k, k) in able}
    options = dict(given.get("model", {}))
    rest = [k for k in given if PARAMETERS.get(k, k) not in able and k != "model"]
    if rest:
        raise ModashiftError(
            f"{', '.join(rest)} has no counterpart here; training takes {', '.join(sorted({*PARAMETERS, *able}))}, and "
            f"options of the model go under 'model' (`modashift train {model} --help` lists them)"
        )
    typed_options(get_model(model), options)
    return training, options


def _tune(
    name: str,
    label: str,
    ranges: Mapping[str, list[Any]],
    times: int,
    data: DataArgs,
    recipe: recipes.Recipe,
    base: Mapping[str, Any],
    options: Mapping[str, Any],
    folder: Path,
    res_save_dir: str | Path,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Random search over lists of values; judged by the validation split."""
    from modashift.train.command import train

    if not ranges:
        raise ModashiftError("is_tune needs lists of values in config: {'learning_rate': [1e-4, 5e-5], …}")
    draw = random.Random(0)
    tried: dict[str, tuple[float, dict[str, Any]]] = {}
    for number in range(times):
        values = {k: draw.choice(v) for k, v in ranges.items()}
        if str(values) in tried:
            continue
        own = {k: v for k, v in values.items() if not k.startswith("model.")}
        training, _ = _translate(own, name)
        more = {k.removeprefix("model."): v for k, v in values.items() if k.startswith("model.")}
        args = TrainArgs(**{**recipe.train, **base, **training})
        run = folder / "tune" / f"{label}-{number:03d}"
        found = train(name, data, run, args, {**options, **more}, resume=True, silent=True)
        tried[str(values)] = (found["splits"]["dev"]["mae"], values)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["Valid_MAE", *ranges])
    writer.writerows([f"{mae:.4f}", *values.values()] for mae, values in sorted(tried.values(), key=lambda t: t[0]))
    target = Path(res_save_dir) / f"{label}-tune.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, text.getvalue())
    _, best = min(tried.values(), key=lambda t: t[0])
    training, _ = _translate({k: v for k, v in best.items() if not k.startswith("model.")}, name)
    return training, {k.removeprefix("model."): v for k, v in best.items() if k.startswith("model.")}


def _mean_sd(values: Sequence[float]) -> tuple[float, float]:
    """As MMSA writes them: times 100, two decimals, the deviation of the population."""
    array = 100 * np.asarray(values, dtype=np.float64)
    return round(float(array.mean()), 2), round(float(array.std()), 2)


def write_table(path: Path, model: str, row: Mapping[str, tuple[float, float]]) -> None:
    """Put a model's line into a table in MMSA's layout; its older line is replaced, other lines are kept.

    Raises:
        ModashiftError: where the file there has other columns.
    """
    header = ["Model", *row]
    lines: list[list[str]] = []
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            found = list(csv.reader(file))
        if found and found[0] != header:
            raise ModashiftError(f"{path} has other columns ({', '.join(found[0])}); move it away first")
        lines = [line for line in found[1:] if line and line[0] != model]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([*lines, [model, *(f"({m}, {s})" for m, s in row.values())]])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.getvalue())


def read_table(path: Path) -> dict[str, dict[str, tuple[float, float]]]:
    """Read a table in MMSA's layout: by model and column, mean and deviation in per cent."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = list(csv.reader(file))
    number = re.compile(r"-?\d+(?:\.\d+)?")
    return {
        line[0]: {c: tuple(map(float, number.findall(cell)))[:2] for c, cell in zip(header[1:], line[1:])}  # type: ignore[misc]
        for line in lines
    }
