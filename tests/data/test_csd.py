import csv
import json
import os
from difflib import SequenceMatcher
from itertools import pairwise

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modashift.data.csd import overlap_means, read_csd
from modashift.errors import DataError


def naive(values, intervals, spans):
    """The definition, one entry at a time."""
    result = np.zeros((len(spans), values.shape[1]))
    for w, (start, end) in enumerate(spans):
        found = [values[i] for i, (a, b) in enumerate(intervals) if a < end and b > start]
        if found:
            result[w] = np.mean(found, axis=0)
    return result


TIMES = st.integers(0, 40).map(lambda k: k / 4)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(TIMES, TIMES).map(sorted).filter(lambda t: t[0] < t[1]), min_size=1, max_size=12),
    st.lists(st.tuples(TIMES, TIMES).map(sorted).filter(lambda t: t[0] < t[1]), min_size=1, max_size=8),
    st.data(),
)
def test_means_are_those_of_the_definition(intervals, spans, data):
    # overlapping, nested, unsorted and duplicate entries included
    shape = (len(intervals), 2)
    values = data.draw(hnp.arrays(np.float32, shape, elements=st.integers(-100, 100).map(float)))
    found = overlap_means(values, np.array(intervals), np.array(spans))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, naive(values, intervals, spans), rtol=1e-5, atol=1e-5)


def test_nonfinite_values_stay_where_they_are():
    values = np.array([[1.0], [np.nan], [np.inf], [-np.inf], [5], [np.inf]])
    intervals = np.array([[k, k + 1] for k in range(6)], dtype=float)
    found = overlap_means(values, intervals, np.array([[0, 1], [0, 2], [2, 3], [3, 4], [4, 5], [2, 5], [0.0, 6]]))
    np.testing.assert_array_equal(found[:, 0], [1, np.nan, np.inf, -np.inf, 5, np.nan, np.nan])


def test_no_overlap_is_zero_and_touching_is_none():
    values = np.ones((2, 3))
    intervals = np.array([[0, 1], [2, 3.0]])
    assert not overlap_means(values, intervals, np.array([[1, 2], [5, 6.0]])).any()
    assert overlap_means(values, intervals, np.zeros((0, 2))).shape == (0, 3)
    assert overlap_means(np.zeros((0, 3)), np.zeros((0, 2)), np.array([[1, 2.0]])).tolist() == [[0, 0, 0]]
    assert overlap_means(values, intervals, np.array([[0.5, 0.5]])).tolist() == [[1, 1, 1]]


def save(path, root, videos, names=None):
    with h5py.File(path, "w") as file:
        for video, (features, intervals) in videos.items():
            group = file.create_group(f"{root}/data/{video}")
            words = isinstance(features, list)
            group["features"] = np.array([[f.encode()] for f in features], dtype="S12") if words else features
            group["intervals"] = np.asarray(intervals, dtype=float)
        if names is not None:
            metadata = file.create_group(f"{root}/metadata")
            metadata.create_dataset("dimension names", data=[json.dumps(names).encode()], dtype=h5py.string_dtype())


WORDS = ["so", "sp", "good", "a", "film", "sp"]
EDGES = np.array([0, 1, 2, 3, 4, 5, 6.0])


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "csd"
    path.mkdir()
    spans = list(pairwise(EDGES))
    save(path / "words.csd", "words", {"v": (WORDS, spans), "w": (WORDS, spans)})
    labels = (np.array([[1.5, 0], [-2, 1]]), [[0, 3], [3, 6]])
    silent = (np.array([[0.5, 0], [3, 0]]), [[0, 3], [7, 9]])
    save(path / "labels.csd", "All Labels", {"v": labels, "w": silent})
    frames = [[t / 10, (t + 1) / 10] for t in range(60)]
    covarep = (np.arange(60, dtype=float)[:, None].repeat(2, 1), frames)
    save(path / "covarep.csd", "COVAREP", {"v": covarep}, names=["f0", "vuv"])
    save(path / "FACET.csd", "FACET 4.2", {"v": covarep, "w": covarep}, names=["one"])
    return path


