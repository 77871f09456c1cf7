"""Tables: CSV, TSV or JSON lines with text, label and split, and features in NumPy files beside them."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modashift.data.build import SPLIT_NAMES, Row, assemble, float_steps, group_of, origin
from modashift.data.classes import number_labels
from modashift.data.dataset import MODALITIES, Alignment, Dataset
from modashift.errors import DataError

__all__ = ["SUFFIXES", "read_table"]

SUFFIXES = (".csv", ".tsv", ".jsonl")
_GROUPS = ("group", "video", "video_id", "speaker")


def read_table(
    path: Path | str,
    split: str | None = None,
    arrays: Path | str | None = None,
    classes: Sequence[str] | None = None,
) -> Dataset:
    """Read a table with one utterance a row.

    Columns: ``id`` and ``text``; ``label`` (empty where unknown; may be absent), a score or, where no label is a
    number, the name of a class; ``split`` (train, dev or valid, test) unless given here; ``group``, ``video``,
    ``video_id`` or ``speaker``, else the VIDEO of an id ``VIDEO_k``; ``words`` (a list, in CSV as JSON or separated by
    spaces; else the text split at white space; of entries that are lists, as [word, start, end], the first is taken);
    and ``linguistic``, ``visual``, ``acoustic`` with the path of a ``.npy`` file relative to the table, empty where the
    modality is missing. Further columns are ignored.

    Features may come from one ``.npz`` file instead: ``ids`` and, by modality, ``visual`` (n, D) with one vector each,
    or ``visual`` (ΣT, D) with ``visual_offsets`` (n + 1,); and ``visual_columns`` with names, where known.

    Vectors are aligned with the ``utterance``; matrices with as many steps as words, in every utterance, with the
    ``word``; others are ``frame``.

    Args:
        path: ``.csv``, ``.tsv`` or ``.jsonl``, in UTF-8.
        split: of all rows, where the table has no such column.
        arrays: the ``.npz`` file; one beside the table with the same name is found by itself.
        classes: names of the classes in their order, where the labels are classes; sorted by name where not given.

    Raises:
        DataError: naming the file, line and column, and what to do.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path}: a table ends in {', '.join(SUFFIXES)}")
    if split is not None and split not in SPLIT_NAMES:
        raise DataError(f"split {split!r} is not one of train, dev, test")
    beside = path.with_suffix(".npz")
    source = Path(arrays) if arrays is not None else beside if beside.is_file() else None
    rows, shapes, files = [], {m: set[int]() for m in MODALITIES}, [path]
    labels: list[str | None] = []
    places: list[str] = []
    columns: dict[str, tuple[str, ...]] = {}
    lookup: Mapping[str, Callable[[str], NDArray[Any] | None]] = {}
    if source is not None:
        lookup, columns = _open_arrays(source)
        files.append(source)
    for where, record in _records(path):
        row = _row(record, where, split)
        label = record.get("label")
        if not isinstance(label, str | int | float | None):
            raise DataError(f"{where}, label: {label!r} is neither a number nor the name of a class")
        labels.append(None if label is None or str(label).strip() == "" else str(label).strip())
        places.append(where)
        for modality in MODALITIES:
            name = record.get(modality)
            if name and modality in lookup:
                raise DataError(f"{where}, {modality}: features are in {source} as well; give them once")
            values = _load(path.parent / str(name), where) if name else None
            if values is None and modality in lookup:
                values = lookup[modality](row.id)
            if values is not None:
                shapes[modality].add(values.ndim)
                row.features[modality] = float_steps(values, f"{where}, {modality}")
        rows.append(row)
    scores, names = number_labels(labels, places, classes)
    for row, score in zip(rows, scores.tolist()):
        row.label = score
    given = {"split": split, "arrays": source.name if source else None, "classes": classes and list(classes)}
    alignments = {m: _alignment(rows, m, shapes[m], path) for m in MODALITIES if shapes[m]}
    return assemble(path.stem, rows, alignments, origin(path, "table", (), files, **given), columns, names)


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows as dictionaries, with file and line for messages."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix == ".jsonl":
                for number, line in enumerate(file, 1):
                    if line.strip():
                        yield f"{path}, line {number}", _json_object(line, f"{path}, line {number}")
                return
            reader = csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",", strict=True)
            for record in reader:
                where = f"{path}, line {reader.line_num}"
                if None in record or None in record.values():
                    raise DataError(
                        f"{where}: not as many fields as the header has columns; put fields with commas in quotes"
                    )
                yield where, record
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path}: not a readable table ({error})") from error


def _json_object(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error})") from error
    if not isinstance(record, dict):
        raise DataError(f"{where}: expected an object with id, text, label, split")
    return record


