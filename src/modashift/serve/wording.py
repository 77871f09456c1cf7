"""Results in plain English: shared by the terminal, the page and the subtitles."""

import math
from collections.abc import Sequence

from modashift.serve.result import ClipResult, Interval, UtteranceResult

__all__ = [
    "NAMES",
    "clock",
    "headline",
    "how_sure",
    "number",
    "phrase",
    "range_text",
    "used_sentence",
    "words_sentence",
]

NAMES = {"linguistic": "words", "visual": "face", "acoustic": "voice", "nonverbal": "face and voice together"}
PHRASES = {"negative": "clearly negative", "positive": "clearly positive"}
SOURCES = {
    "given": "The words come from the transcript given; their times were found in the sound.",
    "timed": "The words and their times come from the subtitles or annotation given.",
    "recognised": "The words were recognised by a computer and may be wrong in places.",
    "none": "No words were found.",
}


def number(value: float, digits: int = 1) -> str:
    """With its sign; a rounded zero has none."""
    text = f"{value:+.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def phrase(label: str) -> str:
    """The class in everyday words."""
    return PHRASES.get(label, label.replace("weakly", "slightly"))


def range_text(interval: Interval | None) -> str:
    """``between +1.1 and +2.4``, empty without an interval."""
    return "" if interval is None else f"between {number(interval.low)} and {number(interval.high)}"


def clock(seconds: float, tenths: bool = False) -> str:
    """``1:05``, or ``1:02:05`` from an hour on."""
    if tenths:
        whole, tenth = divmod(round(seconds * 10), 10)
    else:
        whole, tenth = math.floor(seconds + 1e-6), 0
    hours, rest = divmod(whole, 3600)
    text = f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
    return f"{text}.{tenth}" if tenths else text


def headline(utterance: UtteranceResult) -> str:
    """``Sounds clearly positive``."""
    return f"Sounds {phrase(utterance.label)}"


def how_sure(utterance: UtteranceResult) -> list[str]:
    """How far the score may be off, and whether its direction is certain."""
    said = []
    interval = utterance.interval
    if interval is not None:
        chance = f"{100 * interval.level:.0f} in 100"
        if interval.low < -0.5 and interval.high > 0.5:
            said.append(
                f"Not sure: in about {chance} cases people would rate it {range_text(interval)}, and that reaches from "
                "negative to positive."
            )
        else:
            side = "the positive side of" if interval.low > 0 else "the negative side of" if interval.high < 0 else ""
            means = f", all on {side} the scale" if side else ""
            said.append(f"In about {chance} cases people would rate it {range_text(interval)}{means}.")
    if (sd := utterance.seeds_sd) is not None:
        scores = ", ".join(number(s) for s in utterance.scores)
        said.append(
            f"{len(utterance.scores)} models trained apart gave {scores}: a standard deviation of {sd:.2f}. That is "
            "how much one training differs from the next, not how far they may all be off."
        )
    return said


def used_sentence(utterance: UtteranceResult) -> str:
    """What the score rests on, and what it does not."""
    real = [m for m in utterance.modalities if m.modality != "nonverbal"]
    used = [NAMES[m.modality] for m in real if m.used]
    text = f"The score rests on the {joined(used)}."
    for m in real:
        if not m.used:
            text += f" The {NAMES[m.modality]} had no part in it: {m.why}."
    return text


def words_sentence(result: ClipResult) -> str:
    """Where the words come from."""
    return SOURCES.get(result.words_from, f"The words come from: {result.words_from}.")


def joined(names: Sequence[str]) -> str:
    """``words, face and voice``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
