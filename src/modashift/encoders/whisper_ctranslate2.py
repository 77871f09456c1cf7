"""The file ``model.bin`` in which CTranslate2 keeps the weights of a model.

It is little-endian: a version, the name and revision of the kind of model, then one variable after the other (name,
shape, number of the type, number of bytes, bytes), then names that stand for variables named before. A text is its
length in two bytes, counted with the zero byte it ends in.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from modashift.errors import DataError

__all__ = ["Variables", "read_variables"]

VERSION = 6  # of the layout; the only one that is written today
BFLOAT16 = 5
TYPES: dict[int, np.dtype[np.generic]] = {
    number: np.dtype(name) for number, name in enumerate(("<f4", "i1", "<i2", "<i4", "<f2", "<u2"))
}
"""NumPy's types by CTranslate2's numbers; the last, bfloat16, is read as the upper half of a float32."""

SCALE = "_scale"  # ends the name of the variable by which a quantised one was multiplied


@dataclass(frozen=True)
class Variables:
    """What a model file holds.

    Attributes:
        kind: of model, ``WhisperSpec`` for example.
        raw: variables by name, as they are stored; an alias is a variable once more.
    """

    kind: str
    raw: Mapping[str, NDArray[np.generic]]

    def weight(self, name: str) -> NDArray[np.float32]:
        """A weight as float32, what quantisation left of it.

        8 bits are divided by a scale for each row (first axis), 16 bits by one scale.

        Raises:
            DataError: there is no such weight, or it is of whole numbers without a scale.
        """
        stored = self._stored(name)
        if stored.dtype.kind == "f":
            return stored.astype(np.float32)
        if stored.dtype.itemsize > 2 or name + SCALE not in self.raw:
            raise DataError(f"the weight {name} is of whole numbers without a scale; convert the model again")
        scale = self._stored(name + SCALE).astype(np.float32)
        rows = scale.reshape(-1, *[1] * (stored.ndim - 1)) if scale.ndim else scale
        return np.asarray(stored.astype(np.float32) / rows)

    def number(self, name: str) -> int:
        """A setting that is a whole number.

        Raises:
            DataError: there is no such setting.
        """
        return int(self._stored(name).reshape(-1)[0])

    def _stored(self, name: str) -> NDArray[np.generic]:
        if name not in self.raw:
            raise DataError(f"the {self.kind} holds no {name}, so it is no model that this package can convert")
        return self.raw[name]


def read_variables(path: Path, prefix: str = "") -> Variables:
    """Read a model file.

    Args:
        path: of ``model.bin``.
        prefix: variables whose names begin otherwise are skipped, and so is their memory.

    Raises:
        DataError: it is no such file, of another version, or broken off.
    """
    with path.open("rb") as file:
        try:
            return _read(file, prefix)
        except _Refused as error:
            raise DataError(f"{path}: {error}") from error
        except (struct.error, UnicodeDecodeError, ValueError) as error:
            raise DataError(f"{path} is no whole model of CTranslate2; fetch or convert it again") from error


class _Refused(Exception):
    """The file is not as it should be; says how."""


def _read(file: IO[bytes], prefix: str) -> Variables:
    version = _number(file, "<I")
    if version != VERSION:
        raise _Refused(
            f"is in version {version} of CTranslate2's layout, and only version {VERSION} can be read; convert the "
            "model with a current CTranslate2"
        )
    kind = _text(file)
    _number(file, "<I")  # revision of the kind
    found: dict[str, NDArray[np.generic]] = {}
    for _ in range(_number(file, "<I")):
        name = _text(file)
        shape = tuple(_number(file, "<I") for _ in range(_number(file, "<B")))
        kind_of_number, size = _number(file, "<B"), _number(file, "<I")
        if not name.startswith(prefix):
            file.seek(size, 1)
            continue
        if kind_of_number not in TYPES:
            raise _Refused(f"{name} is of the unknown type {kind_of_number}")
        values = np.frombuffer(file.read(size), TYPES[kind_of_number]).reshape(shape)
        if kind_of_number == BFLOAT16:
            values = (values.astype(np.uint32) << 16).view(np.float32)
        found[name] = values
    for _ in range(_number(file, "<I")):
        alias, name = _text(file), _text(file)
        if name in found:
            found[alias] = found[name]
    return Variables(kind, found)


def _number(file: IO[bytes], layout: str) -> int:
    (value,) = struct.unpack(layout, file.read(struct.calcsize(layout)))
    return int(value)


def _text(file: IO[bytes]) -> str:
    size = _number(file, "<H")
    content = file.read(size)
    if len(content) != size or not content.endswith(b"\0"):
        raise ValueError("a text is broken off")
    return content[:-1].decode()
