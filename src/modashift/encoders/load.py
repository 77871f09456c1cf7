"""Encoders by name, loaded once a process."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from modashift.encoders.base import Encoder, Settings
from modashift.encoders.names import Modality
from modashift.encoders.pictures import PictureEncoder
from modashift.encoders.sources import Source, chosen_layers, find
from modashift.encoders.speech import SpeechEncoder
from modashift.encoders.texts import TextEncoder

__all__ = ["load_encoder"]

_KINDS: Mapping[Modality, Callable[[Source, tuple[int, ...], Settings], Encoder]] = {
    "visual": PictureEncoder,
    "acoustic": SpeechEncoder,
    "linguistic": TextEncoder,
}


def load_encoder(name: str, modality: Modality, layers: Any = "all", settings: Settings | None = None) -> Any:
    """A frozen encoder, ready to encode.

    Args:
        name: see `modashift.encoders.sources.find`.
        modality: visual, acoustic or linguistic.
        layers: see `modashift.encoders.sources.chosen_layers`.
        settings: device and precision.

    Returns:
        A `PictureEncoder`, `SpeechEncoder` or `TextEncoder`; the same one for the same arguments.

    Raises:
        ModashiftError: it cannot be found or loaded, or has no such layer.
    """
    source = find(name, modality)
    return _loaded(name, modality, chosen_layers(layers, modality, source.depth, source.name), settings or Settings())


@cache
def _loaded(name: str, modality: Modality, layers: tuple[int, ...], settings: Settings) -> Encoder:
    return _KINDS[modality](find(name, modality), layers, settings)
