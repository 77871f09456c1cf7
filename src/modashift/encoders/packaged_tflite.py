"""The weights and operations of a TensorFlow Lite model, read without TensorFlow.

Such a file is a flatbuffer: tables whose fields are found through offsets, so that nothing has to be unpacked. A table
begins with the distance back to its list of field offsets; everything else is reached by distances forward.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modashift.errors import DataError

__all__ = ["Operation", "read_operations"]

NAMES = {0: "add", 3: "conv", 4: "depthwise", 6: "dequantize", 17: "max-pool", 34: "pad", 54: "prelu"}
"""Kinds of operations by their number, as far as they are of use here."""
TYPES: dict[int, np.dtype[np.generic]] = {0: np.dtype("<f4"), 1: np.dtype("<f2"), 2: np.dtype("<i4")}


@dataclass(frozen=True)
class Operation:
    """An operation of a model.

    Attributes:
        kind: one of `NAMES`, ``operation N`` for others.
        inputs: numbers of the tensors that are computed on the way.
        output: number of the (first) tensor it computes.
        weights: its constant inputs in order; half precision comes as float32, so that the model's own operations
            that unpack it are left out.
    """

    kind: str
    inputs: tuple[int, ...]
    output: int
    weights: tuple[NDArray[np.generic], ...]


def read_operations(content: bytes) -> list[Operation]:
    """The operations of the first graph of a model, in the order in which they run.

    Args:
        content: of a ``.tflite`` file.

    Raises:
        DataError: it is no such file, or is broken.
    """
    if content[4:8] != b"TFL3":
        raise DataError("this is no TensorFlow Lite model; fetch it again")
    try:
        return _operations(_Table(content, _unsigned(content, 0)))
    except (struct.error, IndexError, ValueError, KeyError) as error:
        raise DataError(f"the TensorFlow Lite model is broken ({error!r}); fetch it again") from error


def _operations(model: "_Table") -> list[Operation]:
    kinds = [_kind(code) for code in model.tables(1)]
    buffers = model.tables(4)
    graph = model.tables(2)[0]
    constants: dict[int, NDArray[np.generic]] = {}
    for number, tensor in enumerate(graph.tables(0)):
        data = buffers[tensor.number(2, "<I")].numbers(0, np.dtype("u1"))
        if len(data):
            of = TYPES[tensor.number(1, "<b")]
            constants[number] = data.view(of).reshape(tensor.numbers(0, np.dtype("<i4")))
    found = []
    for operation in graph.tables(3):
        kind = kinds[operation.number(0, "<I")]
        inputs = [int(n) for n in operation.numbers(1, np.dtype("<i4")) if n >= 0]  # -1: an input that is left out
        output = int(operation.numbers(2, np.dtype("<i4"))[0])
        if kind == "dequantize" and inputs[0] in constants:
            constants[output] = constants[inputs[0]].astype(np.float32)
            continue
        weights = tuple(constants[n] for n in inputs if n in constants)
        found.append(Operation(kind, tuple(n for n in inputs if n not in constants), output, weights))
    return found


def _kind(code: "_Table") -> str:
    number = max(code.number(0, "<b"), code.number(3, "<i"))  # the first field is that of older files
    return NAMES.get(number, f"operation {number}")


class _Table:
    """A table of a flatbuffer; its fields are asked for by their number in the schema."""

    def __init__(self, content: bytes, place: int) -> None:
        self.content, self.place = content, place
        (back,) = struct.unpack_from("<i", content, place)
        self.offsets = place - back
        (self.size,) = struct.unpack_from("<H", content, self.offsets)

    def _field(self, number: int) -> int | None:
        at = 4 + 2 * number
        if at >= self.size:
            return None
        (offset,) = struct.unpack_from("<H", self.content, self.offsets + at)
        return self.place + offset if offset else None

    def number(self, number: int, layout: str) -> int:
        """A field that is a number; 0 where it is not given."""
        place = self._field(number)
        return 0 if place is None else int(struct.unpack_from(layout, self.content, place)[0])

    def numbers(self, number: int, kind: np.dtype[np.generic]) -> NDArray[np.generic]:
        """A field that is a list of numbers; empty where it is not given."""
        place = self._field(number)
        if place is None:
            return np.zeros(0, kind)
        start = place + _unsigned(self.content, place)
        return np.frombuffer(self.content, kind, count=_unsigned(self.content, start), offset=start + 4)

    def tables(self, number: int) -> Sequence["_Table"]:
        """A field that is a list of tables."""
        place = self._field(number)
        if place is None:
            return []
        start = place + _unsigned(self.content, place)
        places = (start + 4 + 4 * k for k in range(_unsigned(self.content, start)))
        return [_Table(self.content, at + _unsigned(self.content, at)) for at in places]


def _unsigned(content: bytes, place: int) -> int:
    return int(struct.unpack_from("<I", content, place)[0])
