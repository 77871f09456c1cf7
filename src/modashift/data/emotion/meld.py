"""MELD, scenes of a television series, from its tables (Poria et al., ACL 2019).

``train_sent_emo.csv``, ``dev_sent_emo.csv`` and ``test_sent_emo.csv`` have Utterance, Speaker, Emotion, Sentiment,
Dialogue_ID and Utterance_ID; the recordings are ``diaX_uttY.mp4``, which is a name of each split's own.
"""

import csv
import io
from collections import Counter
from pathlib import Path

from modashift.data.emotion.corpus import Corpus, CorpusRow, visible_files
from modashift.errors import DataError

__all__ = ["CLASSES", "COUNTS", "mend", "read_meld"]

CLASSES = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
COUNTS = {"train": 9989, "dev": 1109, "test": 2610}
"""Utterances of the standard splits."""

_FOLDERS = {
    "train": ("train_splits", "train"),
    "dev": ("dev_splits_complete", "dev_splits", "dev"),
    "test": ("output_repeated_splits_test", "test_splits", "test"),
}
_NEEDED = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")


def read_meld(folder: Path | str, part: bool = False) -> Corpus:
    """Read the tables, and find the recordings of each split in its folder.

    What must not be divided is the dialogue: the same six people speak in all splits. There are no word times. Some
    recordings of the distribution are missing or damaged; their rows stay, with the words alone.

    Args:
        folder: with the three tables, at any depth, and ``train_splits``, ``dev_splits_complete`` and
            ``output_repeated_splits_test`` (or ``train``, ``dev``, ``test``).
        part: the folder holds a part of the corpus: the number of utterances is not compared with the whole's.

    Raises:
        DataError: a table is missing, or lacks a column, or has an unknown emotion, or not as many rows as it should.
    """
    folder = Path(folder)
    rows, files, absent = [], [], 0
    for split in COUNTS:
        tables = visible_files(folder, f"**/{split}_sent_emo.csv")
        if not tables:
            if part:
                continue
            raise DataError(f"{folder}: no {split}_sent_emo.csv in it; say --part true where that is meant")
        files.append(tables[0])
        recordings = _recordings(folder, split)
        for line, record in enumerate(_records(tables[0]), 2):
            where = f"{tables[0]}, row {line}"
            label = record["Emotion"].strip().lower()
            if label not in CLASSES:
                raise DataError(f"{where}: the emotion {record['Emotion']!r} is none of {', '.join(CLASSES)}")
            name = f"dia{record['Dialogue_ID'].strip()}_utt{record['Utterance_ID'].strip()}"
            absent += name not in recordings
            rows.append(
                CorpusRow(
                    id=f"{split}_{name}",
                    path=recordings.get(name, folder / _FOLDERS[split][0] / f"{name}.mp4"),
                    text=mend(record["Utterance"]).strip(),
                    words=(),
                    label=label,
                    speaker=mend(record["Speaker"]).strip(),
                    session=f"{split}_dia{record['Dialogue_ID'].strip()}",
                    split=split,
                )
            )
    if not rows:
        raise DataError(f"{folder}: no train_sent_emo.csv, dev_sent_emo.csv or test_sent_emo.csv in it")
    found = Counter(row.split for row in rows)
    if not part and dict(found) != COUNTS:
        said = ", ".join(f"{split} {found[split]} (expected {count})" for split, count in COUNTS.items())
        raise DataError(f"{folder} does not hold the whole of MELD: {said}. Say --part true where it is a part of it")
    notes = (f"{absent} utterances have no recording",) if absent else ()
    return Corpus("MELD", tuple(rows), CLASSES, tuple(files), group="session", notes=notes)


def mend(text: str) -> str:
    """Put right characters of Windows' code page that came through as control characters: \\x92 is an apostrophe."""

    def right(character: str) -> str:
        if not "\x80" <= character <= "\x9f":
            return character
        return bytes([ord(character)]).decode("cp1252", errors="ignore")

    return "".join(map(right, text))


def _recordings(folder: Path, split: str) -> dict[str, Path]:
    """Recordings of a split by name, from the first of its usual folders that holds any."""
    for name in _FOLDERS[split]:
        for place in sorted(p for p in folder.glob(f"**/{name}") if p.is_dir()):
            if found := {path.stem: path for path in visible_files(place, "dia*_utt*.mp4")}:
                return found
            if found := {path.stem: path for path in visible_files(place, "dia*_utt*.wav")}:
                return found
    return {}


def _records(path: Path) -> list[dict[str, str]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:  # saved by a spreadsheet in Windows' code page
        text = content.decode("cp1252", errors="replace")
    try:
        records = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as a table ({error})") from error
    missing = [column for column in _NEEDED if records and column not in records[0]]
    if missing or not records:
        raise DataError(f"{path}: {'no column ' + ', '.join(missing) if missing else 'no rows'}; is it MELD's table?")
    if any(record[column] is None for record in records for column in _NEEDED):
        raise DataError(f"{path}: a row has fewer fields than the header; was the table cut short?")
    return records
