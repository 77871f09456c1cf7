"""Transcripts to tokens, and how they may be said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modashift.extract.words.tokens import spoken_forms, tokenise


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        ("well-made,", "well made"),
        ("DIDNT", "didn't"),
        ("don’t", "don't"),
        ("(umm)", "um"),
        ("“Great!”", "great"),
        ("R&B", "r and b"),
        ("U.S.A.", "u s a"),
        ("www.foo.com", "www dot foo dot com"),
        ("Dr.", "doctor"),
        ("Dr.", "drive"),
        ("5-year-old", "five year old"),
        ("C3PO", "c three po"),
        ("#1", "number one"),
        ("20%!", "twenty percent"),
        ("and/or", "and or"),
        ("w/o", "without"),
        ("1984,", "nineteen eighty four"),
    ],
)
def test_ways_to_say_a_token(piece: str, said: str) -> None:
    assert tuple(said.split()) in spoken_forms(piece)


@pytest.mark.parametrize("piece", ["...", "…", "—", "--", "?!", '"', "♪", "🙂"])
def test_what_is_not_said(piece: str) -> None:
    assert spoken_forms(piece) == ()


@pytest.mark.parametrize("mark", ["[laughter]", "<noise>", "{cough}", "*sighs*", "[loud music],", "♪ la la ♪"])
def test_marks_of_noise_are_one_token_and_not_said(mark: str) -> None:
    (token,) = tokenise(mark)
    assert token.text == mark
    assert token.noise
    assert token.forms == ()


@given(st.text(max_size=60))
def test_no_character_is_lost(text: str) -> None:
    assert "".join("".join(token.text.split()) for token in tokenise(text)) == "".join(text.split())


@given(st.text(max_size=20).filter(lambda text: not any(c.isspace() for c in text)))
def test_forms_are_of_single_words(piece: str) -> None:
    for form in spoken_forms(piece):
        assert form
        assert all(word and not any(c.isspace() for c in word) for word in form)
