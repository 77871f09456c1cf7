"""Where an encoder's files are, what it is, and that it is the one meant: by short name, folder, or name on the hub."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from modashift.backbones import quiet_transformers
from modashift.data.build import file_sha256
from modashift.encoders.names import ALIASES, KIND, MINILM, TINY, Modality, packaged_names, read_name
from modashift.errors import DataError, ModashiftError

__all__ = ["Source", "chosen_layers", "find"]

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""Files of weights, the first that is there being taken, as transformers does."""
SETTINGS = ("config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
SMALL = ("*.json", "*.txt", "*.model")  # all that an encoder needs from the hub beside its weights

VISUAL = frozenset("clip clip_vision_model siglip siglip_vision_model dinov2 dinov2_with_registers vit".split())
ACOUSTIC = frozenset("wavlm hubert wav2vec2 whisper".split())
FACE = "modashift-face"  # of `modashift.encoders.packaged_face`


@dataclass(frozen=True)
class Source:
    """An encoder that was found.

    Attributes:
        name: short name, absolute path of the folder, or name on the hub.
        folder: with its files, in the layout of transformers.
        modality: what it encodes.
        fixed: whether the name alone fixes the weights.
        model_type: of transformers.
        depth: number of Transformer layers.
        size: width of a layer.
    """

    name: str
    folder: Path
    modality: Modality
    fixed: bool
    model_type: str
    depth: int
    size: int

    @cached_property
    def weights(self) -> str:
        """SHA-256 of the file of weights; of several, that of their digests."""
        files = [*_weights(self.folder)]
        if len(files) == 1:
            return file_sha256(files[0])
        return hashlib.sha256("".join(file_sha256(f) for f in files).encode()).hexdigest()

    @property
    def parameters_bytes(self) -> int:
        """Bytes of the files of weights, about what they take in memory."""
        return sum(path.stat().st_size for path in _weights(self.folder))

    @property
    def mark(self) -> str:
        """What follows the name in a data set; see `modashift.encoders.names.write_name`."""
        return "" if self.fixed else self.weights[:8]

    def facts(self) -> dict[str, str]:
        """What a state depends on besides what is encoded, JSON-able."""
        small = hashlib.sha256()
        for name in SETTINGS:
            path = self.folder / name
            if path.is_file():
                small.update(f"{name} {file_sha256(path)} ".encode())
        return {"name": self.name, "weights": self.weights, "settings": small.hexdigest()}


def find(written: str, modality: Modality) -> Source:
    """Find an encoder, fetching it where it is not here yet.

    Args:
        written: a short name (`modashift.encoders.names.ALIASES`, ``minilm``, those of
            `modashift.encoders.packaged`), a folder as transformers saves it, or a name on the hub; what
            `modashift.encoders.names.write_name` appends may follow.
        modality: what it must encode.

    Raises:
        ModashiftError: there is no such encoder here and it cannot be fetched, it encodes something else, or its
            weights are not those meant.
    """
    name, meant, _ = read_name(written)
    source = _find(name, modality)
    if meant and not source.weights.startswith(meant):
        raise ModashiftError(
            f"the encoder in {source.folder} is not the one meant by {written}: the SHA-256 of its weights begins with "
            f"{source.weights[:8]}. Put the former weights back, or extract and train anew"
        )
    return source


@cache
def _find(name: str, modality: Modality) -> Source:
    alias = ALIASES.get(name)
    fixed, own = True, name
    try:
        if name == MINILM:
            from modashift.data.fetch import fetch_minilm

            folder = fetch_minilm()
        elif name in TINY:
            from modashift.encoders.tiny import tiny_encoder

            folder = tiny_encoder(name)
        elif alias is not None:
            folder = _from_hub(name, alias.hub)
        elif Path(name).is_dir():
            folder = Path(name).absolute()
            own, fixed = str(folder), False
        elif name in packaged_names():
            from modashift.encoders.packaged import packaged_encoder

            folder = packaged_encoder(name)
        else:
            folder, fixed = _from_hub(name, name), False
    except DataError as error:  # not the fault of any recording, of which it would become a note
        raise ModashiftError(str(error)) from error
    return _described(Source(own, folder, modality, fixed, "", 0, 0))


def _described(source: Source) -> Source:
    """With what its configuration says; refuses what is no encoder of the modality."""
    config = _config(source.folder)
    model_type = str(config.model_type)
    of = "visual" if model_type in VISUAL | {FACE} else "acoustic" if model_type in ACOUSTIC else "linguistic"
    if of != source.modality:
        kinds = {"visual": "CLIP, SigLIP, DINOv2 or ViT", "acoustic": "WavLM, HuBERT, wav2vec 2.0 or Whisper"}
        wanted = f": {kinds[source.modality]}" if source.modality in kinds else ""
        raise ModashiftError(
            f"{source.name} is a {model_type} of transformers, no encoder of {KIND[source.modality]}{wanted}"
        )
    part = getattr(config, "vision_config", config)
    depth = part.encoder_layers if model_type == "whisper" else getattr(part, "num_hidden_layers", 0)
    size = getattr(part, "hidden_size", 0)
    if not depth or not size:
        raise ModashiftError(f"the configuration of {source.name} says neither how many layers nor how wide they are")
    _weights(source.folder)
    return replace(source, model_type=model_type, depth=int(depth), size=int(size))


def _config(folder: Path) -> Any:
    from transformers import AutoConfig

    try:
        if json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type") == FACE:
            import modashift.encoders.packaged_face  # noqa: F401 (makes its classes known to transformers)
        with quiet_transformers():
            return AutoConfig.from_pretrained(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise ModashiftError(
            f"{folder} is no encoder as transformers saves it ({str(error).splitlines()[0]}); give a folder with "
            "config.json and model.safetensors"
        ) from error


def _weights(folder: Path) -> Sequence[Path]:
    """Files of weights of a folder, in order.

    Raises:
        ModashiftError: there are none, or not all that its index names.
    """
    for name in WEIGHTS:
        path = folder / name
        if not path.is_file():
            continue
        if not name.endswith(".json"):
            return [path]
        parts = sorted(set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()))
        if missing := [p for p in parts if not (folder / p).is_file()]:
            raise ModashiftError(f"{folder} lacks {', '.join(missing[:3])}, in which {name} says weights are")
        return [folder / p for p in parts]
    raise ModashiftError(f"{folder} holds no weights: one of {', '.join(WEIGHTS)} should be there")


def _from_hub(name: str, hub: str) -> Path:
    """Folder of a model of the hub: the cached one, else downloaded."""
    from huggingface_hub import HfApi, snapshot_download

    try:
        folder = Path(snapshot_download(hub, local_files_only=True))
        if (folder / "config.json").is_file():
            _weights(folder)
            return folder
    except Exception:  # not there, or not all of it: both are what a download is for
        pass
    try:
        there = set(HfApi().list_repo_files(hub))
        weights = next((w for w in WEIGHTS if w in there), WEIGHTS[0])
        several = [f"{weights.removesuffix('.index.json').rpartition('.')[0]}-*"] if weights.endswith(".json") else []
        return Path(snapshot_download(hub, allow_patterns=[*SMALL, weights, *several]))
    except Exception as error:
        said = (str(error).strip().splitlines() or [""])[0]
        also = "" if name == hub else f" ({name})"
        raise ModashiftError(
            f"{hub}{also} is not on this machine and cannot be fetched from the hub ({type(error).__name__}: {said}). "
            f"Without network, download its files elsewhere (`hf download {hub} --local-dir FOLDER`), copy the folder "
            "here and give its path instead of the name"
        ) from error


def chosen_layers(layers: Any, modality: str, depth: int, name: str) -> tuple[int, ...]:
    """Numbers of the layers that are asked for, rising.

    Args:
        layers: ``all`` (1 to the last; 0, what enters the first layer, is only taken where named), ``last``, a number,
            several as a list or as text (``13,14``; ``1-6``), or by modality any of these (``all`` where one is not
            among them).
        modality: whose.
        depth: number of layers of the encoder.
        name: of the encoder, for messages.

    Raises:
        ModashiftError: no such layer, or not readable.
    """
    if isinstance(layers, dict):
        if unknown := [m for m in layers if m not in KIND]:
            raise ModashiftError(f"layers: {', '.join(unknown)} is no modality; there are {', '.join(KIND)}")
        layers = layers.get(modality, "all")
    if layers == "all":
        return tuple(range(1, depth + 1))
    if layers == "last":
        return (depth,)
    numbers: set[int] = set()
    try:
        for part in layers if isinstance(layers, list | tuple) else str(layers).split(","):
            first, dash, last = str(part).strip().partition("-")
            numbers |= set(range(int(first), int(last) + 1)) if dash else {int(first)}
    except ValueError as error:
        raise ModashiftError(
            f"layers {layers!r} is not readable: give all, last, numbers joined by commas (13,14) or a range (1-6)"
        ) from error
    if not numbers or min(numbers) < 0 or max(numbers) > depth:
        raise ModashiftError(
            f"layers {layers!r}: {name} has layers 1 to {depth}, and 0 for what enters the first of them"
        )
    return tuple(sorted(numbers))
