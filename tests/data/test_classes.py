import json
from dataclasses import replace

import numpy as np
import pytest

from modashift.data.build import Row, assemble
from modashift.data.classes import count_classes, number_labels
from modashift.data.cli import export, import_, inspect
from modashift.data.dataset import Dataset
from modashift.data.splits import folds
from modashift.data.store import STORE_FILE, open_store, write_store
from modashift.data.tables import read_table
from modashift.data.validate import check
from modashift.errors import DataError

NAMES = ("angry", "happy", "sad")
SPLITS = ("train", "train", "train", "dev", "test")


@pytest.fixture
def data() -> Dataset:
    """Fifteen utterances of three classes by five speakers, one of them unlabelled."""
    rows = [
        Row(f"s{s}_{k}", f"s{s}", SPLITS[s], float(k), "so it is", ["so", "it", "is"])
        for s in range(5)
        for k in range(3)
    ]
    rows[1].label = float("nan")
    return assemble("emotions", rows, {}, {"format": "test"}, classes=NAMES)


def test_classes_stay_with_the_data(data, tmp_path):
    assert data.classes == NAMES
    assert data.take([0, 2]).classes == data.with_splits(data.splits).classes == NAMES
    assert all(part.classes == NAMES for part in folds(data, 3))
    write_store(data, tmp_path / "a.store")
    again = open_store(tmp_path / "a.store")
    assert again.classes == NAMES
    np.testing.assert_array_equal(again.labels, data.labels)
    write_store(replace(data, classes=()), tmp_path / "b.store")
    assert "classes" not in json.loads((tmp_path / "b.store" / STORE_FILE).read_text())  # as in older stores
    assert open_store(tmp_path / "b.store").classes == ()


@pytest.mark.parametrize("classes", [["angry", "happy"], "angry", [1, 2, 3]])
def test_stores_whose_classes_do_not_fit(data, tmp_path, classes):
    write_store(data, tmp_path / "a.store")
    facts = json.loads((tmp_path / "a.store" / STORE_FILE).read_text())
    (tmp_path / "a.store" / STORE_FILE).write_text(json.dumps({**facts, "classes": classes}))
    with pytest.raises(DataError, match="class"):
        open_store(tmp_path / "a.store")


def test_counts(data):
    assert count_classes(data) == {"train": [3, 2, 3], "dev": [1, 1, 1], "test": [1, 1, 1]}


def test_sound_classes_have_no_errors(data):
    assert check(data).errors == ()
    assert [p.message for p in check(data).warnings] == ["1 utterances have no label"]
    many = replace(data, labels=np.arange(15, dtype=np.float64), classes=tuple("abcdefghijklmno"))
    assert check(many).errors == ()  # a class number is no score in [-3, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("a", "a", "b")}, "occur twice: 'a', 'a', 'b'"),
        ({"classes": ("a", " ", "b")}, "empty"),
        ({"classes": ("a",), "labels": np.zeros(15)}, "only one class"),
        ({"labels": np.full(15, 0.5)}, "15 labels are no number of a class, 0.5 for example"),
        ({"labels": np.full(15, 3.0)}, "15 labels are no number of a class, 3 for example"),
        ({"labels": np.full(15, -1.0)}, "no number of a class"),
        ({"labels": np.full(15, np.inf)}, "no number of a class"),
    ],
)
def test_wrong_classes(data, changes, message):
    assert message in check(replace(data, **changes)).errors[0].message


def test_classes_that_cannot_be_learnt(data):
    found = check(replace(data, classes=(*NAMES, "bored"))).warnings
    assert [p.message for p in found if "bored" in p.message] == ["no utterance is of class bored"]
    labels = data.labels.copy()
    labels[data.rows("train")] = [0, 1] * 4 + [1]
    found = check(replace(data, labels=labels)).warnings
    assert [p.message for p in found] == [
        "sad occur in the dev split but not in train",
        "sad occur in the test split but not in train",
    ]


def test_number_labels():
    where = [f"line {k}" for k in range(4)]
    labels, names = number_labels(["sad", None, "angry", "sad"], where)
    np.testing.assert_array_equal(labels, [1, np.nan, 0, 1])
    assert names == ("angry", "sad")
    assert number_labels(["sad", None, "angry", "sad"], where, ["sad", "angry"])[0][0] == 0
    assert number_labels(["2", "1", "1", "2"], where, ["1", "2"])[0].tolist() == [1, 0, 0, 1]
    labels, names = number_labels(["2", "1", None, "-1e-1"], where)
    assert names == ()
    np.testing.assert_array_equal(labels, [2, 1, np.nan, -0.1])
    for given, classes, message in (
        (["2", "sad", None, "1"], None, "line 1, label: 'sad' is not a number"),
        (["sad", "sad", None, "sad"], None, "line 0, label: 'sad' is not a number"),
        (["sad", "joy", None, "sad"], ["sad", "angry"], "line 1, label: 'joy' is none of the classes sad, angry"),
    ):
        with pytest.raises(DataError, match=message):
            number_labels(given, where, classes)


def table(path, labels):
    lines = ["id,text,label,split"] + [f"v{k}_1,it was,{c},{SPLITS[k]}" for k, c in enumerate(labels)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_tables_of_names(tmp_path):
    path = table(tmp_path / "t.csv", ["sad", "happy", "", "sad", " happy "])
    data = read_table(path)
    assert data.classes == ("happy", "sad")
    np.testing.assert_array_equal(data.labels, [1, 0, np.nan, 1, 0])
    data = read_table(path, classes=["sad", "happy"])
    assert data.classes == ("sad", "happy")
    assert data.provenance["options"]["classes"] == ["sad", "happy"]
    lines = [json.dumps({"id": i, "text": "a", "label": c, "split": "train"}) for i, c in (("a", "x"), ("b", ["y"]))]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"line 2, label: .* is neither a number nor the name of a class"):
        read_table(tmp_path / "t.jsonl")


def test_commands_show_and_keep_them(tmp_path, capsys):
    path = table(tmp_path / "t.csv", ["sad", "happy", "", "sad", "happy"])
    inspect(str(path))
    out = capsys.readouterr().out
    rows = {line.split("│")[1].strip(): line for line in out.splitlines() if line.startswith("│")}
    assert [c.strip() for c in rows["happy"].split("│")[2:-1]] == ["1", "0", "1", "2", "50.0 %"]
    assert [c.strip() for c in rows["sad"].split("│")[2:-1]] == ["1", "1", "0", "2", "50.0 %"]
    assert "< 0" not in out
    import_(str(path), str(tmp_path / "t.store"), classes=["sad", "happy"])
    assert open_store(tmp_path / "t.store").classes == ("sad", "happy")
    for layout in ("mmsa", "mag"):
        with pytest.raises(DataError, match=r"sentiment scores, and the labels of t are classes \(sad, happy\)"):
            export(str(tmp_path / "t.store"), str(tmp_path / "t.pkl"), layout)
