"""The shipped configurations: where they lie, and what they hold."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from modashift.errors import ModashiftError
from modashift.train.args import DataArgs, TrainArgs

__all__ = ["Recipe", "find", "folder", "read"]


@dataclass(frozen=True)
class Recipe:
    """A configuration, sorted by what it is about.

    Attributes:
        data: fields of `DataArgs`.
        train: fields of `TrainArgs`.
        options: arguments of the model.
    """

    data: Mapping[str, Any]
    train: Mapping[str, Any]
    options: Mapping[str, Any]


def folder() -> Path:
    """Folder of the shipped configurations: beside the package when installed, at the root of a checkout."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parents[1] / "configs"


def find(name: str | Path) -> Path:
    """A configuration by path, or by the name of a shipped one (``misa-mosi``).

    Raises:
        ModashiftError: where there is neither, naming shipped ones that are alike.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = folder() / f"{path.stem if path.suffix == '.yaml' else name}.yaml"
    if len(path.parts) == 1 and shipped.is_file():
        return shipped
    known = sorted(p.stem for p in folder().glob("*.yaml"))
    alike = [k for k in known if k.split("-")[0] == path.stem.split("-")[0]] or known
    raise ModashiftError(f"there is no configuration {str(name)!r}, neither a file nor shipped; try {', '.join(alike)}")


def read(name: str | Path) -> Recipe:
    """Read a configuration.

    Raises:
        ModashiftError: where it is missing, is not a mapping, or has a key that is no option.
    """
    path = find(name)
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if not isinstance(content, dict):
        raise ModashiftError(f"{path} is not a configuration: expected keys and values")
    kinds = {"data": {f.name for f in fields(DataArgs)}, "train": {f.name for f in fields(TrainArgs)}}
    unknown = [k for k in content if k not in kinds["data"] | kinds["train"] | {"name", "model"}]
    if unknown:
        raise ModashiftError(
            f"{path}: {', '.join(unknown)} is no option of data or training; the model's go under model:"
        )
    sorted_ = {kind: {k: v for k, v in content.items() if k in names} for kind, names in kinds.items()}
    return Recipe(sorted_["data"], sorted_["train"], content.get("model") or {})
