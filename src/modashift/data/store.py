"""The store: a folder with one file of flat arrays, memory-mapped, and one of facts about them.

``arrays.safetensors`` is in the safetensors format: the length of a JSON header, the header, then the arrays one after
the other. Opening parses the header and maps the file, so it costs the same for any size; values are read from disk
when they are asked for. ``store.json`` names the version, the columns, the hash of the arrays and where they came from.
"""

import hashlib
import json
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from modashift.data.build import file_sha256
from modashift.data.dataset import ALIGNMENTS, MODALITIES, SPLITS, Dataset, Feature, Strings
from modashift.data.states import columns_from_json, columns_to_json
from modashift.data.validate import check
from modashift.errors import DataError

__all__ = ["ARRAYS_FILE", "STORE_FILE", "Words", "open_store", "verify_store", "write_store"]

STORE_FILE = "store.json"
ARRAYS_FILE = "arrays.safetensors"
VERSION = 1
CHUNK = 1 << 16  # rows written at a time

_DTYPES: Mapping[str, np.dtype[Any]] = {
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "U8": np.dtype("u1"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_VALUES = (np.dtype("<f4"), np.dtype("<f2"))  # of features
_STRINGS = ("ids", "groups", "texts", "words")


@dataclass(frozen=True)
class Words(Sequence[Sequence[str]]):
    """The words of each utterance, decoded when asked for.

    Attributes:
        flat: all words of all utterances.
        rows: (n + 1,) utterance i has words ``rows[i]`` to ``rows[i + 1]``.
    """

    flat: Strings
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows) - 1

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        row = int(row)
        if row < 0:
            row += len(self)
        if not 0 <= row < len(self):
            raise IndexError(row)
        return tuple(self.flat[int(self.rows[row]) : int(self.rows[row + 1])])


def write_store(dataset: Dataset, path: Path | str) -> None:
    """Write a data set as a store, whole or not at all; an older store of that name is replaced.

    Args:
        dataset: without errors by `check`, since opening a store does not scan it again.
        path: of the folder, ``*.store`` by custom.

    Raises:
        DataError: the path holds something other than a store or cannot be written, or the data set has errors.
    """
    from modashift import __version__

    path = Path(path)
    if path.exists() and not (path / STORE_FILE).is_file():
        raise DataError(f"{path} exists and is no store, so it is not overwritten; choose another name")
    check(dataset).raise_errors()
    arrays = _arrays(dataset)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        workspace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from error
    try:
        new = workspace / "new"
        new.mkdir()
        with (new / ARRAYS_FILE).open("wb") as file:
            digest = _write_arrays(file, arrays)
        facts = {
            "version": VERSION,
            "modashift": __version__,
            "name": dataset.name,
            "utterances": len(dataset),
            **({"classes": list(dataset.classes)} if dataset.classes else {}),
            "features": {
                m: {
                    "dim": f.dim,
                    "alignment": f.alignment,
                    "columns": columns_to_json(f.columns),
                    "steps": len(f.values),
                }
                for m, f in dataset.features.items()
            },
            "splits": {split: int((dataset.splits == split).sum()) for split in SPLITS},
            "arrays": {"file": ARRAYS_FILE, "bytes": (new / ARRAYS_FILE).stat().st_size, "sha256": digest},
            "provenance": {key: value for key, value in dataset.provenance.items() if key != "store"},
        }
        (new / STORE_FILE).write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        if path.exists():
            path.rename(workspace / "old")
        new.rename(path)
    except OSError as error:
        if not path.exists() and (workspace / "old").exists():
            (workspace / "old").rename(path)
        raise DataError(f"cannot write {path}: {error.strerror}") from error
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def open_store(path: Path | str) -> Dataset:
    """Open a store without reading its values: the arrays are mapped into memory and read-only.

    The provenance of the data set gains ``store``, with the hash of the arrays.

    Raises:
        DataError: not a store, of a newer version, cut short or inconsistent. Changed values are found by
            `verify_store` only, since it has to read them all.
    """
    path = Path(path)
    facts = _facts(path)
    arrays = _map_arrays(path / ARRAYS_FILE, int(facts["arrays"]["bytes"]))
    try:
        return _dataset(facts, arrays)
    except _Inconsistent as error:
        raise DataError(f"{path}: {error}; write the store again from its source") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DataError(
            f"{path}: {STORE_FILE} and {ARRAYS_FILE} do not fit together ({type(error).__name__}: {error}); write the "
            "store again from its source"
        ) from error


def verify_store(path: Path | str) -> None:
    """Read all of a store and compare it with the hash it was written with.

    Raises:
        DataError: it cannot be opened, or its values were changed.
    """
    path = Path(path)
    open_store(path)
    expected, found = _facts(path)["arrays"]["sha256"], file_sha256(path / ARRAYS_FILE)
    if found != expected:
        raise DataError(
            f"{path / ARRAYS_FILE} was changed or damaged: its SHA-256 is {found} and should be {expected}; write the "
            "store again from its source"
        )


class _Inconsistent(Exception):
    """Says what does not fit."""


def _arrays(dataset: Dataset) -> dict[str, NDArray[Any]]:
    words = Strings.pack(word for row in dataset.words for word in row)
    rows = np.zeros(len(dataset) + 1, dtype=np.int64)
    rows[1:] = np.cumsum([len(row) for row in dataset.words])
    arrays: dict[str, NDArray[Any]] = {
        "labels": np.asarray(dataset.labels, dtype="<f8"),
        "splits": np.array([SPLITS.index(str(s)) for s in dataset.splits], dtype=np.uint8),
        "words.rows": rows,
    }
    strings = (dataset.ids, dataset.groups, dataset.texts, words)
    for name, given in zip(_STRINGS, strings):
        packed = given if isinstance(given, Strings) else Strings.pack(given)
        arrays[f"{name}.blob"], arrays[f"{name}.offsets"] = packed.blob, packed.offsets
    for modality, feature in dataset.features.items():
        values = feature.values
        arrays[f"{modality}.values"] = values if values.dtype in _VALUES else values.astype(np.float32)
        arrays[f"{modality}.offsets"] = np.asarray(feature.offsets, dtype="<i8")
    # Wide items first keeps every array at an address that is a multiple of its item size, without gaps.
    return dict(sorted(arrays.items(), key=lambda pair: (-pair[1].dtype.itemsize, pair[0])))


def _write_arrays(file: IO[bytes], arrays: Mapping[str, NDArray[Any]]) -> str:
    header: dict[str, dict[str, Any]] = {}
    position = 0
    for key, array in arrays.items():
        kind = _NAMES[array.dtype.newbyteorder("<")]
        header[key] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [position, position + array.nbytes]}
        position += array.nbytes
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    digest = hashlib.sha256()

    def put(data: bytes | memoryview) -> None:
        digest.update(data)
        file.write(data)

    put(len(encoded).to_bytes(8, "little"))
    put(encoded)
    for key, array in arrays.items():
        for start in range(0, len(array), CHUNK):
            part = np.ascontiguousarray(array[start : start + CHUNK], dtype=_DTYPES[header[key]["dtype"]])
            put(part.reshape(-1).view(np.uint8).data)
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()


