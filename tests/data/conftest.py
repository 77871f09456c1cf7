"""A small data set to write, read and break."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modashift.data.build import Row, assemble
from modashift.data.dataset import Dataset

DIMS = {"linguistic": 6, "visual": 4, "acoustic": 5}
VOCABULARY = ["good", "bad", "so", "très", "film", "the", "映画", "not"]
SPLITS = ("train", "train", "dev", "test")

Make = Callable[..., Dataset]


@pytest.fixture
def make() -> Make:
    """Function that builds utterances of several videos, with ids and splits as in the field's files."""

    def build(
        videos: int = 4,
        each: int = 3,
        modalities: tuple[str, ...] = ("visual", "acoustic"),
        alignment: str = "word",
        seed: int = 0,
        missing: bool = False,
    ) -> Dataset:
        rng = np.random.default_rng(seed)
        rows = []
        for video in range(videos):
            for k in range(each):
                words = list(rng.choice(VOCABULARY, size=int(rng.integers(1, 8))))
                steps = {"word": len(words), "utterance": 1}.get(alignment, int(rng.integers(2, 20)))
                features: dict[str, Any] = {
                    m: rng.standard_normal((steps, DIMS[m])).astype(np.float32) for m in modalities
                }
                if missing and k == 1:
                    features.popitem()
                label = float(np.float32(round(rng.uniform(-3, 3), 1)))
                group, words = f"vid{video}", [str(w) for w in words]
                split = SPLITS[video % 4]
                rows.append(Row(f"{group}_{k + 1}", group, split, label, " ".join(words), words, features))
        columns = {m: tuple(f"{m}{c}" for c in range(DIMS[m])) for m in modalities}
        return assemble("sample", rows, dict.fromkeys(modalities, alignment), {"format": "test"}, columns)

    return build


@pytest.fixture
def same() -> Callable[[Dataset, Dataset], None]:
    """Function that compares all utterances of two data sets by id, to the bit."""

    def compare(one: Dataset, other: Dataset, splits: bool = True) -> None:
        assert sorted(one.ids) == sorted(other.ids)
        assert one.sizes() == other.sizes()
        assert {m: f.alignment for m, f in one.features.items()} == {m: f.alignment for m, f in other.features.items()}
        rows = {identifier: row for row, identifier in enumerate(other.ids)}
        for a in one:
            b = other[rows[a.id]]
            assert (a.group, a.text, a.words) == (b.group, b.text, b.words)
            assert a.label == b.label or (np.isnan(a.label) and np.isnan(b.label))
            assert not splits or a.split == b.split
            for modality, values in a.features.items():
                assert values.dtype == b.features[modality].dtype == np.float32
                np.testing.assert_array_equal(values, b.features[modality])

    return compare
