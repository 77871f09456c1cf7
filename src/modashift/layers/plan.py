"""What `modashift layers compare` trains: a row of an experiment for each layer, sum of layers and conventional set."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from modashift.data.dataset import MODALITIES, Dataset
from modashift.data.states import state_columns
from modashift.errors import ModashiftError

__all__ = [
    "ALL",
    "EVERY",
    "NAME",
    "Cell",
    "Conventional",
    "Part",
    "cells",
    "combination",
    "parse_layers",
    "parts_of",
]

ALL = "all"  # as modality: all of them together
EVERY = "conventional"  # name of all conventional features together
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Kind = Literal["layer", "weighted", "given", "conventional"]


@dataclass(frozen=True)
class Part:
    """A modality of the data.

    Attributes:
        modality: its name.
        layers: to compare, rising; none where the data have conventional features there.
        encoder: whose states they are.
    """

    modality: str
    layers: tuple[int, ...] = ()
    encoder: str = ""

    @property
    def output(self) -> int:
        """The last layer in the data, which is the encoder's output where all of its layers were extracted."""
        return self.layers[-1]


@dataclass(frozen=True)
class Conventional:
    """Features that are no states of an encoder, to stand beside them.

    Attributes:
        name: of the row.
        data: a file of data with the same utterances.
        modalities: that it has.
        glove: file of word vectors, which are then its words.
    """

    name: str
    data: str
    modalities: tuple[str, ...]
    glove: str = ""


@dataclass(frozen=True)
class Cell:
    """A row of the experiment: one way of using the features of a modality, or of all together.

    Attributes:
        row: its name there, and its folder's.
        modality: or `ALL`.
        kind: one ``layer`` of each modality, all layers ``weighted``, features ``given`` in the data that have no
            layers, or ``conventional`` ones.
        layers: of kind ``layer``, by modality.
        source: of kind ``conventional``, its name.
        data: what the row says about data, fields of `DataArgs`.
    """

    row: str
    modality: str
    kind: Kind
    layers: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


def parse_layers(text: str) -> tuple[int, ...] | None:
    """Numbers of layers as people write them: ``0,3,6``, ``1-24``, or ``all`` (None).

    Raises:
        ModashiftError: it is none of these.
    """
    if text == "all":
        return None
    numbers: set[int] = set()
    for piece in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", piece)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise ModashiftError(f"--layers {text}: expected all, or numbers such as 0,3,6 or 1-24")
        numbers |= {*range(first, last + 1)}
    return tuple(sorted(numbers))


def parts_of(dataset: Dataset, modalities: Sequence[str], layers: Sequence[str]) -> tuple[Part, ...]:
    """The modalities to compare, with their layers.

    Args:
        dataset: with hidden states.
        modalities: asked for; `ALL` alone means every one of the data.
        layers: ``SPEC`` for every modality or ``MODALITY=SPEC`` for one; see `parse_layers`. The last layer in the data
            is always among them, for the others are compared with it.

    Raises:
        ModashiftError: a modality or layer that the data do not have, or no hidden states at all.
    """
    asked = [m for m in MODALITIES if m in modalities] or [m for m in MODALITIES if m in dataset.features]
    wrong = [m for m in modalities if m not in (*MODALITIES, ALL)]
    absent = wrong or [m for m in asked if m not in dataset.features]
    if absent:
        there = ", ".join([*(m for m in MODALITIES if m in dataset.features), ALL])
        raise ModashiftError(f"--modalities: {dataset.name} has no {', '.join(absent)}; it has {there}")
    wanted: dict[str, tuple[int, ...] | None] = {}
    for spec in layers:
        name, equals, numbers = spec.rpartition("=")
        if equals and name not in asked:
            raise ModashiftError(f"--layers {spec}: the modalities to compare are {', '.join(asked)}")
        wanted |= {m: parse_layers(numbers) for m in ([name] if equals else asked)}
    parts = []
    for modality in asked:
        columns = state_columns(dataset.features[modality])
        if columns is None:
            if any(spec.startswith(f"{modality}=") for spec in layers):
                raise ModashiftError(f"--layers: the {modality} features of {dataset.name} are no hidden states")
            parts.append(Part(modality))
            continue
        numbers_ = wanted.get(modality)
        held = columns.layers if numbers_ is None else columns.only((*numbers_, columns.layers[-1])).layers
        parts.append(Part(modality, held, columns.encoder))
    if not any(part.layers for part in parts):
        raise ModashiftError(
            f"{dataset.name}: no {' or '.join(asked)} features are hidden states of an encoder, so there are no layers "
            "to compare; `modashift extract --layers all` writes them"
        )
    return tuple(parts)


