import csv
import json

import numpy as np
import pytest

from modashift.data.tables import read_table
from modashift.errors import DataError

ROWS = [
    {"id": "a_1", "text": "So good, really", "label": "1.5", "split": "train"},
    {"id": "a_2", "text": 'a "bad" film', "label": "-2", "split": "valid"},
    {"id": "b_1", "text": "été", "label": "", "split": "Test"},
]


def write(path, rows, **options):
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(r) for r in rows) + "\n\n", encoding="utf-8")
    else:
        with path.open("w", newline="", encoding=options.get("encoding", "utf-8")) as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_text_tables(tmp_path, suffix):
    data = read_table(write(tmp_path / f"t.{suffix}", ROWS))
    assert list(data.ids) == ["a_1", "a_2", "b_1"]
    assert list(data.groups) == ["a", "a", "b"]
    assert data.splits.tolist() == ["train", "dev", "test"]
    assert data.labels[:2].tolist() == [1.5, -2]
    assert np.isnan(data.labels[2])
    assert data[0].words == ("So", "good,", "really")
    assert data[1].text == 'a "bad" film'
    assert data[2].text == "été"
    assert not data.features
    assert data.name == "t"
    assert list(data.provenance["sha256"]) == [f"t.{suffix}"]


def test_spreadsheet_marks_and_groups(tmp_path):
    rows = [{**r, "video_id": "v" + r["id"][-1]} for r in ROWS]
    data = read_table(write(tmp_path / "t.csv", rows, encoding="utf-8-sig"))
    assert list(data.groups) == ["v1", "v2", "v1"]


def test_words(tmp_path):
    given = ['["So", "good, really"]', "a bad film", ""]
    data = read_table(write(tmp_path / "t.csv", [{**r, "words": w} for r, w in zip(ROWS, given)]))
    assert [u.words for u in data] == [("So", "good, really"), ("a", "bad", "film"), ("été",)]
    timed = [[["so", 0.1, 0.2], ["good", None, None]], [], None]
    data = read_table(write(tmp_path / "t.jsonl", [{**r, "words": w} for r, w in zip(ROWS, timed)]))
    assert [u.words for u in data] == [("so", "good"), (), ("été",)]


def test_one_split_for_all(tmp_path):
    rows = [{k: v for k, v in r.items() if k not in {"split", "label"}} for r in ROWS]
    data = read_table(write(tmp_path / "t.csv", rows), split="valid")
    assert data.splits.tolist() == ["dev"] * 3
    assert np.isnan(data.labels).all()


def test_arrays_by_path(tmp_path):
    (tmp_path / "f").mkdir()
    for k, n in enumerate((3, 3)):
        np.save(tmp_path / "f" / f"v{k}.npy", np.full((n, 2), k, np.float32))
        np.save(tmp_path / "f" / f"a{k}.npy", np.full((n + k, 4), k, np.float64))
        np.save(tmp_path / "f" / f"l{k}.npy", np.full(5, k))
    paths = [{"visual": f"f/v{k}.npy", "acoustic": f"f/a{k}.npy", "linguistic": f"f/l{k}.npy"} for k in range(2)]
    paths.append({"visual": "", "acoustic": "", "linguistic": ""})
    data = read_table(write(tmp_path / "t.csv", [{**r, **p} for r, p in zip(ROWS, paths)]))
    assert {m: (f.alignment, f.dim) for m, f in data.features.items()} == {
        "linguistic": ("utterance", 5),
        "visual": ("word", 2),
        "acoustic": ("frame", 4),
    }
    assert data.features["visual"].lengths.tolist() == [3, 3, 0]
    assert (data[1].features["linguistic"] == 1).all()


def test_one_file_of_arrays(tmp_path):
    path = write(tmp_path / "t.csv", ROWS)
    np.savez(
        tmp_path / "t.npz",
        ids=np.array(["b_1", "a_1", "extra"]),
        acoustic=np.arange(6.0).reshape(3, 2),
        visual=np.arange(10.0).reshape(5, 2),
        visual_offsets=np.array([0, 1, 4, 5]),
        acoustic_columns=np.array(["f0", "rate"]),
    )
    data = read_table(path)
    assert (data.features["acoustic"].alignment, data.features["visual"].alignment) == ("utterance", "word")
    assert data[2].features["acoustic"].tolist() == [[0, 1]]
    assert data[0].features["visual"].tolist() == [[2, 3], [4, 5], [6, 7]]
    assert data.features["acoustic"].lengths.tolist() == [1, 0, 1]
    assert data.features["acoustic"].columns == ("f0", "rate")
    assert list(data.provenance["sha256"]) == ["t.csv", "t.npz"]
    (tmp_path / "t.npz").rename(tmp_path / "other.npz")
    assert not read_table(path).features
    assert read_table(path, arrays=tmp_path / "other.npz").sizes() == {"visual": 2, "acoustic": 2}


