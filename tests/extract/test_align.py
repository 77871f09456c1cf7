"""Frames to words, against a literal loop over words and frames."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modashift.errors import DataError
from modashift.extract.align import align_to_words

LITERAL = {
    "mean": lambda own: own.mean(),
    "last": lambda own: own[-1],
    "max": lambda own: own.max(),
    "sd": lambda own: own.std(),
}


def literal(values, times, spans, how, mask):
    result = np.zeros((len(spans), values.shape[1] * len(how)))
    present = np.zeros(len(spans), dtype=bool)
    for w, (start, end) in enumerate(spans):
        own = [t for t in range(len(times)) if mask[t] and start <= times[t] < end]
        present[w] = bool(own)
        for s, name in enumerate(how):
            for d in range(values.shape[1]):
                entries = np.array([values[t, d] for t in own if np.isfinite(values[t, d])])
                if len(entries):
                    result[w, s * values.shape[1] + d] = LITERAL[name](entries)
    return result, present


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(0, 8), st.integers(0, 2**32 - 1))
def test_equals_the_literal_loop(frames, words, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(100, 3, (frames, 3))
    values[rng.random(values.shape) < 0.1] = -np.inf
    times = np.sort(rng.uniform(0, 4, frames))
    starts = rng.uniform(0, 4, words)
    spans = np.stack([starts, starts + rng.exponential(0.5, words)], 1)
    mask = rng.random(frames) < 0.8
    how = ["mean", "last", "max", "sd"]
    found = align_to_words(values, times, spans, how=how, mask=mask)
    expected, present = literal(values, times, spans, how, mask)
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert (found.mask == present).all()


def test_a_frame_at_the_end_of_a_word_is_the_next_words():
    found = align_to_words([[1.0], [2.0], [3.0]], [0.0, 0.5, 1.0], [[0.0, 0.5], [0.5, 1.0]])
    assert found.values.ravel().tolist() == [1, 2]


def test_short_words_reach_for_the_nearest_frame():
    spans = [[0.1, 0.2], [0.35, 0.4], [1.6, 1.65]]
    values, times = [[1.0], [2.0], [3.0]], [0.0, 0.5, 1.0]
    assert align_to_words(values, times, spans).mask.tolist() == [False, False, False]
    found = align_to_words(values, times, spans, reach=0.2)
    assert found.values.ravel().tolist() == [1, 2, 0]
    assert found.mask.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times": [0.0]}, "one time a row"),
        ({"times": [1.0, 0.0]}, "must rise"),
        ({"spans": [[1.0, 0.5]]}, r"word 1 ends \(0.5 s\) before it starts \(1 s\)"),
        ({"how": "median"}, "no statistic median; there are mean, last"),
        ({"mask": [True]}, "mask of as many entries"),
    ],
)
def test_errors(change, message):
    arguments = {"values": [[1.0], [2.0]], "times": [0.0, 1.0], "spans": [[0.0, 1.0]]} | change
    with pytest.raises(DataError, match=message):
        align_to_words(**arguments)
