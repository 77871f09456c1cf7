"""Find words in sound of any length, one window after the other.

The words found in the first part of a window are kept up to a pause, and the next window starts there, so that memory
does not grow with the length. Where a transcript leaves out what is said, or has what is not said, all words after it
would be laid on the wrong sound. A row of doubtful words gives that away; then words are sought that are said in the
order of the transcript further on, and the way is taken up again from there (the anchors of Moreno et al. 1998, "A
recursive algorithm for the forced alignment of very long audio segments").
"""

import math
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from modashift.extract.words.search import RATE, Forms, Hit, find, roam, shortest

__all__ = ["confidence_of", "follow", "refuse_silence"]

MIDDLE, WIDTH = 7.6, 0.9
"""Distance in nats at which confidence is one half, and over which it falls from .73 to .5."""

_WINDOW = 90.0  # seconds searched at once
_SAFE = 75.0  # seconds of a window whose words are kept; those after it may change with what follows
_FASTEST = 7  # words a second, the most that a window is asked for
_ROW = 10  # words, and their mean confidence below which the way is lost
_LOST = 0.55
_AHEAD = 60.0  # seconds and words among which the way is sought again
_WORDS_AHEAD = 300
_ANCHOR = 5  # words in order, and their mean confidence, that count as the way
_SURE = 0.7
_SILENCE = 1e-4  # of full scale (-80 dB): nobody is heard below it
_SHORTEST = 0.02  # seconds; a word that got less was pushed out of the sound


def confidence_of(distance: float) -> float:
    """Confidence in [0, 1] of a distance in nats per frame.

    >>> [round(confidence_of(nats), 2) for nats in (4.0, 7.6, 11.0)]
    [0.98, 0.5, 0.02]
    """
    return 1 / (1 + math.exp(min((distance - MIDDLE) / WIDTH, 500.0)))


def follow(sound: NDArray[np.float32], spoken: Sequence[Forms]) -> list[Hit | None]:
    """Times of words said one after the other; None for those that are not found.

    Args:
        sound: (S,) 16 kHz.
        spoken: ways to say each word.
    """
    hits: list[Hit | None] = [None] * len(spoken)
    at, first, sure = 0.0, 0, -1  # up to `sure`, words are taken as they are found: each step leads on
    length = len(sound) / RATE
    while first < len(spoken) and at < length:
        last = length - at <= _WINDOW * 1.25
        part = _part(sound, at, length if last else at + _WINDOW)
        found = _offer(part, spoken[first:] if last else spoken[first : first + round(_WINDOW * _FASTEST)], last)
        kept = len(found) if last else _cut(found)
        lost = _lost(found[:kept])
        anchor = None
        if lost is not None and first + lost > sure:
            since = at + (found[lost - 1].end if lost else 0.0)
            begin = first + lost
            anchor = _anchor(_part(sound, since, since + _AHEAD), spoken[begin : begin + _WORDS_AHEAD])
        if anchor is not None:
            seconds, words = anchor
            _keep(hits, found[:lost], first, at)
            between = spoken[begin : begin + words]
            if between and shortest(between) <= seconds:
                _keep(hits, find(_part(sound, since, since + seconds), between) or [], begin, since)
            at, first = since + seconds, begin + words
            sure = first + _ANCHOR
            continue
        _keep(hits, found[:kept], first, at)
        if last:
            break
        if kept:
            pause = found[kept].start - found[kept - 1].end if kept < len(found) else 0.0
            at += found[kept - 1].end + pause / 2
        else:  # nobody speaks, or the first word starts late
            at += max(min(found[0].start - 1.0, _SAFE), 1.0) if found else _SAFE
        first += kept
    return hits


def _part(sound: NDArray[np.float32], start: float, end: float) -> NDArray[np.float32]:
    return sound[round(start * RATE) : round(end * RATE)]


def _offer(part: NDArray[np.float32], spoken: Sequence[Forms], last: bool) -> list[Hit]:
    found = find(part, spoken) if last else None
    return found or find(part, spoken, open_end=True) or []


def _keep(hits: list[Hit | None], found: Sequence[Hit], first: int, at: float) -> None:
    for number, hit in enumerate(found, first):
        hits[number] = Hit(hit.start + at, hit.end + at, hit.distance)


def _cut(hits: Sequence[Hit]) -> int:
    """How many hits of a window to keep: those before the longest pause in the middle of it."""
    safe = sum(hit.end <= _SAFE for hit in hits)
    late = [n for n in range(1, min(safe, len(hits) - 1) + 1) if hits[n - 1].end >= _SAFE * 0.8]
    return max(late, key=lambda n: hits[n].start - hits[n - 1].end) if late else safe


def _lost(hits: Sequence[Hit]) -> int | None:
    """Number of the word from which on the words found are not those said; None where they are."""
    sure = np.array([confidence_of(hit.distance) for hit in hits])
    if len(sure) < _ROW:
        return None
    means = np.convolve(sure, np.full(_ROW, 1 / _ROW), mode="valid")
    low = np.flatnonzero(means < _LOST)
    if not len(low):
        return None
    row = sure[low[0] : low[0] + _ROW]
    return int(low[0] + np.flatnonzero(row < 0.5)[0])


def _anchor(part: NDArray[np.float32], spoken: Sequence[Forms]) -> tuple[float, int] | None:
    """Seconds into the sound, and words, after which sound and words go together again; None where they never do."""
    said = [(word, number) for number, forms in enumerate(spoken) for word in forms[0]]
    heard = roam(part, [word for word, _ in said])
    matcher = SequenceMatcher(None, [word for word, _ in heard], [word for word, _ in said], autojunk=False)
    for block in matcher.get_matching_blocks():
        sure = [confidence_of(hit.distance) for _, hit in heard[block.a : block.a + block.size]]
        for skip in range(block.size - _ANCHOR + 1):
            begins = block.b + skip == 0 or said[block.b + skip][1] != said[block.b + skip - 1][1]
            if begins and np.mean(sure[skip : skip + _ANCHOR]) >= _SURE:
                return heard[block.a + skip][1].start, said[block.b + skip][1]
    return None


def refuse_silence(sound: NDArray[np.float32], hits: Iterable[Hit | None]) -> list[Hit | None]:
    """A word laid on silence, or squeezed against the edge of the sound, was not found."""
    kept: list[Hit | None] = []
    for hit in hits:
        part = sound[round(hit.start * RATE) : round(hit.end * RATE)] if hit else sound[:0]
        heard = (
            hit is not None and hit.end - hit.start >= _SHORTEST and float(np.nan_to_num(np.abs(part)).max()) > _SILENCE
        )
        kept.append(hit if heard else None)
    return kept