BROKEN = {
    "no id": ({"id": ""}, "line 2: no id"),
    "label": ({"label": "good"}, "line 2, label: 'good' is not a number"),
    "split": ({"split": "fold1"}, "line 2, split: 'fold1' is not one of"),
    "no split": ({"split": ""}, "line 2: no split"),
    "words": ({"words": "[1"}, "line 2, words: neither"),
    "word types": ({"words": "[1]"}, "line 2, words: expected a list of strings"),
    "no array": ({"visual": "none.npy"}, "line 2: cannot read the array"),
    "text array": ({"visual": "text.npy"}, "line 2, visual: features must be"),
    "object array": ({"visual": "object.npy"}, "line 2: cannot read the array"),
    "archive": ({"visual": "many.npz"}, "line 2: .*holds several arrays"),
    "no numbers": ({"visual": "t.csv"}, "line 2: cannot read the array"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rows_are_named(tmp_path, name):
    changes, message = BROKEN[name]
    np.save(tmp_path / "text.npy", np.array(["a", "b"]))
    np.save(tmp_path / "object.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "many.npz", a=np.zeros(2))
    path = write(tmp_path / "t.csv", [{**ROWS[0], **changes}])
    with pytest.raises(DataError, match=rf"t\.csv, {message}"):
        read_table(path)


def test_vectors_and_matrices_mixed(tmp_path):
    np.save(tmp_path / "v.npy", np.zeros(2))
    np.save(tmp_path / "m.npy", np.zeros((3, 2)))
    rows = [{**ROWS[0], "visual": "v.npy"}, {**ROWS[1], "visual": "m.npy"}]
    with pytest.raises(DataError, match="some arrays are vectors and some matrices"):
        read_table(write(tmp_path / "t.csv", rows))


def test_broken_tables(tmp_path):
    path = tmp_path / "t.csv"
    for content, message in (
        (b"id,text\n", "no utterance"),
        (b"id,label\na,1\n", r"line 2: no text.*found: id, label"),
        (b"id,text,split\na,b,train,more\n", "line 2: not as many fields"),
        (b"id,text,split\na,b\n", "line 2: not as many fields"),
        (b"id,text,split\na,\xff\xfe,train\n", "not UTF-8"),
        (b'id,text,split\na,"b"c,train\n', "not a readable table"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_table(path)
    path = tmp_path / "t.jsonl"
    for content, message in ((b"{\n", "line 1: not JSON"), (b"\n[1]\n", "line 2: expected an object")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_table(path)
    with pytest.raises(DataError, match="cannot read"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"ends in \.csv"):
        read_table(tmp_path / "t.xlsx")
    with pytest.raises(DataError, match="'fold' is not one of"):
        read_table(path, split="fold")


IDS = np.array(["a_1", "b_1"])
ARRAYS = {
    "no ids": ({"visual": np.zeros((2, 2))}, "expected ids"),
    "no modality": ({"ids": IDS, "x": IDS}, "expected ids and"),
    "twice": ({"ids": np.array(["a", "a"]), "visual": np.zeros((2, 2))}, "more than once"),
    "rows": ({"ids": IDS, "visual": np.zeros((3, 2))}, "3 rows for 2 ids"),
    "vector": ({"ids": IDS, "visual": np.zeros(2)}, "expected a matrix"),
    "columns": ({"ids": IDS, "visual": np.zeros((2, 2)), "visual_columns": np.array(["a"])}, "1 names for 2 columns"),
    "offsets": ({"ids": IDS, "visual": np.zeros((3, 2)), "visual_offsets": np.array([0, 2, 9])}, "rising"),
    "falling": ({"ids": IDS, "visual": np.zeros((3, 2)), "visual_offsets": np.array([0, 4, 3])}, "rising"),
    "fractions": ({"ids": IDS, "visual": np.zeros((3, 2)), "visual_offsets": np.array([0.0, 1, 3])}, "rising"),
    "objects": ({"ids": np.array([{}, 1], dtype=object), "visual": np.zeros((2, 2))}, "cannot read the arrays"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_broken_arrays(tmp_path, name):
    content, message = ARRAYS[name]
    np.savez(tmp_path / "t.npz", **content)
    with pytest.raises(DataError, match=rf"{message}"):
        read_table(write(tmp_path / "t.csv", ROWS))


def test_arrays_that_are_none_or_given_twice(tmp_path):
    path = write(tmp_path / "t.csv", ROWS)
    (tmp_path / "bad.npz").write_bytes(b"garbage")
    for name in ("bad.npz", "none.npz", "t.csv"):
        with pytest.raises(DataError, match="cannot read the arrays"):
            read_table(path, arrays=tmp_path / name)
    np.save(tmp_path / "single.npy", np.zeros(2))
    with pytest.raises(DataError, match="cannot read the arrays"):
        read_table(path, arrays=tmp_path / "single.npy")
    np.savez(tmp_path / "t.npz", ids=IDS, visual=np.zeros((2, 2)))
    with pytest.raises(DataError, match="give them once"):
        read_table(write(tmp_path / "t.csv", [{**ROWS[0], "visual": "single.npy"}]))


def test_the_real_segments_are_a_table(mosi):
    data = read_table(mosi / "segments.jsonl")
    assert {s: len(data.rows(s)) for s in ("train", "dev", "test")} == {"train": 1284, "dev": 229, "test": 0}
    assert len(set(data.groups)) == 62
    assert data[0].words == ("anyhow", "it", "was", "really", "good")
