"""Reading pickles without trusting them.

A pickle is a program: loading one with the standard library runs whatever its author wrote. The files of this field
hold arrays, strings and containers only, so nothing else is admitted here. NumPy's own reconstructors are not called
either: they accept states that make an array point at arbitrary memory, so the few that pickles name are rebuilt below
with every size and type checked.
"""

import io
import pickle
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from modashift.errors import DataError

__all__ = ["is_pickle", "load"]

# Booleans, numbers, byte strings, text and Python objects; no structured types, which no file here needs.
_CODE = re.compile(r"([|<>=]?)([bBhHiIlLqQefdgFDG?SUaO]|b1|[iuf][1248]|f16|c8|c16|c32|O[48]|[SUa]\d{1,9})")


class _Forbidden(Exception):
    """Names what a pickle must not ask for."""


class _Array(np.ndarray[Any, Any]):
    """An array whose pickled state is checked before NumPy sees it."""

    __slots__ = ()

    def __setstate__(self, state: Any, /) -> None:
        _, shape, dtype, fortran, data = state if len(state) == 5 else (1, *state)
        resolved = _resolve(dtype)
        shape = tuple(_size(s) for s in shape)
        count = int(np.prod(shape, dtype=object))
        if isinstance(data, str):  # a byte string of Python 2
            data = data.encode("latin1")
        if resolved.hasobject != (type(data) is list) or not isinstance(data, list | bytes):
            raise _Forbidden("an array whose content does not fit its type")
        if len(data) != count * (1 if resolved.hasobject else resolved.itemsize):
            raise _Forbidden(f"an array of shape {shape} with {len(data)} bytes or items of content")
        super().__setstate__((1, shape, resolved, bool(fortran), data))  # type: ignore[arg-type]


class _DType:
    """A NumPy type by its code; `np.dtype` itself would also take states that are unsafe."""

    def __init__(self, code: Any, *_: Any) -> None:
        code = code.decode("latin1") if isinstance(code, bytes) else code
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise _Forbidden(f"the array type {code!r}")
        self._type = np.dtype(code)

    def __setstate__(self, state: Any, /) -> None:
        order, subtype, names, fields = state[1:5]
        order = order.decode("latin1") if isinstance(order, bytes) else order
        if order not in {"<", ">", "=", "|"} or (subtype, names, fields) != (None, None, None):
            raise _Forbidden("a structured array type")
        if order in {"<", ">"}:
            self._type = self._type.newbyteorder(order)  # type: ignore[arg-type]

    def resolve(self) -> np.dtype[Any]:
        return self._type


def _resolve(dtype: Any) -> np.dtype[Any]:
    if type(dtype) is not _DType:
        raise _Forbidden("an array without a type")
    return dtype.resolve()


