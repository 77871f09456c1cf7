"""Forced alignment: when each word of a given transcript is said.

``windows`` finds the words in sound of any length; here text becomes tokens, and what was found becomes words.

Confidence is a logistic function of the mean distance between the word's sound and the best of all phones (see
`search.Hit`); its two numbers were fitted on GRID and RAVDESS with right and wrong transcripts, see docs/words.md.
Confidence 0 means that the word was not found and its time is spread between its neighbours. Punctuation and marks
such as ``[laughter]`` are not said, so their confidence is NaN: a mark of noise gets the time between its neighbours.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from modashift.errors import DataError
from modashift.extract.recording import TimedWord
from modashift.extract.words.search import RATE, Forms, Hit, pronounceable, shortest
from modashift.extract.words.tokens import Token, spoken_forms, tokenise
from modashift.extract.words.transcript import Cue, Transcript
from modashift.extract.words.windows import confidence_of, follow, refuse_silence

__all__ = [
    "AlignmentError",
    "align_cues",
    "align_transcript",
    "alignment_notes",
    "realign",
    "rising",
    "time_words",
]

_SURE = 0.5  # below it a word counts as doubtful in the notes
_SLACK = 0.3  # seconds by which words may leave their cue


class AlignmentError(DataError):
    """A transcript that cannot belong to the sound."""


def align_transcript(sound: NDArray[np.float32], text: str) -> list[TimedWord]:
    """Times of a transcript's words.

    Args:
        sound: (S,) 16 kHz, one channel, within [-1, 1].
        text: what is said, in English; numbers, abbreviations and new words are pronounced as best can be guessed.

    Returns:
        Every token of the text (as separated by spaces; a mark in brackets is one) exactly once and in order; times
        rise and lie within the sound.

    Raises:
        AlignmentError: the words take longer than the sound even if said as fast as can be, or none can be found.
        ModashiftError: pocketsphinx is not installed.
    """
    tokens = tokenise(text)
    said = _said(tokens)
    _check(sound, [forms for forms in said if forms])
    found = refuse_silence(sound, follow(sound, [forms for forms in said if forms]))
    if not any(found) and any(said):
        raise AlignmentError("no word of the transcript can be found in the sound; is it of another recording?")
    return _timed(tokens, said, found, len(sound) / RATE)


def align_cues(sound: NDArray[np.float32], cues: Sequence[Cue]) -> list[TimedWord]:
    """Times of the words of subtitles, each within its cue or a little around it.

    A cue whose words cannot be found, as those in the wrong place or in another language, has its words spread evenly
    over it with confidence 0. Cues that lie after the end of the sound are an error.

    Args:
        sound: (S,) 16 kHz, one channel.
        cues: in order of their starts.

    Returns:
        As of `align_transcript`, over all cues.

    Raises:
        AlignmentError: a cue starts after the sound ends.
    """
    length = len(sound) / RATE
    words: list[TimedWord] = []
    for number, cue in enumerate(cues):
        if cue.start >= length and tokenise(cue.text):
            raise AlignmentError(f"a cue starts at {cue.start:g} s, but the sound is only {length:g} s long")
        earlier = [other.end for other in cues[:number] if other.end <= cue.start][-1:]
        later = [other.start for other in cues[number + 1 :] if other.start >= cue.end][:1]
        low = max([0.0, cue.start - _SLACK, *earlier])
        high = min([length, cue.end + _SLACK, *later])
        part = sound[round(low * RATE) : round(high * RATE)]
        tokens = tokenise(cue.text)
        said = _said(tokens)
        spoken = [forms for forms in said if forms]
        fits = bool(spoken) and shortest(spoken) <= len(part) / RATE
        found = follow(part, spoken) if fits else [None] * len(spoken)
        if any(found):
            own = [
                word._replace(start=word.start + low, end=word.end + low)
                for word in _timed(tokens, said, refuse_silence(part, found), len(part) / RATE)
            ]
        else:
            own = _timed(tokens, said, found, max(0.0, min(cue.end, length) - cue.start))
            own = [word._replace(start=word.start + cue.start, end=word.end + cue.start) for word in own]
        words += own
    return rising(words, length)


def time_words(sound: NDArray[np.float32], transcript: Transcript) -> list[TimedWord]:
    """Words of whatever a file gave: as they are where it has their times, else found in the sound.

    Raises:
        AlignmentError: see `align_transcript` and `align_cues`.
    """
    if transcript.kind == "words":
        return list(transcript.words)
    return align_cues(sound, transcript.cues) if transcript.kind == "cues" else align_transcript(sound, transcript.text)


def realign(sound: NDArray[np.float32], words: Sequence[TimedWord], offset: float) -> list[TimedWord]:
    """Better times for words that were recognised: those of forced alignment where it is confident, else their own.

    Args:
        sound: (S,) 16 kHz around the words.
        words: recognised, with their times on the recording's clock.
        offset: seconds at which `sound` starts on that clock.

    Returns:
        The same words with the same confidence.
    """
    tokens = [Token(word.text, spoken_forms(word.text)) for word in words]
    said = _said(tokens)
    spoken = [forms for forms in said if forms]
    if not spoken or shortest(spoken) > len(sound) / RATE:
        return list(words)
    found = iter(refuse_silence(sound, follow(sound, spoken)))
    better = []
    for word, forms in zip(words, said):
        hit = next(found) if forms else None
        if hit is not None and confidence_of(hit.distance) >= _SURE:
            better.append(word._replace(start=hit.start + offset, end=hit.end + offset))
        else:
            better.append(word)
    return better


def alignment_notes(words: Sequence[TimedWord]) -> tuple[str, ...]:
    """What people should know of an alignment: how many words were not found, and how many are doubtful."""
    said = [word for word in words if not math.isnan(word.confidence)]
    lost = [word for word in said if word.confidence == 0]
    doubtful = [word for word in said if 0 < word.confidence < _SURE]
    notes = []
    if lost:
        notes.append(
            f"{len(lost)} of {len(said)} words were not found in the sound; their times are spread between their "
            f"neighbours (confidence 0), from {lost[0].text!r} at {lost[0].start:.1f} s on"
        )
    if 2 * len(doubtful) > len(said):
        notes.append(
            f"{len(doubtful)} of {len(said)} words match the sound poorly; the transcript may be of something else, or "
            "the sound noisy or not English"
        )
    return tuple(notes)


def _said(tokens: Sequence[Token]) -> list[Forms]:
    """Ways to say each token that the aligner has phones for; none for what is not said or cannot be read."""
    return [[form for form in token.forms if pronounceable(form)] for token in tokens]


def _check(sound: NDArray[np.float32], spoken: Sequence[Forms]) -> None:
    length, least = len(sound) / RATE, shortest(spoken)
    if least > length:
        raise AlignmentError(
            f"the transcript has {len(spoken)} words to say, which takes {least:.1f} s at least, but the sound is only "
            f"{length:.1f} s long; is it of another recording?"
        )


def _timed(
    tokens: Sequence[Token], said: Sequence[Forms], hits: Sequence[Hit | None], length: float
) -> list[TimedWord]:
    """Words of all tokens: those not found share the time between their neighbours that were."""
    of_token = iter(hits)
    rows = [(token, bool(token.forms), next(of_token) if forms else None) for token, forms in zip(tokens, said)]
    words: list[TimedWord] = []
    at = 0.0
    groups = [(known, list(group)) for known, group in groupby(rows, key=lambda row: row[2] is not None)]
    for number, (known, group) in enumerate(groups):
        if known:
            for token, _, hit in group:
                assert hit is not None
                words.append(TimedWord(token.text, hit.start, hit.end, confidence_of(hit.distance)))
            at = words[-1].end
            continue
        follows = groups[number + 1][1][0][2] if number + 1 < len(groups) else None
        end = follows.start if follows else length
        # Words share the gap; where there are none, marks of noise do; punctuation takes no time.
        takes = [is_word or (token.noise and not any(row[1] for row in group)) for token, is_word, _ in group]
        share = (end - at) / max(sum(takes), 1)
        for (token, is_word, _), taken in zip(group, takes):
            stop = min(at + share, end) if taken else at
            words.append(TimedWord(token.text, at, stop, 0.0 if is_word else math.nan))
            at = stop
    return rising(words, length)


def rising(words: Iterable[TimedWord], length: float) -> list[TimedWord]:
    """Keep times in order and within the sound, against overlapping cues and rounding."""
    kept: list[TimedWord] = []
    low = 0.0
    for word in words:
        start = min(max(word.start, low), length)
        end = min(max(word.end, start), length)
        kept.append(word._replace(start=start, end=end))
        low = end
    return kept
