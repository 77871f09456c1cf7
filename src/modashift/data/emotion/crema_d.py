"""CREMA-D, twelve sentences acted in six emotions, from its files' names (Cao et al., IEEE TAC 5, 2014).

``1001_DFA_ANG_XX.wav``: actor, sentence, emotion that was acted, level (LO, MD, HI, or XX where none was asked for).
"""

import csv
import re
from pathlib import Path

from modashift.data.emotion.corpus import Corpus, CorpusRow, require_counts, visible_files
from modashift.errors import DataError

__all__ = ["CLASSES", "COUNTS", "SENTENCES", "read_crema_d"]

SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
_CODES = {"ANG": "angry", "DIS": "disgust", "FEA": "fearful", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
CLASSES = tuple(_CODES.values())
COUNTS = {**dict.fromkeys(CLASSES, 1271), "neutral": 1087}
"""Recordings of each class in the whole corpus, 7,442 of 91 actors."""

SUFFIXES = (".wav", ".flac", ".flv", ".mp4", ".mp3")
_NAME = re.compile(r"(1\d{3})_([A-Z]{3})_([A-Z]{3})_(LO|MD|HI|XX?)")  # one file of the corpus ends in a single X
DEMOGRAPHICS = "VideoDemographics.csv"


def read_crema_d(folder: Path | str, part: bool = False) -> Corpus:
    """Read the recordings below a folder; ``VideoDemographics.csv``, if it is there, gives the sex of the actors.

    The corpus has no word times. The classes are the emotions that were acted, not those that listeners heard.

    Args:
        folder: with ``AudioWAV`` or videos, at any depth. Of a recording that is there in several forms the first of
            .wav, .flac, .flv, .mp4, .mp3 is read.
        part: the folder holds a part of the corpus: the number of recordings is not compared with the whole's.

    Raises:
        DataError: no recording, an unknown sentence or emotion in a name, or other numbers of classes than it has.
    """
    folder = Path(folder)
    found: dict[str, Path] = {}
    for suffix in SUFFIXES:
        for path in visible_files(folder, f"**/*{suffix}"):
            if _NAME.fullmatch(path.stem):
                found.setdefault(path.stem, path)
    if not found:
        raise DataError(f"{folder}: no recording such as 1001_DFA_ANG_XX.wav in it")
    tables = visible_files(folder, f"**/{DEMOGRAPHICS}")
    sexes = _sexes(tables[0]) if tables else {}
    rows = []
    for name, path in sorted(found.items()):
        match = _NAME.fullmatch(name)
        assert match is not None
        actor, sentence, emotion = match[1], match[2], match[3]
        if sentence not in SENTENCES or emotion not in _CODES:
            unknown = sentence if sentence not in SENTENCES else emotion
            raise DataError(
                f"{path}: {unknown} is no sentence or emotion of CREMA-D; sentences are {', '.join(SENTENCES)}, "
                f"emotions {', '.join(_CODES)}"
            )
        rows.append(
            CorpusRow(name, path, SENTENCES[sentence], (), _CODES[emotion], f"actor{actor}", sex=sexes.get(actor, ""))
        )
    require_counts(folder, (row.label for row in rows), COUNTS, part)
    return Corpus("CREMA-D", tuple(rows), CLASSES, tuple(tables[:1]))


def _sexes(path: Path) -> dict[str, str]:
    """``F`` or ``M`` by number of the actor."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            records = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table ({error})") from error
    if records and not {"ActorID", "Sex"} <= set(records[0]):
        raise DataError(f"{path}: no columns ActorID and Sex; found {', '.join(records[0])}")
    return {record["ActorID"].strip(): record["Sex"].strip()[:1].upper() for record in records}
