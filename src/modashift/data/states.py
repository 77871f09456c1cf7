"""Hidden states of frozen encoders as features: several layers side by side in the columns of one modality.

A step of L layers of width H is L · H columns, the first layer's H first, so that one layer is a slice of them and the
layers of a step are ``values.reshape(T, L, H)``. Their names would be tens of thousands, so they are not kept but told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, overload

import numpy as np

from modashift.data.dataset import Dataset, Feature
from modashift.errors import DataError

__all__ = ["Layers", "StateColumns", "choose_layers", "columns_from_json", "columns_to_json", "state_columns"]

Layers = int | list[int]


@dataclass(frozen=True)
class StateColumns(Sequence[str]):
    """Names ``ENCODER.LAYER.UNIT`` of the columns of hidden states, made when asked for.

    Attributes:
        encoder: what the states are of, ``wavlm-large`` for example.
        layers: numbers of the layers, rising: 0 is what enters the first Transformer layer, n the output of the nth.
        size: H, width of a layer.
    """

    encoder: str
    layers: tuple[int, ...]
    size: int

    def __post_init__(self) -> None:
        if not self.layers or self.size < 1 or list(self.layers) != sorted({*self.layers}) or self.layers[0] < 0:
            raise DataError(f"states of {self.encoder}: layers {self.layers} of width {self.size} make no columns")

    def __len__(self) -> int:
        return len(self.layers) * self.size

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...

    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        if isinstance(place, slice):
            return tuple(self[k] for k in range(*place.indices(len(self))))
        number = range(len(self))[place]
        return f"{self.encoder}.{self.layers[number // self.size]}.{number % self.size}"

    def only(self, layers: Sequence[int]) -> "StateColumns":
        """The columns of some of the layers.

        Raises:
            DataError: a layer is not among them.
        """
        wanted = tuple(sorted({*layers}))
        absent = [n for n in wanted if n not in self.layers]
        if absent or not wanted:
            said = f"no layer {', '.join(map(str, absent))}" if absent else "nothing where no layer is chosen"
            raise DataError(f"the states of {self.encoder} hold {said}; they hold {_listed(self.layers)}")
        return replace(self, layers=wanted)


def state_columns(feature: Feature) -> StateColumns | None:
    """The layers of a feature, None where it is no hidden states."""
    return feature.columns if isinstance(feature.columns, StateColumns) else None


def columns_to_json(columns: Sequence[str]) -> list[str] | dict[str, Any]:
    """Columns as JSON-able value; inverse of `columns_from_json`."""
    return {**asdict(columns), "layers": [*columns.layers]} if isinstance(columns, StateColumns) else list(columns)


def columns_from_json(value: Any) -> Sequence[str]:
    """Names of columns, or the layers they are of.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, Mapping):
        try:
            return StateColumns(str(value["encoder"]), tuple(int(n) for n in value["layers"]), int(value["size"]))
        except (KeyError, TypeError, DataError) as error:
            raise ValueError(f"columns of hidden states are not described as they should be ({error!r})") from error
    if not isinstance(value, list | tuple):
        raise ValueError(f"columns are a {type(value).__name__}, and should be a list of names")
    return tuple(str(name) for name in value)


def choose_layers(dataset: Dataset, layers: Mapping[str, Layers]) -> Dataset:
    """Keep some layers of the hidden states of some data; neighbouring ones are a view and cost nothing.

    Args:
        dataset: with hidden states.
        layers: by modality, a layer or several.

    Raises:
        DataError: a modality is not there or holds no hidden states, or not that layer.
    """
    features = dict(dataset.features)
    for modality, wanted in layers.items():
        feature = features.get(modality)
        if feature is None:
            raise DataError(
                f"layers: {dataset.name} has no {modality} features; it has {', '.join(features) or 'none at all'}"
            )
        columns = state_columns(feature)
        if columns is None:
            raise DataError(
                f"layers: the {modality} features of {dataset.name} are no hidden states of an encoder, so they have "
                "no layers to choose from"
            )
        kept = columns.only([wanted] if isinstance(wanted, int) else wanted)
        at = [columns.layers.index(n) for n in kept.layers]
        if at == list(range(at[0], at[0] + len(at))):
            values = feature.values[:, at[0] * columns.size : (at[-1] + 1) * columns.size]
        else:
            places = (np.array(at)[:, None] * columns.size + np.arange(columns.size)).ravel()
            values = feature.values[:, places]
        features[modality] = replace(feature, values=values, columns=kept)
    return replace(dataset, features=features)


def _listed(layers: Sequence[int]) -> str:
    """Layers in words, ``0 to 24`` where none is left out."""
    if len(layers) > 2 and list(layers) == list(range(layers[0], layers[-1] + 1)):
        return f"layers {layers[0]} to {layers[-1]}"
    return f"layer{'s' if len(layers) > 1 else ''} {', '.join(map(str, layers))}"
