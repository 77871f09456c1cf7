"""What must be extracted for a model, read off its folder before the model itself is loaded."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast, get_args

from modashift.data.states import StateColumns, columns_from_json
from modashift.errors import ModashiftError
from modashift.extract.align import Statistic
from modashift.serve.wording import NAMES

__all__ = ["DEFAULT", "Needs", "frame_columns", "is_model", "needs_of", "split_sources"]

DEFAULT = "default"  # the model to predict with where nothing was trained
MODEL_FILES = ("config.json", "preprocessor.json", "model.safetensors")
_ONE = f"(?:{'|'.join(get_args(Statistic))})"
_STATISTICS = re.compile(rf"(?P<encoder>.+):(?P<of>{_ONE}(?:\+{_ONE})*)")


@dataclass(frozen=True)
class Needs:
    """What a model takes beside the words.

    Attributes:
        sets: by modality, the name of the feature set to extract, or of the encoder (with its rate, where that is not
            the usual one); ``linguistic`` is among them where the model reads an encoder's states of the words.
        absent: by modality that the model takes and nothing here extracts, the reason.
        layers: by modality of an encoder, the numbers of the layers.
    """

    sets: Mapping[str, str]
    absent: Mapping[str, str]
    layers: Mapping[str, list[int]] = field(default_factory=dict)


def needs_of(folder: Path, missing_ok: bool = False) -> Needs:
    """Find the feature sets of a model by the names of its columns.

    Args:
        folder: of the model.
        missing_ok: score without a modality whose features nothing here extracts.

    Raises:
        ModashiftError: it cannot be read, or takes features that nothing here extracts and `missing_ok` is not set.
    """
    path = folder / "preprocessor.json"
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModashiftError(f"{path} cannot be read ({error}); is this the folder of a trained model?") from error
    from modashift.extract.sets import find_set

    sets, absent, layers = {}, {}, {}
    for modality, size in state["modality_sizes"].items():
        columns = frame_columns(columns_from_json(state.get("columns", {}).get(modality, ())))[0]
        if isinstance(columns, StateColumns):
            if missing_ok and modality != "linguistic" and (reason := _unfound(columns.encoder, modality)):
                absent[modality] = reason
                continue
            sets[modality], layers[modality] = columns.encoder, list(columns.layers)
            continue
        if modality == "linguistic":
            continue
        name = find_set(columns) if columns else None
        if name is not None:
            sets[modality] = name
            continue
        named = f": {', '.join(columns[:6])}{' …' if len(columns) > 6 else ''}" if columns else ", without names"
        if not missing_ok:
            raise ModashiftError(
                f"{folder} was trained on {modality} features that nothing here extracts ({size} columns{named}). "
                "Train on features of `modashift extract` (`modashift features` lists the sets), or add --missing-ok "
                f"to score without the {NAMES[modality]}, which then counts as missing"
            )
        absent[modality] = f"the model was trained on {size} {modality} columns that nothing here extracts{named}"
    return Needs(sets, absent, layers)


def _unfound(encoder: str, modality: Any) -> str:
    """Why an encoder cannot be had; empty where it can."""
    from modashift.encoders.sources import find

    try:
        find(encoder, modality)
    except ModashiftError as error:
        return str(error)
    return ""


def frame_columns(columns: Sequence[str]) -> tuple[Sequence[str], tuple[Statistic, ...]]:
    """Columns of the frames, and the statistics of them, that a model's columns were made of.

    Inverse of `modashift.extract.dataset.column_names`: ``F0:mean, F0:sd`` are two statistics of ``F0``.
    """
    if isinstance(columns, StateColumns):
        found = _STATISTICS.fullmatch(columns.encoder)
        if found is None:
            return columns, ("mean",)
        several = tuple(cast(Statistic, name) for name in found["of"].split("+"))
        return replace(columns, encoder=found["encoder"], size=columns.size // len(several)), several
    parts = [c.rpartition(":") for c in columns]
    if not parts or any(not name or how not in get_args(Statistic) for name, _, how in parts):
        return tuple(columns), ("mean",)
    statistics = dict.fromkeys(cast(Statistic, how) for *_, how in parts)
    first = next(iter(statistics))
    return tuple(name for name, _, how in parts if how == first), tuple(statistics)


def is_model(path: str) -> bool:
    """Whether this is the folder of a trained model."""
    return all((Path(path) / name).is_file() for name in MODEL_FILES)


def split_sources(text: str) -> list[str]:
    """Runs joined by commas; a folder whose own name holds a comma is one run."""
    if Path(text).is_dir():
        return [text]
    return [part for part in (p.strip() for p in text.split(",")) if part]
