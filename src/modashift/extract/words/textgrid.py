"""TextGrids of Praat: the long and the short text format (Praat manual, "TextGrid file formats")."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modashift.errors import DataError
from modashift.extract.recording import TimedWord
from modashift.extract.words.texts import read_text

__all__ = ["Tier", "read_textgrid", "textgrid", "word_tier"]

# Both formats are the same numbers, strings and flags in the same order; what else the long one has is for people.
_ITEM = re.compile(
    r'"(?P<text>(?:[^"]|"")*)"|(?P<flag><[a-z]+>)|(?<![^\s])(?P<number>[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?!\S)'
)
_COMMENT = re.compile(r"!.*")
_NAMES = ("words", "word", "ortho", "orthography", "ort", "ort-mau", "transcript", "text", "tokens")
_EMPTY = {"", "sil", "sp", "spn", "<p:>", "<sil>", "<s>", "</s>", "#", "_", "<eps>", "<unk>", "silence", "pau"}


@dataclass(frozen=True)
class Tier:
    """Intervals of a TextGrid: (start, end, text) in order."""

    name: str
    intervals: tuple[tuple[float, float, str], ...]


class _Items:
    """The numbers, strings and flags of a TextGrid one after the other."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.matches = _ITEM.finditer(text)
        self.line = 1

    def take(self, kind: str) -> str:
        match = next(self.matches, None)
        if match is None:
            last = self.text.count("\n") + 1
            raise DataError(f"{self.path}, line {last}: the TextGrid ends where a {kind} should follow; is it cut off?")
        self.line = self.text.count("\n", 0, match.start()) + 1
        value = match[kind]
        if value is None:
            raise DataError(f"{self.path}, line {self.line}: found {match[0][:40]!r} where a {kind} should be")
        return value.replace('""', '"') if kind == "text" else value

    def number(self) -> float:
        return float(self.take("number"))

    def count(self) -> int:
        value = self.number()
        if value < 0 or value != int(value):
            raise DataError(f"{self.path}, line {self.line}: {value:g} is no number of things")
        return int(value)


def read_textgrid(path: Path) -> tuple[Tier, ...]:
    """Interval tiers of a TextGrid in either text format; point tiers are left out.

    Raises:
        DataError: it is no TextGrid in text, or is damaged; the line is named.
    """
    text = read_text(path)
    if "ooBinaryFile" in text[:20]:
        raise DataError(f"{path} is a binary TextGrid; save it as text in Praat")
    items = _Items(path, _without_labels(text))
    if items.take("text") != "ooTextFile" or items.take("text") != "TextGrid":
        raise DataError(f"{path}, line {items.line}: this is no TextGrid of Praat")
    items.number(), items.number()
    if items.take("flag") != "<exists>":
        return ()
    tiers = []
    for _ in range(items.count()):
        kind, name = items.take("text"), items.take("text")
        items.number(), items.number()
        if kind == "IntervalTier":
            tiers.append(Tier(name, tuple(_interval(items) for _ in range(items.count()))))
        elif kind == "TextTier":
            for _ in range(items.count()):
                items.number(), items.take("text")
        else:
            raise DataError(f"{path}, line {items.line}: {kind!r} is no kind of tier")
    return tuple(tiers)


def _without_labels(text: str) -> str:
    """Blank out what is not data: ``item [1]:``, ``intervals [2]``, names before "=", comments; lines stay lines."""
    pieces = re.split(r'("(?:[^"]|"")*")', text)
    for at in range(0, len(pieces), 2):
        pieces[at] = re.sub(r"\[[^\]\n]*\]:?", " ", _COMMENT.sub("", pieces[at]))
    return "".join(f" {piece} " if at % 2 else piece for at, piece in enumerate(pieces))


def _interval(items: _Items) -> tuple[float, float, str]:
    start, end = items.number(), items.number()
    if end < start:
        raise DataError(f"{items.path}, line {items.line}: an interval ends ({end:g}) before it starts ({start:g})")
    return start, end, items.take("text")


def word_tier(tiers: Sequence[Tier], path: Path, name: str | None = None) -> tuple[TimedWord, ...]:
    """Words of the tier named, or of that whose name or content is most like words.

    By name: ``words`` and the like, alone or after a speaker (``Anna - words``). Else by content: of the tiers with
    text, one without spaces within intervals and with the longest labels, since phones are short and sentences have
    spaces; several words in one interval share its time by their letters.

    Raises:
        DataError: there is no such tier, or none with text.
    """
    if name is not None:
        chosen = [tier for tier in tiers if tier.name == name]
        if not chosen:
            raise DataError(
                f"{path} has no interval tier {name!r}, but {', '.join(repr(t.name) for t in tiers) or 'none'}"
            )
    else:
        with_text = [tier for tier in tiers if _labels(tier)]
        chosen = [tier for wanted in _NAMES for tier in with_text if _is_named(tier.name, wanted)]
        chosen = chosen or sorted(with_text, key=_likeness, reverse=True)
        if not chosen:
            raise DataError(f"{path} has no interval tier with text")
    words = []
    for start, end, text in chosen[0].intervals:
        parts = text.split() if text.strip().lower() not in _EMPTY else []
        total = sum(map(len, parts))
        done = 0
        for part in parts:
            first, last = done / total, (done + len(part)) / total
            words.append(TimedWord(part, start + (end - start) * first, start + (end - start) * last))
            done += len(part)
    return tuple(sorted(words, key=lambda word: word.start))


def _is_named(name: str, wanted: str) -> bool:
    return name.lower().strip() == wanted or re.split(r"\s*[-_/:|]\s*", name.lower().strip())[-1] == wanted


def _labels(tier: Tier) -> list[str]:
    return [text.strip() for _, _, text in tier.intervals if text.strip().lower() not in _EMPTY]


def _likeness(tier: Tier) -> tuple[bool, float]:
    labels = _labels(tier)
    return sum(" " in label for label in labels) * 2 < len(labels), sum(map(len, labels)) / len(labels)


def textgrid(words: Iterable[TimedWord], duration: float, name: str = "words") -> str:
    """Text of a TextGrid (long format) with one tier; the gaps between words are empty intervals.

    A TextGrid has no interval of no length: words that take no time, such as punctuation, are left out.

    Raises:
        ValueError: words overlap or lie outside the duration.
    """
    rows: list[tuple[float, float, str]] = []
    at = 0.0
    for word in words:
        if word.start < at or word.end > duration:
            raise ValueError(f"{word.text!r} ({word.start:g}-{word.end:g} s) overlaps another word or the end")
        if word.end > word.start:
            if word.start > at:
                rows.append((at, word.start, ""))
            rows.append((word.start, word.end, word.text))
            at = word.end
    if at < duration or not rows:
        rows.append((at, duration, ""))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0 ", f"xmax = {duration!r} "]
    lines += ["tiers? <exists> ", "size = 1 ", "item []: ", "    item [1]:", '        class = "IntervalTier" ']
    lines += [f"        name = {_quoted(name)} ", "        xmin = 0 ", f"        xmax = {duration!r} "]
    lines.append(f"        intervals: size = {len(rows)} ")
    for number, (start, end, text) in enumerate(rows, 1):
        lines += [f"        intervals [{number}]:", f"            xmin = {start!r} ", f"            xmax = {end!r} "]
        lines.append(f"            text = {_quoted(text)} ")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