def cells(
    parts: Sequence[Part],
    together: bool,
    weighted: bool,
    conventional: Sequence[Conventional] = (),
    shared: Mapping[str, Any] | None = None,
) -> list[Cell]:
    """Every row that is known before a layer is chosen.

    Args:
        parts: the modalities.
        together: whether to train on all of them together, too.
        weighted: whether the model can weigh layers.
        conventional: what to stand beside.
        shared: what conventional rows say about data, unless they say otherwise.
    """
    found = [cell for part in parts for cell in _alone(part, weighted)]
    if together and len(parts) > 1:
        layered = [part for part in parts if part.layers]
        same = sorted(set.intersection(*(set(part.layers) for part in layered)))
        rows = [combination(parts, {part.modality: n for part in layered}) for n in same]
        rows.append(combination(parts, {part.modality: part.output for part in layered}))
        found += {cell.row: cell for cell in rows}.values()
        if weighted and any(len(part.layers) > 1 for part in layered):
            found.append(_weighted(ALL, parts))
    for source in conventional:
        own = {
            "data": source.data,
            **(shared or {}),
            **({"text": "glove", "glove": source.glove} if source.glove else {}),
        }
        names = [part.modality for part in parts if part.modality in source.modalities]
        found += [_conventional(source.name, m, (m,), own) for m in names if source.name != EVERY]
        if together and len(names) > 1:
            found.append(_conventional(source.name, ALL, names, own))
    return found


def combination(parts: Sequence[Part], layers: Mapping[str, int]) -> Cell:
    """The row of all modalities together, with one layer of each that has layers."""
    name = "+".join(f"{m[0]}{layers[m]:02d}" for m in MODALITIES if m in layers)
    names = [part.modality for part in parts]
    return Cell(f"{ALL}-{name}", ALL, "layer", dict(layers), data=_data(names, dict(layers)))


def _alone(part: Part, weighted: bool) -> list[Cell]:
    m = part.modality
    if not part.layers:
        return [Cell(f"{m}-given", m, "given", data=_data([m], {}))]
    rows = [Cell(f"{m}-{n:02d}", m, "layer", {m: n}, data=_data([m], {m: n})) for n in part.layers]
    return [*rows, *([_weighted(m, [part])] if weighted and len(part.layers) > 1 else [])]


def _weighted(modality: str, parts: Sequence[Part]) -> Cell:
    """All compared layers, summed with learned weights; which they are is in the row's name."""
    layers = {part.modality: [*part.layers] for part in parts if part.layers}
    said = {m: f"{n[0]}to{n[-1]}" if len(n) == 1 + n[-1] - n[0] else ".".join(map(str, n)) for m, n in layers.items()}
    name = "+".join(f"{m[0]}{s}" for m, s in said.items())
    data = _data([part.modality for part in parts], layers)
    return Cell(f"{modality}-weighted-{name}", modality, "weighted", data=data)


def _conventional(name: str, modality: str, features: Sequence[str], own: Mapping[str, Any]) -> Cell:
    text = {"text": "given"} if "linguistic" in features and "glove" not in own else {}
    if "linguistic" not in features:
        own = {k: v for k, v in own.items() if k not in {"text", "glove"}}
    data = {**own, **text, "features": [*features]}
    return Cell(f"{name}-{modality}", modality, "conventional", source=name, data=data)


def _data(features: Sequence[str], layers: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"features": [*features]}
    if layers:
        found["layers"] = dict(layers)
    if "linguistic" in features:
        found["text"] = "given"  # the states of the data, and no others
    return found
