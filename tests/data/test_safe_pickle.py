import collections
import os
import pickle
import pickletools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modashift.data import safe_pickle
from modashift.errors import DataError

HARMLESS: dict[str, Any] = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big endian": np.arange(3, dtype=">i4"),
    "big endian float": np.array([1.5, -2.0], dtype=">f8"),
    "bool": np.array([True, False]),
    "no rows": np.zeros((0, 3), dtype=np.float32),
    "no dimension": np.array(3.5),
    "text": np.array(["a", "été", ""]),
    "bytes array": np.array([b"a", b"bcd"]),
    "objects": np.array(["a", "bb", None], dtype=object),
    "nested objects": np.array([np.zeros(2), [1, 2]], dtype=object),
    "float": np.float32(3),
    "text number": np.str_("q"),
    "empty text number": np.str_(""),
    "integer": np.int64(-7),
    "bytes": b"ab\xff",
    "empty bytes": b"",
    "set": {1, 2},
    "frozenset": frozenset({1}),
    "complex": 1 + 2j,
    "ordered": collections.OrderedDict(b=1, a=2),
    "default": collections.defaultdict(list, a=[1]),
    "nested": {"train": [((["w"], np.ones((1, 2))), np.array([[1.0]]), "v[0]")], "n": None, "big": 2**70},
}


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        if a.dtype == object:
            return a.shape == b.shape and all(equal(x, y) for x, y in zip(a.ravel(), b.ravel()))
        native = a.dtype.newbyteorder("="), b.dtype.newbyteorder("=")
        return native[0] == native[1] and a.shape == b.shape and np.array_equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", HARMLESS)
def test_data_come_back_as_they_were(tmp_path: Path, name: str, protocol: int) -> None:
    path = write(tmp_path / "x.pkl", pickle.dumps(HARMLESS[name], protocol))
    assert equal(HARMLESS[name], safe_pickle.load(path))


@pytest.mark.parametrize("protocol", [0, 2])
def test_files_of_numpy_1_and_2_are_read(tmp_path: Path, protocol: int) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    ours = pickle.dumps([array, np.float64(2.5)], protocol)
    assert (b"numpy._core" in ours) != (b"numpy.core" in ours)
    for core in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        data = ours.replace(b"numpy._core.multiarray", core).replace(b"numpy.core.multiarray", core)
        assert equal([array, np.float64(2.5)], safe_pickle.load(write(tmp_path / "x.pkl", data)))


def test_numpy_1_names_in_later_protocols(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    for protocol, name in ((4, b"multiarray"), (5, b"numeric")):
        data = pickle.dumps(array, protocol)
        old, new = b"numpy._core." + name, b"numpy.core." + name
        assert b"\x8c" + bytes([len(old)]) + old in data
        data = data.replace(b"\x8c" + bytes([len(old)]) + old, b"\x8c" + bytes([len(new)]) + new)
        position = data.index(b"\x95")  # the frame is shorter by what the name lost
        (length,) = struct.unpack_from("<Q", data, position + 1)
        frame = struct.pack("<Q", length - len(old) + len(new))
        data = data[: position + 1] + frame + data[position + 9 :]
        assert equal(array, safe_pickle.load(write(tmp_path / "x.pkl", data)))


def test_python_2_files_are_read(tmp_path: Path) -> None:
    # {'a': 'caf\xe9', 'x': numpy.array([1, 2], '<i2')} as Python 2 writes it, protocol 2: byte strings throughout
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\n"
        b"U\x02i2K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04\x01\x00\x02\x00tb"
    )
    data = b"\x80\x02}(U\x01aU\x04caf\xe9U\x01x" + array + b"u."
    found = safe_pickle.load(write(tmp_path / "x.pkl", data))
    assert found["a"] == "café"
    assert found["x"].tolist() == [1, 2]


def call(module: str, name: str, *arguments: Any) -> bytes:
    """Protocol 2 pickle that calls module.name(*arguments)."""
    packed = pickle.dumps(arguments, 2)[2:-1]
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + packed + b"R."


def stack_global(module: str, name: str, argument: str) -> bytes:
    def text(s: str) -> bytes:
        return b"\x8c" + bytes([len(s)]) + s.encode()

    return b"\x80\x04" + text(module) + b"\x94" + text(name) + b"\x94\x93" + text(argument) + b"\x85R."


