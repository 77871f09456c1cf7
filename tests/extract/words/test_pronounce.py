"""Phones of words that are in no dictionary."""

import random
import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modashift.extract.words.letters import letters_to_phones
from modashift.extract.words.pronounce import pronounce

pocketsphinx = pytest.importorskip("pocketsphinx")
PHONES = set(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split()
)


@cache
def dictionary() -> dict[str, str]:
    lines = (Path(pocketsphinx.get_model_path()) / "en-us" / "cmudict-en-us.dict").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines)


def distance(one: list[str], two: list[str]) -> int:
    row = list(range(len(two) + 1))
    for number, a in enumerate(one, 1):
        new = [number]
        for at, b in enumerate(two):
            new.append(min(row[at] + (a != b), row[at + 1] + 1, new[-1] + 1))
        row = new
    return row[-1]


def test_letters_to_phones_against_the_dictionary() -> None:
    """One phone in five is wrong, and few are missing or too many; vowels are what English spelling hides."""
    words = random.Random(0).sample(sorted(w for w in dictionary() if re.fullmatch("[a-z]{3,}", w)), 2000)
    vowels = {phone for phone in PHONES if phone[0] in "AEIOU"}
    wrong = wrong_kind = total = 0
    for word in words:
        true, found = dictionary()[word].split(), list(letters_to_phones(word))
        total += len(true)
        wrong += distance(found, true)
        wrong_kind += distance(["V" if p in vowels else p for p in found], ["V" if p in vowels else p for p in true])
    assert wrong / total < 0.2
    assert wrong_kind / total < 0.07


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("vlogging", "V L AA G IH NG"),  # letters
        ("youtuber's", "Y UW T Y UW B ER Z"),
        ("unfriended", "AH N F R EH N D AH D"),  # beginning, stem and ending
        ("netflixed", "N EH T F L IH K S T"),
        ("sooooo", "S UW"),
        ("x", "EH K S"),
        ("naïve", "N AY IY V"),
        ("hbo", "EY CH B IY OW"),
    ],
)
def test_words_out_of_vocabulary(word: str, phones: str) -> None:
    assert phones in pronounce(word, dictionary().get)


def test_words_of_another_script_have_no_phones() -> None:
    assert pronounce("привет", dictionary().get) == ()
    assert pronounce("'", dictionary().get) == ()


@given(st.text(max_size=20))
def test_any_text_gives_known_phones_or_nothing(word: str) -> None:
    for way in pronounce(word.lower(), dictionary().get):
        assert way
        assert set(way.split()) <= PHONES
