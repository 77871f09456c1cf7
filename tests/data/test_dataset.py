from dataclasses import replace

import numpy as np
import pytest

from modashift.data.build import Row, assemble, float_steps, from_segment, group_of, to_segment
from modashift.data.dataset import Feature, Ragged, Strings
from modashift.errors import DataError


def test_ragged_sequences():
    packed = Ragged.pack([np.ones((2, 3)), np.zeros((0, 3)), np.full((1, 3), 2.0)], 3)
    assert len(packed) == 3
    assert packed.lengths.tolist() == [2, 0, 1]
    assert packed[2].tolist() == [[2, 2, 2]]
    assert packed.values.dtype == np.float32
    assert Feature.pack([], 4).dim == 4
    with pytest.raises(DataError, match=r"\(steps, 3\)"):
        Ragged.pack([np.ones((2, 4))], 3)


def test_strings_are_decoded_when_asked_for():
    strings = Strings.pack(["a", "", "été", "映画"])
    assert list(strings) == ["a", "", "été", "映画"]
    assert (strings[-1], strings[1:3], strings[np.int64(0)]) == ("映画", ["", "été"], "a")
    assert "été" in strings
    for row in (4, -5):
        with pytest.raises(IndexError):
            strings[row]


def test_utterances_rows_and_choices(make):
    data = make()
    assert [u.id for u in data] == list(data.ids)
    assert data.rows("dev").tolist() == [6, 7, 8]
    assert data.sizes() == {"visual": 4, "acoustic": 5}
    assert data.keep_features(["acoustic"]).sizes() == {"acoustic": 5}
    with pytest.raises(DataError, match="no linguistic features; it has visual, acoustic"):
        data.keep_features(["linguistic"])
    assert set(data.with_splits(np.array(["test"] * 12)).splits) == {"test"}
    with pytest.raises(DataError, match="12 utterances but splits"):
        data.with_splits(np.array(["test"]))


def test_a_modality_nobody_has_is_left_out():
    rows = [Row("a", "a", "train", 0.0, "x", ["x"], {"visual": np.zeros((0, 3), np.float32)})]
    assert not assemble("d", rows, {"visual": "word"}, {}).features
    with pytest.raises(DataError, match="d holds no utterance"):
        assemble("d", [], {}, {})


def test_segment_names_go_both_ways():
    assert from_segment("a_b[0]") == ("a_b_1", "a_b")
    assert to_segment("a_b_1", "a_b") == "a_b[0]"
    assert from_segment("a_3") == ("a_3", "a")
    assert from_segment("a") == ("a", "a")
    for identifier, group in (("a_0", "a"), ("a_01", "a"), ("a_1", "b"), ("a", "a")):
        assert to_segment(identifier, group) == identifier
    assert group_of("_dI--eQ6qVU_12") == "_dI--eQ6qVU"


def test_steps():
    assert float_steps([1, 2], "x").tolist() == [[1, 2]]
    assert float_steps(np.array([[1, 2]], dtype=object), "x").tolist() == [[1, 2]]
    assert np.isinf(float_steps([1e300], "x")).all()
    for wrong in ([["a"]], 3, np.zeros((1, 1, 1)), [{}], [1j]):
        with pytest.raises(DataError, match="here: features must be"):
            float_steps(wrong, "here")


def test_data_sets_are_not_changed_in_place(make):
    data = make()
    changed = replace(data, name="other")
    assert data.name == "sample"
    assert changed.features is data.features
