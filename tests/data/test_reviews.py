"""The rated review sentences: counts, scale, splits that share nothing, and the lexicon to compare with."""

import re
import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modashift.data import reviews
from modashift.data.dataset import Dataset
from modashift.data.reviews import load_reviews, vader_baseline, vader_scores
from modashift.errors import DataError
from modashift.evaluate.metrics import regression_metrics


@pytest.fixture(scope="module")
def both() -> Dataset:
    return load_reviews(("movie", "product"))


def plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower())) or text


def test_counts_and_scale(both: Dataset) -> None:
    assert len(both) == 10605 + 3708
    assert len(set(both.ids)) == len(both)
    assert np.abs(both.labels).max() <= 3
    assert both.labels[0] == pytest.approx(2.26666666667 * 0.75)
    assert both.texts[0].startswith("The Rock is destined")
    assert list(both.words[2]) == ["Effective", "but", "too", "tepid", "biopic"]
    assert all(both.words)


def test_split_sizes_are_pinned(both: Dataset) -> None:
    # The split is a promise: a change of any of these numbers breaks comparison with earlier results.
    movie = load_reviews()
    assert [len(movie.rows(s)) for s in ("train", "dev", "test")] == [8480, 1094, 1031]
    assert [len(both.rows(s)) for s in ("train", "dev", "test")] == [11476, 1423, 1414]


def test_the_sets_asked_for_do_not_move_a_sentence(both: Dataset) -> None:
    whole = {i: (s, g) for i, s, g in zip(both.ids, both.splits, both.groups, strict=True)}
    for name in ("movie", "product"):
        part = load_reviews((name,))
        assert all(whole[i] == (s, g) for i, s, g in zip(part.ids, part.splits, part.groups, strict=True))


def test_nothing_crosses_the_splits(both: Dataset) -> None:
    for key in (
        [plain(text) for text in both.texts],
        list(both.groups),
        [i.split("_")[0] for i in both.ids],  # a product review, or one film sentence
    ):
        place: dict[str, str] = {}
        for k, split in zip(key, both.splits, strict=True):
            assert place.setdefault(k, split) == split


@pytest.mark.parametrize("sets", [(), ("tweets",), "movie"])
def test_unknown_sets_are_refused(sets: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="movie, product"):
        load_reviews(sets)


def test_a_damaged_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "movie.txt").write_bytes(b"1\t0.5\tfine\r\n2\tnothing here\r\n")
    monkeypatch.setattr(reviews, "fetch_reviews", lambda: tmp_path)
    with pytest.raises(DataError, match=r"movie\.txt, line 2"):
        load_reviews()


def test_vader_needs_neither_network_nor_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = reviews.fetch_reviews() / "vader"
    monkeypatch.setattr(socket, "socket", None)
    good, bad, none = vader_scores(["This is a great film!", "This is a terrible film.", "This is a film."])
    assert good > 0.5 > -0.4 > bad
    assert none == 0
    assert "vaderSentiment" not in sys.modules
    assert not (folder / "__pycache__").exists()


def test_changed_vader_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vader").mkdir()
    (tmp_path / "vader" / "vaderSentiment.py").write_text("raise SystemExit('ran')")
    monkeypatch.setattr(reviews, "fetch_reviews", lambda: tmp_path)
    with pytest.raises(DataError, match="SHA-256"):
        vader_scores(["anything"])


def test_vader_beats_the_mean_and_its_line_is_the_best_on_train() -> None:
    dataset = load_reviews(("product",))
    predicted = vader_baseline(dataset)
    train, test = dataset.rows("train"), dataset.rows("test")
    residual = dataset.labels[train] - predicted[train]
    assert residual.mean() == pytest.approx(0, abs=1e-9)
    assert residual @ predicted[train] == pytest.approx(0, abs=1e-6)
    found = regression_metrics(dataset.labels[test], predicted[test])
    assert found["mae"] < np.abs(dataset.labels[test] - dataset.labels[train].mean()).mean() - 0.15
    assert found["corr"] > 0.45


def test_vader_without_train_labels_is_refused() -> None:
    dataset = load_reviews(("product",))
    unlabelled = replace(dataset, labels=np.full(len(dataset), np.nan))
    with pytest.raises(DataError, match="0 labelled train"):
        vader_baseline(unlabelled)
