"""Recordings to utterances: cut at the ends of sentences and at pauses, or as given.

The rule, in order:

1. A cut stands after a word that ends a sentence, and before every pause of at least `Cutting.pause`.
2. A piece below `Cutting.least_words` words joins the neighbour that is nearer in time, unless a pause of twice
   `Cutting.pause` lies between or the result would be too long.
3. A piece above `Cutting.most_words` words or `Cutting.most_seconds` is divided where the gap between two words is
   longest (a comma counts as 0.25 s more), then both parts again, until all fit.
"""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from modashift.errors import DataError
from modashift.extract.recording import Span, TimedWord

__all__ = ["Cutting", "Segment", "cut", "cut_at", "ends_sentence", "even_spans", "read_segments"]

COMMA = 0.25  # seconds that a comma adds to a gap where a long piece is divided
NEAR = 0.3  # seconds by which a word may lie beside a given utterance, whose times are rarely exact
_CLOSING = "\"'”’»)]}"
_END = re.compile(r"[.!?…。！？]+$")
_ABBREVIATION = re.compile(
    r"(?:mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|e\.g|i\.e|a\.m|p\.m|approx|[a-z](?:\.[a-z])*)\.", re.IGNORECASE
)


@dataclass(frozen=True)
class Cutting:
    """How a recording is cut into utterances.

    Attributes:
        whole: keep the recording whole, or cut it; where None, recordings of at most `whole_below` are kept whole.
        whole_below: seconds.
        pause: seconds without a word that end an utterance.
        most_words: of an utterance.
        most_seconds: of an utterance.
        least_words: of an utterance.
    """

    whole: bool | None = None
    whole_below: float = 15.0
    pause: float = 0.7
    most_words: int = 40
    most_seconds: float = 20.0
    least_words: int = 3

    def __post_init__(self) -> None:
        good = self.pause > 0 and self.most_seconds > 0 and self.most_words >= 1 and self.least_words >= 1
        if not good or self.least_words > self.most_words or not self.whole_below >= 0:
            raise DataError(
                f"utterances cannot be cut by {self}: pause and most_seconds must be above 0, and least_words between "
                "1 and most_words"
            )

    def keeps_whole(self, duration: float) -> bool:
        """Whether a recording of some seconds is one utterance."""
        return duration <= self.whole_below if self.whole is None else self.whole


class Segment(NamedTuple):
    """A given utterance: its time in seconds and, where known, what is said in it and its label as written."""

    start: float
    end: float
    text: str | None = None
    label: str | None = None


def ends_sentence(word: str) -> bool:
    """Whether a sentence ends with a word: full stop, question or exclamation mark, but no abbreviation or initial."""
    plain = word.rstrip(_CLOSING)
    if not _END.search(plain):
        return False
    # "I." ends a sentence more often than it is an initial.
    return plain in {"I.", "a."} or _ABBREVIATION.fullmatch(plain.lstrip("\"'“‘«([{")) is None


def cut(words: Sequence[TimedWord], duration: float, rule: Cutting | None = None) -> tuple[Span, ...]:
    """Cut a recording into utterances; see the head of this module.

    Args:
        words: of the recording, in order of time.
        duration: of the recording in seconds.
        rule: the limits; the defaults where not given.

    Returns:
        Utterances in order that hold each word once, each from its first word's start to its last word's end. Kept
        whole, it is one from 0 to `duration`. Without words, pieces of equal length of at most
        ``rule.most_seconds``.
    """
    rule = rule or Cutting()
    if rule.keeps_whole(duration):
        return (Span(0.0, duration, 0, len(words)),)
    if not words:
        return even_spans(duration, rule.most_seconds)
    gaps = [_gap(words, i) for i in range(1, len(words))]  # gaps[i] lies after word i
    stops = [i + 1 for i, gap in enumerate(gaps) if gap >= rule.pause or ends_sentence(words[i].text)]
    pieces = list(zip([0, *stops], [*stops, len(words)]))
    pieces = _joined(pieces, words, gaps, rule)
    return tuple(_span(words, *part) for piece in pieces for part in _divided(piece, words, gaps, rule))


def cut_at(words: Sequence[TimedWord], segments: Sequence[Segment]) -> tuple[tuple[TimedWord, ...], tuple[Span, ...]]:
    """Cut as given: a word belongs to the segment that its middle lies in, or else to the nearest within 0.3 s.

    Returns:
        The words that lie in a segment, in the segments' order; and one utterance a segment, which may hold no word.
    """
    ordered = sorted(segments, key=lambda s: (s.start, s.end))
    inside: list[list[TimedWord]] = [[] for _ in ordered]
    starts, ends = (np.array([s[i] for s in ordered], dtype=np.float64) for i in (0, 1))
    for word in words if ordered else ():
        middle = (word.start + word.end) / 2
        away = np.maximum(np.maximum(starts - middle, middle - ends), 0.0)
        # Where one segment ends as the next one starts, the middle of a word on that time is the next one's.
        owner = int(np.argmin(away + 1e-9 * (middle >= ends)))
        if away[owner] <= NEAR:
            inside[owner].append(word)
    spans, first = [], 0
    for segment, own in zip(ordered, inside):
        spans.append(Span(segment.start, segment.end, first, first + len(own)))
        first += len(own)
    return tuple(word for own in inside for word in own), tuple(spans)


