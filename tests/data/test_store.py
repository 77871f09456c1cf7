import json
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from modashift.data.dataset import Feature, Strings
from modashift.data.store import ARRAYS_FILE, STORE_FILE, Words, open_store, verify_store, write_store
from modashift.errors import DataError


@pytest.fixture
def store(make, tmp_path):
    write_store(make(modalities=("linguistic", "visual", "acoustic"), missing=True), tmp_path / "a.store")
    return tmp_path / "a.store"


@pytest.mark.parametrize("alignment", ["word", "frame", "utterance"])
def test_round_trip(make, same, tmp_path, alignment):
    data = make(modalities=("linguistic", "visual", "acoustic"), alignment=alignment, missing=True)
    write_store(data, tmp_path / "a.store")
    again = open_store(tmp_path / "a.store")
    same(data, again)
    assert list(again.ids) == list(data.ids)
    assert again.splits.tolist() == data.splits.tolist()
    assert {m: f.columns for m, f in again.features.items()} == {m: f.columns for m, f in data.features.items()}
    assert again.name == data.name
    assert again.provenance["format"] == "test"
    assert again.labels.dtype == np.float64
    verify_store(tmp_path / "a.store")
    write_store(again, tmp_path / "b.store")  # from memory-mapped arrays, and without the first store's hash
    assert (tmp_path / "a.store" / ARRAYS_FILE).read_bytes() == (tmp_path / "b.store" / ARRAYS_FILE).read_bytes()
    assert json.loads((tmp_path / "b.store" / STORE_FILE).read_text()) == json.loads(
        (tmp_path / "a.store" / STORE_FILE).read_text()
    )


def test_data_without_features_labels_or_words(make, same, tmp_path):
    data = make(modalities=())
    data = replace(
        data, labels=np.full(len(data), np.nan), words=[()] * len(data), texts=Strings.pack([""] * len(data))
    )
    write_store(data, tmp_path / "a.store")
    same(data, open_store(tmp_path / "a.store"))


def test_the_arrays_are_safetensors(store):
    data = open_store(store)
    with safe_open(store / ARRAYS_FILE, framework="np") as file:
        np.testing.assert_array_equal(file.get_tensor("visual.values"), data.features["visual"].values)
        np.testing.assert_array_equal(file.get_tensor("labels"), data.labels)
        assert {k.split(".")[0] for k in file.keys()} >= {"ids", "groups", "texts", "words", "splits"}  # noqa: SIM118


def test_arrays_are_mapped_and_read_only(store):
    values = open_store(store).features["visual"].values
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 1
    assert values.ctypes.data % 4 == 0


