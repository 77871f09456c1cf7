"""Words with times from tables: .csv, .tsv and .json."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modashift.errors import DataError
from modashift.extract.recording import TimedWord
from modashift.extract.words.texts import read_text

__all__ = ["read_json_words", "read_table_words"]

_NAMES = {
    "text": ("word", "text", "token", "label", "name"),
    "start": ("start", "begin", "onset", "xmin", "start_time", "tmin", "from"),
    "end": ("end", "stop", "offset", "xmax", "end_time", "tmax", "to"),
    "confidence": ("confidence", "probability", "score", "conf", "prob"),
}


def read_table_words(path: Path) -> tuple[TimedWord, ...]:
    """Words of a .csv or .tsv file with a header that names word, start and end (seconds), and maybe confidence.

    Without a header, three columns are taken as word, start, end, or start, end, word, by which of them are numbers.

    Raises:
        DataError: naming the line that cannot be read.
    """
    text = read_text(path)
    first = text.split("\n", 1)[0]
    separator = "\t" if "\t" in first else ";" if ";" in first and "," not in first else ","
    if separator == "\t":  # quotation marks are text there
        reader = csv.reader(io.StringIO(text), delimiter=separator, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(io.StringIO(text), delimiter=separator)
    rows: list[tuple[int, list[str]]] = []
    try:
        rows.extend((reader.line_num, row) for row in reader if any(cell.strip() for cell in row))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error
    if not rows:
        raise DataError(f"{path} is empty; a header such as word,start,end is expected")
    columns = _columns([cell.strip().lower() for cell in rows[0][1]])
    if columns is None:
        columns = _by_numbers(rows[0][1])
        if columns is None:
            raise DataError(
                f"{path}, line {rows[0][0]}: the columns word, start and end are expected, not {rows[0][1]}"
            )
    else:
        rows = rows[1:]
    return _ordered(path, _table_words(path, rows, columns))


def _columns(header: Sequence[str]) -> dict[str, int] | None:
    found = {what: at for what, names in _NAMES.items() for name in reversed(names) for at in _places(header, name)}
    return found if {"text", "start", "end"} <= set(found) else None


def _places(header: Sequence[str], name: str) -> list[int]:
    return [header.index(name)] if name in header else []


def _by_numbers(row: Sequence[str]) -> dict[str, int] | None:
    numbers = [_is_number(cell) for cell in row[:3]]
    if numbers == [False, True, True]:
        return {"text": 0, "start": 1, "end": 2}
    if numbers[:2] == [True, True] and len(row) >= 3:
        return {"start": 0, "end": 1, "text": 2}
    return None


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _table_words(
    path: Path, rows: Sequence[tuple[int, list[str]]], columns: Mapping[str, int]
) -> Iterator[tuple[str, TimedWord]]:
    for line, row in rows:
        where = f"{path}, line {line}"
        if len(row) <= max(columns[what] for what in ("text", "start", "end")):
            raise DataError(f"{where}: {len(row)} columns are too few")
        values = {what: row[at] for what, at in columns.items() if at < len(row)}
        yield where, _word(where, values)


def read_json_words(path: Path) -> tuple[TimedWord, ...]:
    """Words of a .json file: a list of objects or of [word, start, end] rows, or an object with such a list in it.

    The list may stand under ``words``, or be spread over ``segments`` that each have ``words``, as Whisper writes it.

    Raises:
        DataError: it is no JSON, or has no words; the line or the number of the word is named.
    """
    text = read_text(path)
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from error
    except RecursionError as error:
        raise DataError(f"{path}, line 1: nested too deep") from error
    rows = _rows(data)
    if rows is None:
        raise DataError(f'{path}, line 1: a list of words with start and end is expected, alone or under "words"')
    words = []
    for number, row in enumerate(rows, 1):
        where = f"{path}, word {number}"
        if isinstance(row, Mapping):
            columns = _columns([str(key).lower() for key in row])
            if columns is None:
                raise DataError(f"{where}: word, start and end are expected, not {', '.join(map(str, row))}")
            values = list(row.values())
            words.append((where, _word(where, {what: values[at] for what, at in columns.items()})))
        elif isinstance(row, list) and len(row) >= 3:
            words.append((where, _word(where, dict(zip(("text", "start", "end", "confidence"), row)))))
        else:
            raise DataError(f"{where}: an object or [word, start, end] is expected")
    return _ordered(path, words)


def _rows(data: Any) -> list[Any] | None:
    if isinstance(data, Mapping):
        if isinstance(data.get("words"), list):
            return list(data["words"])
        if isinstance(data.get("segments"), list):
            parts = [_rows(part) for part in data["segments"]]
            return [row for part in parts for row in part or ()] if any(parts) else None
        return None
    if isinstance(data, list) and data and all(isinstance(part, Mapping) and "words" in part for part in data):
        return _rows({"segments": data})
    return data if isinstance(data, list) else None


def _word(where: str, values: Mapping[str, Any]) -> TimedWord:
    try:
        start, end = float(values["start"]), float(values["end"])
        confidence = float(values["confidence"]) if values.get("confidence") not in (None, "") else math.nan
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{where}: start and end must be numbers of seconds") from error
    if not (math.isfinite(start) and math.isfinite(end) and 0 <= start <= end):
        raise DataError(f"{where}: {start:g} to {end:g} s is no time of a word")
    # A score that is no probability, such as a log-likelihood, says nothing on this scale.
    return TimedWord(str(values["text"]).strip(), start, end, confidence if 0 <= confidence <= 1 else math.nan)


def _ordered(
    path: Path, words: Iterator[tuple[str, TimedWord]] | Sequence[tuple[str, TimedWord]]
) -> tuple[TimedWord, ...]:
    kept = [word for _, word in words if word.text]
    if not kept:
        raise DataError(f"{path} has no words")
    return tuple(sorted(kept, key=lambda word: (word.start, word.end)))
