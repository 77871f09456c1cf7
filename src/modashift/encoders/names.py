"""Names of encoders: short ones for what the field uses, folders, names on the hub, and what stands in a data set.

A data set says by its columns (`modashift.data.states.StateColumns`) which encoder its states are of, so that a model
trained on them can ask for the same of a new recording. Where a name does not fix the weights (a folder, or somebody's
model on the hub) the beginning of their SHA-256 follows it, and where states come at another rate than usual so does
the rate: ``/models/my-wavlm#9c1f0a12@10``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, NamedTuple

from modashift.errors import ModashiftError

__all__ = [
    "ALIASES",
    "KIND",
    "MINILM",
    "RATES",
    "TINY",
    "Alias",
    "Modality",
    "Written",
    "absolute",
    "check_name",
    "packaged_names",
    "read_name",
    "write_name",
]

Modality = Literal["visual", "acoustic", "linguistic"]
KIND: Mapping[str, str] = {"visual": "pictures", "acoustic": "speech", "linguistic": "texts"}
RATES: Mapping[str, float] = {"visual": 3.0, "acoustic": 5.0}
"""States a second where nothing else is asked for, those of Ando et al. 2022."""

MINILM = "minilm"
TINY: Mapping[str, Modality] = {"tiny-vision": "visual", "tiny-speech": "acoustic", "tiny-text": "linguistic"}
"""Encoders with random weights, made on the spot; for trying commands and for tests."""


@dataclass(frozen=True)
class Alias:
    """A short name.

    Attributes:
        modality: what it encodes.
        hub: its name on the hub.
        layers: number of Transformer layers.
        size: width of a layer.
    """

    modality: Modality
    hub: str
    layers: int
    size: int


ALIASES: Mapping[str, Alias] = {
    "clip-vit-b32": Alias("visual", "openai/clip-vit-base-patch32", 12, 768),
    "clip-vit-b16": Alias("visual", "openai/clip-vit-base-patch16", 12, 768),
    "clip-vit-l14": Alias("visual", "openai/clip-vit-large-patch14", 24, 1024),
    "siglip-b16": Alias("visual", "google/siglip-base-patch16-224", 12, 768),
    "siglip-l16": Alias("visual", "google/siglip-large-patch16-256", 24, 1024),
    "siglip-so400m": Alias("visual", "google/siglip-so400m-patch14-384", 27, 1152),
    "dinov2-small": Alias("visual", "facebook/dinov2-small", 12, 384),
    "dinov2-base": Alias("visual", "facebook/dinov2-base", 12, 768),
    "dinov2-large": Alias("visual", "facebook/dinov2-large", 24, 1024),
    "vit-b16": Alias("visual", "google/vit-base-patch16-224-in21k", 12, 768),
    "vit-l16": Alias("visual", "google/vit-large-patch16-224-in21k", 24, 1024),
    "wavlm-base": Alias("acoustic", "microsoft/wavlm-base", 12, 768),
    "wavlm-base-plus": Alias("acoustic", "microsoft/wavlm-base-plus", 12, 768),
    "wavlm-large": Alias("acoustic", "microsoft/wavlm-large", 24, 1024),
    "hubert-base": Alias("acoustic", "facebook/hubert-base-ls960", 12, 768),
    "hubert-large": Alias("acoustic", "facebook/hubert-large-ll60k", 24, 1024),
    "wav2vec2-base": Alias("acoustic", "facebook/wav2vec2-base", 12, 768),
    "wav2vec2-large": Alias("acoustic", "facebook/wav2vec2-large-lv60", 24, 1024),
    "wav2vec2-xlsr": Alias("acoustic", "facebook/wav2vec2-large-xlsr-53", 24, 1024),
    "whisper-base.en": Alias("acoustic", "openai/whisper-base.en", 6, 512),
    "whisper-small.en": Alias("acoustic", "openai/whisper-small.en", 12, 768),
    "whisper-medium.en": Alias("acoustic", "openai/whisper-medium.en", 24, 1024),
    "whisper-large-v3": Alias("acoustic", "openai/whisper-large-v3", 32, 1280),
    "bert-base": Alias("linguistic", "bert-base-uncased", 12, 768),
    "bert-large": Alias("linguistic", "bert-large-uncased", 24, 1024),
    "bert-base-uncased": Alias("linguistic", "bert-base-uncased", 12, 768),
    "bert-large-uncased": Alias("linguistic", "bert-large-uncased", 24, 1024),
    "roberta-base": Alias("linguistic", "roberta-base", 12, 768),
    "roberta-large": Alias("linguistic", "roberta-large", 24, 1024),
    "deberta-v3-base": Alias("linguistic", "microsoft/deberta-v3-base", 12, 768),
    "deberta-v3-large": Alias("linguistic", "microsoft/deberta-v3-large", 24, 1024),
}

_WRITTEN = re.compile(r"(?P<name>.+?)(?:#(?P<weights>[0-9a-f]{8}))?(?:@(?P<rate>all|\d+(?:\.\d+)?))?$", re.DOTALL)
_HUB = re.compile(r"[\w.-]+/[\w.-]+")


class Written(NamedTuple):
    """A name as it stands in a data set, taken apart.

    Attributes:
        name: alias, folder or name on the hub.
        weights: first eight digits of their SHA-256, empty where the name fixes them.
        rate: states a second, None for all there are; ``usual`` where nothing is said.
    """

    name: str
    weights: str
    rate: float | Literal["usual"] | None

    @property
    def plain(self) -> str:
        """Without the rate."""
        return f"{self.name}{f'#{self.weights}' if self.weights else ''}"


def write_name(name: str, weights: str, modality: str, rate: float | None) -> str:
    """Name for the columns of a data set; inverse of `read_name`.

    Args:
        name: as `Source` has it.
        weights: first digits of their SHA-256, empty where the name fixes them.
        modality: what it encodes; texts have no rate.
        rate: states a second, None for all.
    """
    usual = RATES.get(modality)
    said = "" if usual is None or rate == usual else f"@{'all' if rate is None else f'{rate:g}'}"
    return f"{name}{f'#{weights}' if weights else ''}{said}"


def read_name(written: str) -> Written:
    """Take apart what `write_name` made, or a name as a person types it."""
    found = _WRITTEN.match(written)
    if found is None:
        return Written(written, "", "usual")
    said = found["rate"]
    return Written(
        found["name"], found["weights"] or "", "usual" if said is None else None if said == "all" else float(said)
    )


def packaged_names() -> Mapping[str, str]:
    """Encoders that are made of packages pip can fetch, and what each encodes."""
    from modashift.encoders.packaged import MODALITIES

    return MODALITIES


def absolute(name: str) -> str:
    """The name with the whole path where it is that of a folder, so that it means the same wherever it is read."""
    written = read_name(name)
    if _known(written.name) is None and Path(written.name).is_dir():
        return f"{Path(written.name).absolute()}{name[len(written.name) :]}"
    return name


def _known(name: str) -> str | None:
    """Modality of a short name; None where it is none."""
    if name == MINILM:
        return "linguistic"
    alias = ALIASES.get(name)
    return alias.modality if alias else TINY.get(name) or packaged_names().get(name)


def check_name(name: str, modality: Modality, others: tuple[str, ...] = ()) -> None:
    """Refuse what cannot be the name of an encoder, before anything is looked for or loaded.

    Args:
        name: as typed.
        modality: what it must encode.
        others: further names that would have been right, for the message.

    Raises:
        ModashiftError: with the names that are nearest.
    """
    plain = read_name(name).name
    of = _known(plain)
    if of not in {None, modality}:
        raise ModashiftError(f"{modality} {name!r} is an encoder of {KIND[str(of)]}, not of {KIND[modality]}")
    if of == modality:
        return
    if Path(plain).is_dir() or _HUB.fullmatch(plain):
        return
    every = {**packaged_names(), MINILM: "linguistic", **{n: a.modality for n, a in ALIASES.items()}, **TINY}
    known = [*others, *(n for n, of in every.items() if of == modality)]
    near = get_close_matches(plain, known, 3, 0.5) or known[: len(others) + 3]
    raise ModashiftError(
        f"{modality} {name!r} is not one of {', '.join(near)}, …, nor a folder with an encoder, nor a name on the hub "
        "(ORGANISATION/NAME); `modashift features` lists the names"
    )
