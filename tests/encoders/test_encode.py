"""``modashift encode``: states of the texts of a data set, interrupted and continued."""

from dataclasses import replace

import numpy as np
import pytest

from made_encoders import save_encoder
from modashift.__main__ import main
from modashift.data.open import open_dataset
from modashift.data.states import StateColumns
from modashift.data.store import open_store, write_store
from modashift.encoders import encode
from modashift.encoders.encode import add_linguistic, sentences
from modashift.encoders.load import load_encoder
from modashift.encoders.texts import TextEncoder
from modashift.errors import ModashiftError
from support import toy_dataset

ROWS = 60


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return str(save_encoder("bert", tmp_path_factory.mktemp("m") / "bert"))


@pytest.fixture
def store(tmp_path):
    dataset = toy_dataset(ROWS)
    texts = [" ".join(w) for w in dataset.words]
    texts[7] = ""
    words = [list(w) for w in dataset.words]
    words[7] = []
    features = {m: replace(f, alignment="frame") for m, f in dataset.features.items()}
    write_store(replace(dataset, texts=texts, words=words, features=features), tmp_path / "in.store")
    return tmp_path / "in.store"


def call(*arguments):
    return main(["encode", *map(str, arguments)])


def test_texts_gain_states_and_other_modalities_stay(store, bert, tmp_path, capsys):
    out = tmp_path / "out.store"
    assert call(store, "--linguistic", bert, "--layers", "0-3", "--out", out) == 0
    assert "60 utterances" in capsys.readouterr().out
    before, after = open_dataset(store), open_dataset(out)
    assert list(after.features) == ["linguistic", "visual", "acoustic"]
    assert np.array_equal(after.features["visual"].values, before.features["visual"].values)
    feature = after.features["linguistic"]
    assert (feature.values.dtype, feature.alignment) == (np.float16, "frame")
    assert isinstance(feature.columns, StateColumns)
    assert feature.columns.layers == (0, 1, 2, 3)
    assert feature.columns.encoder.startswith(f"{bert}#")
    encoder = load_encoder(bert, "linguistic", "0-3")
    for row in (0, 7, 31, 59):
        own = encoder.states([before.texts[row].split()])[0].values.reshape(-1, 4 * 16)
        assert np.allclose(feature[row], own, atol=2e-2)
        assert len(feature[row]) == len(own)
    assert after.provenance["encoded"]["linguistic"]["layers"] == [0, 1, 2, 3]
    assert list(after.labels) == list(before.labels)
    assert not (tmp_path / "out.store.states").exists()


def test_modalities_may_be_left_out(store, bert, tmp_path):
    for keep, left in (("[acoustic]", ["linguistic", "acoustic"]), ("[]", ["linguistic"])):
        assert call(store, "--linguistic", bert, "--layers", "last", "--out", tmp_path / "o.store", "--keep", keep) == 0
        assert list(open_store(tmp_path / "o.store").features) == left


def test_what_is_interrupted_continues_with_the_chunk_it_was_at(store, bert, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "CHUNK", 16)
    arguments = (store, "--linguistic", bert, "--layers", "1,3", "--out")
    assert call(*arguments, tmp_path / "whole.store") == 0
    real, seen = TextEncoder.states, []

    def killed(self, texts):
        seen.append(len(texts))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(self, texts)

    monkeypatch.setattr(TextEncoder, "states", killed)
    assert call(*arguments, tmp_path / "cut.store") == 130
    work = tmp_path / "cut.store.states"
    with (work / encode.VALUES).open("ab") as file:
        file.write(b"half a chunk")  # as a power cut leaves it
    with (work / encode.PROGRESS).open("a") as file:
        file.write("[[3, 4")
    assert call(*arguments, tmp_path / "cut.store") == 0
    assert seen == [16, 16, 16, 16, 12]  # the third was begun again, the first two were not
    one, two = ((tmp_path / f"{n}.store" / "arrays.safetensors").read_bytes() for n in ("whole", "cut"))
    assert one == two
    assert not work.exists()


