"""Words as speech has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modashift.spelling import plain_word


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        ("DIDNT", "didn't"),
        ("don’t", "don't"),
        ("Don't!", "don't"),
        ("'good'", "good"),
        ("well-made", "well made"),
        ("...", ""),
        ("its", "its"),  # may be a possessive
        ("well", "well"),  # and this is mostly no contraction
        ("$10", "$10"),
        ("café,", "café"),
        ("snake_case", "snake case"),
    ],
)
def test_examples(word, plain):
    assert plain_word(word) == plain


@given(st.text(max_size=20))
def test_plain_words_stay_as_they_are(word):
    plain = plain_word(word)
    assert plain_word(plain) == plain
    assert not set(plain) & set('.,!?;:"()—_')