def _size(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise _Forbidden(f"an array with the size {value!r}")
    return value


class _Unpickler(pickle.Unpickler):
    """Admits the names of `_ADMITTED`, each standing for a checked method of this class."""

    # Bound methods and C types: a pickle cannot set attributes on them, as it could on a class or function.
    _ADMITTED: ClassVar[dict[str, str]] = {
        **{
            f"numpy.{core}.multiarray.{name}": name for core in ("core", "_core") for name in ("_reconstruct", "scalar")
        },
        **{f"numpy.{core}.numeric._frombuffer": "_frombuffer" for core in ("core", "_core")},
        "numpy.ndarray": "_ndarray",
        "numpy.dtype": "_dtype",
        "_codecs.encode": "_encode",
        "collections.OrderedDict": "_ordered",
        "collections.defaultdict": "_default",
        **{
            f"{module}.{name}": f"_{name}"
            for module in ("builtins", "__builtin__")  # the latter is Python 2's
            for name in ("list", "dict", "set", "frozenset", "tuple", "complex", "bytes")
        },
    }
    _list, _dict, _set, _frozenset, _tuple, _complex = list, dict, set, frozenset, tuple, complex
    _ndarray = object()  # only ever handed back to `_reconstruct`, which knows what to make

    def find_class(self, module: str, name: str, /) -> Any:
        admitted = self._ADMITTED.get(f"{module}.{name}")
        if admitted is None or "." in name:
            raise _Forbidden(f"{module}.{name}")
        return getattr(self, admitted)

    def persistent_load(self, pid: Any, /) -> Any:
        raise _Forbidden("an object kept outside the file (persistent id)")

    def _reconstruct(self, *_: Any) -> _Array:
        return _Array((0,), dtype=np.uint8)

    def _dtype(self, code: Any, *_: Any) -> _DType:
        return _DType(code)

    def scalar(self, dtype: Any, data: Any) -> Any:
        resolved = _resolve(dtype)
        data = data.encode("latin1") if isinstance(data, str) else data
        if resolved.hasobject or not isinstance(data, bytes) or len(data) != resolved.itemsize:
            raise _Forbidden("a number whose content does not fit its type")
        return np.frombuffer(data, resolved)[0] if resolved.itemsize else resolved.type()

    def _frombuffer(self, data: Any, dtype: Any, shape: Any, order: Any) -> Any:
        resolved = _resolve(dtype)
        if resolved.hasobject or not isinstance(data, bytes | bytearray):
            raise _Forbidden("an array whose content does not fit its type")
        values = np.frombuffer(data, resolved) if resolved.itemsize else np.zeros(shape, resolved)
        return values.reshape(tuple(_size(s) for s in shape), order="F" if order == "F" else "C")

    def _encode(self, text: Any, encoding: Any = "latin1") -> bytes:
        # Other codecs decompress or transform; pickles of bytes under protocol 2 only ever name this one.
        if not isinstance(text, str) or encoding not in {"latin1", "latin-1"}:
            raise _Forbidden(f"_codecs.encode with {encoding!r}")
        return text.encode("latin1")

    def _bytes(self) -> bytes:
        return b""  # protocols 0 to 2 write an empty byte string so; with an argument the type could reserve any memory

    def _ordered(self, *items: Any) -> dict[Any, Any]:
        return dict(*items)

    def _default(self, factory: Any = None, *items: Any) -> dict[Any, Any]:
        if factory is not None and factory is not list and factory is not dict:
            raise _Forbidden("collections.defaultdict of anything but list or dict")
        return dict(*items)


def is_pickle(path: Path) -> bool:
    """Whether a file starts as pickles do with a container (any protocol)."""
    with path.open("rb") as file:
        start = file.read(2)
    return start[:1] == b"\x80" or start in {b"(d", b"(l", b"}q", b"]q"}


def load(path: Path | str) -> Any:
    """Read a pickle that holds only arrays, numbers, strings and containers.

    Ordered and default dictionaries come back as plain ones. Byte strings of Python 2 come back as text (Latin-1).

    Args:
        path: of the file, in any pickle protocol, from NumPy 1 or 2.

    Raises:
        DataError: the file is missing, damaged or cut short, or asks for anything else, which is named and never run.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            _scan(file)
            file.seek(0)
            return _Unpickler(file, encoding="latin1").load()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except _Forbidden as error:
        raise DataError(
            f"{path} asks for {error}, which no data file needs, so it was not loaded and nothing in it was run. If "
            "you trust its author, load it yourself and save arrays, lists, dictionaries and strings only"
        ) from error
    except Exception as error:
        raise DataError(
            f"{path} is not a readable pickle ({type(error).__name__}: {error}); it is damaged or cut short, or in "
            "another format: fetch it again and compare its size"
        ) from error


def _scan(file: io.BufferedReader) -> None:
    """Refuse memo numbers no writer produces: the interpreter would reserve memory up to the number, gigabytes even."""
    put: Callable[[str], bool] = {"PUT", "BINPUT", "LONG_BINPUT"}.__contains__
    for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
        if put(operation.name) and isinstance(argument, int) and argument > count:
            raise _Forbidden(f"memo entry {argument} after {count} steps")
