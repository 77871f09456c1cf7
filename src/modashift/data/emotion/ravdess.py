"""RAVDESS, acted emotional speech, from its files' names (Livingstone and Russo, PLOS ONE 13, 2018).

``03-01-EE-II-SS-RR-AA``: what was recorded (01 sound and picture, 02 picture, 03 sound), 01 speech or 02 song, emotion,
intensity, statement, repetition, actor; actors with odd numbers are men. Both statements are without sentiment, so
words alone tell nothing.
"""

import json
import re
from pathlib import Path

import numpy as np

from modashift.data.emotion.corpus import Corpus, CorpusRow, Given, place_words, rising, visible_files
from modashift.errors import DataError
from modashift.extract.recording import TimedWord

__all__ = ["CLASSES", "STATEMENTS", "UNITS", "read_ravdess"]

CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
STATEMENTS = ("Kids are talking by the door", "Dogs are sitting by the door")
ACTORS = 24
EACH = 60  # recordings of speech of an actor
SUFFIXES = (".flac", ".wav", ".mp4")
_NAME = re.compile(r"0([123])-0([12])-0([1-8])-0([12])-0([12])-0([12])-(\d\d)")
_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
UNITS = (
    *(f"AU{unit:02d}_r" for unit in _UNITS),
    *(f"AU{unit:02d}_c" for unit in sorted({*_UNITS, 28})),
)
"""OpenFace's action units: 17 intensities, and 18 that say whether a unit is there."""


def read_ravdess(folder: Path | str, part: bool = False) -> Corpus:
    """Read the recordings of speech below a folder, and what lies beside them.

    ``word_align.json`` (by recording, ``words`` as [word, start, end] in seconds, or null) gives the times of words;
    ``clips.npz`` (``ids`` and ``au35``, the mean activity of `UNITS`) gives the features ``action-units``, by the part
    of the name after the second field, since faces are those of the take with picture. Both may be absent.

    Args:
        folder: with ``.flac``, ``.wav`` or ``.mp4`` files at any depth. Of a take that is there as sound and as video
            the sound is read.
        part: the folder may hold some of the 24 actors; otherwise all 1,440 recordings must be there.

    Raises:
        DataError: no recording, damaged times or units, or not the whole corpus where that is asked for.
    """
    folder = Path(folder)
    takes: dict[str, Path] = {}
    for path in (p for suffix in SUFFIXES for p in visible_files(folder, f"**/*{suffix}")):
        match = _NAME.fullmatch(path.stem)
        if match and match[2] == "1" and match[1] != "2":
            take = _take(path.stem)
            if take not in takes or path.stem.startswith("03"):  # sound alone rather than the video of the same take
                takes[take] = path
    if not takes:
        raise DataError(
            f"{folder}: no recording of speech such as 03-01-05-02-01-01-12.wav ({', '.join(SUFFIXES)}) in it"
        )
    if not part and len(takes) != ACTORS * EACH:
        raise DataError(
            f"{folder} has {len(takes)} recordings of speech, the corpus has {ACTORS * EACH} ({EACH} of {ACTORS} "
            "actors); say --part true where it is a part of it"
        )
    times = _times(folder / "word_align.json")
    rows = []
    for path in sorted(takes.values(), key=lambda p: p.stem):
        match = _NAME.fullmatch(path.stem)
        assert match is not None
        actor, text = int(match[7]), STATEMENTS[int(match[5]) - 1]
        rows.append(
            CorpusRow(
                id=path.stem,
                path=path,
                text=text,
                words=place_words(text, timed) if (timed := times.get(_take(path.stem))) else (),
                label=CLASSES[int(match[3]) - 1],
                speaker=f"actor{actor:02d}",
                sex="M" if actor % 2 else "F",
            )
        )
    untimed = sum(not row.words for row in rows)
    notes = (f"{untimed} recordings have no word times",) if untimed and times else ()
    units = _units(folder / "clips.npz", rows)
    files = tuple(p for p in (folder / "word_align.json", folder / "clips.npz") if p.is_file())
    return Corpus("RAVDESS", tuple(rows), CLASSES, files, notes=notes, given={"action-units": units} if units else {})


def _take(name: str) -> str:
    """What names of the same take have in common, as sound and as video."""
    return name.split("-", 2)[2]


def _times(path: Path) -> dict[str, tuple[TimedWord, ...]]:
    """Word times by take; empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        times = {
            _take(name): tuple(TimedWord(str(w), float(start), float(end)) for w, start, end in about["words"] or ())
            for name, about in content.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(
            f"{path}: expected an object with, by recording, words as [word, start, end] ({error!r})"
        ) from error
    wrong = [name for name, words in times.items() if not rising(words)]
    if wrong:
        raise DataError(f"{path}: a word of {wrong[0]} ends before it starts")
    return times


def _units(path: Path, rows: list[CorpusRow]) -> Given | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            by_take = {_take(str(name)): row for name, row in zip(file["ids"], file["au35"], strict=True)}
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise DataError(f"{path}: expected the arrays ids (n,) and au35 (n, {len(UNITS)}) ({error})") from error
    if any(np.shape(row) != (len(UNITS),) for row in by_take.values()):
        raise DataError(f"{path}, au35: expected {len(UNITS)} columns")
    vectors = {row.id: np.asarray(by_take[_take(row.id)], dtype=np.float32) for row in rows if _take(row.id) in by_take}
    return Given("visual", UNITS, vectors)
