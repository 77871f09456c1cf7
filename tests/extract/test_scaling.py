"""Scaling within a segment and over a corpus."""

import numpy as np
import pytest

from modashift.data.normalise import Normaliser
from modashift.errors import DataError
from modashift.extract.covarep import NAMES
from modashift.extract.scaling import MOSI_COLUMNS, CorpusScale, scale_segment


def test_the_five_columns_of_the_mosi_pickles():
    assert [NAMES.index(name) for name in MOSI_COLUMNS] == [1, 3, 6, 25, 60]


def test_a_segment_equals_the_datasets_normalisation():
    values = np.random.default_rng(0).normal(5, 2, (30, 4)).astype(np.float32)
    np.testing.assert_allclose(scale_segment(values), Normaliser("segment").apply("acoustic", values), atol=1e-5)


def test_entries_that_are_not_finite_do_not_count():
    values = np.array([[1.0, 7.0], [-np.inf, 7.0], [3.0, 7.0]])
    assert scale_segment(values) == pytest.approx(np.array([[-1, 0], [0, 0], [1, 0]]), abs=1e-5)
    scale = CorpusScale.fit([values])
    assert scale.mean.tolist() == [2, 7]
    assert scale.apply(values).tolist() == [[-1, 0], [0, 0], [1, 0]]


def test_a_corpus_in_parts_equals_the_whole():
    rng = np.random.default_rng(1)
    parts = [rng.normal(1e6, 1, (n, 3)) for n in (1, 50, 0, 7)]
    whole = np.concatenate(parts)
    scale = CorpusScale.fit(iter(parts))
    np.testing.assert_allclose(scale.mean, whole.mean(0), rtol=1e-12)
    np.testing.assert_allclose(scale.deviation, whole.std(0), rtol=1e-8)


def test_errors():
    with pytest.raises(DataError, match="no recordings"):
        CorpusScale.fit([])
    with pytest.raises(DataError, match="recording 2 has 3 columns, the ones before 2"):
        CorpusScale.fit([np.zeros((1, 2)), np.zeros((1, 3))])
    with pytest.raises(DataError, match="have 1 columns, the corpus had 2"):
        CorpusScale.fit([np.zeros((1, 2))]).apply(np.zeros((1, 1)))
    with pytest.raises(DataError, match="got shape"):
        scale_segment(np.zeros(3))
