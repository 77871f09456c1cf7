"""Find given words in a stretch of sound with the acoustic model that pocketsphinx carries (US English)."""

import math
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modashift.errors import ModashiftError
from modashift.extract.words.pronounce import pronounce

__all__ = ["FRAME", "RATE", "Hit", "find", "pronounceable", "roam", "shortest"]

RATE = 16_000
FRAME = 0.01  # seconds; the decoder's step
_NARROW = {"beam": 1e-48, "wbeam": 1e-30, "pbeam": 1e-48}  # where every word may follow every other
_PAD = 0.2  # seconds of silence before and after, so that words at the very edge keep their phones
_STATES = 3  # frames that a phone lasts at least: one for each state of its model
_NATS = math.log(1.0001) * 1024  # the decoder counts scores in powers of 1.0001, shifted right by 10 bits
# Narrower beams lose a word that is shouted or sobbed, and then all words after it; these cost no time, since scoring
# every state of every phone takes nearly all of it.
_BEAMS = {"beam": 1e-250, "wbeam": 1e-200, "pbeam": 1e-250}
_JUMP = 1e-4  # probability of leaving the order of words, and of any one word to go on with
_LOCK = threading.Lock()  # a decoder holds one utterance at a time

Forms = Sequence[Sequence[str]]


class Hit(NamedTuple):
    """A token found: seconds within the sound given, and how far the sound is from the words said.

    Attributes:
        start: seconds.
        end: seconds.
        distance: mean over the frames of log p(best state of any phone) - log p(the token's state), in nats; 0 is best.
    """

    start: float
    end: float
    distance: float


def find(sound: NDArray[np.float32], tokens: Sequence[Forms], *, open_end: bool = False) -> list[Hit] | None:
    """The most likely times of tokens said one after the other, with or without pauses between.

    Args:
        sound: (S,) 16 kHz.
        tokens: ways to say each token; every one must be `pronounceable`.
        open_end: let the sound end before the tokens do.

    Returns:
        A hit for each token from the first on, fewer than there are tokens only with `open_end`; None where no path
        through the words survives, as in a sound too short for them.

    Raises:
        ModashiftError: pocketsphinx is not installed.
    """
    if not tokens:
        return []
    with _LOCK:
        segments = _decode(_decoder(), sound, tokens, _graph(tokens, open_end), len(tokens))
    hits = _assign(segments, tokens, len(sound) / RATE)
    return hits if hits is not None and (open_end or len(hits) == len(tokens)) else None


def roam(sound: NDArray[np.float32], words: Sequence[str]) -> list[tuple[str, Hit]]:
    """The most likely run through words that may leave out or repeat stretches of them, at a price for each jump.

    Args:
        sound: (S,) 16 kHz.
        words: in the order in which they should be said.

    Returns:
        Words heard, in order of time. Only rows of several words in their order mean something: speech that is not
        among the words is heard as some of them all the same.
    """
    hub = len(words) + 1  # where a jump lands; from here any word may follow
    arcs: list[tuple[Any, ...]] = [(hub, 0, 1.0)]
    for at, word in enumerate(words):
        arcs += [(at, at + 1, 1.0, word), (hub + 1, at + 1, _JUMP, word), (at + 1, hub + 1, _JUMP)]
    arcs.append((hub, hub + 1, 1.0))
    arcs += [(at, hub + 2, 1.0) for at in range(len(words) + 1)]
    tokens = [((word,),) for word in words]
    with _LOCK:
        segments = _decode(_decoder(narrow=True), sound, tokens, arcs, hub + 2, start=hub)
    length = len(sound) / RATE
    return [(word, _hit([(word, first, stop, distance)], length)) for word, first, stop, distance in segments]


def pronounceable(form: Sequence[str]) -> bool:
    """Whether every word of a form has phones, from the dictionary or from its letters."""
    with _LOCK:
        decoder = _decoder()
        return all(decoder.lookup_word(word) or pronounce(word, decoder.lookup_word) for word in form)


def shortest(tokens: Sequence[Forms]) -> float:
    """Seconds that tokens take at the very least: below that no alignment exists."""
    with _LOCK:
        lookup = _decoder().lookup_word
        return (
            sum(min(sum(_phones(word, lookup) for word in form) for form in forms) for forms in tokens)
            * _STATES
            * FRAME
        )


