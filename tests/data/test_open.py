import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modashift.data.mag import write_mag
from modashift.data.mmsa_write import write_mmsa
from modashift.data.open import FORMATS, _readers, open_dataset
from modashift.data.store import write_store
from modashift.errors import DataError


@pytest.fixture
def files(make, tmp_path):
    """The same utterances in every layout, by format."""
    data = make(videos=8)
    write_store(data, tmp_path / "a.store")
    write_mmsa(data, tmp_path / "mmsa")
    write_mag(data, tmp_path / "mag")
    (tmp_path / "misa").mkdir()
    content = pickle.loads((tmp_path / "mag").read_bytes())
    for split, rows in content.items():
        theirs = [((np.arange(len(w)), v, a, w), label, s) for (w, v, a), label, s in rows]
        (tmp_path / "misa" / f"{split}.pkl").write_bytes(pickle.dumps(theirs, 2))
    (tmp_path / "t.jsonl").write_text(
        "\n".join(json.dumps({"id": u.id, "text": u.text, "label": u.label, "split": u.split}) for u in data)
    )
    np.savez(
        tmp_path / "t.npz",
        ids=np.array(list(data.ids)),
        **{m: f.values for m, f in data.features.items()},
        **{f"{m}_offsets": f.offsets for m, f in data.features.items()},
    )
    return data, {
        "store": tmp_path / "a.store",
        "mmsa": tmp_path / "mmsa",
        "mag": tmp_path / "mag",
        "misa": tmp_path / "misa",
        "table": tmp_path / "t.jsonl",
    }


def test_every_layout_is_recognised_and_reads_the_same(files, same):
    data, paths = files
    for name, path in paths.items():
        found = open_dataset(path)
        same(data, found)
        assert found.provenance["format"] == ("test" if name == "store" else name)
        same(found, open_dataset(str(path), format=name))


def test_a_single_misa_file(files):
    _, paths = files
    assert set(open_dataset(paths["misa"] / "dev.pkl").splits) == {"dev"}
    assert set(open_dataset(paths["misa"] / "dev.pkl", split="test").splits) == {"test"}


def test_formats_are_those_with_a_reader():
    assert tuple(_readers()) == FORMATS


def test_mult_files(tmp_path):
    zeros = {"vision": (2, 3, 2), "text": (2, 3, 2), "audio": (2, 3, 2), "labels": (2, 1, 1)}
    content = {"train": {k: np.ones(s, np.float32) for k, s in zeros.items()}}
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(content))
    assert open_dataset(tmp_path / "m.pkl").provenance["format"] == "mult"


def test_nothing_unknown_is_guessed(tmp_path):
    with pytest.raises(DataError, match="there is no file or folder"):
        open_dataset(tmp_path / "none")
    with pytest.raises(DataError, match=r"no store\.json \(store\), no \.csd .*, and none of\s+train\.pkl"):
        open_dataset(tmp_path)
    for content, message in (
        (b"PK\x03\x04rest", "no known format"),
        (b"", "no known format"),
        (b"\x89HDF\r\n\x1a\nrest", "one computational sequence"),
        (pickle.dumps({"a": 1}), r"no known layout \(keys a\)\. Tried: MMSA.*MulT.*MAG-BERT.*MISA"),
        (pickle.dumps({"train": [1, 2]}), r"no known layout \(keys train\)"),
        (pickle.dumps("text"), r"no known layout \(str\)"),
        (pickle.dumps([1, 2]), "does not tell which split"),
        (b"\x80\x04garbage", "not a readable pickle"),
    ):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(DataError, match=message):
            open_dataset(tmp_path / "x")


def test_hostile_files_are_refused(tmp_path):
    class Runs:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "marker"),)

    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"train": Runs()}))
    with pytest.raises(DataError, match=r"mkdir.*nothing in it was run"):
        open_dataset(tmp_path / "x.pkl")
    assert not (tmp_path / "marker").exists()


def test_options_and_formats_are_checked(files):
    _, paths = files
    with pytest.raises(DataError, match="no option split; it has no options"):
        open_dataset(paths["mag"], split="train")
    with pytest.raises(DataError, match="no option pauses; its options: split, arrays"):
        open_dataset(paths["table"], pauses="drop")
    with pytest.raises(DataError, match="'zip' is not one of store, mmsa"):
        open_dataset(paths["mag"], format="zip")
    with pytest.raises(DataError, match="MMSA's layout"):
        open_dataset(paths["mag"], format="mmsa")
    open_dataset(paths["mag"], split=None)


def test_nonfinite_values_stop_unless_replaced(make, tmp_path):
    data = make()
    feature = data.features["acoustic"]
    values = feature.values.copy()
    values[7, 2] = -np.inf
    write_mag(replace(data, features={**data.features, "acoustic": replace(feature, values=values)}), tmp_path / "x")
    with pytest.raises(DataError, match=r"1 -inf among.*--replace_nonfinite"):
        open_dataset(tmp_path / "x")
    found = open_dataset(tmp_path / "x", replace_nonfinite=True)
    assert found.provenance["replaced_nonfinite"] == {"acoustic": {"-inf": 1}}
    assert found.features["acoustic"].values[7, 2] == 0


def test_errors_in_the_data_stop(make, tmp_path):
    data = make()
    write_mag(replace(data, ids=["vid0_1"] * len(data)), tmp_path / "x")
    with pytest.raises(DataError, match="more than one split"):
        open_dataset(tmp_path / "x")


def test_reading_needs_neither_torch_nor_transformers(files):
    import subprocess
    import sys

    _, paths = files
    code = (
        "import sys; from modashift.data.open import open_dataset; "
        f"[open_dataset(p) for p in {[str(p) for p in paths.values()]!r}]; "
        "assert not {'torch', 'transformers', 'h5py'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_real_files_are_recognised(mosi: Path):
    for name, layout in (("misa_dev.pkl", "misa"), ("mag_format.pkl", "mag"), ("mmsa_format.pkl", "mmsa")):
        assert open_dataset(mosi / name).provenance["format"] == layout
    assert open_dataset(mosi / "segments.jsonl").provenance["format"] == "table"
    with pytest.raises(DataError, match="do not tell the splits"):
        open_dataset(mosi)
