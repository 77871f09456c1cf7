"""What a file says of the words of a recording: text alone, subtitles, or words with times."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from modashift.extract.recording import TimedWord

__all__ = ["Cue", "Transcript"]


class Cue(NamedTuple):
    """A subtitle.

    Attributes:
        start: seconds.
        end: seconds.
        text: without markup; lines separated by line feeds.
        score: written as the first line of a cue of predictions; None where there is none.
    """

    start: float
    end: float
    text: str
    score: float | None = None


@dataclass(frozen=True)
class Transcript:
    """Words of a recording as a file has them.

    Attributes:
        kind: ``text`` (no times), ``cues`` (times of subtitles) or ``words`` (times of words).
        text: all words, separated by spaces.
        cues: subtitles in order of their starts; empty unless `kind` is ``cues``.
        words: words with times; empty unless `kind` is ``words``.
    """

    kind: Literal["text", "cues", "words"]
    text: str
    cues: tuple[Cue, ...] = ()
    words: tuple[TimedWord, ...] = ()
