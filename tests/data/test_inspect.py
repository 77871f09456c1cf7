"""Descriptions, and the commands that print them."""

import io
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from modashift.data import cli
from modashift.data.inspect import OFFICIAL, describe, recognise
from modashift.data.mag import read_mag, write_mag
from modashift.data.mmsa import read_mmsa
from modashift.data.open import open_dataset
from modashift.data.store import ARRAYS_FILE, open_store
from modashift.data.validate import check, replace_nonfinite
from modashift.errors import DataError


def text(renderable):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_everything_is_on_the_page(make):
    data = make(videos=8)
    data = replace(data, labels=np.array([-3, -2, 0, 1, 2, 3, np.nan, 0] * 3, dtype=float))
    digest = next(iter(OFFICIAL))
    data = replace(data, provenance={"format": "mmsa", "sha256": {"u.pkl": digest}, "notes": ["a remark"]})
    page = text(describe(data, "u.pkl", check(data)))
    for part in (
        "u.pkl: 24 utterances in 8 groups",
        "read as mmsa",
        f"u.pkl is {OFFICIAL[digest]}, unchanged",
        "note: a remark",
        "visual columns: visual0, visual1, visual2, visual3",
        "acoustic",
        "word",
        "-3 ",
        " 0 ",
        "warning: labels: 3 utterances have no label",
    ):
        assert part in page
    row = next(line for line in page.splitlines() if "train" in line)
    assert [cell.strip() for cell in row.split("│")[2:5]] == [
        "12",
        "4",
        str(sum(len(u.words) for u in data if u.split == "train")),
    ]


def test_data_without_features_or_labels(make):
    data = make(modalities=())
    data = replace(data, labels=np.full(len(data), np.nan))
    page = text(describe(data, "x", check(data)))
    assert "none: words only" in page


def test_sound_data_and_replaced_values(make):
    data = make()
    assert "no problem found" in text(describe(data, "x", check(data)))
    values = data.features["visual"].values.copy()
    values[0] = np.nan
    data = replace_nonfinite(replace(data, features={"visual": replace(data.features["visual"], values=values)}))
    assert "visual: replaced by 0: 4 NaN" in text(describe(data, "x", check(data)))


def test_official_files():
    assert len(OFFICIAL) == 5
    assert all(len(digest) == 64 for digest in OFFICIAL)
    assert recognise({"a.pkl": "0" * 64}) == []


@pytest.fixture
def source(make, tmp_path):
    write_mag(make(), tmp_path / "mosi.pkl")
    return tmp_path / "mosi.pkl"


def test_import_inspect_export(source, same, tmp_path, capsys):
    store, out = tmp_path / "mosi.store", tmp_path / "aligned.pkl"
    cli.import_(str(source), str(store))
    assert f"12 utterances written to {store} (visual 4, acoustic 5)" in capsys.readouterr().out
    same(read_mag(source), open_store(store))
    cli.inspect(str(store))
    assert "read as mag in a store" in capsys.readouterr().out
    cli.export(str(store), str(out))
    same(read_mag(source), read_mmsa(out))
    cli.export(str(store), str(out), features=["visual"])
    assert read_mmsa(out).sizes() == {"visual": 4}
    cli.export(str(out), str(tmp_path / "again.store.pkl"), layout="mmsa")
    cli.export(str(store), str(tmp_path / "again.pkl"), layout="mag")
    same(read_mag(source), read_mag(tmp_path / "again.pkl"))


def test_export_with_word_pieces(source, tiny_backbone, tmp_path):
    cli.export(str(source), str(tmp_path / "x.pkl"), tokenizer=tiny_backbone)
    bert = pickle.loads((tmp_path / "x.pkl").read_bytes())["train"]["text_bert"]
    assert bert.shape == (6, 3, 50)
    assert (bert[:, 0, 0] == 2).all(), "[CLS] comes first"
    with pytest.raises(DataError, match="leave --tokenizer out"):
        cli.export(str(source), str(tmp_path / "x.pkl"), layout="mag", tokenizer=tiny_backbone)


def test_export_never_overwrites_its_source(source):
    before = source.read_bytes()
    with pytest.raises(DataError, match="the source itself"):
        cli.export(str(source), str(source), layout="mag")
    assert source.read_bytes() == before


def test_errors_are_printed_and_fail(make, tmp_path, capsys):
    data = make()
    write_mag(replace(data, labels=data.labels * 100), tmp_path / "x.pkl")
    with pytest.raises(DataError, match="has 1 error"):
        cli.inspect(str(tmp_path / "x.pkl"))
    assert "error: labels" in capsys.readouterr().out
    with pytest.raises(DataError, match="outside"):
        cli.import_(str(tmp_path / "x.pkl"), str(tmp_path / "x.store"))
    assert not (tmp_path / "x.store").exists()


def test_damaged_stores_are_found(source, tmp_path):
    store = tmp_path / "mosi.store"
    cli.import_(str(source), str(store))
    data = bytearray((store / ARRAYS_FILE).read_bytes())
    data[-1] ^= 1
    (store / ARRAYS_FILE).write_bytes(data)
    with pytest.raises(DataError, match="SHA-256"):
        cli.inspect(str(store))


def test_values_replaced_on_import_stay_on_record(make, tmp_path, capsys):
    data = make()
    values = data.features["visual"].values.copy()
    values[0, 0] = np.inf
    data = replace(data, features={**data.features, "visual": replace(data.features["visual"], values=values)})
    write_mag(data, tmp_path / "x.pkl")
    cli.import_(str(tmp_path / "x.pkl"), str(tmp_path / "x.store"), replace_nonfinite=True)
    assert open_dataset(tmp_path / "x.store").provenance["replaced_nonfinite"] == {"visual": {"+inf": 1}}
    cli.inspect(str(tmp_path / "x.store"))
    assert "visual: replaced by 0: 1 +inf" in capsys.readouterr().out


def test_import_of_a_table_with_arrays_and_warnings(tmp_path, capsys):
    rows = [{"id": f"v_{k}", "text": "so good", "label": 1} for k in range(2)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    np.savez(tmp_path / "a.npz", ids=np.array(["v_0", "v_1"]), visual=np.array([[1.0, 2], [0, 0]]))
    cli.import_(
        str(tmp_path / "t.jsonl"),
        str(tmp_path / "t.store"),
        split="train",
        arrays=str(tmp_path / "a.npz"),
        format="table",
    )
    assert "warning: visual: all values are 0 in 1 utterances (first: v_1)" in capsys.readouterr().out
    assert open_dataset(tmp_path / "t.store").features["visual"].alignment == "utterance"


def test_inspect_real_files(mosi, capsys):
    cli.inspect(str(mosi / "mmsa_format.pkl"))
    assert "229 utterances in 10 groups" in capsys.readouterr().out
