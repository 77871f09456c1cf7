"""Phones of any word: from the dictionary, from the dictionary's parts, or guessed from the letters."""

import re
import unicodedata
from collections.abc import Callable

from modashift.extract.words.letters import LETTER_NAMES, letters_to_phones

__all__ = ["pronounce"]

_VOICELESS = frozenset("P T K F TH".split())
_HISSING = frozenset("S Z SH ZH CH JH".split())
_BEFORE_T = frozenset("P K F TH S SH CH".split())
_VOWELS = frozenset("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
_ENDINGS: tuple[tuple[str, tuple[str, ...], str], ...] = (  # ending, what the stem may end with instead, phones
    ("ing", ("", "e"), "IH NG"),
    ("in'", ("", "e"), "IH N"),
    ("ers", ("", "e"), "ER Z"),
    ("er", ("", "e"), "ER"),
    ("est", ("", "e"), "AH S T"),
    ("ly", ("", "le"), "L IY"),
    ("ness", ("", "y"), "N AH S"),
    ("less", ("",), "L AH S"),
    ("ful", ("", "y"), "F AH L"),
    ("ish", ("", "e"), "IH SH"),
    ("able", ("", "e"), "AH B AH L"),
    ("ment", ("",), "M AH N T"),
    ("ism", ("", "e"), "IH Z AH M"),
    ("ist", ("", "e"), "IH S T"),
    ("y", ("", "e"), "IY"),
)
_BEGINNINGS = {
    "un": "AH N",
    "re": "R IY",
    "non": "N AA N",
    "anti": "AE N T IY",
    "over": "OW V ER",
    "under": "AH N D ER",
    "super": "S UW P ER",
    "pre": "P R IY",
    "mis": "M IH S",
    "dis": "D IH S",
    "inter": "IH N T ER",
    "multi": "M AH L T IY",
    "semi": "S EH M IY",
    "mega": "M EH G AH",
    "micro": "M AY K R OW",
}

Lookup = Callable[[str], str | None]


def pronounce(word: str, lookup: Lookup) -> tuple[str, ...]:
    """Ways to say a word that is not in the dictionary as it stands, most likely first, as phones with spaces between.

    Args:
        word: lower case, without punctuation but for apostrophes.
        lookup: the dictionary: phones of a word, or None.

    Returns:
        One or two pronunciations; none where the word has no letter that can be read as English.
    """
    plain = _latin(word)
    if not plain.replace("'", ""):
        return ()
    if len(plain) == 1 and plain in LETTER_NAMES:
        return (LETTER_NAMES[plain],)
    known = _from_parts(plain, lookup)
    if known:
        return (known,)
    guess = " ".join(letters_to_phones(plain))
    bare = plain.replace("'", "")
    spelt = " ".join(LETTER_NAMES[letter] for letter in bare)
    if not re.search("[aeiouy]", bare):
        return (spelt,) if len(bare) <= 6 or not guess else (guess,)
    return tuple(dict.fromkeys(way for way in (guess, spelt if len(bare) <= 4 else "") if way))


def _latin(word: str) -> str:
    text = unicodedata.normalize("NFKD", word).replace("ß", "ss").replace("æ", "ae").replace("ø", "o").replace("ł", "l")
    return re.sub("[^a-z']", "", text.lower())


def _from_parts(word: str, lookup: Lookup) -> str | None:
    """Phones of the word, of it without apostrophes, or of a stem or two words it is made of."""
    for spelling in dict.fromkeys((word, word.strip("'"), word.replace("'", ""))):
        if spelling and (phones := lookup(spelling)):
            return phones
    squeezed = re.sub(r"([a-z])\1{2,}", r"\1\1", word)  # sooooo
    if squeezed != word:
        for spelling in (squeezed, re.sub(r"([a-z])\1+", r"\1", word)):
            if phones := lookup(spelling):
                return phones
    return _inflected(word, lookup) or _extended(word, lookup) or _compound(word, lookup)


def _inflected(word: str, lookup: Lookup) -> str | None:
    if word.endswith("'s") and (stem := _from_parts(word[:-2], lookup) or " ".join(letters_to_phones(word[:-2]))):
        return _plural(stem)
    if word.endswith("s") and len(word) > 3 and not word.endswith("ss"):
        stems = [word[:-1], word[:-2] if word.endswith("es") else "", word[:-3] + "y" if word.endswith("ies") else ""]
        for stem in filter(None, stems):
            if phones := lookup(stem):
                return _plural(phones)
    if word.endswith("ed") and len(word) > 4:
        for stem in (*_stems(word[:-2], ("", "e")), word[:-3] + "y" if word.endswith("ied") else ""):
            if stem and (phones := lookup(stem)):
                last = _last(phones)
                return f"{phones} {'AH D' if last in ('T', 'D') else 'T' if last in _BEFORE_T else 'D'}"
    return None


def _extended(word: str, lookup: Lookup) -> str | None:
    for ending, instead, sounds in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 2:
            for stem in _stems(word.removesuffix(ending), instead):
                if len(stem) > 2 and (phones := lookup(stem)):
                    return f"{phones} {sounds}"
    for beginning, sounds in _BEGINNINGS.items():
        rest = word.removeprefix(beginning)
        if rest != word and len(rest) > 2 and (phones := lookup(rest) or _inflected(rest, lookup)):
            return f"{sounds} {phones}"
    return None


def _stems(stem: str, instead: tuple[str, ...]) -> list[str]:
    stems = [stem + end for end in instead if end != "y"]
    if "y" in instead and stem.endswith("i"):
        stems.append(stem[:-1] + "y")
    if len(stem) > 2 and stem[-1] == stem[-2]:
        stems.append(stem[:-1])  # vlogging
    if stem.endswith("i"):
        stems.append(stem[:-1] + "y")
    return stems


def _compound(word: str, lookup: Lookup) -> str | None:
    """Two dictionary words, the split nearest to the middle first."""
    cuts = sorted(range(3, len(word) - 2), key=lambda cut: abs(2 * cut - len(word)))
    for cut in cuts:
        if (first := lookup(word[:cut])) and (second := lookup(word[cut:])):
            both = f"{first} {second}".split()
            if any(phone in _VOWELS for phone in second.split()):
                return " ".join(both)
    return None


def _plural(phones: str) -> str:
    last = _last(phones)
    return f"{phones} {'AH Z' if last in _HISSING else 'S' if last in _VOICELESS else 'Z'}"


def _last(phones: str) -> str:
    return phones.rsplit(maxsplit=1)[-1]