def _facts(path: Path) -> dict[str, Any]:
    file = path / STORE_FILE
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        version, _, _ = facts["version"], int(facts["arrays"]["bytes"]), facts["arrays"]["sha256"]
    except OSError as error:
        raise DataError(f"{path} is not a store: cannot read {STORE_FILE} ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{file} is damaged ({error}); write the store again from its source") from error
    if version != VERSION:
        raise DataError(
            f"{path} is a store of version {version}, this release reads version {VERSION}; "
            + ("update modashift" if isinstance(version, int) and version > VERSION else "import the data again")
        )
    return dict(facts)


def _map_arrays(path: Path, expected: int) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != expected or size < 8:
                raise DataError(f"{path} has {size} bytes and should have {expected}; it was cut short: copy it again")
            memory = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    start = 8 + int.from_bytes(memory[:8].tobytes(), "little")
    try:
        header = json.loads(memory[8:start].tobytes())
        arrays = {}
        for key, entry in header.items():
            if key == "__metadata__":
                continue
            dtype: np.dtype[Any] = _DTYPES[entry["dtype"]]
            shape = tuple(int(s) for s in entry["shape"])
            first, last = (int(o) for o in entry["data_offsets"])
            if not 0 <= first <= last <= size - start:
                raise ValueError(f"{key} lies outside the file")
            arrays[key] = memory[start + first : start + last].view(dtype).reshape(shape)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise DataError(f"{path} is damaged ({error}); write the store again from its source") from error
    return arrays


