"""What is said of a recording: scores, how sure they are, and what they come from. Plain data, without a model."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LABELS",
    "ClipResult",
    "Interval",
    "ModalityResult",
    "ModelInfo",
    "ShiftMap",
    "Timeline",
    "UtteranceResult",
    "WordResult",
    "clean",
    "label_of",
]

LABELS = (
    "strongly negative",
    "negative",
    "weakly negative",
    "neutral",
    "weakly positive",
    "positive",
    "strongly positive",
)


def label_of(score: float) -> str:
    """Name of the one of seven classes a score falls into, rounded as the seven-class accuracy rounds it."""
    return LABELS[int(np.rint(np.clip(score, -3, 3))) + 3]


def clean(text: str) -> str:
    """Text that any file and any terminal can take: control characters and broken encodings become a mark.

    Names of files and transcripts come from anywhere; an escape sequence in one must not reach a terminal.
    """
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return re.sub(
        "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufffe\uffff]",
        "\N{REPLACEMENT CHARACTER}",
        whole,
    )


@dataclass(frozen=True)
class Interval:
    """Where the score that people would give probably lies.

    Attributes:
        low: lower end.
        high: upper end.
        level: share of like utterances whose true score lies in such an interval.
        half_width: before the interval was cut at the ends of the scale.
        n: utterances it was measured on.
        data: name of the data they come from.
    """

    low: float
    high: float
    level: float
    half_width: float
    n: int
    data: str


@dataclass(frozen=True)
class WordResult:
    """A word and its part in the score.

    Attributes:
        text: as written.
        start: seconds.
        end: seconds.
        confidence: of the recogniser or the alignment, None where unknown.
        read: whether the model read it; words beyond its longest input are cut off.
        effect: score of the utterance minus the score without this word (and the features aligned to it).
        shift: length of the shift that face and voice gave the word, mean over layers.
        shift_effect: score minus the score with the shift of this one word removed, its direction therefore.
    """

    text: str
    start: float
    end: float
    confidence: float | None = None
    read: bool = True
    effect: float | None = None
    shift: float | None = None
    shift_effect: float | None = None


@dataclass(frozen=True)
class ModalityResult:
    """What words, face or voice changed.

    Attributes:
        modality: ``linguistic``, ``visual`` or ``acoustic``; ``nonverbal`` for face and voice together.
        used: whether the score depends on it.
        effect: score minus the score without it; of the words, minus the score with every word unknown.
        coverage: share of the words at which it was there.
        why: where it was not used, the reason.
    """

    modality: str
    used: bool
    effect: float | None = None
    coverage: float | None = None
    why: str = ""


@dataclass(frozen=True)
class ShiftMap:
    """How much each moment of face or voice moved each word (the CMS map, without its sign).

    Attributes:
        modality: ``visual`` or ``acoustic``.
        steps: (S, 2) start and end of each moment in seconds.
        values: (W, S) mean over the layers of the magnitude of the map's cells, summed over the positions of a moment.
    """

    modality: str
    steps: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class UtteranceResult:
    """One utterance.

    Attributes:
        id: unique among the utterances of the call.
        start: seconds.
        end: seconds.
        text: its words.
        score: in about −3 (very negative) to 3 (very positive); the mean where several models were asked.
        scores: of each model.
        interval: where the truth probably lies; None where nothing is known of the model's errors.
        words: each of them.
        modalities: what each changed.
        maps: of models with a shift.
        shift_effect: score minus the score with all shifts removed, of models with a shift.
        notes: for people.
    """

    id: str
    start: float
    end: float
    text: str
    score: float
    scores: tuple[float, ...]
    interval: Interval | None
    words: tuple[WordResult, ...] = ()
    modalities: tuple[ModalityResult, ...] = ()
    maps: tuple[ShiftMap, ...] = ()
    shift_effect: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name of its class."""
        return label_of(self.score)

    @property
    def seeds_sd(self) -> float | None:
        """Sample standard deviation over the models; None where there is one."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else None

    @property
    def middle(self) -> float:
        """Middle of its time, in seconds."""
        return (self.start + self.end) / 2


@dataclass(frozen=True)
class ModelInfo:
    """Which model spoke.

    Attributes:
        title: of the model.
        name: registered name.
        sources: run folders or names it was loaded from, as given.
        data: name of the data it learnt from, empty where unknown.
        modalities: non-verbal modalities it takes.
        uncertainty: how the interval was made, or why there is none, in a sentence.
    """

    title: str
    name: str
    sources: tuple[str, ...]
    data: str
    modalities: tuple[str, ...]
    uncertainty: str


@dataclass(frozen=True)
class Timeline:
    """A recording as a whole.

    Attributes:
        mean: of the scores, each weighed by the length of its utterance.
        lowest: number of the utterance with the lowest score.
        highest: likewise.
        peaks: numbers of the utterances that stand out from what is around them, in order of time.
    """

    mean: float
    lowest: int
    highest: int
    peaks: tuple[int, ...]


@dataclass(frozen=True)
class ClipResult:
    """One recording.

    Attributes:
        name: of the recording.
        source: name of its file.
        sha256: of the file.
        duration: seconds.
        words_from: see `modashift.extract.recording.Clip`.
        feature_sets: by modality, the name of the set that was extracted.
        model: which one spoke.
        utterances: in order of time; none where nobody speaks.
        timeline: None without utterances.
        notes: what could not be had, and what was decided, for people.
    """

    name: str
    source: str
    sha256: str
    duration: float
    words_from: str
    feature_sets: Mapping[str, str]
    model: ModelInfo
    utterances: tuple[UtteranceResult, ...]
    timeline: Timeline | None
    notes: tuple[str, ...] = field(default_factory=tuple)


def known(value: float) -> float | None:
    """A number, or None for NaN."""
    return None if math.isnan(value) else float(value)
