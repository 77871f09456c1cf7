"""Settings of a run: typed and checked as `modashift train` checks them, and compared with those of a run on disk."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from modashift.errors import ModashiftError
from modashift.experiments.declare import unknown_keys
from modashift.train.args import DataArgs, TrainArgs

__all__ = ["Settings", "differences", "place", "settle"]

DATA = tuple(f.name for f in fields(DataArgs))
TRAIN = tuple(f.name for f in fields(TrainArgs) if f.name != "seed")


@dataclass(frozen=True)
class Settings:
    """Everything `modashift.train.command.train` is told.

    Attributes:
        model: its name.
        data: which data.
        train: how to train.
        options: arguments of the model that are not at their default.
    """

    model: str
    data: DataArgs
    train: TrainArgs
    options: Mapping[str, Any]

    def config(self) -> dict[str, Any]:
        """What the run's ``config.yaml`` will hold."""
        return {"name": self.model, **asdict(self.data), **asdict(self.train), "model": dict(self.options)}


def settle(
    where: str, model: str, data: Mapping[str, Any], train: Mapping[str, Any], options: Mapping[str, Any]
) -> Settings:
    """Check and convert settings by the signatures they belong to, as the command line does.

    Args:
        where: file and key, for messages.
        model: name of the model.
        data: fields of `DataArgs`.
        train: fields of `TrainArgs`.
        options: arguments of the model.

    Raises:
        ModashiftError: naming what does not fit.
    """
    from jsonargparse import ArgumentError

    try:
        parser = _parser(model)
        given = {**data, **train, "model": dict(options), "run": "unused"}
        values = parser.parse_object(given).as_dict()
        return Settings(
            model,
            DataArgs(**{k: values[k] for k in data}),
            TrainArgs(**{k: values[k] for k in train}),
            _only(values.get("model") or {}, options),
        )
    except (ArgumentError, TypeError) as error:
        message = " ".join(str(error).split())
        raise ModashiftError(f"{where}: {message} (`modashift train {model} --help` lists the options)") from error
    except ModashiftError as error:
        raise ModashiftError(f"{where}: {error}") from error


@cache
def _parser(model: str) -> Any:
    from modashift.train.options import train_parser

    parser = train_parser(model)
    parser.exit_on_error = False
    return parser


def _only(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The converted values of the keys that were given: others stay at the default of whatever version runs them."""
    return {
        k: _only(values[k], v) if isinstance(v, Mapping) and isinstance(values.get(k), Mapping) else values[k]
        for k, v in given.items()
    }


def place(where: str, key: str, value: Any, parts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Settings with one of them changed.

    Args:
        where: file and key, for messages.
        key: a field of training or data (``lr``, ``train.lr``, ``data.normalise``) or, dotted, an option of the model
            (``model.shift.activation``).
        value: to put there.
        parts: ``data``, ``train`` and ``options``.

    Raises:
        ModashiftError: for a field that is not there.
    """
    result = {k: dict(v) for k, v in parts.items()}
    kind, _, rest = key.partition(".")
    if kind == "model" and rest:
        at = result["options"]
        *path, last = rest.split(".")
        for part in path:
            at[part] = dict(at.get(part) or {})
            at = at[part]
        at[last] = value
        return result
    field = rest if kind in {"train", "data"} and rest else key
    if field in DATA and (kind == "data" or field == key):
        result["data"][field] = value
    else:
        unknown_keys(where, [field], [*TRAIN, *DATA, "model.OPTION"])
        result["train"][field] = value
    return result


def differences(settings: Settings, folder: Path) -> list[str]:
    """What of a run on disk is not as it would be run now; empty where it is the same, or none is there.

    Raises:
        ModashiftError: its ``config.yaml`` cannot be read.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        return []
    try:
        stored = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ModashiftError(f"{path} cannot be read: {error}") from error
    # An option that the version of that run did not have yet stood at its default, as in RunFolder.create.
    defaults = {f.name: f.default for kind in (DataArgs, TrainArgs) for f in fields(kind)}
    before = {**defaults, **(stored if isinstance(stored, dict) else {})}
    now = {**defaults, **yaml.safe_load(yaml.safe_dump(settings.config()))}
    return [
        f"{key} was {before.get(key)!r}, would be {now.get(key)!r}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
