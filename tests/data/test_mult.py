import pickle

import numpy as np
import pytest

from modashift.data.mult import read_mult
from modashift.errors import DataError


def part(n=3, **changes):
    content = {
        "vision": np.ones((n, 6, 2), np.float32),
        "text": np.ones((n, 5, 4), np.float32),
        "audio": np.ones((n, 6, 3)),
        "labels": np.arange(n, dtype=np.float32).reshape(n, 1, 1) - 1,
        "id": [f"v[{k}]" for k in range(n)],
    }
    content["vision"][:, :4] = 0  # padding comes first in some files
    content["text"][0, 3:] = 0
    content["audio"][1:2] = 0
    content.update(changes)
    return {k: v for k, v in content.items() if v is not None}


def write(tmp_path, **splits):
    path = tmp_path / "mosi_data.pkl"
    path.write_bytes(pickle.dumps(splits))
    return path


def test_sequences_without_padding(tmp_path):
    data = read_mult(write(tmp_path, train=part(), valid=part(1, id=[b"w[4]"]), test=part(2, id=None)))
    assert list(data.ids) == ["v_1", "v_2", "v_3", "w_5", "test_1", "test_2"]
    assert list(data.groups)[:4] == ["v", "v", "v", "w"]
    assert data.splits.tolist() == ["train"] * 3 + ["dev"] + ["test"] * 2
    assert data.labels[:3].tolist() == [-1, 0, 1]
    assert data.sizes() == {"linguistic": 4, "visual": 2, "acoustic": 3}
    assert {f.alignment for f in data.features.values()} == {"frame"}
    assert data.features["visual"].lengths[:3].tolist() == [2, 2, 2]
    assert data.features["linguistic"].lengths[:3].tolist() == [3, 5, 5]
    assert data.features["acoustic"].lengths[:2].tolist() == [6, 0]
    assert data[0].words == ()


def test_ids_with_times(tmp_path):
    ids = np.array([["v", "0.5", "2"], ["v", "2", "3"], ["w", "0", "1"]])
    data = read_mult(write(tmp_path, train=part(id=ids)))
    assert list(data.ids) == ["v@0.5", "v@2", "w@0"]
    assert list(data.groups) == ["v", "v", "w"]


BROKEN = {
    "labels": ({"labels": np.zeros((3, 7))}, r"train, labels: expected one score each, found shape \(3, 7\)"),
    "labels as text": ({"labels": ["a"] * 3}, "train: labels or ids are not arrays"),
    "no array": ({"audio": np.zeros(3)}, r"train, audio: expected \(3, steps"),
    "rows": ({"text": np.zeros((2, 5, 4))}, "train, text: expected"),
    "ids": ({"id": ["a"]}, "train, id: 1 ids for 3 labels"),
    "empty ids": ({"id": [[], [], []]}, "train: labels or ids are not arrays"),
    "text": ({"vision": np.full((3, 6, 2), "a")}, "train, vision, row 0: features must be"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(tmp_path, name):
    changes, message = BROKEN[name]
    with pytest.raises(DataError, match=rf"mosi_data\.pkl, {message}"):
        read_mult(write(tmp_path, train=part(**changes)))


def test_broken_structure(tmp_path):
    with pytest.raises(DataError, match="MulT's layout"):
        read_mult(write(tmp_path, train=[]))
    with pytest.raises(DataError, match="valid: expected a dictionary"):
        read_mult(write(tmp_path, train=part(), valid=[]))
    with pytest.raises(DataError, match="valid: the key 'audio' is missing"):
        read_mult(write(tmp_path, train=part(), valid=part(audio=None)))
