"""Splits declared anew: no group on both sides, sizes as asked for, the same each time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modashift.data.dataset import Dataset
from modashift.data.splits import folds, leave_group_out, leave_one_group_out, redeclare
from modashift.errors import DataError


def dataset(groups, splits=None):
    n = len(groups)
    return Dataset("d", [f"u{i}" for i in range(n)], groups, np.array(splits or ["train"] * n), np.zeros(n),
                   ["x"] * n, [("x",)] * n, {})  # fmt: skip


def groups_of(data, split):
    return {data.groups[r] for r in data.rows(split)}


GROUPS = st.lists(st.integers(0, 9).map(lambda k: f"g{k}"), min_size=20, max_size=80).filter(lambda g: len(set(g)) > 3)


@settings(max_examples=60, deadline=None)
@given(GROUPS, st.floats(0.05, 0.6), st.integers(0, 99))
def test_carving_keeps_groups_whole_and_is_deterministic(groups, share, seed):
    data = dataset(groups)
    carved = redeclare(data, validation=share, seed=seed)
    assert not groups_of(carved, "train") & groups_of(carved, "dev")
    assert len(carved.rows("train")) > 0
    assert len(carved.rows("dev")) > 0
    assert np.array_equal(carved.splits, redeclare(data, validation=share, seed=seed).splits)
    largest = max(groups.count(g) for g in groups)
    assert abs(len(carved.rows("dev")) - share * len(groups)) <= largest


def test_ungrouped_carving_is_exact():
    carved = redeclare(dataset(["g"] * 100), validation=0.15, group="none")
    assert len(carved.rows("dev")) == 15


def test_dev_as_test_carves_a_new_dev_out_of_train_alone():
    data = dataset([f"g{i // 4}" for i in range(40)], ["train"] * 32 + ["dev"] * 8)
    again = redeclare(data, validation=0.25, dev_as_test=True)
    assert again.rows("test").tolist() == list(range(32, 40))
    assert len(again.rows("dev")) == 8
    assert data.rows("test").size == 0, "the data set itself is not changed"


def test_without_a_request_nothing_changes():
    data = dataset(["a", "b"], ["train", "dev"])
    assert np.array_equal(redeclare(data).splits, data.splits)


@settings(max_examples=30, deadline=None)
@given(GROUPS, st.integers(2, 4))
def test_folds_test_everything_once(groups, count):
    seen = []
    for fold in folds(dataset(groups), count):
        parts = [groups_of(fold, s) for s in ("train", "dev", "test")]
        assert all(parts)
        assert sum(map(len, parts)) == len(set(groups))
        seen += fold.rows("test").tolist()
    assert sorted(seen) == list(range(len(groups)))


def test_one_group_left_out():
    data = dataset(["a", "a", "b", "c", "c", "d"])
    names = []
    for name, part in leave_one_group_out(data):
        names.append(name)
        assert groups_of(part, "test") == {name}
    assert names == ["a", "b", "c", "d"]
    with pytest.raises(DataError, match="no group 'z'"):
        leave_group_out(data, "z")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validation": 1.5}, r"share .* in \(0, 1\)"),
        ({"validation": 0.2}, "cannot be divided"),
        ({"dev_as_test": True, "validation": 0.2}, "no dev split"),
    ],
)
def test_impossible_requests(arguments, message):
    with pytest.raises(DataError, match=message):
        redeclare(dataset(["g"] * 5), **arguments)


def test_a_test_split_is_not_mixed_with_dev():
    data = dataset(list("abcd"), ["train", "train", "dev", "test"])
    with pytest.raises(DataError, match="has a test split of its own"):
        redeclare(data, validation=0.5, dev_as_test=True)
    with pytest.raises(DataError, match="--validation"):
        redeclare(dataset(list("abc"), ["train", "train", "dev"]), dev_as_test=True)
    with pytest.raises(DataError, match="2 to 4"):
        next(folds(data, 9))