def even_spans(duration: float, most_seconds: float) -> tuple[Span, ...]:
    """A recording without words in pieces of equal length."""
    count = max(1, math.ceil(duration / most_seconds - 1e-9))
    edges = np.linspace(0.0, duration, count + 1).tolist()
    return tuple(Span(start, end, 0, 0) for start, end in pairwise(edges))


def read_segments(path: Path) -> dict[str, tuple[Segment, ...]]:
    """Read a table of utterances: columns ``name``, ``start`` and ``end`` (seconds); ``label`` and ``text`` if known.

    Returns:
        By name of the recording, the segments by time.

    Raises:
        DataError: naming the file and the line.
    """
    found: dict[str, list[Segment]] = {}
    for where, row in read_csv(path, ("name", "start", "end")):
        start, end = (_number(row[key], f"{where}, {key}") for key in ("start", "end"))
        if not 0 <= start < end:
            raise DataError(f"{where}: a segment from {start:g} to {end:g} s has no length")
        found.setdefault(row["name"], []).append(Segment(start, end, row.get("text") or None, row.get("label") or None))
    return {name: tuple(sorted(segments, key=lambda s: (s.start, s.end))) for name, segments in found.items()}


def read_csv(path: Path, needed: Sequence[str]) -> list[tuple[str, Mapping[str, str]]]:
    """Rows of a table with a header, each with its file and line for messages; spaces around entries are left out.

    Raises:
        DataError: it cannot be read, lacks a column, or a line has too few or too many fields.
    """
    rows: list[tuple[str, Mapping[str, str]]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True, skipinitialspace=True)
            names = reader.fieldnames or ()
            missing = [key for key in needed if key not in names]
            if missing:
                raise DataError(f"{path} has no column {', '.join(missing)}; found {', '.join(names) or 'nothing'}")
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise DataError(
                        f"{where}: not as many fields as the header has columns; put fields with commas in quotes"
                    )
                rows.append((where, {key: value.strip() for key, value in row.items()}))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path}: not a readable table ({error})") from error
    return rows


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: {text!r} is not a number")
    return value


def _gap(words: Sequence[TimedWord], index: int) -> float:
    return max(0.0, words[index].start - words[index - 1].end)


def _span(words: Sequence[TimedWord], first: int, stop: int) -> Span:
    start = words[first].start
    return Span(start, max(start, *(word.end for word in words[first:stop])), first, stop)


def _fits(words: Sequence[TimedWord], first: int, stop: int, rule: Cutting) -> bool:
    return stop - first <= rule.most_words and words[stop - 1].end - words[first].start <= rule.most_seconds


def _joined(
    pieces: list[tuple[int, int]], words: Sequence[TimedWord], gaps: Sequence[float], rule: Cutting
) -> list[tuple[int, int]]:
    """Pieces with too few words joined with a neighbour, from the first to the last."""
    done: list[tuple[int, int]] = []
    waiting = pieces[::-1]
    while waiting:
        first, stop = waiting.pop()
        if stop - first < rule.least_words:
            before = (gaps[first - 1], done[-1][0], stop) if done else None
            after = (gaps[stop - 1], first, waiting[-1][1]) if waiting else None
            options = sorted(
                option
                for option in (before, after)
                if option and option[0] < 2 * rule.pause and _fits(words, option[1], option[2], rule)
            )
            if options:
                if before is not None and options[0] == before:
                    done.pop()
                else:
                    waiting.pop()
                waiting.append(options[0][1:])
                continue
        done.append((first, stop))
    return done


def _divided(
    piece: tuple[int, int], words: Sequence[TimedWord], gaps: Sequence[float], rule: Cutting
) -> list[tuple[int, int]]:
    """Parts of a piece that are short enough, in order."""
    done, waiting = [], [piece]
    while waiting:
        first, stop = waiting.pop()
        if stop - first == 1 or _fits(words, first, stop, rule):
            done.append((first, stop))
            continue
        margin = min(rule.least_words, (stop - first) // 2)
        places = np.arange(first + margin, stop - margin + 1)  # the words that may begin the second part
        commas = np.array([words[int(p) - 1].text.rstrip(_CLOSING).endswith((",", ";", ":")) for p in places])
        weights = np.array(gaps)[places - 1] + COMMA * commas
        best = places[weights >= weights.max() - 1e-9]
        place = int(best[np.argmin(np.abs(best - (first + stop) / 2))])  # of equal ones the one nearest to the middle
        waiting += [(place, stop), (first, place)]
    return done
