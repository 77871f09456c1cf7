"""A recording's features as one file: safetensors, with all else as JSON in its header.

Written whole or not at all. The header holds a SHA-256 over everything, so that damage is found on reading; it holds
no times of day and no durations of work, so that the same recording and options give the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modashift.atomic import write_atomic
from modashift.data.states import columns_from_json, columns_to_json
from modashift.errors import DataError
from modashift.extract.recording import Clip, Frames, Span, TimedWord

__all__ = ["SUFFIX", "VERSION", "Stored", "read_clip", "write_clip"]

VERSION = 1
SUFFIX = ".clip.safetensors"
KEY = "modashift"
_PARTS = ("values", "times", "mask")


class Stored(NamedTuple):
    """What a clip file holds.

    Attributes:
        clip: the recording.
        recipe: what it was made with, as given to `write_clip`.
        packages: versions of the packages that made it, by name.
    """

    clip: Clip
    recipe: Mapping[str, Any]
    packages: Mapping[str, str]


def write_clip(path: Path, clip: Clip, recipe: Mapping[str, Any], packages: Mapping[str, str]) -> None:
    """Write a recording.

    Args:
        path: ``*.clip.safetensors`` by custom.
        clip: what was extracted.
        recipe: options and inputs it depends on, JSON-able; compared on resuming.
        packages: versions of the packages that made it.

    Raises:
        DataError: the file cannot be written.
    """
    from safetensors.numpy import save

    arrays: dict[str, NDArray[Any]] = {
        "words.times": np.array([(w.start, w.end) for w in clip.words], dtype=np.float64).reshape(-1, 2),
        "words.confidence": np.array([w.confidence for w in clip.words], dtype=np.float64),
        "spans.times": np.array([(s.start, s.end) for s in clip.spans], dtype=np.float64).reshape(-1, 2),
        "spans.words": np.array([(s.first, s.stop) for s in clip.spans], dtype=np.int64).reshape(-1, 2),
    }
    for modality, frames in clip.features.items():
        arrays[f"{modality}.values"] = np.ascontiguousarray(frames.values)
        arrays[f"{modality}.times"] = np.ascontiguousarray(frames.times, dtype=np.float64)
        arrays[f"{modality}.mask"] = np.ascontiguousarray(frames.mask, dtype=np.uint8)
        if frames.words is not None:
            arrays[f"{modality}.words"] = np.ascontiguousarray(frames.words, dtype=np.int64)
    facts = {
        "version": VERSION,
        "name": clip.name,
        "source": clip.source,
        "sha256": clip.sha256,
        "duration": clip.duration,
        "words": [w.text for w in clip.words],
        "words_from": clip.words_from,
        "features": {m: {"set": f.set_name, "columns": columns_to_json(f.columns)} for m, f in clip.features.items()},
        "notes": list(clip.notes),
        "recipe": dict(recipe),
        "packages": dict(packages),
    }
    # One key only: safetensors writes several in an order that differs from process to process.
    header = json.dumps({"digest": _digest(facts, arrays), "facts": facts}, sort_keys=True)
    write_atomic(path, save(arrays, metadata={KEY: header}))


def read_clip(path: Path) -> Stored:
    """Read and check a recording.

    Raises:
        DataError: it cannot be read, is damaged, or of another version; ``modashift extract`` makes it anew.
    """
    from safetensors.numpy import load

    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    try:
        size = int.from_bytes(content[:8], "little")
        header = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][KEY])
        facts, digest = header["facts"], header["digest"]
        version = facts["version"]
    except Exception as error:  # of json or of types, by where the damage is
        raise DataError(f"{path} is no clip file or is damaged ({type(error).__name__}: {error}); {_REMEDY}") from error
    if version != VERSION:
        raise DataError(f"{path} is a clip file of version {version}, this release reads {VERSION}; {_REMEDY}")
    try:
        arrays = load(content)
        found = _digest(facts, arrays)
    except Exception as error:  # of safetensors, NumPy or types, by where the damage is
        raise DataError(f"{path} is damaged ({type(error).__name__}: {error}); {_REMEDY}") from error
    if found != digest:
        raise DataError(f"{path} was changed or damaged: its content does not fit its SHA-256; {_REMEDY}")
    return Stored(_clip(facts, arrays), facts["recipe"], facts["packages"])


_REMEDY = "delete it, or call modashift extract again, which makes it anew"


def _digest(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _clip(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Clip:
    words = zip(facts["words"], arrays["words.times"].tolist(), arrays["words.confidence"].tolist())
    spans = zip(arrays["spans.times"].tolist(), arrays["spans.words"].tolist())
    features = {}
    for modality, about in facts["features"].items():
        values, times, mask = (arrays[f"{modality}.{part}"] for part in _PARTS)
        columns, owners = columns_from_json(about["columns"]), arrays.get(f"{modality}.words")
        features[modality] = Frames(about["set"], columns, values, times, mask.astype(bool), owners)
    return Clip(
        name=facts["name"],
        source=facts["source"],
        sha256=facts["sha256"],
        duration=facts["duration"],
        words=tuple(TimedWord(text, start, end, confidence) for text, (start, end), confidence in words),
        words_from=facts["words_from"],
        spans=tuple(Span(start, end, first, stop) for (start, end), (first, stop) in spans),
        features=features,
        notes=tuple(facts["notes"]),
    )