def _row(record: dict[str, Any], where: str, split: str | None) -> Row:
    for key in ("id", "text"):
        if record.get(key) is None or (key == "id" and record[key] == ""):
            raise DataError(f"{where}: no {key}; a table needs the columns id and text (found: {', '.join(record)})")
    identifier, text = str(record["id"]), str(record["text"])
    named = str(record.get("split") or "").strip().lower() or split
    if named is None:
        raise DataError(f"{where}: no split; add a column split with train, dev or test, or give one for all rows")
    if named not in SPLIT_NAMES:
        raise DataError(f"{where}, split: {named!r} is not one of train, dev (or valid), test")
    group = next((str(record[key]) for key in _GROUPS if record.get(key) not in {None, ""}), group_of(identifier))
    return Row(identifier, group, SPLIT_NAMES[named], float("nan"), text, _words(record.get("words"), text, where))


def _words(given: Any, text: str, where: str) -> list[str]:
    if given is None or given == "":
        return text.split()
    if isinstance(given, str):
        if not given.lstrip().startswith("["):
            return given.split()
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise DataError(f"{where}, words: neither a JSON list nor words separated by spaces") from None
    words = [word[0] if isinstance(word, list) and word else word for word in given] if isinstance(given, list) else []
    if not isinstance(given, list) or not all(isinstance(word, str) for word in words):
        raise DataError(f"{where}, words: expected a list of strings")
    return words


def _load(path: Path, where: str) -> NDArray[Any]:
    try:
        values = np.load(path, allow_pickle=False)
    except Exception as error:  # of NumPy, zipfile or zlib, by where the damage is
        raise DataError(f"{where}: cannot read the array {path} ({error}); write it with numpy.save") from error
    if not isinstance(values, np.ndarray):
        raise DataError(f"{where}: {path} holds several arrays; in this column give one .npy file")
    return values


def _open_arrays(
    path: Path,
) -> tuple[dict[str, Callable[[str], NDArray[Any] | None]], dict[str, tuple[str, ...]]]:
    """Of a ``.npz`` file, by modality: a function from id to features, and the names of the columns."""
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {key: file[key] for key in file.files}
    except Exception as error:  # of NumPy, zipfile or zlib, by where the damage is
        raise DataError(f"cannot read the arrays {path} ({error}); write them with numpy.savez") from error
    if "ids" not in content or not set(content) & set(MODALITIES):
        raise DataError(f"{path}: expected ids and {' or '.join(MODALITIES)}; found {', '.join(content)}")
    row_of = {str(identifier): k for k, identifier in enumerate(content["ids"])}
    if len(row_of) != len(content["ids"]):
        raise DataError(f"{path}, ids: an id occurs more than once")
    lookup, columns = {}, {}
    for modality in MODALITIES:
        if modality in content:
            lookup[modality] = _finder(content, modality, row_of, path)
            columns[modality] = tuple(str(c) for c in content.get(f"{modality}_columns", ()))
            width = content[modality].shape[-1]
            if columns[modality] and len(columns[modality]) != width:
                raise DataError(
                    f"{path}, {modality}_columns: {len(columns[modality])} names for {width} columns of {modality}"
                )
    return lookup, columns


def _finder(
    content: Mapping[str, NDArray[Any]], modality: str, row_of: Mapping[str, int], path: Path
) -> Callable[[str], NDArray[Any] | None]:
    values, offsets = content[modality], content.get(f"{modality}_offsets")
    if values.ndim != 2:
        raise DataError(f"{path}, {modality}: expected a matrix, found shape {values.shape}")
    if offsets is None:
        if len(values) != len(row_of):
            raise DataError(f"{path}, {modality}: {len(values)} rows for {len(row_of)} ids; add {modality}_offsets")
        return lambda identifier: values[row_of[identifier]] if identifier in row_of else None
    if (
        offsets.shape != (len(row_of) + 1,)
        or offsets.dtype.kind not in "iu"
        or offsets[0] != 0
        or offsets[-1] != len(values)
        or (np.diff(offsets.astype(np.int64)) < 0).any()
    ):
        raise DataError(f"{path}, {modality}_offsets: expected {len(row_of) + 1} rising whole numbers to {len(values)}")
    spans = {identifier: slice(int(offsets[k]), int(offsets[k + 1])) for identifier, k in row_of.items()}
    return lambda identifier: values[spans[identifier]] if identifier in spans else None


def _alignment(rows: list[Row], modality: str, dimensions: set[int], path: Path) -> Alignment:
    if dimensions == {1}:
        return "utterance"
    if dimensions != {2}:
        raise DataError(f"{path}, {modality}: some arrays are vectors and some matrices; make them all the same")
    present = [row for row in rows if len(row.features.get(modality, ()))]
    return "word" if all(len(row.features[modality]) == len(row.words) for row in present) else "frame"