def test_words_labels_and_features_are_brought_together(folder):
    data = read_csd(folder, split="train")
    assert list(data.ids) == ["v_1", "v_2", "w_1"]
    assert list(data.groups) == ["v", "v", "w"]
    assert data.labels.tolist() == [1.5, -2, 0.5]
    assert [u.words for u in data] == [("so", "good"), ("a", "film"), ("so", "good")]
    assert [u.text for u in data] == ["so good", "a film", "so good"]
    np.testing.assert_allclose(data[0].features["acoustic"][:, 0], [4.5, 24.5])
    np.testing.assert_allclose(data[1].features["visual"][:, 0], [34.5, 44.5])
    assert data.features["acoustic"].lengths.tolist() == [2, 2, 0]
    assert data.features["acoustic"].columns == ("f0", "vuv")
    assert data.features["visual"].columns == ()
    assert "1 segments without any word were left out" in data.provenance["notes"]
    assert set(data.provenance["sha256"]) == {"words.csd", "labels.csd", "covarep.csd", "FACET.csd"}


def test_pauses_can_be_kept(folder):
    data = read_csd(folder, split="dev", pauses="keep")
    assert data[0].words == ("so", "sp", "good")
    assert data.splits.tolist() == ["dev"] * 3


def test_word_times_one_entry_ahead(folder):
    right = read_csd(folder, split="train")
    spans = list(pairwise(EDGES))
    shifted = {v: (WORDS, [*spans[1:], (9, 10)]) for v in "vw"}
    save(folder / "words.csd", "words", shifted)
    data = read_csd(folder, split="train", words_offset=1)
    assert [u.words for u in data] == [u.words for u in right]
    np.testing.assert_array_equal(data.features["acoustic"].values, right.features["acoustic"].values)
    assert data.provenance["options"]["words_offset"] == 1
    assert read_csd(folder, split="train", words_offset=0)[0].words != right[0].words


def test_the_shift_is_found_by_durations(folder):
    rng = np.random.default_rng(0)
    words = [str(w) for w in rng.choice(["a", "the", "terrible", "extraordinary", "film"], 400)]
    edges = np.concatenate([[0], np.cumsum([0.05 * len(w) + rng.uniform(0, 0.1) for w in words])])
    spans = list(pairwise(edges))
    labels = {"v": (np.array([[1.0]]), [[0, edges[-1]]])}
    for name in ("covarep", "FACET"):
        (folder / f"{name}.csd").unlink()
    save(folder / "labels.csd", "All Labels", labels)
    for entries, offset in ((spans, 0), ([*spans[1:], (edges[-1], edges[-1] + 1)], 1)):
        save(folder / "words.csd", "words", {"v": (words, entries)})
        data = read_csd(folder, split="train")
        assert data.provenance["options"]["words_offset"] == offset
        assert data[0].words == tuple(w[:12] for w in words)


def test_splits_from_files(folder, tmp_path):
    path = tmp_path / "folds.json"
    path.write_text(json.dumps({"train": ["v"], "valid": ["w"]}))
    assert read_csd(folder, split=str(path)).splits.tolist() == ["train", "train", "dev"]
    path.write_text(json.dumps({"train": ["v_2"], "test": ["w"]}))
    data = read_csd(folder, split=str(path))
    assert list(zip(data.ids, data.splits)) == [("v_2", "train"), ("w_1", "test")]
    for column in ("id", "video"):
        path = tmp_path / "folds.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([[column, "split"], ["w" if column == "video" else "w_1", "test"]])
        assert list(read_csd(folder, split=str(path)).ids) == ["w_1"]
    for content in ("[]", "{", '{"fold": []}', '{"train": 1}'):
        path = tmp_path / "folds.json"
        path.write_text(content)
        with pytest.raises(DataError, match="cannot read the splits"):
            read_csd(folder, split=str(path))
    path = tmp_path / "bad.csv"
    path.write_text("id,split\nv_1,fold\n")
    with pytest.raises(DataError, match="cannot read the splits"):
        read_csd(folder, split=str(path))


