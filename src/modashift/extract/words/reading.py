"""Words of a recording from any file that may hold them."""

from collections.abc import Iterable
from pathlib import Path

from modashift.errors import DataError
from modashift.extract.recording import TimedWord
from modashift.extract.words.subtitles import read_subtitles
from modashift.extract.words.tables import read_json_words, read_table_words
from modashift.extract.words.textgrid import read_textgrid, word_tier
from modashift.extract.words.texts import read_text
from modashift.extract.words.transcript import Transcript

__all__ = ["SUFFIXES", "read_words"]

SUFFIXES = (".txt", ".srt", ".vtt", ".textgrid", ".json", ".csv", ".tsv")
"""Endings understood, in lower case."""


def read_words(path: Path | str, tier: str | None = None) -> Transcript:
    """Words from a transcript (.txt), subtitles (.srt, .vtt), a TextGrid or a table (.csv, .tsv, .json).

    Args:
        path: the file; its ending says what it is.
        tier: of a TextGrid; the one most like words where None.

    Raises:
        DataError: its ending is none of these, or it is malformed; file and line are named.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".txt":
        return Transcript("text", " ".join(read_text(path).split()))
    if suffix in (".srt", ".vtt"):
        cues = read_subtitles(path)
        return Transcript("cues", " ".join(" ".join(cue.text.split()) for cue in cues), cues=cues)
    if suffix == ".textgrid":
        return _with_times(word_tier(read_textgrid(path), path, tier))
    if suffix == ".json":
        return _with_times(read_json_words(path))
    if suffix in (".csv", ".tsv"):
        return _with_times(read_table_words(path))
    raise DataError(f"{path} cannot be read as words: its ending is none of {', '.join(SUFFIXES)}")


def _with_times(words: Iterable[TimedWord]) -> Transcript:
    words = tuple(words)
    return Transcript("words", " ".join(word.text for word in words), words=words)
