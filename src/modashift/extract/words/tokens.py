"""Cut a transcript into tokens and say how each may be spoken."""

import re
import unicodedata
from functools import cache
from itertools import islice, product
from typing import NamedTuple

from modashift.extract.words.numbers import number_forms
from modashift.spelling import plain_word

__all__ = ["Token", "spoken_forms", "tokenise"]

_BRACKETED = re.compile(r"[\[<{][^\[\]<>{}]*[\]>}]|\*[^*\s][^*]*\*|♪[^♪]*♪?")  # [laughter], <noise>, {cough}, *sighs*
_TOKEN = re.compile(rf"(?:{_BRACKETED.pattern})[^\w\s]*|\S+")
_SIGNS = {"&": "and", "@": "at", "+": "plus", "=": "equals", "#": "number", "%": "percent", "°": "degrees"}
_SHORT: dict[str, tuple[str, ...]] = {
    "mr": ("mister",),
    "mrs": ("missus", "misses"),
    "ms": ("miz",),
    "dr": ("doctor", "drive"),
    "st": ("saint", "street"),
    "vs": ("versus", "v s"),
    "etc": ("et cetera",),
    "jr": ("junior",),
    "sr": ("senior",),
    "prof": ("professor", "prof"),
    "approx": ("approximately",),
    "ok": ("okay",),
    "w/": ("with",),
    "w/o": ("without",),
    "b/c": ("because",),
    "hmm": ("hm",),
    "mhm": ("uh-huh", "m hm"),
    "umm": ("um",),
    "ummm": ("um",),
    "uhh": ("uh",),
    "ahh": ("ah",),
}
_MOST_FORMS = 8


class Token(NamedTuple):
    """A token of a transcript.

    Attributes:
        text: as written.
        forms: ways to say it, each a row of words for `pronounce`; none for punctuation and marks of noise.
        noise: a mark such as ``[laughter]``: something is heard, though no word.
    """

    text: str
    forms: tuple[tuple[str, ...], ...]
    noise: bool = False


def tokenise(text: str) -> list[Token]:
    """Tokens of a transcript in order: what is separated by spaces, and marks in brackets as one token each."""
    return [Token(piece, *_spoken(piece)) for piece in _TOKEN.findall(text)]


@cache
def _spoken(piece: str) -> tuple[tuple[tuple[str, ...], ...], bool]:
    noise = bool(re.fullmatch(rf"(?:{_BRACKETED.pattern})[^\w\s]*", piece))
    return (() if noise else spoken_forms(piece)), noise


def spoken_forms(piece: str) -> tuple[tuple[str, ...], ...]:
    """Ways to say one token, most usual first.

    >>> spoken_forms("well-made,")
    (('well', 'made'),)
    >>> spoken_forms("(umm)"), spoken_forms("DIDNT"), spoken_forms("R&B"), spoken_forms("…")
    ((('um',),), (("didn't",),), (('r', 'and', 'b'),), ())
    """
    text = unicodedata.normalize("NFKC", piece).lower().replace("’", "'").replace("`", "'")
    text = re.sub(r"^[^\w$€£¥#@&%.+-]+|[^\w%°¢+/]+$", "", text).strip("_*~")
    number = number_forms(text) or number_forms(text.strip(".-+/#"))
    if number:
        prefix = ("number",) if text.startswith("#") else ()
        return tuple((*prefix, *form) for form in number[:_MOST_FORMS])
    if (short := text.rstrip(".")) in _SHORT:
        return tuple(tuple(form.split()) for form in _SHORT[short])
    parts = [part for part in re.split(r"[-–—/\\_:;,.…|]+|(?<=[^\W\d])(?=\d)|(?<=\d)(?=[^\W\d])", text) if part]
    if re.fullmatch(r"(?:[a-z]\.){2,}s?", text + ("." if not text.endswith(".") else "")):  # u.s.a
        return (tuple(text.replace(".", "")), ("".join(parts),))
    if re.fullmatch(r"(?:https?|www|[\w-]+\.(?:com|org|net|edu|gov)$).*", text):
        parts = [
            part for part in re.split(r"(\.)|[-/:_]+", text.removeprefix("https://").removeprefix("http://")) if part
        ]
        return (tuple("dot" if part == "." else part for part in parts),) if parts else ()
    ways = [_part_forms(part) for part in parts]
    return tuple(
        dict.fromkeys(
            tuple(word for form in row for word in form) for row in islice(product(*ways), _MOST_FORMS) if any(row)
        )
    )


def _part_forms(part: str) -> tuple[tuple[str, ...], ...]:
    if any(letter.isdigit() for letter in part):
        number = number_forms(part)
        if number:
            return number[:_MOST_FORMS]
    words: list[str] = []
    for piece in re.split(r"([&@+=#%°$])", part):
        if piece in _SIGNS:
            words.append(_SIGNS[piece])
        else:
            words += plain_word(piece).split()
    return (tuple(words),)