def test_what_is_missing_is_said(folder, tmp_path):
    with pytest.raises(DataError, match="do not tell the splits"):
        read_csd(folder)
    with pytest.raises(DataError, match="cannot read the splits"):
        read_csd(folder, split="none.json")
    with pytest.raises(DataError, match="words_offset is 0 or 1"):
        read_csd(folder, split="train", words_offset=2)
    with pytest.raises(DataError, match="pauses 'no'"):
        read_csd(folder, split="train", pauses="no")
    with pytest.raises(DataError, match="folder that holds"):
        read_csd(tmp_path, split="train")
    with pytest.raises(DataError, match="folder that holds"):
        read_csd(folder / "words.csd", split="train")
    (folder / "covarep.csd").rename(folder / "covarep2.csd")
    (folder / "FACET.csd").rename(folder / "x_covarep.csd")
    with pytest.raises(DataError, match="does not tell the modality"):
        read_csd(folder, split="train")
    (folder / "x_covarep.csd").unlink()
    save(folder / "x_covarep.csd", "COVAREP", {"v": (np.zeros((1, 2)), [[0, 1]])})
    with pytest.raises(DataError, match="are both acoustic"):
        read_csd(folder, split="train")
    (folder / "x_covarep.csd").unlink()
    (folder / "labels.csd").rename(folder / "covarep3.other")
    with pytest.raises(DataError, match=r"one \.csd file with labels, found none"):
        read_csd(folder, split="train")


def test_broken_sequences(folder):
    times = [[0, 1]] * 2
    for content, message in (
        ({"v": (np.zeros((3, 2)), times)}, "covarep.csd, v: expected 3 intervals"),
        ({"v": (np.zeros((2, 2)), [[0, 1], [2, 1]])}, "covarep.csd, v: expected 2 intervals"),
        ({"v": (np.zeros((2, 2)), [[0, 1], [np.nan, 1]])}, "covarep.csd, v: expected 2 intervals"),
        ({"v": (np.zeros(2), times)}, "covarep.csd, v: expected features"),
        ({}, "not a computational sequence"),
        (None, "holds no video"),
    ):
        if content is None:
            with h5py.File(folder / "covarep.csd", "w") as file:
                file.create_group("COVAREP/data")
        else:
            save(folder / "covarep.csd", "COVAREP", content)
        with pytest.raises(DataError, match=message):
            read_csd(folder, split="train")
    (folder / "covarep.csd").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 50)
    with pytest.raises(DataError, match="not a readable computational sequence"):
        read_csd(folder, split="train")
    with h5py.File(folder / "covarep.csd", "w") as file:
        file.create_group("COVAREP/data/v")
    with pytest.raises(DataError, match="not a readable computational sequence"):
        read_csd(folder, split="train")
    (folder / "covarep.csd").unlink()
    save(folder / "words.csd", "words", {"w": (WORDS, list(pairwise(EDGES)))})
    with pytest.raises(DataError, match="no words of the video v"):
        read_csd(folder, split="train")


def test_the_published_word_times_come_out_right(mosi, tmp_path):
    folder = tmp_path / "csd"
    folder.mkdir()
    for path in mosi.glob("*.csd"):
        os.symlink(path, folder / path.name)
    true = {
        row["id"]: row for row in map(json.loads, (mosi / "segments.jsonl").read_text(encoding="utf-8").splitlines())
    }
    videos = {s: sorted({r["video_id"] for r in true.values() if r["split"] == s}) for s in ("train", "dev")}
    (tmp_path / "folds.json").write_text(json.dumps(videos))

    def agreement(data):
        pairs = [(list(u.words), true[u.id]["text"].lower().split()) for u in data]
        return np.mean([SequenceMatcher(None, *pair).ratio() for pair in pairs])

    data = read_csd(folder, split=str(tmp_path / "folds.json"))
    assert data.provenance["options"]["words_offset"] == 1, "the published file is off by one, and that is noticed"
    assert set(data.ids) <= set(true)
    assert len(data) == 1511, "two segments have no word with times"
    assert all(u.split == true[u.id]["split"] for u in data)
    assert agreement(data) > 0.97
    assert agreement(read_csd(folder, split="train", words_offset=0)) < 0.9
    close = [abs(u.label - true[u.id]["label"]) < 0.3 for u in data]
    assert np.mean(close) > 0.98, "labels are of the same segments"
