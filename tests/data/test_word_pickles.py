"""MAG-BERT's and MISA's pickles."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from modashift.data.mag import read_mag, write_mag
from modashift.data.misa import read_misa
from modashift.errors import DataError


def item(words=("so", "good"), label=1.0, segment="v[0]", steps=None, misa=False, visual=None):
    steps = len(words) if steps is None else steps
    visual = np.ones((steps, 3), np.float32) if visual is None else visual
    acoustic = np.full((steps, 2), 2, np.float32)
    parts = (np.arange(steps), visual, acoustic, list(words)) if misa else (list(words), visual, acoustic)
    head = (parts, np.array([[label]], np.float32))
    return head if segment is None else (*head, segment)


def write(path, content):
    path.write_bytes(pickle.dumps(content))
    return path


def test_mag_round_trip(make, same, tmp_path):
    data = make()
    write_mag(data, tmp_path / "out" / "mosi.pkl")
    same(data, read_mag(tmp_path / "out" / "mosi.pkl"))
    content = pickle.loads((tmp_path / "out" / "mosi.pkl").read_bytes())
    (words, visual, acoustic), label, segment = content["train"][0]
    assert (segment, list(content), label.shape) == ("vid0[0]", ["train", "dev", "test"], (1, 1))
    assert len(words) == len(visual) == len(acoustic)


def test_ids_outside_the_convention_are_kept(make, same, tmp_path):
    data = make(videos=4, each=1)
    data = replace(data, ids=["a", "vid1_x", "vid2_0", "vid3_07"], groups=["a", "vid1_x", "vid2", "vid3"])
    write_mag(data, tmp_path / "x.pkl")
    assert list(read_mag(tmp_path / "x.pkl").ids) == ["a", "vid1_x", "vid2_0", "vid3_07"]


def test_mag_needs_word_features(make, tmp_path):
    with pytest.raises(DataError, match="word-aligned visual"):
        write_mag(make(alignment="frame"), tmp_path / "x.pkl")
    with pytest.raises(DataError, match="word-aligned acoustic"):
        write_mag(make(modalities=("visual",)), tmp_path / "x.pkl")
    with pytest.raises(DataError, match="0 acoustic steps"):
        write_mag(make(missing=True), tmp_path / "x.pkl")
    assert not list(tmp_path.iterdir())


def test_segment_names_and_their_absence(tmp_path):
    path = write(tmp_path / "mosi.pkl", {"train": [item(), item(segment="x y_7")], "valid": [item(segment="b[3]")]})
    data = read_mag(path)
    assert list(zip(data.ids, data.groups, data.splits)) == [
        ("v_1", "v", "train"),
        ("x y_7", "x y", "train"),
        ("b_4", "b", "dev"),
    ]
    data = read_mag(write(tmp_path / "n.pkl", {"train": [item(segment=None)] * 2, "test": [item(segment=None)]}))
    assert list(data.ids) == list(data.groups) == ["train_1", "train_2", "test_1"]
    assert "no video is named" in data.provenance["notes"][0]
    with_bytes = (([b"so", b"good"], *item()[0][1:]), item()[1], b"v[0]")
    assert read_mag(write(tmp_path / "b.pkl", {"train": [with_bytes]}))[0].words == ("so", "good")


def test_values_are_not_changed(tmp_path):
    visual = np.array([[1.0, np.nan, -np.inf], [0, 0, 0]])
    data = read_mag(write(tmp_path / "x.pkl", {"train": [item(visual=visual)]}))
    np.testing.assert_array_equal(data[0].features["visual"], visual.astype(np.float32))


def test_emotion_labels_follow_the_sentiment(tmp_path):
    emotions = (item()[0], np.array([[1.5, 0, 0, 0, 0, 0, 1]]), "v[0]")
    assert read_mag(write(tmp_path / "x.pkl", {"train": [emotions]})).labels.tolist() == [1.5]


BROKEN = {
    "number of steps": (item(steps=1), "2 words but 1 visual steps"),
    "no parts": ((1, 2), r"expected \(\(words"),
    "wrong parts": (item(misa=True), r"expected \(\(words"),
    "words as text": ((("so good", *item()[0][1:]), *item()[1:]), "a str, expected a list"),
    "words as numbers": ((([1, 2], *item()[0][1:]), *item()[1:]), "not a string"),
    "label as text": ((item()[0], "good", "v[0]"), "label is not a number"),
    "two labels": ((item()[0], np.zeros(2), "v[0]"), "label has 2 values"),
    "features as text": (item(visual=np.array([["a"], ["b"]])), "must be a matrix"),
    "three dimensions": (item(visual=np.zeros((2, 3, 4))), "must be a matrix"),
    "ragged": (item(visual=[[1], [2, 3]]), "must be a matrix"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rows_are_named(tmp_path, name):
    row, message = BROKEN[name]
    path = write(tmp_path / "x.pkl", {"train": [item(), row]})
    with pytest.raises(DataError, match=rf"x\.pkl, train, row 1.*{message}"):
        read_mag(path)


def test_broken_files(tmp_path):
    for content, message in (
        ([], "MAG-BERT's layout"),
        ({"a": 1}, "MAG-BERT's layout"),
        ({"train": [], "extra": []}, "'extra', which is no split"),
        ({"train": {}}, "expected a list"),
        ({"train": []}, "no utterance"),
        ({"train": [item(), item(visual=np.ones((2, 4)), segment="v[1]")]}, "v_2 have 4 columns and those of v_1 have"),
    ):
        with pytest.raises(DataError, match=message):
            read_mag(write(tmp_path / "x.pkl", content))


def test_misa_folder_and_file(tmp_path):
    for k, name in enumerate(("train", "dev", "test")):
        write(tmp_path / f"{name}.pkl", [item(misa=True, segment=f"v{k}[2]", label=k)])
    data = read_misa(tmp_path)
    assert list(zip(data.ids, data.splits, data.labels)) == [
        ("v0_3", "train", 0),
        ("v1_3", "dev", 1),
        ("v2_3", "test", 2),
    ]
    assert set(data.provenance["sha256"]) == {"train.pkl", "dev.pkl", "test.pkl"}
    assert read_misa(tmp_path / "dev.pkl").splits.tolist() == ["dev"]
    assert read_misa(tmp_path / "dev.pkl", split="test").splits.tolist() == ["test"]
    assert read_misa(write(tmp_path / "mosi_valid-2.pkl", [item(misa=True)])).splits.tolist() == ["dev"]


def test_misa_errors(tmp_path):
    path = write(tmp_path / "mosi.pkl", [item(misa=True)])
    with pytest.raises(DataError, match="give split="):
        read_misa(path)
    with pytest.raises(DataError, match="'all' is not one of"):
        read_misa(path, split="all")
    with pytest.raises(DataError, match=r"none of train\.pkl"):
        read_misa(tmp_path)
    with pytest.raises(DataError, match="only with a single file"):
        read_misa(tmp_path, split="dev")
    with pytest.raises(DataError, match="MISA's layout"):
        read_misa(write(path, {"a": 1}), split="dev")
    with pytest.raises(DataError, match=r"row 0.*expected \(\(word ids"):
        read_misa(write(path, [item()]), split="dev")
