"""Hidden states of several layers: names of their columns, choice of layers, storage in half precision."""

import json
from dataclasses import replace

import numpy as np
import pytest

from modashift.data.dataset import Feature
from modashift.data.states import (
    StateColumns,
    choose_layers,
    columns_from_json,
    columns_to_json,
    state_columns,
)
from modashift.data.store import open_store, write_store
from modashift.data.synthetic import synthetic_dataset
from modashift.errors import DataError

COLUMNS = StateColumns("wavlm-large", (0, 3, 4), 5)


@pytest.fixture
def layered():
    """Utterances with (T, 3 layers · 5) acoustic states in half precision."""
    dataset = synthetic_dataset(12)
    rng = np.random.default_rng(0)
    steps = [rng.normal(size=(k % 4, 15)).astype(np.float16) for k in range(len(dataset))]
    feature = replace(Feature.pack(steps, 15), alignment="frame", columns=COLUMNS)
    return replace(dataset, features={**dataset.features, "acoustic": feature}), steps


def test_names_are_those_of_their_layer_and_place():
    assert len(COLUMNS) == 15
    assert COLUMNS[0] == "wavlm-large.0.0"
    assert COLUMNS[5] == "wavlm-large.3.0"
    assert COLUMNS[-1] == "wavlm-large.4.4"
    assert COLUMNS[4:6] == ("wavlm-large.0.4", "wavlm-large.3.0")
    assert len(set(COLUMNS)) == 15
    with pytest.raises(IndexError):
        COLUMNS[15]


def test_description_survives_json():
    again = columns_from_json(json.loads(json.dumps(columns_to_json(COLUMNS))))
    assert again == COLUMNS
    assert columns_from_json(columns_to_json(("a", "b"))) == ("a", "b")
    for wrong in ({"encoder": "x"}, {"encoder": "x", "layers": [], "size": 3}, 7):
        with pytest.raises(ValueError, match="columns"):
            columns_from_json(wrong)


@pytest.mark.parametrize("layers", [(), (1, 1), (3, 2), (-1, 0)])
def test_layers_rise_from_nought(layers):
    with pytest.raises(DataError, match="make no columns"):
        StateColumns("x", layers, 4)


@pytest.mark.parametrize("wanted", [0, 3, 4, [0, 3], [4, 0], [0, 3, 4]])
def test_chosen_layers_are_those_of_the_reshaped_array(layered, wanted):
    dataset, steps = layered
    chosen = choose_layers(dataset, {"acoustic": wanted}).features["acoustic"]
    kept = sorted([wanted] if isinstance(wanted, int) else wanted)
    at = [(0, 3, 4).index(n) for n in kept]
    for row, own in enumerate(steps):
        expected = own.reshape(len(own), 3, 5)[:, at].reshape(len(own), len(kept) * 5)
        assert np.array_equal(chosen[row], expected)
    assert state_columns(chosen) == StateColumns("wavlm-large", tuple(kept), 5)


def test_neighbouring_layers_are_a_view(layered):
    dataset, _ = layered
    values = dataset.features["acoustic"].values
    assert np.shares_memory(choose_layers(dataset, {"acoustic": [3, 4]}).features["acoustic"].values, values)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"acoustic": 7}, "no layer 7; they hold layers 0, 3, 4"),
        ({"acoustic": []}, "nothing where no layer is chosen"),
        ({"linguistic": 1}, "has no linguistic features"),
        ({"visual": 1}, "no hidden states of an encoder"),
    ],
)
def test_what_is_not_there_is_said(layered, layers, message):
    with pytest.raises(DataError, match=message):
        choose_layers(layered[0], layers)


def test_a_store_keeps_half_precision_and_layers(layered, tmp_path):
    dataset, steps = layered
    write_store(dataset, tmp_path / "a.store")
    again = open_store(tmp_path / "a.store").features["acoustic"]
    assert again.values.dtype == np.float16
    assert again.columns == COLUMNS
    assert all(np.array_equal(again[k], own) for k, own in enumerate(steps))
    facts = (tmp_path / "a.store" / "store.json").read_text()
    assert len(facts) < 5_000  # no list of every column


def test_rows_are_taken_in_half_precision(layered):
    dataset, steps = layered
    taken = dataset.take([5, 1, 7]).features["acoustic"]
    assert taken.values.dtype == np.float16
    assert np.array_equal(taken[0], steps[5])
    assert taken.columns == COLUMNS