class Runs:
    """Creates a file when unpickled by the standard library."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (self.marker,)


HOSTILE = {
    "os.system": ("os.system", lambda m: call("os", "system", f"mkdir {m}")),
    "posix.mkdir": ("posix.mkdir", lambda m: call("posix", "mkdir", m)),
    "eval": ("eval", lambda m: call("builtins", "eval", f"__import__('os').mkdir({m!r})")),
    "eval of Python 2": ("eval", lambda m: call("__builtin__", "eval", f"__import__('os').mkdir({m!r})")),
    "getattr": ("builtins.getattr", lambda m: call("builtins", "getattr", [], "append")),
    "import": ("builtins.__import__", lambda m: call("builtins", "__import__", "os")),
    "dotted name": ("numpy.", lambda m: stack_global("numpy", "ndarray.tofile", m)),
    "dotted os": ("numpy", lambda m: stack_global("numpy.core.multiarray", "os.mkdir", m)),
    "stack global": ("os.mkdir", lambda m: stack_global("os", "mkdir", m)),
    "numpy fromfile": ("fromfile", lambda m: call("numpy.core.multiarray", "fromfile", m)),
    "numpy load": ("numpy.load", lambda m: call("numpy", "load", m)),
    "numpy memmap": ("numpy.memmap", lambda m: call("numpy", "memmap", m, "uint8", "w+", 0, 1)),
    "numpy testing": ("runstring", lambda m: call("numpy.testing._private.utils", "runstring", "x=1", {})),
    "numpy f2py": ("numpy.f2py", lambda m: call("numpy.f2py.crackfortran", "myeval", "1")),
    "copyreg": ("copyreg._reconstructor", lambda m: b"\x80\x02ccopyreg\n_reconstructor\n."),
    "copy_reg": ("copy_reg.", lambda m: b"\x80\x02ccopy_reg\n_reconstructor\n."),
    "operator": ("operator.attrgetter", lambda m: call("operator", "attrgetter", "__class__")),
    "functools": ("functools.partial", lambda m: call("functools", "partial", 1)),
    "bytearray": ("builtins.bytearray", lambda m: call("builtins", "bytearray", 1 << 40)),
    "old instance": ("os.mkdir", lambda m: b"(S'" + m.encode() + b"'\nios\nmkdir\n."),
    "object opcode": ("os.mkdir", lambda m: b"(cos\nmkdir\nS'" + m.encode() + b"'\no."),
    "in an object array": ("posix.mkdir", lambda m: pickle.dumps(np.array([1, Runs(m)], dtype=object), 4)),
    "in a set": ("posix.mkdir", lambda m: pickle.dumps({"a": [(1, Runs(m))]}, 2)),
    "codec": ("_codecs.encode", lambda m: call("_codecs", "encode", "abc", "rot13")),
    "default dictionary": ("defaultdict", lambda m: call("collections", "defaultdict", "x")),
    "persistent id": ("persistent id", lambda m: b"\x80\x02U\x01aQ."),
    "persistent id as text": ("persistent id", lambda m: b"Pname\n."),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_by_name_and_nothing_runs(tmp_path: Path, name: str) -> None:
    expected, build = HOSTILE[name]
    marker = tmp_path / "marker"
    path = write(tmp_path / "x.pkl", build(str(marker)))
    with pytest.raises(DataError, match="nothing in it was run") as error:
        safe_pickle.load(path)
    assert expected in str(error.value)
    assert str(path) in str(error.value)
    assert not marker.exists()


def test_the_marker_would_appear_without_protection(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps([Runs(str(marker))]))
    assert marker.exists()


DTYPE = b"cnumpy\ndtype\n(S'%s'\nI00\nI01\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
EMPTY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"


def array_with(shape: bytes, dtype: bytes, content: bytes) -> bytes:
    return EMPTY + b"(I1\n(" + shape + b"t" + dtype + b"I00\n" + content + b"tb."


UNSAFE = {
    "objects from raw bytes": array_with(b"I1\n", DTYPE % b"O8", b"S'AAAAAAAA'\n"),
    "shape beyond the content": array_with(b"I1000\n", DTYPE % b"f8", b"S'AAAAAAAA'\n"),
    "negative size": array_with(b"I-1\n", DTYPE % b"f8", b"S'AAAAAAAA'\n"),
    "size that is no number": array_with(b"S'a'\n", DTYPE % b"f8", b"S'AAAAAAAA'\n"),
    "list for numbers": array_with(b"I1\n", DTYPE % b"f8", b"(lI1\na"),
    "content that is neither": array_with(b"I1\n", DTYPE % b"f8", b"I5\n"),
    "no type": array_with(b"I1\n", b"I5\n", b"S'AAAAAAAA'\n"),
    "type by expression": array_with(b"I1\n", DTYPE % b"f8,O", b"S'AAAAAAAA'\n"),
    "dates": array_with(b"I1\n", DTYPE % b"M8", b"S'AAAAAAAA'\n"),
    "fields": b"cnumpy\ndtype\n(S'f8'\nI00\nI01\ntR(I3\nS'<'\nN(S'a'\nt(dI-1\nI-1\nI0\ntb.",
    "number of objects": b"cnumpy.core.multiarray\nscalar\n(" + DTYPE % b"O8" + b"S'AAAAAAAA'\ntR.",
    "number of another size": b"cnumpy.core.multiarray\nscalar\n(" + DTYPE % b"f8" + b"S'AAAA'\ntR.",
    "buffer of objects": b"cnumpy.core.numeric\n_frombuffer\n(S'AAAAAAAA'\n" + DTYPE % b"O8" + b"(I1\ntS'C'\ntR.",
    "memo without bound": b"\x80\x02]r\xff\xff\xff\xf0.",
}


@pytest.mark.parametrize("name", UNSAFE)
def test_states_that_would_corrupt_memory_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError):
        safe_pickle.load(write(tmp_path / "x.pkl", UNSAFE[name]))


def test_a_pickle_cannot_change_the_loader(tmp_path: Path) -> None:
    # BUILD with a state for attributes, on each admitted name
    for name in ("numpy\nndarray", "numpy\ndtype", "collections\nOrderedDict", "numpy.core.multiarray\n_reconstruct"):
        data = b"\x80\x02c" + name.encode() + b"\nN}U\x08__call__K\x01s\x86b."
        with pytest.raises(DataError):
            safe_pickle.load(write(tmp_path / "x.pkl", data))
    assert equal(HARMLESS["nested"], safe_pickle.load(write(tmp_path / "y.pkl", pickle.dumps(HARMLESS["nested"]))))


def test_every_global_of_a_real_file_is_admitted(mosi: Path) -> None:
    for name in ("misa_dev.pkl", "mag_format.pkl", "mmsa_format.pkl"):
        theirs = pickle.loads((mosi / name).read_bytes())
        ours = safe_pickle.load(mosi / name)
        assert equal(theirs, ours)


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x80\x04", b"garbage", b"\x80\x63.", b"\x00" * 40, b"\x80\x02}."[:-1]]
)
def test_garbage_is_named(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path / "bad.pkl", data)
    with pytest.raises(DataError, match=r"bad\.pkl"):
        safe_pickle.load(path)


def test_truncated_anywhere(tmp_path: Path) -> None:
    data = pickle.dumps(HARMLESS["nested"], 4)
    for length in range(0, len(data), 3):
        with pytest.raises(DataError, match=r"x\.pkl"):
            safe_pickle.load(write(tmp_path / "x.pkl", data[:length]))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.pkl"):
        safe_pickle.load(tmp_path / "none.pkl")
    with pytest.raises(DataError, match="cannot read"):
        safe_pickle.load(tmp_path)


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_are_recognised(tmp_path: Path, protocol: int) -> None:
    for value in ({"train": 1}, [1]):
        assert safe_pickle.is_pickle(write(tmp_path / "x.pkl", pickle.dumps(value, protocol)))
    assert not safe_pickle.is_pickle(write(tmp_path / "x.csv", b"id,text"))


SAMPLES = [
    pickle.dumps({"train": [((["a"], np.ones((1, 2), np.float32)), np.array([[1.0]]), "v[0]")]}, p)
    for p in (0, 2, 4, 5)
]
SAMPLES += [pickle.dumps({"o": np.array(["a", None], dtype=object), "s": np.float64(1), "b": b"x"}, p) for p in (2, 4)]
SAMPLES += [pickletools.optimize(SAMPLES[2])]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_mutations_raise_nothing_but_data_errors(
    tmp_path: Path, sample: bytes, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(sample)
    for where, value in changes:
        data[int(where * (len(data) - 1))] = value
    path = write(tmp_path / "x.pkl", bytes(data))
    try:
        found = safe_pickle.load(path)
    except DataError:
        return
    assert isinstance(repr(found), str)  # whatever was read can be looked at