def test_lines_without_their_states_are_not_believed(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "CHUNK", 16)
    dataset = toy_dataset(40)
    whole, _ = add_linguistic(dataset, bert, tmp_path / "a", "last")
    values = np.array(whole.features["linguistic"].values)
    path = tmp_path / "a" / encode.VALUES
    path.write_bytes(path.read_bytes()[:-2])
    again, _ = add_linguistic(dataset, bert, tmp_path / "a", "last")
    assert np.array_equal(again.features["linguistic"].values, values)


def test_what_was_clipped_before_an_interruption_is_still_said(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "CHUNK", 8)
    real, seen = TextEncoder.states, []

    def large(self, texts):
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return [s._replace(values=s.values * np.float32(1e9 if len(seen) == 1 else 1)) for s in real(self, texts)]

    monkeypatch.setattr(TextEncoder, "states", large)
    dataset = toy_dataset(30)
    with pytest.raises(KeyboardInterrupt):
        add_linguistic(dataset, bert, tmp_path / "w", "2,3")
    made, notes = add_linguistic(dataset, bert, tmp_path / "w", "2,3")
    steps = int(made.features["linguistic"].lengths[:8].sum())
    (note,) = notes
    assert f"{steps * 2 * 16} values beyond" in note
    assert "(layers 2, 3)" in note


def test_other_texts_layers_or_weights_begin_anew(bert, tmp_path, monkeypatch):
    dataset = toy_dataset(20)
    counted = []
    real = TextEncoder.states
    monkeypatch.setattr(TextEncoder, "states", lambda self, texts: counted.append(len(texts)) or real(self, texts))
    for changed, layers, done in (
        (dataset, "last", 20),
        (dataset, "last", 0),
        (dataset, "1", 20),
        (dataset.take(range(19)), "1", 19),
    ):
        counted.clear()
        made, _ = add_linguistic(changed, bert, tmp_path / "w", layers)
        assert sum(counted) == done
        assert len(made.features["linguistic"]) == len(changed)


def test_words_stand_in_for_texts_that_are_not_there():
    dataset = toy_dataset(4)
    texts = ["", "One  two", "", "x"]
    changed = replace(dataset, texts=texts, words=[["a", "b"], ["c"], [], ["d"]])
    assert sentences(changed) == [["a", "b"], ["One", "two"], [], ["x"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--linguistic", "wavlm-large"], "an encoder of speech, not of texts"),
        (["--linguistic", "{bert}", "--layers", "7"], "has layers 1 to 3"),
        (["--linguistic", "{bert}", "--out", "{store}"], "is the data set itself"),
        (["--linguistic", "{bert}", "--keep", "[face]"], "has no face features"),
        (["--linguistic", "{bert}", "--out", "{other}"], "exists and is no store"),
    ],
)
def test_what_cannot_be_is_said(store, bert, tmp_path, arguments, message, capsys):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("x")
    given = [a.format(bert=bert, store=store, other=tmp_path / "other") for a in arguments]
    out = [] if "--out" in arguments else ["--out", tmp_path / "o.store"]
    assert call(store, *given, *out) == 2
    assert message in capsys.readouterr().err
    assert open_store(store).features


def test_data_without_texts_are_refused(bert, tmp_path):
    dataset = toy_dataset(3)
    with pytest.raises(ModashiftError, match="neither texts nor words"):
        add_linguistic(replace(dataset, texts=[""] * 3, words=[[]] * 3), bert, tmp_path / "w")


def test_features_that_were_there_are_replaced_and_that_is_said(store, bert, tmp_path):
    first, _ = add_linguistic(open_dataset(store), bert, tmp_path / "a", "1")
    second, notes = add_linguistic(first, bert, tmp_path / "b", "2")
    assert second.features["linguistic"].columns.layers == (2,)
    assert "are replaced" in notes[-1]
