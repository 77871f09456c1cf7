"""What is known of a recording: words with times, frames with times, utterances. All times are seconds on one clock.

The clock starts at the first sample or picture of the file, so that words, sound and pictures stay in step even where a
container starts its streams at different times.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modashift.errors import DataError

__all__ = ["Clip", "Frames", "Span", "TimedWord"]


class TimedWord(NamedTuple):
    """A word and when it was said.

    Attributes:
        text: as written, punctuation included where the source had it.
        start: seconds.
        end: seconds, not before `start`.
        confidence: of the time or the word, in [0, 1]; NaN where the source gives none. Below about .5 it is a guess.
    """

    text: str
    start: float
    end: float
    confidence: float = float("nan")


class Span(NamedTuple):
    """An utterance within a recording: its time and its words ``words[first:stop]``."""

    start: float
    end: float
    first: int
    stop: int


@dataclass(frozen=True)
class Frames:
    """Features of a recording at their own rate.

    Attributes:
        set_name: of the feature set, see ``modashift features``.
        columns: names of the D columns; a `modashift.data.states.StateColumns` for hidden states of an encoder.
        values: (T, D) float32, or float16 for hidden states; what stands where `mask` is False has no meaning.
        times: (T,) seconds, rising; the middle of each frame.
        mask: (T,) True where the features were found: a picture without a face is False.
        words: (T,) number of the word of the recording that a row is of, where rows are word pieces; of special tokens
            −1 − n, n being the first word of the utterance for those before it, the last for those behind. Rows of an
            utterance are then found by its words, and times, which rise within it, are for people. None for everything
            else, where times decide.
    """

    set_name: str
    columns: Sequence[str]
    values: NDArray[np.float32] | NDArray[np.float16]
    times: NDArray[np.float64]
    mask: NDArray[np.bool_]
    words: NDArray[np.int64] | None = None

    def inside(self, span: Span) -> NDArray[np.bool_]:
        """(T,) True at the valid rows of an utterance."""
        if self.words is None:
            return self.mask & (self.times >= span.start) & (self.times < span.end)
        owners = np.where(self.words < 0, ~self.words, self.words)
        return np.asarray(self.mask & (owners >= span.first) & (owners < span.stop))

    def __post_init__(self) -> None:
        steps = len(self.times)
        own = (steps,) if self.words is None else self.words.shape
        if self.values.shape != (steps, len(self.columns)) or self.mask.shape != (steps,) or own != (steps,):
            raise DataError(
                f"{self.set_name}: {steps} times, values of shape {self.values.shape} for {len(self.columns)} columns "
                f"and a mask of shape {self.mask.shape} do not fit together"
            )


@dataclass(frozen=True)
class Clip:
    """All that was extracted from one recording.

    Attributes:
        name: unique among the recordings extracted together; the path below the folder given, without its ending.
        source: name of the file it came from.
        sha256: of that file.
        duration: seconds.
        words: of the whole recording, in order of time.
        words_from: ``given`` (a transcript, aligned by force), ``timed`` (subtitles or a TextGrid with word times),
            ``recognised`` or ``none``.
        spans: the utterances, in order; each word belongs to exactly one.
        features: by modality, ``visual``, ``acoustic`` and, where word pieces were encoded, ``linguistic``; a modality
            that could not be had is absent.
        notes: what could not be had or was decided on the way, for people.
    """

    name: str
    source: str
    sha256: str
    duration: float
    words: tuple[TimedWord, ...]
    words_from: str
    spans: tuple[Span, ...]
    features: Mapping[str, Frames] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
