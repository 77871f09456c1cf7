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
    """

    set_name: str
    columns: Sequence[str]
    values: NDArray[np.float32] | NDArray[np.float16]
    times: NDArray[np.float64]
    mask: NDArray[np.bool_]

    def __post_init__(self) -> None:
        steps = len(self.times)
        if self.values.shape != (steps, len(self.columns)) or self.mask.shape != (steps,):
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
        features: by modality, ``visual`` and ``acoustic``; a modality that could not be had is absent.
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
