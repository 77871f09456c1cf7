"""The made-up data set: deterministic, complete, and true to its own definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modashift.data.dataset import SPLITS
from modashift.data.simulated import best_reachable
from modashift.data.synthetic import VALENCES, synthetic_dataset
from modashift.errors import DataError


def test_label_is_the_clipped_sum() -> None:
    dataset = synthetic_dataset(200, tracks=None)
    for utterance in dataset:
        total = sum(VALENCES[word] for word in utterance.words)
        assert utterance.label == pytest.approx(max(-3, min(3, total)))
        assert utterance.text.split() == list(utterance.words)
    assert {-1, 0, 1} == set(np.sign(dataset.labels))
    assert dataset.features == {}


def test_the_same_every_time() -> None:
    a, b, c = synthetic_dataset(seed=4), synthetic_dataset(seed=4), synthetic_dataset(seed=5)
    assert a.texts == b.texts != c.texts
    assert np.array_equal(a.features["visual"].values, b.features["visual"].values)
    assert np.array_equal(a.splits, b.splits)


def test_tracks_can_be_judged() -> None:
    best = best_reachable(synthetic_dataset(), None)
    assert best["mae_both"] < best["mae_text"]


@settings(max_examples=25, deadline=None)
@given(n=st.integers(3, 60), segments=st.integers(1, 20), seed=st.integers(0, 9))
def test_every_split_has_whole_videos(n: int, segments: int, seed: int) -> None:
    dataset = synthetic_dataset(n, seed, segments=segments)
    assert len(set(dataset.ids)) == n
    assert set(dataset.splits) == set(SPLITS)
    home: dict[str, str] = {}
    for group, split in zip(dataset.groups, dataset.splits, strict=True):
        assert home.setdefault(group, split) == split


@pytest.mark.parametrize(
    "wrong", [{"n": 2}, {"words": (0, 3)}, {"words": (5, 4)}, {"segments": 0}, {"vocabulary": {"good": 1.0}}]
)
def test_impossible_requests_are_refused(wrong: dict) -> None:
    with pytest.raises(DataError, match=r"cannot make|vocabulary"):
        synthetic_dataset(**wrong)