def _phones(word: str, lookup: Any) -> int:
    return min(len(phones.split()) for phones in (lookup(word), *pronounce(word, lookup)) if phones)


@cache
def _decoder(narrow: bool = False) -> Any:
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        raise ModashiftError('aligning words needs pocketsphinx: pip install "modashift[extract]"') from error
    # With compallsen, scores are relative to the best state of all phones, so they mean the same in any transcript.
    # Without bestpath, they come as they are, not summed over a lattice.
    beams = _NARROW if narrow else _BEAMS
    return Decoder(lm=None, **beams, compallsen=True, bestpath=False, loglevel="FATAL", samprate=RATE)


def _decode(
    decoder: Any, sound: NDArray[np.float32], tokens: Sequence[Forms], arcs: list[Any], final: int, start: int = 0
) -> list[tuple[str, int, int, float]]:
    """Words of the best path with first frame, frame after the last and the sum of distances."""
    samples = np.clip(np.nan_to_num(sound), -1, 1) * 32767
    edge = np.zeros(round(_PAD * RATE))
    data = np.concatenate([edge, samples, edge]).astype(np.int16).tobytes()
    names = {word for forms in tokens for form in forms for word in form}
    for word in sorted(names):
        if decoder.lookup_word(word) is None:
            for number, phones in enumerate(pronounce(word, decoder.lookup_word), 1):
                decoder.add_word(word if number == 1 else f"{word}({number})", phones, False)
    decoder.add_fsg("words", decoder.create_fsg("words", start, final, arcs))
    decoder.activate_search("words")
    decoder.start_utt()
    decoder.process_raw(data, no_search=False, full_utt=True)
    decoder.end_utt()
    segments = []
    for segment in decoder.seg() or ():
        word = segment.word.split("(")[0] if not segment.word.startswith("(") else ""
        if word in names:
            distance = -math.log(max(segment.ascore, 1e-300)) / math.log(1.0001) * _NATS
            segments.append((word, segment.start_frame, segment.end_frame + 1, distance))
    return segments


def _graph(tokens: Sequence[Forms], open_end: bool) -> list[tuple[Any, ...]]:
    """Arcs of a grammar: state i is before token i; the states within forms of several words come after those."""
    arcs: list[tuple[Any, ...]] = []
    free = len(tokens) + 1
    for at, forms in enumerate(tokens):
        for form in forms:
            here = at
            for word in form[:-1]:
                arcs.append((here, free, 1.0, word))
                here, free = free, free + 1
            arcs.append((here, at + 1, 1.0, form[-1]))
        if open_end:
            arcs.append((at, len(tokens), 1.0))
    return arcs


def _assign(segments: list[tuple[str, int, int, float]], tokens: Sequence[Forms], length: float) -> list[Hit] | None:
    """Give the words found back to the tokens they came from; None where they do not fit."""
    words = [segment[0] for segment in segments]
    if not words:
        return None
    reached: list[dict[int, int]] = [{0: 0}]  # for each token: words used after it -> words used before it
    for forms in tokens:
        ends: dict[int, int] = {}
        for begin in reached[-1]:
            for form in forms:
                if words[begin : begin + len(form)] == list(form):
                    ends.setdefault(begin + len(form), begin)
        if not ends:
            break
        reached.append(ends)
    at, spans = len(words), []
    while len(reached) > 1 and at not in reached[-1]:
        reached.pop()
    for ends in reversed(reached[1:]):
        if at not in ends:
            return None
        spans.append((ends[at], at))
        at = ends[at]
    return [_hit(segments[begin:stop], length) for begin, stop in reversed(spans)] or None


def _hit(segments: Sequence[tuple[str, int, int, float]], length: float) -> Hit:
    times = [min(max(frame * FRAME - _PAD, 0.0), length) for frame in (segments[0][1], segments[-1][2])]
    spoken = sum(stop - first for _, first, stop, _ in segments)
    return Hit(times[0], times[1], sum(row[3] for row in segments) / max(spoken, 1))
