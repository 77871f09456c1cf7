"""Files in CTranslate2's layout, written as they are read."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TYPES = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4, "uint16": 5}  # bfloat16 as whole numbers


def write_model(
    path: Path,
    variables: Mapping[str, NDArray[Any]],
    aliases: Mapping[str, str] | None = None,
    kind: str = "WhisperSpec",
    version: int = 6,
) -> Path:
    parts = [struct.pack("<I", version), _text(kind), struct.pack("<II", 3, len(variables))]
    for name, values in variables.items():
        shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
        parts += [_text(name), shape, struct.pack("<BI", TYPES[values.dtype.name], values.nbytes), values.tobytes()]
    parts.append(struct.pack("<I", len(aliases or {})))
    parts += [_text(text) for pair in (aliases or {}).items() for text in pair]
    path.write_bytes(b"".join(parts))
    return path


def quantised(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A matrix in 8 bits, and the scale of each row."""
    scale = (127 / np.abs(weight).max(axis=1)).astype(np.float32)
    return np.rint(weight * scale[:, None]).astype(np.int8), scale


def _text(text: str) -> bytes:
    content = text.encode() + b"\0"
    return struct.pack("<H", len(content)) + content