def test_opening_reads_no_values_and_imports_no_torch(store):
    code = (
        "import sys; from modashift.data.store import open_store; "
        f"d = open_store({str(store)!r}); assert d.ids[0]; "
        "assert not {'torch', 'transformers', 'h5py', 'safetensors'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_words_are_decoded_when_asked_for():
    words = Words(Strings.pack(["a", "b", "ç"]), np.array([0, 2, 2, 3]))
    assert len(words) == 3
    assert list(words) == [("a", "b"), (), ("ç",)]
    assert words[-1] == ("ç",)
    assert words[0:2] == [("a", "b"), ()]
    assert words[np.int64(0)] == ("a", "b")
    for row in (3, -4):
        with pytest.raises(IndexError):
            words[row]


def test_an_older_store_is_replaced_and_nothing_else_is(make, same, store, tmp_path):
    held = open_store(store)
    before = held[0]
    write_store(make(videos=2), store)
    same(make(videos=2), open_store(store))
    assert held[0].text == before.text, "an open store survives its replacement"
    np.testing.assert_array_equal(held[0].features["visual"], before.features["visual"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.store"], "nothing temporary is left"
    for other in ("folder", "file"):
        path = tmp_path / other
        path.mkdir() if other == "folder" else path.write_text("mine")
        with pytest.raises(DataError, match="not overwritten"):
            write_store(make(), path)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_failed_write_leaves_the_old_store(make, same, store, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    old = open_store(store)
    monkeypatch.setattr("modashift.data.store.os.fsync", fail)
    with pytest.raises(DataError, match="No space left"):
        write_store(make(videos=2), store)
    same(old, open_store(store))
    assert [p.name for p in store.parent.iterdir()] == ["a.store"]


def test_a_failed_exchange_puts_the_old_store_back(make, same, store, monkeypatch):
    old, rename = open_store(store), Path.rename

    def fail(self, target):
        if self.name == "new":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(DataError, match="Input/output"):
        write_store(make(videos=2), store)
    same(old, open_store(store))


def test_a_folder_that_cannot_be_written(make, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        write_store(make(), tmp_path / "file" / "a.store")


def test_errors_in_the_data_are_refused(make, tmp_path):
    data = make()
    values = data.features["visual"].values.copy()
    values[3, 1] = np.nan
    broken = replace(data, features={"visual": Feature(values, data.features["visual"].offsets, "word")})
    with pytest.raises(DataError, match="1 NaN"):
        write_store(broken, tmp_path / "a.store")
    assert not list(tmp_path.iterdir())


def edit(store, **changes):
    facts = json.loads((store / STORE_FILE).read_text())
    (store / STORE_FILE).write_text(json.dumps({**facts, **changes}))


def test_changed_values_are_found_by_verifying(store):
    arrays = store / ARRAYS_FILE
    data = bytearray(arrays.read_bytes())
    data[-1] ^= 1
    arrays.write_bytes(data)
    open_store(store)
    with pytest.raises(DataError, match="SHA-256"):
        verify_store(store)


def test_cut_short(store):
    arrays = store / ARRAYS_FILE
    arrays.write_bytes(arrays.read_bytes()[:-10])
    with pytest.raises(DataError, match="cut short"):
        open_store(store)
    arrays.unlink()
    with pytest.raises(DataError, match="cannot read"):
        open_store(store)


@pytest.mark.parametrize("position", [0, 7, 8, 9, 30, 60])
@pytest.mark.parametrize("value", [0, 0xFF, ord("9")])
def test_damaged_headers(store, position, value):
    arrays = store / ARRAYS_FILE
    data = bytearray(arrays.read_bytes())
    data[position] = value
    arrays.write_bytes(data)
    with suppress(DataError):  # and nothing else
        open_store(store)


def test_every_damaged_byte_of_the_facts_is_survived(store):
    text = (store / STORE_FILE).read_text()
    for position in range(0, len(text), 7):
        (store / STORE_FILE).write_text(text[:position] + "~" + text[position + 1 :])
        with suppress(DataError):  # and nothing else
            open_store(store)


def test_not_a_store(tmp_path):
    with pytest.raises(DataError, match="not a store"):
        open_store(tmp_path)
    (tmp_path / STORE_FILE).write_text("[]")
    with pytest.raises(DataError, match="damaged"):
        open_store(tmp_path)


def test_other_versions(store):
    edit(store, version=2)
    with pytest.raises(DataError, match="update modashift"):
        open_store(store)
    edit(store, version=0)
    with pytest.raises(DataError, match="import the data again"):
        open_store(store)


def test_facts_that_do_not_fit(make, store, tmp_path):
    facts = json.loads((store / STORE_FILE).read_text())
    visual = facts["features"]["visual"]
    wrong = {
        "utterances": (5, "5 utterances but"),
        "features": ({"smell": visual}, "no modality"),
        "name": (None, None),
    }
    for key, (value, message) in wrong.items():
        if message:
            edit(store, **{key: value})
            with pytest.raises(DataError, match=message):
                open_store(store)
            edit(store, **facts)
    for change, message in (({"dim": 3}, "instead of 3"), ({"alignment": "x"}, "alignment"), ({"columns": 1}, "fit")):
        edit(store, features={"visual": {**visual, **change}})
        with pytest.raises(DataError, match=message):
            open_store(store)
    edit(store, **facts)
    write_store(make(videos=2), tmp_path / "b.store")
    shutil.copy(tmp_path / "b.store" / ARRAYS_FILE, store / ARRAYS_FILE)
    edit(store, arrays={**facts["arrays"], "bytes": (store / ARRAYS_FILE).stat().st_size})
    with pytest.raises(DataError, match="utterances but"):
        open_store(store)


def test_offsets_and_codes_are_checked(store):
    data = open_store(store)
    arrays = store / ARRAYS_FILE
    content = arrays.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    assert data.splits.size
    for key, item, value in (
        ("visual.offsets", 8, 99),
        ("words.rows", 8, 99),
        ("ids.offsets", 8, 99),
        ("splits", 1, 9),
    ):
        first = start + header[key]["data_offsets"][0]
        broken = bytearray(content)
        broken[first + item : first + 2 * item] = value.to_bytes(item, "little")
        arrays.write_bytes(broken)
        with pytest.raises(DataError, match=r"rise|split code"):
            open_store(store)


def damage_header(store, function):
    """Rewrite the header within its length."""
    content = (store / ARRAYS_FILE).read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    encoded = json.dumps(function(header), separators=(",", ":")).encode()
    assert len(encoded) <= start - 8
    (store / ARRAYS_FILE).write_bytes(content[:8] + encoded.ljust(start - 8) + content[start:])


def entry(name, **changes):
    return lambda header: {**header, name: {**header[name], **changes}}


HEADERS = {
    "beyond the file": (entry("labels", data_offsets=[0, 99999]), "labels lies outside the file"),
    "fewer labels": (entry("labels", shape=[2], data_offsets=[0, 16]), r"12 utterances but \(2,\) labels"),
    "type": (entry("labels", dtype="X64"), "damaged"),
    "labels as integers": (entry("labels", dtype="I64"), "labels are of another type"),
    "no entry": (lambda header: {k: v for k, v in header.items() if k != "labels"}, "do not fit together"),
    "swapped strings": (
        lambda h: {**h, "ids.blob": h["texts.blob"], "ids.offsets": h["words.offsets"], "texts.blob": h["words.blob"]},
        "does not rise",
    ),
    "words as ids": (
        lambda h: {**h, "ids.blob": h["words.blob"], "ids.offsets": h["words.offsets"]},
        "12 utterances but .* ids",
    ),
    "rows of words": (
        lambda h: {
            **h,
            "words.blob": h["ids.blob"],
            "words.offsets": h["ids.offsets"],
            "words.rows": {**h["words.rows"], "shape": [2], "data_offsets": [0, 16]},
        },
        "words.rows does not rise",
    ),
    "a list": (lambda header: [], "damaged"),
    "metadata": (
        lambda header: {**{k: header[k] for k in header if k != "splits"}, "__metadata__": {}},
        "fit together",
    ),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_do_not_fit(store, name):
    function, message = HEADERS[name]
    damage_header(store, function)
    with pytest.raises(DataError, match=message):
        open_store(store)


def test_features_and_words_of_fewer_utterances(make, store):
    data = make(modalities=("visual",), alignment="utterance", each=3)
    write_store(data, store)
    # one utterance a step: any whole number of offsets rises from 0 to the number of steps once the steps are cut too
    first = {}

    def remember(header):
        first.update(header)
        start = header["visual.offsets"]["data_offsets"][0]
        offsets = {**header["visual.offsets"], "shape": [12], "data_offsets": [start, start + 96]}
        values = header["visual.values"]["data_offsets"][0]
        fewer = {**header["visual.values"], "shape": [11, 4], "data_offsets": [values, values + 176]}
        return {**header, "visual.offsets": offsets, "visual.values": fewer}

    damage_header(store, remember)
    with pytest.raises(DataError, match="12 utterances but visual features of 11"):
        open_store(store)