def _dataset(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Dataset:
    n = int(facts["utterances"])
    labels, codes = arrays["labels"], arrays["splits"]
    for key in ("labels", *(f"{name}.blob" for name in _STRINGS)):
        if arrays[key].ndim != 1 or arrays[key].dtype != (np.float64 if key == "labels" else np.uint8):
            raise _Inconsistent(f"{key} are of another type ({arrays[key].dtype})")
    if labels.shape != (n,) or codes.shape != (n,):
        raise _Inconsistent(f"{n} utterances but {labels.shape} labels and {codes.shape} splits")
    if (codes >= len(SPLITS)).any():
        raise _Inconsistent("a split code is unknown")
    strings = {
        key: Strings(arrays[f"{key}.blob"], _offsets(arrays, key, len(arrays[f"{key}.blob"]))) for key in _STRINGS
    }
    for key in ("ids", "groups", "texts"):
        if len(strings[key]) != n:
            raise _Inconsistent(f"{n} utterances but {len(strings[key])} {key}")
    words = Words(strings["words"], arrays["words.rows"])
    _rising(words.rows, len(strings["words"]), "words.rows")
    if len(words) != n:
        raise _Inconsistent(f"{n} utterances but words of {len(words)}")
    features = {}
    for modality, about in _features(facts):
        values = arrays[f"{modality}.values"]
        if values.ndim != 2 or values.dtype not in _VALUES or values.shape[1] != about["dim"]:
            raise _Inconsistent(f"{modality} features of shape {values.shape} instead of {about['dim']} columns")
        offsets = _offsets(arrays, modality, len(values))
        if len(offsets) != n + 1:
            raise _Inconsistent(f"{n} utterances but {modality} features of {len(offsets) - 1}")
        columns = columns_from_json(about["columns"])
        if columns and len(columns) != values.shape[1]:
            raise _Inconsistent(f"{modality} features of {values.shape[1]} columns but names of {len(columns)}")
        features[modality] = Feature(values, offsets, about["alignment"], columns)
    provenance = {**facts["provenance"], "store": {"sha256": facts["arrays"]["sha256"]}}
    return Dataset(
        name=str(facts["name"]),
        ids=strings["ids"],
        groups=strings["groups"],
        splits=np.array(SPLITS)[codes],
        labels=labels,
        texts=strings["texts"],
        words=words,
        features=features,
        provenance=provenance,
        classes=_classes(facts, labels),
    )


def _classes(facts: Mapping[str, Any], labels: NDArray[np.float64]) -> tuple[str, ...]:
    """Names of the classes; a store of scores, and any older store, has none."""
    classes = facts.get("classes", [])
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise _Inconsistent("its classes are no list of names")
    if classes and (labels >= len(classes)).any():
        raise _Inconsistent(f"a label is beyond its {len(classes)} classes")
    return tuple(classes)


def _features(facts: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    given = facts["features"]
    for modality in given:
        if modality not in MODALITIES:
            raise _Inconsistent(f"{modality!r} is no modality")
        if given[modality]["alignment"] not in ALIGNMENTS:
            raise _Inconsistent(f"{modality} features have the unknown alignment {given[modality]['alignment']!r}")
        yield modality, given[modality]


def _offsets(arrays: Mapping[str, NDArray[Any]], key: str, total: int) -> NDArray[np.int64]:
    offsets = arrays[f"{key}.offsets"]
    _rising(offsets, total, f"{key}.offsets")
    return offsets


def _rising(offsets: NDArray[Any], total: int, key: str) -> None:
    wrong = offsets.ndim != 1 or offsets.dtype != np.int64 or not len(offsets)
    if wrong or offsets[0] != 0 or offsets[-1] != total or (offsets[1:] < offsets[:-1]).any():
        raise _Inconsistent(f"{key} does not rise from 0 to {total}")
