"""Numbers as they are said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modashift.extract.words.numbers import cardinal, number_forms, ordinal

_VALUES = dict(
    zip(
        (
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
            "seventeen eighteen nineteen"
        ).split(),
        range(20),
    )
)
_VALUES |= dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10)))
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "quadrillion": 10**15}


def value(words: tuple[str, ...]) -> int:
    """Read a number back, by the other way round than it is made."""
    total = part = 0
    for word in words:
        if word == "hundred":
            part *= 100
        elif word in _SCALES:
            total, part = total + part * _SCALES[word], 0
        else:
            part += _VALUES[word]
    return total + part


@given(st.integers(0, 10**18 - 1))
def test_cardinals_are_read_back(number: int) -> None:
    assert value(cardinal(number)) == number


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("12", "twelve"),
        ("1990s", "nineteen nineties"),
        ("90's", "nineties"),
        ("$5", "five dollars"),
        ("$1", "one dollar"),
        ("$3.5m", "three point five million dollars"),
        ("$3.50", "three dollars and fifty cents"),
        ("£20", "twenty pounds"),
        ("3.5%", "three point five percent"),
        ("2nd", "second"),
        ("21st", "twenty first"),
        ("12th", "twelfth"),
        ("30th", "thirtieth"),
        ("1,000", "one thousand"),
        ("1,000", "a thousand"),
        ("100", "a hundred"),
        ("10:30", "ten thirty"),
        ("3:00", "three o'clock"),
        ("24/7", "twenty four seven"),
        ("3/4", "three quarters"),
        ("1/2", "one half"),
        ("5/8", "five eighths"),
        ("9-5", "nine to five"),
        ("10k", "ten thousand"),
        ("2010", "twenty ten"),
        ("2010", "two thousand ten"),
        ("2005", "two thousand five"),
        ("1905", "nineteen oh five"),
        ("1900", "nineteen hundred"),
        ("007", "oh oh seven"),
        ("911", "nine one one"),
        ("505", "five oh five"),
        (".5", "point five"),
        ("-3", "minus three"),
        ("1.5x", "one point five times"),
        ("1" * 20, " ".join(["one"] * 20)),
    ],
)
def test_ways_to_say_a_number(text: str, said: str) -> None:
    assert tuple(said.split()) in number_forms(text)


@pytest.mark.parametrize("text", ["", "a", "abc", "3po", "1-", "$", "12a4", "--", "1..2", "nan"])
def test_what_is_no_number(text: str) -> None:
    assert number_forms(text) == ()


@given(st.text("0123456789.,:-/$€%stndrkm'", max_size=24))
def test_any_text_gives_words_or_nothing(text: str) -> None:
    for form in number_forms(text):
        assert form
        assert all(word.replace("'", "").isalpha() for word in form)


def test_ordinals() -> None:
    assert [" ".join(ordinal(n)) for n in (1, 8, 20, 43, 100)] == [
        "first", "eighth", "twentieth", "forty third", "one hundredth",
    ]  # fmt: skip
