"""IEMOCAP from its folder as it is distributed (Busso et al., Language Resources and Evaluation 42, 2008).

``IEMOCAP_full_release/SessionN/`` has, of each dialogue, ``dialog/EmoEvaluation/*.txt`` with the majority label of
every turn, ``dialog/transcriptions/*.txt``, and of each turn ``sentences/ForcedAlignment/DIALOGUE/TURN.wdseg`` and
``sentences/wav/DIALOGUE/TURN.wav``.
"""

import re
from pathlib import Path
from typing import Literal

from modashift.data.emotion.corpus import Corpus, CorpusRow, place_words, require_counts, rising, visible_files
from modashift.errors import DataError
from modashift.extract.recording import TimedWord

__all__ = ["COUNTS", "Classes", "read_alignment", "read_iemocap"]

Classes = Literal["four", "seven"]
COUNTS: dict[str, dict[str, int]] = {
    "four": {"angry": 1103, "happy": 1636, "sad": 1084, "neutral": 1708},
    "seven": {
        "angry": 1103,
        "happy": 595,
        "excited": 1041,
        "sad": 1084,
        "neutral": 1708,
        "frustrated": 1849,
        "surprised": 107,
    },
}
"""Recordings of each class in the whole corpus: 5,531 of four classes (excited counts as happy), 7,487 of seven."""

_CODES = {
    "ang": "angry",
    "hap": "happy",
    "exc": "excited",
    "sad": "sad",
    "neu": "neutral",
    "fru": "frustrated",
    "sur": "surprised",
}
_LABEL = re.compile(r"\[\s*[\d.]+\s*-\s*[\d.]+\s*\]\s+(\S+)\s+([a-z]{3})\b")
_TURN = re.compile(r"(Ses\d\d)[FM]_.+_([FM])(?:XX)?\d+")
_SPOKEN = re.compile(r"(Ses\d\d[FM]_\S+)\s*(?:\[[^\]]*\])?\s*:\s*(.*)")
FRAME = 0.01  # seconds of a frame of the word alignment


def read_iemocap(folder: Path | str, classes: Classes = "four", part: bool = False) -> Corpus:
    """Read labels, transcripts and word alignments; recordings of other classes, or without a majority, are left out.

    The speaker of a turn is told by the last letter of its name (``Ses01F_impro01_M003`` is said by the man of session
    1); the letter after the session is who wore the markers.

    Args:
        folder: the corpus, with ``Session1`` to ``Session5``, or a folder that holds it.
        classes: ``four`` (angry, happy with excited, sad, neutral), as the field compares on, or ``seven`` (happy and
            excited apart, and frustrated and surprised).
        part: the folder holds a part of the corpus: the number of recordings is not compared with the whole's.

    Raises:
        DataError: no such folder, a label without a name it can be of, or other numbers of classes than the corpus has.
    """
    root = _root(Path(folder))
    if classes not in COUNTS:
        raise DataError(f"IEMOCAP's classes are four or seven, not {classes!r}")
    labels: dict[str, tuple[str, Path]] = {}
    files: list[Path] = []
    for path in visible_files(root, "Session*/dialog/EmoEvaluation/*.txt"):
        files.append(path)
        for turn, code in _LABEL.findall(_text(path)):
            if turn in labels and labels[turn][0] != code:
                raise DataError(f"{path}: {turn} has two labels, {labels[turn][0]} and {code}")
            labels[turn] = (code, path.parents[2])
    if not labels:
        raise DataError(f"{root}: no label in Session*/dialog/EmoEvaluation/*.txt; is it IEMOCAP's folder?")
    spoken: dict[str, str] = {}
    for path in visible_files(root, "Session*/dialog/transcriptions/*.txt"):
        files.append(path)
        for line in _text(path).splitlines():
            if match := _SPOKEN.match(line.strip()):
                spoken[match[1]] = match[2].strip()
    rows, left_out, silent, untimed = [], 0, 0, 0
    for turn, (code, session) in sorted(labels.items()):
        name = _class(code, classes)
        if name is None:
            left_out += 1
            continue
        match = _TURN.fullmatch(turn)
        if not match:
            raise DataError(f"{session}: {turn} is no name of a turn, such as Ses01F_impro01_M003")
        dialogue = turn.rsplit("_", 1)[0]
        words = read_alignment(session / "sentences" / "ForcedAlignment" / dialogue / f"{turn}.wdseg")
        text = spoken.get(turn, "")
        silent, untimed = silent + (not text), untimed + (not words)
        rows.append(
            CorpusRow(
                id=turn,
                path=session / "sentences" / "wav" / dialogue / f"{turn}.wav",
                text=text or " ".join(word.text.lower() for word in words),
                words=place_words(text, words) if words else (),
                label=name,
                speaker=f"{match[1]}{match[2]}",
                session=match[1],
                sex=match[2],
            )
        )
    require_counts(root, (row.label for row in rows), COUNTS[classes], part)
    notes = [f"{left_out} turns of other classes, or without a majority, are left out"]
    notes += [f"{silent} turns have no transcript; the words of the alignment stand for it"] if silent else []
    notes += [f"{untimed} turns have no word alignment"] if untimed else []
    return Corpus("IEMOCAP", tuple(rows), tuple(COUNTS[classes]), tuple(files), notes=tuple(notes))


def read_alignment(path: Path) -> tuple[TimedWord, ...]:
    """Words of a ``.wdseg`` file with their times; none where there is no such file.

    A line is the first frame, the last frame, a score and the word; frames are of 10 ms. Silence, noise and the ends of
    the sentence (``<s>``, ``</s>``, ``<sil>``, ``++NOISE++``) are dropped, and so is the number of a pronunciation in
    ``THE(2)``. Lines of another form (the header, the total score) say nothing.
    """
    if not path.is_file():
        return ()
    words = []
    for line in _text(path).splitlines():
        fields = line.split()
        if len(fields) != 4 or not (fields[0].isdecimal() and fields[1].isdecimal()):
            continue
        word = re.sub(r"\(\d+\)$", "", fields[3])
        if word.startswith(("<", "++", "[")) or not word:
            continue
        words.append(TimedWord(word, round(int(fields[0]) * FRAME, 2), round((int(fields[1]) + 1) * FRAME, 2)))
    return tuple(words) if rising(words) else ()


def _class(code: str, classes: Classes) -> str | None:
    name = _CODES.get(code)
    if classes == "four" and name == "excited":
        return "happy"
    return name if name in COUNTS[classes] else None


def _root(folder: Path) -> Path:
    for root in (folder, folder / "IEMOCAP_full_release", folder / "IEMOCAP"):
        if any(root.glob("Session*/dialog")):
            return root
    raise DataError(f"{folder} has no Session1/dialog to Session5/dialog; give the folder IEMOCAP_full_release")


def _text(path: Path) -> str:
    """Content of a file whose encoding is not always what it should be."""
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
