"""What the emotion corpora have in common once they are read: recordings with text, class and speaker."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modashift.errors import DataError
from modashift.extract.recording import TimedWord

__all__ = [
    "Corpus",
    "CorpusRow",
    "Given",
    "place_words",
    "require_counts",
    "rising",
    "spoken_words",
    "visible_files",
]

_TAG = re.compile(r"\[[^\]]*\]|<[^>]*>")  # [LAUGHTER] and its kind: sounds, not words
_NOT_LETTERS = re.compile(r"[^\w']+")


@dataclass(frozen=True, slots=True)
class CorpusRow:
    """One recording of a corpus.

    Attributes:
        id: unique in the corpus.
        path: of the recording, sound or video; it need not exist until features are made of it.
        text: what is said, as the corpus writes it.
        words: the words with their times, seconds from the start of the recording; empty where the corpus has none.
        label: name of the class.
        speaker: who speaks, unique in the corpus.
        session: what was recorded together: a session, a dialogue; empty where there is no such thing.
        sex: ``F``, ``M`` or empty where it is not known.
        split: ``train`` where the corpus declares none.
    """

    id: str
    path: Path
    text: str
    words: tuple[TimedWord, ...]
    label: str
    speaker: str
    session: str = ""
    sex: str = ""
    split: str = "train"


@dataclass(frozen=True)
class Given:
    """Features that come with a corpus, one vector a recording.

    Attributes:
        modality: ``visual`` or ``acoustic``.
        columns: names of the D columns.
        vectors: by id of the recording (D,); a recording without one is absent.
    """

    modality: Literal["visual", "acoustic"]
    columns: tuple[str, ...]
    vectors: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Corpus:
    """A corpus that was read; features are made of it by `modashift.data.emotion.build.build_dataset`.

    Attributes:
        name: in tables and messages.
        rows: the recordings, in the order of their ids.
        classes: names of the classes, in the order of their numbers.
        files: what labels and texts were read from, if files of their own.
        group: what must not be in two splits at once: the ``speaker`` or the ``session``.
        notes: what was left out or decided on the way, for people.
        given: features that come with it, by the name they are asked for.
    """

    name: str
    rows: tuple[CorpusRow, ...]
    classes: tuple[str, ...]
    files: tuple[Path, ...] = ()
    group: Literal["speaker", "session"] = "speaker"
    notes: tuple[str, ...] = ()
    given: Mapping[str, Given] = field(default_factory=dict)

    def __post_init__(self) -> None:
        twice = [one for one, count in Counter(row.id for row in self.rows).items() if count > 1]
        if twice:
            raise DataError(f"{self.name}: {len(twice)} recordings occur more than once ({twice[0]} for example)")


def visible_files(folder: Path, pattern: str) -> list[Path]:
    """Files below a folder by pattern, sorted; without the ``._*`` files that archives made on a Mac carry along."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith(".") and path.is_file())


def require_counts(where: Path, labels: Iterable[str], expected: Mapping[str, int], part: bool) -> None:
    """Compare the number of recordings of each class with that of the whole corpus.

    Args:
        where: folder of the corpus, for the message.
        labels: class of each recording.
        expected: number of each class in the whole corpus.
        part: the folder is known to hold a part: nothing is compared.

    Raises:
        DataError: naming what was found and what was expected.
    """
    found = Counter(labels)
    if part or dict(found) == dict(expected):
        return
    said = ", ".join(f"{name} {found[name]} (expected {count})" for name, count in expected.items())
    raise DataError(
        f"{where} does not hold the whole corpus, or its labels are read in another way than usual: {said}; together "
        f"{found.total()} (expected {sum(expected.values())}). Say --part true where it is a part of the corpus"
    )


def spoken_words(text: str) -> tuple[str, ...]:
    """Words of a transcript, without marks of sounds such as ``[LAUGHTER]`` and without lone punctuation."""
    return tuple(word for word in _TAG.sub(" ", text).split() if _key(word))


def place_words(text: str, timed: Sequence[TimedWord]) -> tuple[TimedWord, ...]:
    """Give the words of a transcript the times of an aligner, which writes them in its own way.

    Words are matched in order, regardless of case and punctuation. A word that the aligner lacks shares the time
    between its neighbours with others of its kind, and has the confidence 0. Words of the aligner that the text lacks
    are left out. Without any match (or without text) the aligner's words are returned as they are, in lower case.

    Args:
        text: the transcript.
        timed: the aligner's words, in order.
    """
    words = spoken_words(text)
    own, theirs = [_key(word) for word in words], [_key(word.text) for word in timed]
    blocks = SequenceMatcher(a=own, b=theirs, autojunk=False).get_matching_blocks()
    found = {block.a + k: timed[block.b + k] for block in blocks for k in range(block.size)}
    if not found:
        return tuple(word._replace(text=word.text.lower()) for word in timed)
    placed: list[TimedWord] = []
    first, last = timed[0].start, timed[-1].end
    known = sorted(found)
    for number, word in enumerate(words):
        if number in found:
            placed.append(found[number]._replace(text=word))
            continue
        before = max((k for k in known if k < number), default=-1)
        after = min((k for k in known if k > number), default=len(words))
        start = found[before].end if before >= 0 else first
        end = max(start, found[after].start if after < len(words) else last)
        step = (end - start) / (after - before - 1)
        begin = start + (number - before - 1) * step
        placed.append(TimedWord(word, begin, begin + step, 0.0))
    return tuple(placed)


def _key(word: str) -> str:
    """A word as it is compared."""
    return _NOT_LETTERS.sub("", word).lower().strip("'_")


def rising(words: Sequence[TimedWord]) -> bool:
    """Whether words have times that can be used: finite, none ending before it starts."""
    return all(math.isfinite(w.start) and math.isfinite(w.end) and w.end >= w.start for w in words)
