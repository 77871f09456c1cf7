"""Normalisation: the training split only, over real steps only, and back from its saved state."""

import json

import numpy as np
import pytest

from modashift.data.dataset import Dataset, Feature
from modashift.data.normalise import Normaliser
from modashift.errors import DataError


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    sequences = [rng.normal(1e4, 3, (n, 4)).astype(np.float32) for n in (5, 3, 0, 8)]
    for s in sequences:
        s[:, 3] = 2.0
    splits = np.array(["train", "train", "train", "test"])
    return Dataset("d", list("abcd"), list("abcd"), splits, np.zeros(4), ["x"] * 4, [("x",)] * 4,
                   {"acoustic": Feature.pack(sequences, 4)})  # fmt: skip


def test_train_statistics_are_those_of_the_training_steps(data):
    normaliser = Normaliser.fit("train", data)
    steps = np.concatenate([data.features["acoustic"][r] for r in (0, 1)]).astype(np.float64)
    np.testing.assert_allclose(normaliser.mean["acoustic"], steps.mean(0), rtol=1e-12)
    np.testing.assert_allclose(normaliser.scale["acoustic"][:3], steps.std(0)[:3], rtol=1e-9)
    assert normaliser.scale["acoustic"][3] == 1, "a constant column must not be blown up"
    scaled = np.concatenate([normaliser.apply("acoustic", data.features["acoustic"][r]) for r in (0, 1)])
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled[:, :3].std(0), 1, rtol=1e-5)


def test_segment_statistics_are_of_each_utterance(data):
    normaliser = Normaliser.fit("segment", data)
    scaled = normaliser.apply("acoustic", data.features["acoustic"][3])
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(scaled[:, :3].std(0), 1, rtol=1e-4)
    assert np.all(scaled[:, 3] == 0)


def test_none_and_missing_utterances_pass_through(data):
    values = data.features["acoustic"][0]
    assert np.array_equal(Normaliser().apply("acoustic", values), values)
    for kind in ("train", "segment"):
        assert Normaliser.fit(kind, data).apply("acoustic", data.features["acoustic"][2]).shape == (0, 4)


def test_state_round_trip_is_exact(data):
    normaliser = Normaliser.fit("train", data)
    again = Normaliser.from_state(json.loads(json.dumps(normaliser.state())))
    values = data.features["acoustic"][3]
    assert np.array_equal(again.apply("acoustic", values), normaliser.apply("acoustic", values))


def test_unknown_kind(data):
    with pytest.raises(DataError, match="none, train, segment"):
        Normaliser.fit("minmax", data)
