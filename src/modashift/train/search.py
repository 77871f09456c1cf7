"""What a study may vary: ranges and choices for fields of data, training and model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modashift.errors import ModashiftError
from modashift.experiments.declare import read_yaml, unknown_keys
from modashift.experiments.settings import Settings, place, settle

if TYPE_CHECKING:
    from optuna import Trial

__all__ = ["Choice", "Range", "Space", "read_search"]

# What decides which utterances are dev or how they are scored: scores of different trials would not compare, or the
# test split would come into play. A seed is no setting but luck; the rest does not change what is learnt.
FIXED = {
    **dict.fromkeys(
        ("data", "validation", "group", "dev_as_test", "split_seed", "folds", "fold", "protocol", "leave_out"),
        "changes which utterances are dev",
    ),
    "replace_nonfinite": "changes what the data are",
    "select": "is what trials are compared by",
    "seed": "is luck, not a setting",
    **dict.fromkeys(("device", "threads", "tensorboard", "save_every"), "does not change what is learnt"),
}
COMMON: Mapping[str, Any] = {
    "lr": {"low": 1e-5, "high": 1e-3, "log": True},
    "weight_decay": {"low": 1e-4, "high": 1e-1, "log": True},
    "batch_size": [16, 32, 64],
}
ENCODER: Mapping[str, Any] = {"lr_backbone": {"low": 1e-5, "high": 5e-4, "log": True}}
OWN: Mapping[str, Mapping[str, Any]] = {
    "cmsbert-clr": {  # the grid of the paper
        "model.temperature": [0.07, 0.1, 0.2],
        "model.loss_momentum": [0.9, 0.99, 0.999],
        "model.target_weight": [0.7, 0.8, 0.9],
    },
}


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones where both are."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def ends(self) -> list[Any]:
        """Values to check."""
        return [self.low, self.high]

    def suggest(self, trial: "Trial", key: str) -> Any:
        """A value for a trial."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(key, self.low, self.high, log=self.log, step=int(self.step or 1))
        return trial.suggest_float(key, self.low, self.high, log=self.log, step=self.step)


@dataclass(frozen=True)
class Choice:
    """One of some values, of any kind."""

    values: tuple[Any, ...]

    def ends(self) -> list[Any]:
        """Values to check."""
        return list(self.values)

    def suggest(self, trial: "Trial", key: str) -> Any:
        """A value for a trial; lists and mappings travel as text."""
        if all(v is None or isinstance(v, (bool, int, float, str)) for v in self.values):
            return trial.suggest_categorical(key, self.values)
        return json.loads(trial.suggest_categorical(key, [json.dumps(v) for v in self.values]))


Space = Mapping[str, Range | Choice]


def read_search(name: str, base: Settings) -> dict[str, Range | Choice]:
    """Read a search space, or make the default one of a model.

    Args:
        name: YAML file of fields with ranges (``{low: 1e-5, high: 1e-3, log: true}``) or lists of values; or
            ``defaults``.
        base: settings that are not searched.

    Raises:
        ModashiftError: naming file and key, for what is no field, no range, or no value of the field.
    """
    if name == "defaults":
        where, content = "the default search", defaults(base.model)
    else:
        where, content = name, read_yaml(Path(name))
    if not content:
        raise ModashiftError(f"{where} names nothing to search, such as lr: {{low: 1e-5, high: 1e-3, log: true}}")
    space = {str(key): _dimension(f"{where}: {key}", value) for key, value in content.items()}
    for key, dimension in space.items():
        field = key.rpartition(".")[2]
        if not key.startswith("model.") and field in FIXED:
            raise ModashiftError(f"{where}: {key} cannot be searched, it {FIXED[field]}")
        for value in dimension.ends():
            with_values(base, {key: value}, f"{where}: {key}")
    return space


def defaults(model: str) -> dict[str, Any]:
    """A search space for a model: rates, weight decay, batch size, modality dropout, and what its paper varied."""
    from modashift.models import get_model

    cls = get_model(model)
    space = {**COMMON, **(ENCODER if cls.text == "pieces" else {}), **OWN.get(model, {})}
    if cls.modalities:
        space["modality_dropout"] = [0.0, 0.25, 0.5]
    return space


def _dimension(where: str, value: Any) -> Range | Choice:
    if isinstance(value, list):
        if not value:
            raise ModashiftError(f"{where}: a list of values must hold some")
        return Choice(tuple(value))
    if not isinstance(value, Mapping):
        raise ModashiftError(f"{where}: expected a list of values, or {{low: …, high: …}}, got {value!r}")
    unknown_keys(where, value, ("low", "high", "log", "step"))
    low, high, log, step = value.get("low"), value.get("high"), bool(value.get("log", False)), value.get("step")
    numbers = [v for v in (low, high) if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(numbers) < 2:
        raise ModashiftError(f"{where}: low and high must both be numbers")
    if not numbers[0] < numbers[1]:
        raise ModashiftError(f"{where}: low must be below high, got {low} and {high}")
    if log and (numbers[0] <= 0 or step is not None):
        raise ModashiftError(f"{where}: with log: true, low must be positive and there is no step")
    return Range(numbers[0], numbers[1], log, step)


def with_values(base: Settings, values: Mapping[str, Any], where: str = "search") -> Settings:
    """Settings with the values of a trial.

    Raises:
        ModashiftError: where one does not fit.
    """
    config = base.config()
    parts: dict[str, dict[str, Any]] = {
        "data": {k: config[k] for k in base.data.__dataclass_fields__},
        "train": {k: config[k] for k in base.train.__dataclass_fields__},
        "options": dict(base.options),
    }
    for key, value in values.items():
        parts = place(where, key, value, parts)
    return settle(where, base.model, parts["data"], parts["train"], parts["options"])
